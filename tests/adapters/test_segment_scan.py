"""The walk over one segment's frames."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.adapters.segment_frame import MAGIC, PREDICTIONS, frame
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.adapters.segment_scan import Scan, erase
from fairlead.testing.log import make_prediction


def written(folder: Path, *payloads: bytes, tail: bytes = b"") -> Path:
    """A segment of these payloads."""
    path = folder / "s.seg"
    path.write_bytes(MAGIC + b"".join(map(frame, payloads)) + tail)
    return path


@given(payloads=st.lists(st.binary(min_size=1).filter(lambda each: not each.isspace())), stop=st.integers(0, 10))
def test_a_walk_goes_on_where_another_stopped(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes], stop: int
) -> None:
    """Two walks together give what one gives, wherever the first stops."""
    path = written(tmp_path_factory.mktemp("scan"), *payloads)
    first, found = Scan(path, 0), []
    for _, payload in first.records():
        found.append(payload)
        if len(found) >= stop:
            break
    second = Scan(path, first.offset)
    assert found + [payload for _, payload in second.records()] == payloads
    assert (second.offset, first.damaged + second.damaged) == (second.size, 0)


def test_a_torn_end_is_left_and_damage_inside_is_counted(tmp_path: Path) -> None:
    """A good frame after a damaged one is read; what a killed writer left at the end is not damage."""
    path = written(tmp_path, b"one", b"two", b"three", tail=frame(b"torn off")[:-3])
    data = bytearray(path.read_bytes())
    data[data.index(b"two")] ^= 1
    path.write_bytes(data)
    scan = Scan(path, 0)
    assert [payload for _, payload in scan.records()] == [b"one", b"three"]
    assert scan.damaged == 1
    assert scan.size - scan.offset == len(frame(b"torn off")) - 3


@pytest.mark.parametrize("content", [b"", MAGIC[:3], MAGIC])
def test_a_file_that_has_just_begun_holds_nothing(tmp_path: Path, content: bytes) -> None:
    """Without a whole magic the walk waits at the beginning."""
    path = tmp_path / "s.seg"
    path.write_bytes(content)
    scan = Scan(path, 0)
    assert (list(scan.records()), scan.damaged) == ([], 0)


def test_what_is_no_segment_is_passed_over_once(tmp_path: Path) -> None:
    """A file of another format is one damage, and its end is reached."""
    path = tmp_path / "s.seg"
    path.write_bytes(b"not of this format")
    scan = Scan(path, 0)
    assert (list(scan.records()), scan.damaged, scan.offset) == ([], 1, 18)


def test_erased_records_leave_no_bytes_and_disturb_nobody(tmp_path: Path) -> None:
    """Erased in place while the writer goes on and a reader is half-way: the others are read once."""
    log = SegmentLog(tmp_path, 0)
    log.predictions([make_prediction(f"r{number}", unit_id="anna" if number % 2 else "ben") for number in range(6)])
    reader = SegmentReader(tmp_path)
    assert [record.request_id for record in reader.poll(2)[0]] == ["r0", "r1"]
    (path,) = (tmp_path / PREDICTIONS).iterdir()
    assert erase(path, lambda payload: msgspec.json.decode(payload)["unit_id"] == "anna") == 3
    log.predictions([make_prediction("r6", unit_id="ben")])
    log.close()
    assert [record.request_id for record in reader.poll()[0]] == ["r2", "r4", "r6"]
    assert reader.damage == []
    assert b"anna" not in path.read_bytes()
    fresh = Scan(path, 0)
    assert (len(list(fresh.records())), fresh.damaged, fresh.offset) == (4, 0, path.stat().st_size)
    assert erase(path, lambda payload: b"anna" in payload) == 0
