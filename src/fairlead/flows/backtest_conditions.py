"""The settings' own alerts over a known past: the live watch's conditions, looked at whenever something became known.

Looked at is what judged windows and labels say: each feature's drift, the answers, the metrics of matured labels, and
the daily cost. What they cannot say (latency, errors, machines, events, tokens) is told as not measured here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import inf
from typing import NoReturn

import numpy as np
from msgspec import Struct

from fairlead.core.alert import Alarm, AlertPolicy, Standing
from fairlead.core.backtest import SETTINGS, USUAL, Signal, Told
from fairlead.core.condition import Condition, Judgement
from fairlead.core.event import AlertRaised, AliasMoved, AnyFact, Entry
from fairlead.core.held import Holding, never_quiet
from fairlead.core.outbox import Known
from fairlead.core.paging import Inhibition
from fairlead.core.report import fact_of
from fairlead.core.standing import Standing as Seen
from fairlead.core.verdict import Outcome
from fairlead.core.watched import DAILY, HOME, LIVE, MATURED, REALISED, TOKENS, WAITING, WITH_USUAL, event_of
from fairlead.core.watchpoint import UNMEASURED, Watchpoint
from fairlead.flows.backtest import Look, Past, alert_signals, stood
from fairlead.flows.conditions import SILENT_SECONDS, Conditions
from fairlead.flows.live import Live
from fairlead.flows.metrics_now import MetricsNow, Prices
from fairlead.stats.performance import Floats

HOUR = 3600.0
_LABELLED = (*REALISED, *MATURED)


class Stated(Struct, frozen=True, eq=False):
    """The conditions of one model: `usual` are the keys of those that stand in where nobody states any. `inhibit` are
    the settings', `labels` (3, n) the instants, truths and decisions of all labels, in order of the instants, where
    errors have `prices`."""

    points: Sequence[Watchpoint]
    usual: frozenset[str] = frozenset()
    inhibit: Sequence[Inhibition] = ()
    prices: Prices = Prices()
    labels: Floats = np.empty((3, 0))


def told_by_conditions(
    whose: tuple[str, int],
    past: Past,
    stated: Stated,
    policy: AlertPolicy = AlertPolicy(),  # noqa: B008 - a frozen value
) -> tuple[Told, ...]:
    """Every condition as a rule: of the windows by what is known of them at each instant. `whose` are the model's name
    and the version's number. That one cannot be measured for long is an alert of its own, where it would be told."""
    asked = tuple(point for point in stated.points if not why_not(point.condition))
    found = _Followed(whose, past, stated, asked, policy)
    told = {one.key: found.told(one) for one in asked}
    told |= {
        one.key: Told(one.key, says(one), _kind(stated, one), missing=why_not(one.condition))
        for one in stated.points
        if one.key not in told
    }
    silent = [f"{UNMEASURED}:{one.key}" for one in asked]
    return (
        *(told[one.key] for one in stated.points),
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


def why_not(condition: Condition) -> str:
    """Why a backtest cannot know what a condition speaks of; empty where it can.

    >>> why_not(Condition("psi > 0.2", "psi", ">", 0.2))
    ''
    """
    metric = condition.metric
    if metric in HOME or metric in WAITING:
        return "machines are looked at as they are now, and no log holds what they were"
    if metric in WITH_USUAL and condition.of == "usual":
        return "what is usual of latency is learned while it serves"
    if metric in LIVE:
        return "it is of minutes of live traffic, and a backtest looks at windows"
    if metric in TOKENS:
        return "traces of language models name no model, and are not replayed"
    if event_of(metric):
        return f"events ({event_of(metric)}) are judged while it serves"
    return ""


def _kind(stated: Stated, point: Watchpoint) -> str:
    return USUAL if point.key in stated.usual else SETTINGS


class _Facts:
    """What the conditions follow: a journal of what is known so far, which is kept nowhere."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def append(
        self,
        facts: Sequence[AnyFact],
        *,
        actor: str,
        at: float,
        expected: Seen | None = None,  # noqa: ARG002 - nobody else writes to it
    ) -> tuple[Entry, ...]:
        """Adds facts."""
        new = [Entry(len(self._entries) + place, at, actor, fact, "", "") for place, fact in enumerate(facts, 1)]
        self._entries += new
        return tuple(new)

    def read(
        self,
        after: int = 0,
        *,
        model: str | None = None,  # noqa: ARG002 - there is one
        kinds: Sequence[str] = (),  # noqa: ARG002 - there are no others
    ) -> Iterator[Entry]:
        """What came after a place."""
        yield from self._entries[after:]

    def verify(self) -> NoReturn:
        """There is no chain."""
        raise NotImplementedError("a past that is looked back upon has no chain")


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
        self._stated, self._past = stated, past
        self._metric = {point.key: point.condition.metric for point in points}
        self._facts = _Facts()
        self._facts.append([AliasMoved(model, "champion", version, None, "")], actor="", at=0.0)
        self._metrics = MetricsNow(model, Live(HOUR), stated.prices)
        self._conditions = Conditions(model, points, self._metrics, self._facts, None, stated.usual)
        self._desk = _Desk(model, policy, stated.inhibit)
        self._labels = 0
        self._newest = self._labelled = 0  # windows
        self.signals: dict[str, list[Signal]] = {}
        self.measured: set[str] = set()
        self.last: dict[str, Judgement] = {}
        self._own = _Own(past, policy)
        self._silent: dict[str, float] = {}  # unmeasured since
        if points:
            self._follow(past.looks)

    def told(self, point: Watchpoint) -> Told:
        """What became of a condition."""
        kind, judged = _kind(self._stated, point), self.last.get(point.key)
        if point.key not in self.measured:
            reason = "no window was judged" if judged is None else judged.reason
            return Told(point.key, says(point), kind, missing=reason)
        held = self._desk.held.get(point.key, "")
        return Told(
            point.key, says(point), kind, tuple(self.signals.get(point.key, ())), note=held and f"held back: {held}"
        )

    def _follow(self, looks: Sequence[Look]) -> None:
        """Conditions are looked at whenever a window was judged, and where that changes something between two: an alert
        that stands is told again, what is unmeasured has been so for long, a day's costs change by the hour."""
        place, due = 0, inf
        while place < len(looks):
            at, known = min(looks[place].at, due), []
            while place < len(looks) and looks[place].at <= at:
                known.append(looks[place])
                place += 1
            self._learn(at, known)
            self._look(at)
            due = min(self._desk.due, *self._silences(at))

    def _silences(self, at: float) -> Iterator[float]:
        """When something is unmeasured for long, or a day's costs are looked at again."""
        yield at + HOUR if any(metric in DAILY for metric in self._metric.values()) else inf
        yield from (end for since in self._silent.values() if (end := since + SILENT_SECONDS) > at)

    def _look(self, at: float) -> None:
        alarms = self._conditions.look(at, at)
        judged = {look.point.key: look.judgement for look in self._conditions.looks}
        told = self._desk.told(alarms, at, self._own.standing(at))
        for key, judgement in judged.items():
            self.last[key] = judgement
            if judgement.outcome is Outcome.UNMEASURED:
                self._silent.setdefault(key, at)
            else:
                self._silent.pop(key, None)
                self.measured.add(key)
        for alarm in alarms:
            key = alarm.alert
            known = judged.get(key)
            if known is not None and known.outcome is Outcome.UNMEASURED:
                continue
            breached, news = alarm.verdict.outcome is Outcome.BREACHED, key in told
            signal = Signal(self._window(key, at), at, breached, news, alarm.severity)
            self.signals.setdefault(key, []).append(signal)

    def _learn(self, at: float, looks: Sequence[Look]) -> None:
        for look in looks:
            self._facts.append([fact_of(look.report)], actor="watch", at=at)
            self._newest = max(self._newest, look.window)
            seen = look.report.performance
            if seen is not None and seen.realised is not None:
                self._labelled = max(self._labelled, look.window)
        labels = self._stated.labels
        until = int(np.searchsorted(labels[0], at, side="right"))
        for seen_at, truth, decided in labels[:, self._labels : until].T.tolist():
            self._metrics.label(seen_at, truth, decided)
        self._labels = max(self._labels, until)

    def _window(self, key: str, at: float) -> int:
        """The window that a condition speaks of."""
        metric = self._metric.get(key, "")
        if metric in DAILY:
            ends = [one.ends_at for one in self._past.windows]
            return min(int(np.searchsorted(ends, at, side="left")), len(ends) - 1)
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
