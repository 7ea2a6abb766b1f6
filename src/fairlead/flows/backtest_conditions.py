"""The settings' own alerts over a known past: the live watch's conditions, looked at whenever something became known.

Looked at is what judged windows, labels, answers and events say: each feature's drift, the metrics of matured labels,
the daily cost, latency and errors, and the means of events. What no log holds (machines, tokens) is told as such.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from math import inf

import numpy as np
from msgspec import Struct

from fairlead.core.alert import Alarm, AlertPolicy, Standing
from fairlead.core.backtest import SETTINGS, USUAL, Signal, Told, place_of
from fairlead.core.condition import Condition, Judgement
from fairlead.core.event import AlertRaised, AliasMoved
from fairlead.core.held import Holding, never_quiet
from fairlead.core.impact import ImpactReport, fact_of_impact
from fairlead.core.outbox import Known
from fairlead.core.paging import Inhibition
from fairlead.core.report import fact_of
from fairlead.core.verdict import Outcome
from fairlead.core.watched import (
    ANSWERS,
    DAILY,
    HOME,
    LIVE,
    MATURED,
    METRICS,
    PER_FEATURE,
    REALISED,
    TOKENS,
    WAITING,
    event_of,
)
from fairlead.core.watchpoint import UNMEASURED, Watchpoint
from fairlead.flows.backtest import Past, alert_signals, stood
from fairlead.flows.backtest_answers import MINUTE, REPLAYED, Answers, minutes_of
from fairlead.flows.backtest_facts import PastFacts
from fairlead.flows.conditions import SILENT_SECONDS, Conditions
from fairlead.flows.live import Live
from fairlead.flows.metrics_now import MetricsNow, Prices
from fairlead.stats.performance import Floats

HOUR = 3600.0
_LABELLED = (*REALISED, *MATURED)
_KNOWN = (*LIVE, *PER_FEATURE, *ANSWERS, *_LABELLED, *DAILY)  # of windows, labels and logged answers


class Stated(Struct, frozen=True, eq=False):
    """The conditions of one model: `usual` are the keys of those that stand in where nobody states any. `inhibit` are
    the settings', `labels` (3, n) the instants, truths and decisions of all labels, in order of the instants, where
    errors have `prices`; `impacts` what callers and the business had of each window of the `answers`."""

    points: Sequence[Watchpoint]
    usual: frozenset[str] = frozenset()
    inhibit: Sequence[Inhibition] = ()
    prices: Prices = Prices()
    labels: Floats = np.empty((3, 0))
    answers: Answers = Answers()
    impacts: Sequence[ImpactReport] = ()


def told_by_conditions(
    whose: tuple[str, int],
    past: Past,
    stated: Stated,
    policy: AlertPolicy = AlertPolicy(),  # noqa: B008 - a frozen value
) -> tuple[Told, ...]:
    """Every condition as a rule: of the windows by what is known of them at each instant. `whose` are the model's name
    and the version's number. That one cannot be measured for long is an alert of its own, where it would be told."""
    lives = _live_or_not(stated.answers)
    asked = tuple(point for point in stated.points if not why_not(point.condition, lives))
    found = _Followed(whose, past, stated, asked, policy)
    told = {one.key: found.told(one) for one in asked}
    told |= {
        one.key: Told(one.key, says(one), _kind(stated, one), missing=why_not(one.condition, lives))
        for one in stated.points
        if one.key not in told
    }
    silent = [f"{UNMEASURED}:{one.key}" for one in asked]
    places = {one.key.partition(":")[0]: place for place, one in reversed(tuple(enumerate(stated.points)))}
    in_order = sorted(
        stated.points, key=lambda one: places[one.key.partition(":")[0]]
    )  # graver levels beside the first
    return (
        *(told[one.key] for one in in_order),
        *(
            Told(name, "it could not be measured for a day", SETTINGS, tuple(found.signals[name]))
            for name in silent
            if any(one.breached for one in found.signals.get(name, ()))
        ),
    )


def says(point: Watchpoint) -> str:
    """What a condition asks, and how grave it is.

    >>> says(Watchpoint("auc", Condition("auroc < 0.8", "auroc", "<", 0.8, over=0.85), "high"))
    'auroc < 0.8, over at 0.85: high'
    """
    over = "" if point.condition.over is None else f", over at {point.condition.over:g}"
    return f"{point.condition.text}{over}: {point.severity}"


def why_not(condition: Condition, lives: str = "") -> str:
    """Why a backtest cannot know what a condition speaks of; empty where it can. `lives` is why there are no minutes of
    live traffic, where there are none.

    >>> why_not(Condition("psi > 0.2", "psi", ">", 0.2))
    ''
    """
    metric = condition.metric
    if metric in HOME or metric in WAITING:
        return "machines are looked at as they are now, and no log holds what they were"
    if metric in TOKENS:
        return "traces of language models name no model, and are not replayed"
    if metric in METRICS and metric not in _KNOWN:
        return "no log holds what it is made of"
    return lives if metric in LIVE else ""


