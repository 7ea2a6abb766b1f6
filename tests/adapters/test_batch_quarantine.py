"""A part's refused rows: each once, however often the part is begun again, and bounded."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from fairlead.adapters.batch_quarantine import BatchQuarantine
from fairlead.adapters.quarantine import FOLDER, ROW_BYTES, erase_units, rows_of
from fairlead.core.quarantine import Quarantined, QuarantineLimits
from fairlead.testing.quarantine import check_quarantine

ROW = Quarantined("r", "m", 2, "batch", "u", 1.0, 2.0, "expected a number", b'{"age":"x"}', "features.age")
LIMITS = QuarantineLimits(86_400.0, 10_000_000)


def kept(folder: Path) -> list[str]:
    """The request ids that are there."""
    return [row.request_id for row in rows_of(folder)]


def test_it_keeps_what_every_quarantine_keeps(tmp_path: Path) -> None:
    """As that of a worker does."""
    check_quarantine(BatchQuarantine(tmp_path, 7, LIMITS), lambda: list(rows_of(tmp_path)))


def test_a_part_that_is_done_anew_writes_its_rows_over(tmp_path: Path) -> None:
    """And those of other parts stay; before it is closed nothing is written."""
    for number, row in ((7, "a"), (8, "b"), (7, "c")):
        box = BatchQuarantine(tmp_path, number, LIMITS)
        box.keep(replace(ROW, request_id=row))
        assert "c" not in kept(tmp_path)
        box.close()
    assert kept(tmp_path) == ["c", "b"]
    assert {one.stat().st_mode & 0o777 for one in (tmp_path / FOLDER).iterdir()} == {0o600}


def test_without_rows_there_is_no_folder(tmp_path: Path) -> None:
    """And nothing is counted."""
    box = BatchQuarantine(tmp_path, 7, LIMITS)
    box.close()
    assert list(tmp_path.iterdir()) == []
    assert set(box.counts().values()) == {0}


def test_what_finds_no_room_is_dropped_and_counted(tmp_path: Path) -> None:
    """A row that is too long, a file beyond what all parts may keep, a folder that cannot be written to."""
    box = BatchQuarantine(tmp_path, 7, replace(LIMITS, most_bytes=200))
    box.keep(replace(ROW, features=b" " * (ROW_BYTES + 1)))
    for _ in range(9):
        box.keep(ROW)
    box.close()
    assert (box.counts()["too_large"], box.counts()["full"], box.counts()["kept"]) == (1, 9, 0)
    (tmp_path / "file").write_text("")
    box = BatchQuarantine(tmp_path / "file", 7, LIMITS)
    box.keep(ROW)
    box.close()
    assert box.counts()["unwritable"] == 1


def test_rows_of_a_unit_can_be_erased_and_old_ones_go(tmp_path: Path) -> None:
    """As those of workers."""
    now = 1e12
    for number, row in ((7, "a"), (8, "b")):
        box = BatchQuarantine(tmp_path, number, LIMITS)
        box.keep(replace(ROW, request_id=row, unit_id=row))
        box.close()
    assert erase_units(tmp_path, {"a"}) == 1
    assert kept(tmp_path) == ["b"]
    late = BatchQuarantine(tmp_path, 9, LIMITS, now=lambda: now)
    late.keep(replace(ROW, request_id="c"))
    late.close()
    assert kept(tmp_path) == ["c"]
