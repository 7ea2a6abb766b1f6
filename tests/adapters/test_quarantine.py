"""Refused rows beside the log: bounded, erasable, never in anyone's way."""

from __future__ import annotations

import os
import time
from pathlib import Path
from threading import enumerate as enumerate_threads

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.adapters.quarantine import (
    BURST,
    FOLDER,
    RATE,
    ROW_BYTES,
    QuarantineFolder,
    _File,
    erase_units,
    rows_of,
)
from fairlead.adapters.segment_frame import frame
from fairlead.core.quarantine import Quarantined, QuarantineLimits
from fairlead.testing.clock import ManualClock
from fairlead.testing.quarantine import check_quarantine

ROW = Quarantined("r", "m", 2, "canary", "u", 1.0, 2.0, "expected a number", b'{"age":"x"}', "features.age")
LIMITS = QuarantineLimits(86_400.0, 10_000_000)


def kept(folder: Path) -> list[str]:
    """The request ids that are there."""
    return [row.request_id for row in rows_of(folder)]


def test_it_keeps_what_every_quarantine_keeps(tmp_path: Path) -> None:
    """As the fake does."""
    check_quarantine(QuarantineFolder(tmp_path, 0, LIMITS), lambda: list(rows_of(tmp_path)))


def test_a_row_is_kept_as_it_came(tmp_path: Path) -> None:
    """Bytes that are no JSON, too."""
    box = QuarantineFolder(tmp_path, 0, LIMITS)
    odd = replace(ROW, features=b'{"age": \xff', what="wrong_type", field="age")
    box.keep(ROW)
    box.keep(odd)
    box.close()
    assert list(rows_of(tmp_path)) == [ROW, odd]
    assert box.counts() == {"kept": 2, "too_large": 0, "too_many": 0, "full": 0, "unwritable": 0}


def test_nothing_is_begun_before_the_first_row(tmp_path: Path) -> None:
    """No thread and no folder; an empty quarantine reads as such."""
    threads = set(enumerate_threads())
    box = QuarantineFolder(tmp_path, 0, LIMITS)
    assert set(enumerate_threads()) <= threads  # those of earlier tests may end
    box.close()
    assert list(tmp_path.iterdir()) == []
    assert kept(tmp_path) == []


def test_only_the_owner_may_read_the_files(tmp_path: Path) -> None:
    """They hold what callers sent, whatever it was."""
    box = QuarantineFolder(tmp_path, 0, LIMITS)
    box.keep(ROW)
    box.close()
    (path,) = (tmp_path / FOLDER).iterdir()
    assert path.stat().st_mode & 0o077 == 0


def test_rows_that_come_too_fast_are_dropped_and_counted(tmp_path: Path) -> None:
    """A burst, then so many a second."""
    clock = ManualClock(1000.0)
    box = QuarantineFolder(tmp_path, 0, LIMITS, now=clock.now)
    for _ in range(int(BURST) + 50):
        box.keep(ROW)
    clock.advance(1.0)
    for _ in range(int(RATE) + 50):
        box.keep(ROW)
    box.close()
    counts = box.counts()
    assert counts["kept"] + counts["too_many"] == int(BURST) + int(RATE) + 100
    assert counts["kept"] <= BURST + RATE
    assert counts["too_many"] >= 100
    assert len(kept(tmp_path)) == counts["kept"]


def test_a_huge_row_is_dropped(tmp_path: Path) -> None:
    """Its request is refused all the same."""
    box = QuarantineFolder(tmp_path, 0, LIMITS)
    box.keep(replace(ROW, features=b"x" * (ROW_BYTES + 1)))
    box.close()
    assert box.counts()["too_large"] == 1
    assert kept(tmp_path) == []


@given(
    sizes=st.lists(st.integers(1, 400), min_size=1, max_size=60),
    most=st.integers(50, 4_000),
    starts=st.integers(1, 3),
)
@settings(max_examples=60, deadline=None)
def test_the_disk_is_never_filled(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], most: int, starts: int
) -> None:
    """Whatever comes, and however often a worker starts anew, its files stay within its share; the rest is counted."""
    folder = tmp_path_factory.mktemp("q")
    clock = ManualClock(1000.0)
    fates: list[str] = []
    for _ in range(starts):
        file = _File(folder, 3, QuarantineLimits(86_400.0, most), clock.now)
        fates += [file.append(frame(b"x" * size)) for size in sizes]
        file.close()
    assert sum(path.stat().st_size for path in folder.iterdir()) <= most
    assert set(fates) <= {"kept", "full"}
    assert len(fates) == len(sizes) * starts


def test_what_is_old_makes_room(tmp_path: Path) -> None:
    """Whichever worker wrote it; what is younger stays, and a full share takes rows again."""
    now = time.time()
    share = QuarantineLimits(86_400.0, 600)
    first = _File(tmp_path, 0, share, lambda: now)
    other = _File(tmp_path, 7, share, lambda: now)
    while first.append(frame(b"x" * 50)) == "kept":
        pass
    assert other.append(frame(b"x" * 50)) == "kept"
    other.close()
    assert first.append(frame(b"x" * 50)) == "full"
    for path in tmp_path.iterdir():
        os.utime(path, (now - 90_000, now - 90_000))
    now += 10.0
    assert first.append(frame(b"x" * 50)) == "kept"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_disk_that_takes_nothing_loses_rows_and_no_request(tmp_path: Path) -> None:
    """They are counted; when it takes rows again they are kept again."""
    (tmp_path / FOLDER).write_text("in the way")
    box = QuarantineFolder(tmp_path, 0, LIMITS)
    box.keep(ROW)
    box.close()
    assert box.counts()["unwritable"] == 1
    (tmp_path / FOLDER).unlink()
    box.keep(ROW)
    box.close()
    assert kept(tmp_path) == ["r"]


def test_a_subject_is_erased_and_nobody_else(tmp_path: Path) -> None:
    """With the bytes, while the file may be open; the next row follows."""
    box = QuarantineFolder(tmp_path, 0, LIMITS)
    for number in range(4):
        box.keep(replace(ROW, request_id=f"r{number}", unit_id=f"u{number % 2}", features=b"secret-%d" % (number % 2)))
    box.close()
    assert erase_units(tmp_path, {"u1"}) == 2
    assert kept(tmp_path) == ["r0", "r2"]
    raw = b"".join(path.read_bytes() for path in (tmp_path / FOLDER).iterdir())
    assert b"u1" not in raw
    assert erase_units(tmp_path, {"u1"}) == 0
    box.keep(replace(ROW, request_id="r9"))
    box.close()
    assert kept(tmp_path)[-1] == "r9"


def test_a_torn_end_is_passed_over(tmp_path: Path) -> None:
    """As after a crash."""
    box = QuarantineFolder(tmp_path, 0, LIMITS)
    box.keep(ROW)
    box.close()
    (path,) = (tmp_path / FOLDER).iterdir()
    with path.open("ab") as file:
        file.write(frame(b"{}")[:-1])
    assert kept(tmp_path) == ["r"]
