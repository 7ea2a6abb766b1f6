"""Answers that came late are counted now and then, by a process of its own."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.operations.slot_home import MONDAY, answers, slot_home, watched, write

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.app.slots_round import WHY, SlotsRound
from fairlead.core.window import DAY
from fairlead.flows.watch import Watch
from fairlead.flows.watching.slots import SlotKeeping, SlotPlan
from fairlead.operations.context import Context
from fairlead.operations.windows import kept
from fairlead.testing.slots import MemorySlots


def watch_of(context: Context, since: float) -> Watch:
    """A watch that knows what was judged; since when what is late is noted."""
    plan = context.settings.monitoring.judged_plan
    watch = Watch("stay", context.journal, context.bundles, open_dataset, context.clock, plan)
    watch.slots = SlotKeeping(MemorySlots(), SlotPlan(), since)
    watch.late = watch.slots.late
    return watch


def test_what_comes_late_is_noted_and_what_is_read_again_is_not(tmp_path: Path) -> None:
    """After a restart the whole log is read: only what was received since is late. Failures are nobody's rows."""
    made = slot_home(tmp_path)
    told = answers(range(144))
    watched(made, told[:72:2], MONDAY + 3 * DAY)
    since = MONDAY + 3 * DAY
    watch = watch_of(made, since)
    assert watch.slots is not None
    watch.observe(told[:72:2], [])
    watch.observe([replace(told[9], received_at=since - 1.0)], [])
    watch.observe([replace(told[11], received_at=since + 1.0, status=500)], [])
    assert watch.slots.behind() is None
    watch.observe([replace(told[one], received_at=since + 1.0) for one in (21, 3, 5)], [])
    assert watch.slots.behind() == (told[3].timestamp, told[21].timestamp)
    assert watch.slots.behind() is None
    watch.observe([replace(answers([300])[0], received_at=since + 1.0)], [])
    assert watch.slots.behind() is None, "a window that is still open takes it"


def test_one_process_counts_for_all(tmp_path: Path) -> None:
    """It is told the models and the whole span, and nothing runs before it is time or while there is nothing to do."""
    made = slot_home(tmp_path)
    watch = watch_of(made, 0.0)
    one = SlotsRound(["--home", "x"], {"stay": watch, "other": watch}, every_seconds=3_600.0)
    assert one.look() is True
    assert watch.slots is not None
    for record in answers([5, 3]):
        watch.slots.late(record)
    one = SlotsRound(["--home", "x"], {"stay": watch}, every_seconds=3_600.0)
    assert one.look() is True
    command = one.command()
    assert command[-8:] == [
        "backfill", "stay", "--from", "2015-11-30T01:00:00+00:00", "--to", "2015-11-30T01:40:01+00:00", "--reason", WHY,
    ]  # fmt: skip
    one.close()


@pytest.mark.slow
def test_late_answers_reach_their_hours(tmp_path: Path) -> None:
    """By the real process: afterwards the store has them, and says that they came late."""
    made = slot_home(tmp_path)
    told = answers(range(72))
    write(made, told)
    watched(made, told[::2], MONDAY + DAY)
    watch = watch_of(made, 0.0)
    assert watch.slots is not None
    for record in told[1::2]:
        watch.slots.late(record)
    one = SlotsRound(["--home", str(made.home)], {"stay": watch}, every_seconds=0.0)
    until = time.monotonic() + 60.0
    while not [each for each in kept(made, "stay") if each.late] and time.monotonic() < until:
        one.look()
        time.sleep(0.1)
    one.close()
    assert [(each.rows, each.late) for each in kept(made, "stay")] == [(72, 36)]
