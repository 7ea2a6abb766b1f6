"""The last calm window after a restart, where no evidence of it was kept: its answers are counted again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.flows.test_watch import World, outcomes, population, records
from tests.flows.test_watch_windows import Shelf, spread

from fairlead.core.event import VersionRegistered
from fairlead.core.report import WindowReport
from fairlead.core.window import WindowPlan
from fairlead.flows.watch import Watch
from fairlead.flows.watching.calms import Calms
from fairlead.flows.watching.judge import Policy
from fairlead.testing.dataset import MemoryDataset
from fairlead.testing.journal import MemoryJournal

HOUR, SINCE = 3_600.0, 1_772_323_200.0
SHIFTS = (0, 0, 0.3, 0, 0, 0, 3.0, 3.0, 0, 3.0, 3.0, 3.0)
STREAM = [
    spread(SINCE + HOUR * place, SINCE + HOUR * (place + 1), 100, 300 + place, shift)
    for place, shift in enumerate(SHIFTS)
]


def told(world: World, keeps: str, stops: Sequence[int]) -> list[WindowReport]:
    """What is said of the stream by watches that start anew at these windows and read the log again."""
    world.journal = MemoryJournal()
    world.journal.append([VersionRegistered("hotel", 1, world.digest, "july")], actor="anna", at=SINCE)
    shelf, policy = Shelf(), Policy(maturity_seconds=2 * HOUR)
    held = MemoryDataset({name: [row[place] for row in world.rows] for place, name in enumerate(("x", "city", "y"))})

    def started() -> Watch:
        watch = Watch("hotel", world.journal, world.bundles, lambda _: held, world.clock, WindowPlan(HOUR), policy)
        if keeps != "none":
            watch = shelf.lend(watch)
            watch.keeps = keeps
        return watch

    watch = started()
    reports: list[WindowReport] = []
    for place, batch in enumerate(STREAM):
        if place in stops:
            watch = started()
            for before in STREAM[:place]:
                watch.observe(*before)
        watch.observe(*batch)
        reports += watch.judge(SINCE + (place + 1) * HOUR)
    return reports


@pytest.fixture
def world(tmp_path: Path) -> World:
    """One registered version."""
    return World(tmp_path)


@pytest.mark.parametrize("keeps", [pytest.param("none", marks=pytest.mark.slow), "breached"])
def test_a_start_between_windows_changes_no_report(world: World, keeps: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without evidence of calm windows, a watch that is started again says of later windows what it would have said:
    against which window columns jumped, how unusual that was for them, and since when. It could not without counting
    the calm window's answers again."""
    found = told(world, keeps, ())
    assert any(shift.jump_level for report in found for shift in report.drift)
    assert told(world, keeps, (3, 6, 9)) == found
    monkeypatch.setattr(Calms, "take", lambda *_: None)
    assert told(world, keeps, (9,)) != found


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(keeps=st.sampled_from(["none", "breached", "all"]), stops=st.lists(st.integers(1, 11), min_size=1, max_size=4))
def test_a_start_at_any_windows_changes_no_report(world: World, keeps: str, stops: list[int]) -> None:
    """Whatever is kept, and whenever a watch is started again."""
    assert told(world, keeps, stops) == told(world, keeps, ())


def test_a_journal_that_was_edited_begins_again(world: World) -> None:
    """A habit that is no habit is none; the window is judged all the same."""
    rows = population(60, 1)
    answered = records(rows)
    watch = world.watch()
    watch.observe(answered, outcomes(answered, rows, delay=0.0))
    calms = Calms()
    (report,) = watch.judge(world.clock.now() + 1e9)[:1]
    calms.follow(msgspec.structs.replace(report, habit=b"no habit"), "")
    reference = watch._reference(1)
    assert not isinstance(reference, str)
    reference.calm.counts = None
    for record in answered:
        calms.take(record, lambda _: reference, None)
    assert reference.calm.window == report.window
    assert not reference.calm.habit.known
