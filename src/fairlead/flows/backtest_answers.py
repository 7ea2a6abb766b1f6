"""What a log of answers tells beside its windows of rows: the minutes of live traffic, and what callers and the
business had of each window. Both are asked of the code that asks them live.

Minutes are many: looked at are those in which a stated bound may be crossed, by counts that can only say so too often,
and the hour after them; of a long stretch every tenth.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.core import fallback
from fairlead.core.alarm import IMPACT
from fairlead.core.alert import AlertPolicy, Standing
from fairlead.core.backtest import WATCH, Realised, Signal, Told, place_of
from fairlead.core.condition import Condition
from fairlead.core.impact import ImpactReport, alarm_of_impact
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.verdict import Outcome
from fairlead.core.watched import LEAST_USUAL_MS, QUANTILES
from fairlead.core.window import WindowPlan
from fairlead.flows.backtest import stood
from fairlead.flows.backtest_facts import PastClock, PastFacts
from fairlead.flows.live import BUCKET_SECONDS
from fairlead.flows.product import Product
from fairlead.stats.performance import Floats

MINUTE, HOUR = 60.0, 3600.0
FIRST, TENTH = 30, 10  # minutes of a stretch that are all looked at, and which of the later ones
MOST = 20_000  # minutes
REPLAYED = "answers were received at other times than those that they are of: a past that was replayed has no minutes"
_NEAR = 0.99  # of a bound of milliseconds: cells of half a per cent are as good as their middle

Flags = NDArray[np.bool_]


class Answers(Struct, frozen=True, eq=False):
    """All that a model answered, by every version, in order of receipt, and its business events. `live_seconds` is what
    live metrics are measured over, `alpha` that of their intervals, `unusual` that of a window's figures."""

    records: Sequence[Prediction] = ()
    events: Sequence[EventRecord] = ()
    plan: WindowPlan = WindowPlan()
    live_seconds: float = 300.0
    alpha: float = 0.01
    unusual: float = 0.01

    @property
    def replayed(self) -> bool:
        """Whether event times are not those of receipt, for most answers by an hour."""
        lags = [abs(one.received_at - one.timestamp) for one in self.records]
        return bool(lags) and float(np.median(lags)) > HOUR


def impacts_of(model: str, answers: Answers) -> tuple[ImpactReport, ...]:
    """What callers and the business had of each window, when it closed and once its events had had their time; of those
    for which that is before the last answer, as a log that ends says nothing of what came after."""
    clock, plan = PastClock(), answers.plan
    product = Product(model, PastFacts(), clock, plan, answers.unusual)
    records = sorted(answers.records, key=lambda one: one.timestamp)
    events = sorted(answers.events, key=lambda one: one.at)
    ends = {plan.window_of(one.timestamp).ends_at for one in records}
    found: list[ImpactReport] = []
    read = heard = 0
    known = max((one.timestamp for one in records), default=0.0)
    due = {end + plan.lateness_seconds + wait for end in ends for wait in (0.0, product.within)}
    for at in sorted(one for one in due if one <= known):
        until = read
        while until < len(records) and records[until].timestamp < at:
            until += 1
        told = heard
        while told < len(events) and events[told].at < at:
            told += 1
        product.observe(records[read:until])
        product.observe_events(events[heard:told])
        read, heard, clock.at = until, told, at
        found += product.judge(at)
    return tuple(found)


def told_by_impacts(
    impacts: Sequence[ImpactReport],
    windows: Sequence[Realised],
    policy: AlertPolicy = AlertPolicy(),  # noqa: B008 - a frozen value
) -> Told:
    """The alert of the product and business rungs, as it would have been told."""
    standing: dict[str, Standing] = {}
    signals = []
    for report in impacts if windows else ():
        alarm = alarm_of_impact(report)
        news = stood(alarm, report.judged_at, standing, policy)
        breached = alarm.verdict.outcome is Outcome.BREACHED
        place = place_of(report.ends_at, windows)
        signals.append(Signal(place, report.judged_at, breached, news, alarm.severity))
    says = "answers, or the events of those who got them, are unlike those of the windows before"
    return Told(IMPACT, says, WATCH, tuple(signals), "" if signals else "no window of answers has closed")


