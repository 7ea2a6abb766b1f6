"""The upper rungs, live: answers and business events -> one window's figures -> against the usual -> a fact.

Needs no rollout, no labels and no settings: who logs events has them watched. A unit's event counts for the window in
which the unit was first answered, if it happens within `within` seconds of that answer; a unit that logs none counts 0,
as in rollouts. A window is judged when it closes, and once more when its units' events have had their time.

What is usual is learnt from the facts of earlier windows, so a restart forgets nothing. Per open window it holds some
200 bytes a unit, and counters.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from math import exp, isfinite, log, log2, sqrt

import msgspec
from msgspec.structs import replace

from fairlead.core.facts_act import ImpactJudged
from fairlead.core.impact import (
    NEW_USUAL,
    ImpactReport,
    Measure,
    Point,
    fact_of_impact,
    impact_of,
    judge_impact,
)
from fairlead.core.inference import label_text
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.verdict import Outcome
from fairlead.core.window import DAY, Window, WindowPlan
from fairlead.flows.refusals import Asked, Causes, said_of
from fairlead.ports import Clock, Journal

ACTOR = "watch"
KIND = "impact_judged"
MOST_UNITS = 200_000  # of a window; later ones are answered, and not followed
MOST_NAMES = 20  # of events
MOST_POINTS = 400  # earlier windows that are remembered of a figure
_MOST_DECISIONS = 1_000
_TOLD_DECISIONS = 50
_STEPS = 20.0  # cells of a histogram of times for each factor of e: 5 % wide


class _Times:
    """A histogram of lengths of time, of relative width 5 %."""

    def __init__(self) -> None:
        self._cells: dict[int, int] = {}
        self.rows = 0

    def add(self, value: float) -> None:
        cell = int(log(max(value, 1e-6)) * _STEPS)
        self._cells[cell] = self._cells.get(cell, 0) + 1
        self.rows += 1

    def quantile(self, share: float) -> float:
        left = share * self.rows
        for cell in sorted(self._cells):
            left -= self._cells[cell]
            if left <= 0:
                return exp(cell / _STEPS)
        return 0.0


class _Span:
    """What is counted of one window."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.answers = self.failed = 0
        self.asked = self.refused = 0  # by what workers count: what is refused leaves no record
        self.causes: Causes = Counter()
        self.latency, self.lag = _Times(), _Times()
        self.scores = [0.0, 0.0, 0.0]  # how many, their sum, the sum of their squares from the first one
        self.shift = 0.0
        self.decisions: dict[str, int] = {}
        self.versions: dict[str, int] = {}
        self.units: dict[int, float] = {}
        self.told = False  # whether it was judged when it closed

    def take(self, one: Prediction) -> None:
        self.answers += 1
        version = str(one.model_version)
        self.versions[version] = self.versions.get(version, 0) + 1
        if one.unit_id != one.request_id:
            unit = hash(one.unit_id)
            before = self.units.get(unit)
            if before is not None or len(self.units) < MOST_UNITS:
                self.units[unit] = one.timestamp if before is None else min(before, one.timestamp)
        self.lag.add(max(0.0, one.received_at - one.timestamp))
        if one.status >= 500:
            self.failed += 1
            return
        self.latency.add(one.latency_ms)
        if one.score is not None and isfinite(one.score):
            self._score(one.score)
        if one.prediction is not None and not isinstance(one.prediction, float):
            name = label_text(one.prediction)
            if name in self.decisions or len(self.decisions) < _MOST_DECISIONS:
                self.decisions[name] = self.decisions.get(name, 0) + 1

    def _score(self, score: float) -> None:
        if not self.scores[0]:
            self.shift = score
        moved = score - self.shift
        self.scores[0] += 1.0
        self.scores[1] += moved
        self.scores[2] += moved * moved


