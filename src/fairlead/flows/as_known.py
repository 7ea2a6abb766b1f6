"""as_known: log + judged windows -> the same windows, with what was known at an instant.

A verdict never changes: it is what was known when it was made. Who asks for "as known now" gets the realised metrics
recomputed by the watch's own code, from all labels and corrections that have come since.

An answer or a label is known at an instant of event time if it had been observed, and had reached the log, by then. A
history that is replayed reaches the log long after its event times, perhaps in minutes: an arrival is shifted back by
how far event times had lagged behind their arrival at the least until then, as the watch's watermark is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from math import inf

import numpy as np
from msgspec import Struct

from fairlead.core import fallback
from fairlead.core.known import AsKnown
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.report import Stage, WindowReport
from fairlead.core.window import Window
from fairlead.flows.watching.cohort import Cohort
from fairlead.flows.watching.judge import Seen, measure
from fairlead.flows.watching.reference import Reference
from fairlead.ports import LogReader

UNWATCHED = ("shadow", fallback.ARM)
Load = Callable[[int], Reference]  # a version's reference


class Lag:
    """How far event times had lagged behind their arrival, at the least, until an instant of arrival (0 or less)."""

    def __init__(self, answers: Iterable[tuple[float, float]] = ()) -> None:
        """`answers`: when each was received, and its event time."""
        self._since: list[float] = []
        self._lags: list[float] = []
        for received_at, timestamp in sorted(answers):
            lag = min(0.0, timestamp - received_at)
            if not self._lags or lag > self._lags[-1]:
                self._since.append(received_at)
                self._lags.append(lag)

    def __call__(self, received_at: float) -> float:
        """What to add to an arrival. What comes before the first answer is taken for live.

        >>> lag = Lag([(1_000.0, 10.0), (1_001.0, 500.0), (1_002.0, 20.0)])
        >>> [1_000.5 + lag(1_000.5), 1_002.0 + lag(1_002.0)]
        [10.5, 501.0]
        """
        place = bisect_right(self._since, received_at) - 1
        return self._lags[place] if place >= 0 else 0.0


class _Asked(Struct):
    """A window that is looked at again."""

    report: WindowReport
    cohort: Cohort
    outcomes: list[OutcomeRecord]


def as_known(
    open_log: Callable[[], LogReader], reports: Sequence[WindowReport], load: Load, as_of: float | None = None
) -> tuple[AsKnown, ...]:
    """The judged windows of one model, with what was known at `as_of` (None: all that the log has), in their order.

    The log is read twice: answers first, then their labels. Raises what `load` raises for a version.
    """
    if not reports:
        return ()
    model = reports[0].model
    answers, lag = _answers(open_log(), model, reports)
    asked: dict[tuple[float, int], _Asked] = {}
    places: dict[str, tuple[_Asked, int]] = {}
    for report in reports:
        asked[report.starts_at, report.version] = _Asked(report, Cohort(load(report.version), profiled=False), [])
    for key, record in answers:
        if as_of is None or record.received_at + lag(record.received_at) <= as_of:
            places[record.request_id] = (asked[key], asked[key].cohort.add(record))
    _hand_out(open_log(), places, lag, as_of)
    return tuple(_known(one, places, lag, as_of) for one in asked.values())


def _answers(
    reader: LogReader, model: str, reports: Sequence[WindowReport]
) -> tuple[list[tuple[tuple[float, int], Prediction]], Lag]:
    """The answers that fall into the windows, each request once, and the shift of arrivals."""
    spans = {(report.starts_at, report.version): report for report in reports}
    starts = np.array(sorted({report.starts_at for report in reports}))
    found: dict[str, tuple[tuple[float, int], Prediction]] = {}
    arrived: list[tuple[float, float]] = []
    while True:
        predictions, outcomes = reader.poll()
        if not predictions and not outcomes:
            return list(found.values()), Lag(arrived)
        for one in predictions:
            if one.model_name != model or one.shadow_of is not None or one.arm in UNWATCHED:
                continue
            arrived.append((one.received_at, one.timestamp))
            place = int(np.searchsorted(starts, one.timestamp, side="right")) - 1
            key = (float(starts[place]) if place >= 0 else inf, one.model_version)
            report = spans.get(key)
            if report is not None and one.timestamp < report.ends_at and one.status == 200:
                found.setdefault(one.request_id, (key, one))


def _hand_out(reader: LogReader, places: dict[str, tuple[_Asked, int]], lag: Lag, as_of: float | None) -> None:
    while True:
        predictions, outcomes = reader.poll()
        if not predictions and not outcomes:
            return
        for outcome in outcomes:
            place = places.get(outcome.request_id)
            if place is not None and (as_of is None or known_at(outcome, lag) <= as_of):
                place[0].outcomes.append(outcome)


def known_at(outcome: OutcomeRecord, lag: Lag) -> float:
    """The instant of event time from which a label is known; `lag` shifts its arrival."""
    return max(outcome.observed_at, outcome.received_at + lag(outcome.received_at))


def _known(one: _Asked, places: dict[str, tuple[_Asked, int]], lag: Lag, as_of: float | None) -> AsKnown:
    report, cohort = one.report, one.cohort
    before = [outcome for outcome in one.outcomes if known_at(outcome, lag) <= report.judged_at]
    after = [outcome for outcome in one.outcomes if known_at(outcome, lag) > report.judged_at]
    for outcome in before:
        cohort.learn(places[outcome.request_id][1], outcome)
    then = cohort.truths()
    for outcome in after:
        cohort.learn(places[outcome.request_id][1], outcome)
    now = cohort.truths()
    had, has = ~np.isnan(then), ~np.isnan(now)
    seen = Seen(report.model, Window(report.starts_at, report.ends_at, report.window), report.judged_at, Stage.MATURED)
    return AsKnown(
        window=report.window,
        version=report.version,
        starts_at=report.starts_at,
        ends_at=report.ends_at,
        judged_at=report.judged_at,
        as_of=as_of,
        rows=cohort.rows,
        then=report.performance,
        performance=measure(seen, cohort, cohort.labelled()),
        late=int((has & ~had).sum()),
        corrected=int((had & (then != now)).sum()),
        forgotten=max(0, report.rows - cohort.rows) if as_of is None else 0,
    )
