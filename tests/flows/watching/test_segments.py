"""Harm names the smallest segment that explains it, whether or not the watch was restarted."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.flows.test_watch import START, World, judged, outcomes, population, records

from fairlead.core.alarm import HARMFUL, alarms_of
from fairlead.core.quadrant import Quadrant
from fairlead.core.report import WindowReport
from fairlead.core.window import DAY


def porto_turned(n: int, seed: int) -> list[tuple[float, str, int]]:
    """Three rows of ten are in Porto, and there the truth is turned round."""
    calm, turned = population(n, seed), population(n, seed + 1, reversed_truth=True)
    rows = []
    for number, (one, two) in enumerate(zip(calm, turned, strict=True)):
        porto = number % 10 < 3
        rows.append((two[0], "porto", two[2]) if porto else (one[0], "lisbon", one[2]))
    return rows


def matured(world: World, *, restarted: bool) -> WindowReport:
    """One week of it, its labels three days late."""
    rows = porto_turned(3_000, 7)
    answered, known = records(rows), outcomes(records(rows), rows, delay=3 * DAY)
    watch = world.watch()
    watch.observe(answered, known)
    judged(watch)
    if restarted:
        watch = world.watch()
        watch.observe(answered, known)
    (report,) = judged(watch, days=3)
    return report


@pytest.mark.parametrize("restarted", [False, True])
def test_the_segment_is_named(tmp_path: Path, restarted: bool) -> None:
    """Harm sits in one city: the report, the alert and its details say so; a restart changes nothing."""
    report = matured(World(tmp_path), restarted=restarted)
    assert report.starts_at == START
    assert (report.harmful, report.harm.segment) == (True, "city = porto")
    (alarm,) = [one for one in alarms_of(report) if one.alert == HARMFUL]
    assert dict(alarm.details)["segment"] == "city = porto"
    assert "worst in city = porto" in alarm.verdict.reason


def test_harm_is_never_called_benign(tmp_path: Path) -> None:
    """Whatever raises the harm, the quadrant of a harmful window is another."""
    world = World(tmp_path)
    watch = world.watch()
    for number in range(3):
        rows = population(1_500, 40 + number, reversed_truth=number == 2)
        answered = records(rows, number)
        watch.observe(answered, outcomes(answered, rows, delay=0.0))
        for report in judged(watch, number + 1):
            assert report.harmful == (number == 2)
            assert not (report.harmful and report.quadrant is Quadrant.BENIGN)
