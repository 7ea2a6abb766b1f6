"""What is kept by the hour, however windows lie, and what a back-fill makes of it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.operations.slot_home import MONDAY, answers, outcomes, slot_home, watched, write

from fairlead.adapters.slot_folder import SLOTS, SlotFolder
from fairlead.core.slot import Slot
from fairlead.core.window import DAY
from fairlead.errors import StateError
from fairlead.faces.cli.app import build, run
from fairlead.operations.context import Context
from fairlead.operations.prediction_log import erase
from fairlead.operations.windows import backfill, kept

END = MONDAY + 3 * DAY


def whole(context: Context) -> tuple[Slot, ...]:
    """The slots of all rows."""
    return SlotFolder(context.home / SLOTS).read("stay", 1, "", 0.0, END)


@pytest.mark.parametrize(
    ("monitoring", "slots"),
    [
        pytest.param("window: 1d", 72, marks=pytest.mark.slow),
        pytest.param("window: 7d, slide: 12h", 72, marks=pytest.mark.slow),
        ("window: 1d, slide: 6h, slots: {every: 1d}", 12),
        pytest.param("window: 6h, slots: {every: 1d}", 12, marks=pytest.mark.slow),
        ("window: 1d, zone: Asia/Kolkata", 75),
        ("window: month, slots: {every: 12h}", 6),
    ],
)
def test_every_row_is_in_one_slot_however_windows_lie(tmp_path: Path, monitoring: str, slots: int) -> None:
    """Days, slides, parts of a day, days that begin at half past, months: three days of a row every twenty minutes; and
    a back-fill from the log gives the same slots."""
    made = slot_home(tmp_path, f"monitoring: {{{monitoring}}}")
    told = answers(range(216))
    write(made, told)
    watched(made, told, MONDAY + 40 * DAY)
    found = whole(made)
    assert (len(found), sum(slot.rows for slot in found)) == (slots, 216)
    assert all(one.ends_at <= two.starts_at for one, two in pairwise(found))
    (filled,) = backfill(made, "stay", "2015-11-30T00:00Z", "2015-12-03T00:00Z")
    assert (filled.slots, filled.rows, filled.late, filled.stayed) == (slots, 216, 0, 0)
    assert whole(made) == found


def test_an_erased_subject_leaves_the_counts_with_shrink(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An erasure says that counts by the hour still have it; a back-fill that believes the log takes it out."""
    made = slot_home(tmp_path)
    told = [replace(one, unit_id="anna" if place % 6 == 0 else "bob") for place, one in enumerate(answers(range(72)))]
    write(made, told, outcomes(range(72)))
    watched(made, told, MONDAY + DAY)
    app = build(lambda *_: made, "0")
    assert run(app, ["--home", str(made.home), "log", "erase", "anna"]) == 0
    assert "counts by the hour still include them" in capsys.readouterr().out
    assert backfill(made, "stay", "2015-11-30")[0].rows == 72
    (filled,) = backfill(made, "stay", "2015-11-30", shrink=True)
    assert (filled.rows, filled.late, filled.stayed) == (60, 0, 0)
    assert erase(made, "nobody").predictions == 0


def test_a_damaged_day_is_made_again(tmp_path: Path) -> None:
    """Readers refuse it with the fix, the watch judges on without it, and the fix works."""
    made = slot_home(tmp_path)
    told = answers(range(144))
    write(made, told)
    watched(made, told[:72], MONDAY + DAY)
    day = made.home / SLOTS / "stay" / "2015-11-30.slots"
    text = bytearray(day.read_bytes())
    text[len(text) // 2] ^= 255
    day.write_bytes(bytes(text))
    with pytest.raises(StateError, match="windows backfill"):
        kept(made, "stay")
    watched(made, told, MONDAY + 2 * DAY)
    assert len(list(made.journal.read(kinds=["window_judged"]))) == 2
    (filled,) = backfill(made, "stay", "2015-11-30")
    assert (filled.slots, filled.rows) == (48, 144)
    assert [one.rows for one in kept(made, "stay")] == [144]
    assert day.with_name("2015-11-30.slots.damaged").read_bytes() == bytes(text)