def _live_or_not(answers: Answers) -> str:
    if not answers.records:
        return "no answers are known by the minute"
    return REPLAYED if answers.replayed else ""


def _kind(stated: Stated, point: Watchpoint) -> str:
    return USUAL if point.key in stated.usual else SETTINGS


class _Desk:
    """Which of the settings' alerts people would be told of: as they stand, and as graver ones mute them."""

    def __init__(self, model: str, policy: AlertPolicy, inhibit: Sequence[Inhibition]) -> None:
        self._model, self._policy, self._inhibit = model, policy, inhibit
        self._standing: dict[str, Standing] = {}
        self._untold: dict[str, Alarm] = {}
        self.held: dict[str, str] = {}  # why, of those that were held back, the last time

    @property
    def due(self) -> float:
        """When something that stands is told again; a second later, as clocks are not exact."""
        return min((one.raised_at for one in self._standing.values()), default=inf) + self._policy.repeat_seconds + 1.0

    def told(self, alarms: Iterable[Alarm], at: float, others: Iterable[str]) -> set[str]:
        """The alerts that are told at an instant; `others` stand, too."""
        for alarm in alarms:
            if stood(alarm, at, self._standing, self._policy):
                self._untold[alarm.alert] = alarm
            elif alarm.alert not in self._standing:
                self._untold.pop(alarm.alert, None)
        if not self._untold:
            return set()
        keys = [(self._model, name) for name in {*self._standing, *others}]
        holding = Holding(keys, (), self._inhibit, never_quiet, at)
        free = set()
        for name, alarm in tuple(self._untold.items()):
            held = holding.why(_known(alarm, at))
            if held:
                self.held[name] = held
            else:
                free.add(name)
                del self._untold[name]
        return free


def _known(alarm: Alarm, at: float) -> Known:
    fact = AlertRaised(alarm.model, alarm.alert, alarm.severity, alarm.title, alarm.verdict.reason, "", "", at)
    return Known(alarm.model, alarm.alert, alarm.severity, 0, at, fact)


class _Followed:
    """The conditions, led through a past. `signals` are by alert, `last` holds each condition's last judgement, and
    `measured` those that were ever measured."""

    def __init__(
        self, whose: tuple[str, int], past: Past, stated: Stated, points: Sequence[Watchpoint], policy: AlertPolicy
    ) -> None:
        model, version = whose
        self._stated, self._past, self._known = stated, past, _Known(whose, past, stated)
        self._metric = {point.key: point.condition.metric for point in points}
        facts, metrics = self._known.facts, self._known.metrics
        facts.append([AliasMoved(model, "champion", version, None, "")], actor="", at=0.0)
        live = [point for point in points if point.condition.metric in LIVE]
        others = [point for point in points if point.condition.metric not in LIVE]
        self._minutes = Conditions(model, live, metrics, facts, None, stated.usual)
        self._windows = Conditions(model, others, metrics, facts, None, stated.usual)
        self._desk = _Desk(model, policy, stated.inhibit)
        self._own = _Own(past, policy)
        self._silent: dict[str, float] = {}  # unmeasured since
        self.signals: dict[str, list[Signal]] = {}
        self.measured: set[str] = set()
        self.last: dict[str, Judgement] = {}
        if points:
            self._follow(minutes_of([point.condition for point in live], stated.answers, stated.impacts))

    def told(self, point: Watchpoint) -> Told:
        """What became of a condition."""
        kind, judged = _kind(self._stated, point), self.last.get(point.key)
        if point.key not in self.measured:
            reason = "no window was judged" if judged is None else judged.reason
            return Told(point.key, says(point), kind, missing=reason)
        held = self._desk.held.get(point.key, "")
        signals = tuple(self.signals.get(point.key, ()))
        return Told(point.key, says(point), kind, signals, note=held and f"held back: {held}")

    def _follow(self, minutes: Floats) -> None:
        """Conditions are looked at whenever a window was judged, in the minutes that are asked for, and where time
        changes something: an alert that stands is told again, what is unmeasured has been so for long, a day's costs
        change by the hour. Before the first window nothing is known."""
        looks = self._past.looks
        begun = looks[0].at if looks else inf
        whole = sorted({look.at for look in looks} | {one.judged_at for one in self._stated.impacts})
        wanted = deque(sorted({at for at in (*whole, *minutes.tolist()) if at >= begun}))
        told, due = set(whole), inf
        while wanted:
            at = min(wanted[0], due)
            if at == wanted[0]:
                wanted.popleft()
            self._known.learn(at)
            self._look(at, minutes_only=at != due and at not in told)
            due = min(self._desk.due, *self._silences(at))

    def _silences(self, at: float) -> Iterator[float]:
        """When something is unmeasured for long, or a day's costs are looked at again."""
        yield at + HOUR if any(metric in DAILY for metric in self._metric.values()) else inf
        yield from (end for since in self._silent.values() if (end := since + SILENT_SECONDS) > at)

    def _look(self, at: float, *, minutes_only: bool) -> None:
        groups = (*([] if minutes_only else [self._windows]), *([] if self._known.is_over(at) else [self._minutes]))
        alarms = [alarm for group in groups for alarm in group.look(at, at) if not self._asked_too_seldom(alarm, at)]
        judged = {look.point.key: look.judgement for group in groups for look in group.looks}
        told = self._desk.told(alarms, at, self._own.standing(at))
        for key, judgement in judged.items():
            self._judged(key, judgement, at)
        for alarm in alarms:
            known = judged.get(alarm.alert)
            metric = self._metric.get(alarm.alert, "")
            if known is None or _is_measured(known, metric):
                breached, news = alarm.verdict.outcome is Outcome.BREACHED, alarm.alert in told
                place = self._known.window(metric, at)
                signal = Signal(place, at, breached, news, alarm.severity)
                self.signals.setdefault(alarm.alert, []).append(signal)

    def _judged(self, key: str, judgement: Judgement, at: float) -> None:
        self.last[key] = judgement
        if judgement.outcome is Outcome.UNMEASURED:
            self._silent.setdefault(key, at)
        else:
            self._silent.pop(key, None)
        if _is_measured(judgement, self._metric[key]):
            self.measured.add(key)

    def _asked_too_seldom(self, alarm: Alarm, at: float) -> bool:
        """Whether a minute without requests, now and when it was looked at before, only seems to be a silent day."""
        name, _, key = alarm.alert.partition(":")
        return name == UNMEASURED and self._metric.get(key) in LIVE and self._known.answered_lately(at)