class Product:
    """One model's upper rungs. Not thread-safe."""

    def __init__(
        self,
        model: str,
        journal: Journal,
        clock: Clock,
        plan: WindowPlan = WindowPlan(),  # noqa: B008 - a frozen value
        alpha: float = 0.01,
    ) -> None:
        """`alpha` is how often a window without any change may be called unusual."""
        self.model = model
        self._journal, self._clock, self._plan, self._alpha = journal, clock, plan, alpha
        self.within = min(DAY, plan.seconds or DAY)  # how long after its answer a unit's event counts
        self._spans: dict[float, _Span] = {}
        self._events: dict[float, dict[int, list[tuple[float, str, float]]]] = {}  # by the window in which they lie
        self._names: set[str] = set()
        self._past: dict[str, tuple[array[float], array[float]]] = {}
        self._unusual: dict[str, list[Point]] = {}  # figures that are unusual in a row
        self._done = -1.0  # the start of the newest window that needs nothing more
        self._closed: dict[float, ImpactReport] = {}  # judged once, and waiting for their events
        self._last: ImpactReport | None = None
        for entry in journal.read(model=model, kinds=(KIND,)):
            if isinstance(entry.fact, ImpactJudged):
                self._recall(entry.fact)

    def observe(self, predictions: Iterable[Prediction]) -> None:
        """Takes answers in, in any order; shadows' and other models' are passed over."""
        for one in predictions:
            if one.model_name != self.model or one.shadow_of is not None or not 0.0 <= one.timestamp < 2.5e11:
                continue
            window = self._plan.window_of(one.timestamp)
            if window.starts_at <= self._done:
                continue
            span = self._spans.get(window.starts_at)
            if span is None:
                span = self._spans[window.starts_at] = _Span(window)
            span.take(one)

    def observe_events(self, events: Iterable[EventRecord]) -> None:
        """Takes business events in, before or after the answers that they follow; texts for values are passed over."""
        for one in events:
            if one.model_name != self.model or isinstance(one.value, str) or not isfinite(one.value):
                continue
            if one.name not in self._names and len(self._names) >= MOST_NAMES:
                continue
            self._names.add(one.name)
            window = self._plan.window_of(one.at)
            if window.ends_at + self.within <= self._done:
                continue
            units = self._events.setdefault(window.starts_at, {})
            units.setdefault(hash(one.unit_id), []).append((one.at, one.name, float(one.value)))

    def observe_refusals(self, at: float, came: Asked) -> None:
        """Takes in what came about an instant of event time, and how much of it was refused."""
        window = self._plan.window_of(at)
        if window.starts_at <= self._done:
            return
        span = self._spans.setdefault(window.starts_at, _Span(window))
        span.asked += came.requests
        span.refused += came.refused
        span.causes.update(came.causes)

    def judge(self, now: float) -> tuple[ImpactReport, ...]:
        """Judges what has closed at the watermark `now` (event time). Each report is in the journal before it is
        returned."""
        return tuple(self._reports(now))

    @property
    def last(self) -> ImpactReport | None:
        """The newest window that was judged, also before a restart."""
        return self._last

    @property
    def names(self) -> tuple[str, ...]:
        """The events that were seen, and are watched."""
        return tuple(sorted(self._names))

    def _reports(self, now: float) -> Iterator[ImpactReport]:
        for start in sorted(self._spans):
            span = self._spans.get(start)
            if span is None or not self._plan.closed(span.window, now):
                break
            yield from self._silence(span.window.starts_at, now)
            final = not self._names or self._plan.closed(span.window, now - self.within)
            span.told = span.told or start in self._closed  # before a restart
            if span.told and not final:
                continue
            if not span.told or self._names:
                yield self._judged(span, now, final=final)
            span.told = True
            if final:
                self._forget(span.window)
        yield from self._silence(float("inf"), now)

    def _silence(self, until: float, now: float) -> Iterator[ImpactReport]:
        """The first window after the last one in which nothing came; a longer silence is not told again."""
        last = self._last
        if last is None or last.rows == 0:
            return
        gap = self._plan.window_of(last.ends_at)
        if gap.starts_at < until and gap.starts_at not in self._spans and self._plan.closed(gap, now):
            yield self._judged(_Span(gap), now, final=True)

    def _judged(self, span: _Span, now: float, *, final: bool) -> ImpactReport:
        window = span.window
        most = sorted(span.decisions, key=lambda name: (-span.decisions[name], name))[:_TOLD_DECISIONS]
        bare = ImpactReport(
            self.model,
            window.name,
            window.starts_at,
            window.ends_at,
            now,
            span.answers,
            versions=span.versions,
            decisions={name: span.decisions[name] for name in most},
            final=final,
        )
        measures = [*_measures(span), *(self._measured_events(span) if final else ())]
        report = judge_impact(bare, measures, self._points(), self._alpha)
        self._journal.append([fact_of_impact(report)], actor=ACTOR, at=self._clock.now())
        self._remember(report)
        return report

    def _measured_events(self, span: _Span) -> Iterator[Measure]:
        """Each event's mean over the window's units of the first number that a unit logged in its time."""
        if not span.units:
            return
        last = max(span.units.values()) + self.within
        kept = [self._events[start] for start in sorted(self._events) if span.window.starts_at <= start <= last]
        found: dict[str, tuple[float, float]] = dict.fromkeys(self._names, (0.0, 0.0))
        for unit, at in span.units.items():
            told = sorted(one for units in kept for one in units.get(unit, ()) if at <= one[0] < at + self.within)
            first: dict[str, float] = {}
            for _, name, value in told:
                first.setdefault(name, value)
            for name, value in first.items():
                total, squares = found[name]
                found[name] = total + value, squares + value * value
        rows = len(span.units)
        for name in sorted(found):
            mean = found[name][0] / rows
            yield Measure(name, mean, rows, sqrt(max(found[name][1] / rows - mean * mean, 0.0) / rows))

    def _points(self) -> Mapping[str, tuple[Point, ...]]:
        return {
            name: tuple(Point(at, value) for at, value in zip(starts, values, strict=True))
            for name, (starts, values) in self._past.items()
        }

    def _recall(self, fact: ImpactJudged) -> None:
        try:
            report = impact_of(fact)
        except msgspec.MsgspecError:
            return
        self._names |= {one.name for one in report.figures if one.layer in ("product", "business")} - _SERVED
        self._remember(report)
        if report.final:
            self._done = max(self._done, report.starts_at)

    def _remember(self, report: ImpactReport) -> None:
        """An unusual figure is no part of what is usual, until it has been so for `NEW_USUAL` windows in a row."""
        before = self._closed.pop(report.starts_at, None)
        known = {one.name for one in before.figures} if before is not None else set()
        for one in report.figures:
            if one.name in known:
                continue
            point, waiting = Point(report.starts_at, one.value), self._unusual.setdefault(one.name, [])
            waiting.append(point)
            if one.outcome is Outcome.BREACHED and len(waiting) < NEW_USUAL:
                continue
            if one.outcome is not Outcome.BREACHED:
                del waiting[:-1]
            for each in waiting:
                self._add(one.name, each)
            waiting.clear()
        if not report.final:
            self._closed[report.starts_at] = report
        if self._last is None or report.starts_at >= self._last.starts_at:
            self._last = replace(report, decisions={}, versions={})

    def _add(self, name: str, point: Point) -> None:
        starts, values = self._past.setdefault(name, (array("d"), array("d")))
        starts.append(point.starts_at)
        values.append(point.value)
        if len(starts) > MOST_POINTS:
            del starts[:-MOST_POINTS], values[:-MOST_POINTS]

    def _forget(self, window: Window) -> None:
        self._spans.pop(window.starts_at, None)
        self._done = max(self._done, window.starts_at)
        for start in [one for one in self._events if one < window.starts_at]:
            del self._events[start]
        for start in [one for one in self._closed if one < window.starts_at]:
            del self._closed[start]