def minutes_of(conditions: Sequence[Condition], answers: Answers, impacts: Sequence[ImpactReport]) -> Floats:
    """The instants at which conditions on live traffic are looked at, (n,), in order."""
    if not conditions or not answers.records:
        return np.empty(0)
    traffic = _Traffic(answers, impacts)
    mask = np.zeros(traffic.minutes.size, np.bool_)
    for condition in conditions:
        mask |= traffic.may_meet(condition)
    found = traffic.minutes[_thinned(mask, traffic.requests > 0)]
    return found[:: max(1, -(-found.size // MOST))]


class _Traffic:
    """The minutes of some answers until the last, as `flows.live` counts them; `requests` (minutes,) within the time
    before each."""

    def __init__(self, answers: Answers, impacts: Sequence[ImpactReport]) -> None:
        counted = [one for one in answers.records if one.shadow_of is None and one.arm not in ("shadow", fallback.ARM)]
        self._impacts, self._seconds = impacts, answers.live_seconds
        self._at = np.array([one.received_at for one in counted])
        self._latency = np.array([one.latency_ms for one in counted])
        self._failed = np.array([one.status >= 500 for one in counted], np.bool_)
        self._others = len({one.model_version for one in counted}) > 1
        first, last = (self._at.min(), self._at.max()) if counted else (0.0, 0.0)
        self.minutes = np.arange(np.ceil(first / MINUTE) * MINUTE, last, MINUTE)  # nobody knows what came after it
        self._slot = np.floor(self._at / BUCKET_SECONDS).astype(np.int64)
        self._first = int(self._slot.min()) if counted else 0
        self.requests = self._within(np.ones(self._at.size, np.bool_))

    def may_meet(self, condition: Condition) -> Flags:
        """The minutes in which a condition may be met, and perhaps others."""
        busy = self.requests > 0
        if condition.of == "champion":
            return busy & self._others
        if condition.metric == "volume" and not condition.of:
            over, under = self.requests >= condition.factor, self.requests <= condition.factor
            return over if condition.above else under
        if not condition.above:
            return busy
        if condition.metric == "error_rate" and not condition.of:
            return busy & (self._within(self._failed) >= condition.factor * self.requests)
        quantile = QUANTILES.get(condition.metric)
        if quantile is None:
            return busy
        answered = self._within(~self._failed)
        slow = self._within(~self._failed & (self._latency >= _NEAR * self._bound(condition)))
        return np.asarray((answered > 0) & (slow >= answered - np.floor(quantile * answered)))

    def _bound(self, condition: Condition) -> Floats | float:
        """The bound at each answer's time; infinite before anything is usual."""
        if condition.of != "usual":
            return condition.factor
        known = [
            (report.judged_at, max(one.usual, LEAST_USUAL_MS))
            for report in self._impacts
            for one in report.figures
            if one.name == condition.metric and one.usual is not None
        ]
        bounds = np.array([np.inf, *(condition.factor * usual + condition.offset for _, usual in known)])
        return np.asarray(bounds[np.searchsorted([at for at, _ in known], self._at, side="right")])

    def _within(self, which: Flags) -> NDArray[np.int64]:
        """How many of some answers lie in the time before each minute."""
        counts = np.bincount(self._slot[which] - self._first, minlength=1)
        sums = np.concatenate(([0], np.cumsum(counts)))
        newest = np.floor(self.minutes / BUCKET_SECONDS).astype(np.int64) - self._first + 1
        oldest = np.floor((self.minutes - self._seconds) / BUCKET_SECONDS).astype(np.int64) - self._first + 1
        last = sums.size - 1
        return np.asarray(sums[np.clip(newest, 0, last)] - sums[np.clip(oldest, 0, last)], np.int64)


def _thinned(mask: Flags, busy: Flags) -> Flags:
    """Of each stretch the first minutes, every tenth of the others, the last, and the hour after it where anything was
    asked.

    >>> on = np.zeros(200, np.bool_)
    >>> on[10:60] = True
    >>> np.flatnonzero(_thinned(on, np.ones(200, np.bool_)))[[0, 29, 30, 31, 32, -1]].tolist()
    [10, 39, 40, 50, 59, 119]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    found = np.zeros(mask.size, np.bool_)
    for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        found[start : min(start + FIRST, end)] = True
        found[start:end:TENTH] = True
        found[end - 1] = True
        after = slice(end, end + floor(HOUR / MINUTE))
        found[after] |= busy[after]
    return found