def _is_measured(judgement: Judgement, metric: str) -> bool:
    """Whether there was anything to hold against the bound: before anything is usual, or without another version beside
    the champion, nothing of live traffic can be met."""
    if judgement.outcome is Outcome.HOLDS and metric in LIVE:
        return judgement.value is not None
    return judgement.outcome is not Outcome.UNMEASURED


class _Known:
    """What is known at an instant; instants are asked for in order."""

    def __init__(self, whose: tuple[str, int], past: Past, stated: Stated) -> None:
        answers = stated.answers
        self.facts = PastFacts()
        self.metrics = MetricsNow(whose[0], Live(answers.live_seconds, answers.alpha), stated.prices, answers.alpha)
        self._past, self._stated = past, stated
        self._received = np.array([one.received_at for one in answers.records])
        self._looks = deque(past.looks)
        self._impacts = deque(stated.impacts)
        self._labels = self._answers = 0
        self._newest = self._labelled = self._impact = 0  # windows

    def learn(self, at: float) -> None:
        """Takes in what became known since."""
        while self._looks and self._looks[0].at <= at:
            look = self._looks.popleft()
            self.facts.append([fact_of(look.report)], actor="watch", at=at)
            self._newest = max(self._newest, look.window)
            seen = look.report.performance
            if seen is not None and seen.realised is not None:
                self._labelled = max(self._labelled, look.window)
        while self._impacts and self._impacts[0].judged_at <= at:
            report = self._impacts.popleft()
            self.facts.append([fact_of_impact(report)], actor="watch", at=at)
            if report.final:
                self._impact = max(self._impact, place_of(report.ends_at, self._past.windows))
        labels = self._stated.labels
        until = int(np.searchsorted(labels[0], at, side="right"))
        for seen_at, truth, decided in labels[:, self._labels : until].T.tolist():
            self.metrics.label(seen_at, truth, decided)
        self._labels = max(self._labels, until)
        until = int(np.searchsorted(self._received, at, side="right"))
        self.metrics.observe(self._stated.answers.records[self._answers : until], at)
        self._answers = max(self._answers, until)

    def is_over(self, at: float) -> bool:
        """Whether the log had ended: what its windows' labels said later was no minute of traffic."""
        return bool(self._received.size) and at > float(self._received[-1]) + MINUTE

    def answered_lately(self, at: float) -> bool:
        """Whether anything was answered in the last day."""
        return bool(self._answers) and at - float(self._received[self._answers - 1]) < SILENT_SECONDS

    def window(self, metric: str, at: float) -> int:
        """The window that a metric speaks of."""
        if metric in DAILY or metric in LIVE:
            return place_of(at, self._past.windows)
        if event_of(metric):
            return self._impact
        return self._labelled if metric in _LABELLED else self._newest


class _Own:
    """The watch's own alerts that stand at an instant; instants are asked for in order."""

    def __init__(self, past: Past, policy: AlertPolicy) -> None:
        own = alert_signals(past.looks, policy)
        self._said = [(signal.at, alarm.alert, alarm.verdict.outcome) for alarm, _, signal in own]
        self._stands: set[str] = set()
        self._read = 0

    def standing(self, at: float) -> frozenset[str]:
        """Their keys."""
        while self._read < len(self._said) and self._said[self._read][0] <= at:
            _, name, outcome = self._said[self._read]
            self._read += 1
            if outcome is Outcome.BREACHED:
                self._stands.add(name)
            elif outcome is Outcome.HOLDS:
                self._stands.discard(name)
        return frozenset(self._stands)