_SERVED = {"error_rate", "refused_share", "p50_latency", "p99_latency"}


def _measures(span: _Span) -> Iterator[Measure]:
    """What the answers themselves show."""
    yield Measure("volume", float(span.answers), span.answers, 1.0 / sqrt(max(span.answers, 1)))
    if span.asked:
        rate, note = span.refused / span.asked, said_of(span.asked, span.refused, span.causes)
        yield Measure("refused_share", rate, span.asked, sqrt(rate * (1.0 - rate) / span.asked), note=note)
    if not span.answers:
        return
    yield Measure("freshness", span.lag.quantile(0.5), span.answers)
    rate = span.failed / span.answers
    yield Measure("error_rate", rate, span.answers, sqrt(rate * (1.0 - rate) / span.answers))
    if span.latency.rows:
        yield Measure("p50_latency", span.latency.quantile(0.5), span.latency.rows)
        yield Measure("p99_latency", span.latency.quantile(0.99), span.latency.rows)
    count, total, squares = span.scores
    if count >= 2:
        variance = max((squares - total * total / count) / (count - 1.0), 0.0)
        error = sqrt(variance / count)
        yield Measure("prediction_mean", span.shift + total / count, int(count), error, sqrt(variance) or 1.0)
        yield Measure("prediction_variance", variance, int(count), sqrt(2.0 / (count - 1.0)))
    made = sum(span.decisions.values())
    if made:
        yield Measure("decision_entropy", _bits(span.decisions.values(), made), made, 1.0 / sqrt(made))


def _bits(counts: Iterable[int], total: int) -> float:
    return -sum(count / total * log2(count / total) for count in counts if count)
