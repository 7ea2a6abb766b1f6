"""as_known: log + judged windows -> the same windows, with what was known at an instant.

A verdict never changes: it is what was known when it was made. Who asks for "as known now" gets the realised metrics
recomputed by the watch's own code, from all labels and corrections that have come since.

An answer or a label is known at an instant of event time if it had been observed, and had reached the log, by then. A
history that is replayed reaches the log long after its event times, perhaps in minutes: an arrival is shifted back by
how far event times had lagged behind their arrival at the least until then, as the watch's watermark is.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence

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
Inside = Callable[[Prediction], bool]  # whether an answer is one of those that are asked about


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
    places: dict[str, int]


def as_known(
    open_log: Callable[[], LogReader],
    reports: Sequence[WindowReport],
    load: Load,
    as_of: float | None = None,
    inside: Inside | None = None,
) -> tuple[AsKnown, ...]:
    """The judged windows of one model, with what was known at `as_of` (None: all that the log has), in their order;
    windows may overlap. With `inside`, only of the answers that it takes: as judged, nothing is known of those alone.

    The log is read twice: answers first, then their labels. Raises what `load` raises for a version.
    """
    if not reports:
        return ()
    asked = [_Asked(report, Cohort(load(report.version), profiled=False), [], {}) for report in reports]
    answers, lag = _answers(open_log(), asked, inside)
    holding: dict[str, list[_Asked]] = {}
    for those, record in answers:
        if as_of is None or record.received_at + lag(record.received_at) <= as_of:
            holding[record.request_id] = those
            for one in those:
                one.places[record.request_id] = one.cohort.add(record)
    _hand_out(open_log(), holding, lag, as_of)
    return tuple(_known(one, lag, as_of, whole=inside is None) for one in asked)


def _answers(
    reader: LogReader, asked: Sequence[_Asked], inside: Inside | None
) -> tuple[list[tuple[list[_Asked], Prediction]], Lag]:
    """The answers that fall into the windows, each request once, and the shift of arrivals."""
    model = asked[0].report.model
    found: dict[str, tuple[list[_Asked], Prediction]] = {}
    arrived: list[tuple[float, float]] = []
    windows = _Windows(asked)
    while True:
        predictions, outcomes = reader.poll()
        if not predictions and not outcomes:
            return list(found.values()), Lag(arrived)
        for one in predictions:
            if one.model_name != model or one.shadow_of is not None or one.arm in UNWATCHED:
                continue
            arrived.append((one.received_at, one.timestamp))
            those = windows.of(one) if one.status == 200 else []
            if those and (inside is None or inside(one)):
                found.setdefault(one.request_id, (those, one))


class _Windows:
    """Finds the windows that an answer lies in: of a version, by their starts."""

    def __init__(self, asked: Sequence[_Asked]) -> None:
        self._by_version: dict[int, list[_Asked]] = {}
        for one in sorted(asked, key=lambda one: one.report.starts_at):
            self._by_version.setdefault(one.report.version, []).append(one)
        self._starts = {version: [one.report.starts_at for one in those] for version, those in self._by_version.items()}
        self._longest = max(one.report.ends_at - one.report.starts_at for one in asked)

    def of(self, record: Prediction) -> list[_Asked]:
        """Those that hold it."""
        starts, at = self._starts.get(record.model_version, []), record.timestamp
        those = self._by_version.get(record.model_version, [])
        last, first = bisect_right(starts, at), bisect_left(starts, at - self._longest)
        return [one for one in those[first:last] if at < one.report.ends_at]


def _hand_out(reader: LogReader, holding: dict[str, list[_Asked]], lag: Lag, as_of: float | None) -> None:
    while True:
        predictions, outcomes = reader.poll()
        if not predictions and not outcomes:
            return
        for outcome in outcomes:
            if as_of is None or known_at(outcome, lag) <= as_of:
                for one in holding.get(outcome.request_id, ()):
                    one.outcomes.append(outcome)


def known_at(outcome: OutcomeRecord, lag: Lag) -> float:
    """The instant of event time from which a label is known; `lag` shifts its arrival."""
    return max(outcome.observed_at, outcome.received_at + lag(outcome.received_at))


def _known(one: _Asked, lag: Lag, as_of: float | None, *, whole: bool) -> AsKnown:
    report, cohort, places = one.report, one.cohort, one.places
    before = [outcome for outcome in one.outcomes if known_at(outcome, lag) <= report.judged_at]
    after = [outcome for outcome in one.outcomes if known_at(outcome, lag) > report.judged_at]
    for outcome in before:
        cohort.learn(places[outcome.request_id], outcome)
    then = cohort.truths()
    for outcome in after:
        cohort.learn(places[outcome.request_id], outcome)
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
        then=report.performance if whole else None,
        performance=measure(seen, cohort, cohort.labelled()),
        late=int((has & ~had).sum()),
        corrected=int((had & (then != now)).sum()),
        forgotten=max(0, report.rows - cohort.rows) if as_of is None and whole else 0,
    )
