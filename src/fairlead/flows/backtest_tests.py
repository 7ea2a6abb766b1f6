"""The drift tests of the settings over a known past: the live windows of tests, fed with what was answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import floor

from msgspec import Struct

from fairlead.core.alert import Alarm, AlertPolicy, Standing
from fairlead.core.backtest import TESTS, Realised, Signal, Told, place_of
from fairlead.core.drift_tests import KEY, DriftTest, DriftWindow
from fairlead.core.record import Prediction
from fairlead.core.verdict import Outcome
from fairlead.flows.backtest import stood
from fairlead.flows.drift_windows import Compared, DriftWindows

NOBODY = "told to nobody: drift_detection.actions writes it down, or has it looked into"


class Tested(Struct, frozen=True, eq=False):
    """The tests, their windows in seconds, what a version is compared with, and what a window tells people (None where
    it tells them nothing)."""

    tests: tuple[DriftTest, ...]
    size_seconds: float
    slide_seconds: float
    reference: Callable[[int], Compared | str]
    alarm: Callable[[DriftWindow], Alarm | None]


def told_by_tests(
    model: str,
    records: Sequence[Prediction],
    asked: Tested,
    windows: Sequence[Realised],
    policy: AlertPolicy = AlertPolicy(),  # noqa: B008 - a frozen value
) -> tuple[Told, ...]:
    """What they would have told together, then each test by itself. `records` are one version's answers in the order in
    which they were received. A window of tests speaks of the last of the watch's windows that it reaches into."""
    if not asked.tests or not windows:
        return ()
    judged = [(place_of(one.ends_at, windows), one) for one in windows_of(model, records, asked)]
    alone = tuple(_alone(test, judged) for test in asked.tests)
    return (_together(judged, asked, policy), *alone)


def windows_of(model: str, records: Sequence[Prediction], asked: Tested) -> Iterator[DriftWindow]:
    """Every window as it closes, with what had an earlier event time."""
    tested = DriftWindows(model, asked.tests, asked.size_seconds, asked.slide_seconds, asked.reference)
    slide = asked.slide_seconds
    by_slide: dict[int, list[Prediction]] = {}
    for one in records:
        by_slide.setdefault(floor(one.timestamp / slide), []).append(one)
    for place in range(min(by_slide, default=0), max(by_slide, default=-1) + 1):
        tested.observe(by_slide.get(place, ()))
        found = tested.judge((place + 1) * slide)
        if found is not None:
            yield found


def _together(judged: Sequence[tuple[int, DriftWindow]], asked: Tested, policy: AlertPolicy) -> Told:
    standing: dict[str, Standing] = {}
    signals, quiet = [], False
    for place, window in judged:
        alarm = asked.alarm(window)
        quiet = quiet or alarm is None
        news = alarm is not None and stood(alarm, window.ends_at, standing, policy)
        breached = window.verdict.outcome is Outcome.BREACHED
        signals.append(Signal(place, window.ends_at, breached, news, "" if alarm is None else alarm.severity))
    days = f"{asked.size_seconds / 86_400.0:g} d"
    return Told(KEY, f"all of them, over {days}, told together", TESTS, tuple(signals), note=NOBODY if quiet else "")


def _alone(test: DriftTest, judged: Sequence[tuple[int, DriftWindow]]) -> Told:
    signals, missing = [], "no window of it has closed"
    for place, window in judged:
        mine = [one for one in window.verdicts if one.found.test == test]
        if all(one.outcome is Outcome.UNMEASURED for one in mine):
            missing = mine[0].found.missing if mine else missing
            continue
        breached = any(one.outcome is Outcome.BREACHED for one in mine)
        signals.append(Signal(place, window.ends_at, breached))
    says = f"{test.method} of {', '.join(test.columns)} beyond {test.least:g} at p < {test.level:g}"
    return Told(test.name, says, TESTS, tuple(signals), "" if signals else missing)
