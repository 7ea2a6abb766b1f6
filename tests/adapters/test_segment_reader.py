"""Following the segments."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from fairlead.adapters.segment_frame import HEAD, MAGIC, OUTCOMES, PREDICTIONS, SegmentName, frame, parse_name
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_reader import PredictionTail, SegmentReader
from fairlead.core.record import OutcomeRecord
from fairlead.errors import StateError
from fairlead.testing.log import make_prediction


def ids(reader: SegmentReader, limit: int = 10_000) -> list[str]:
    """The request ids of what was added."""
    return [record.request_id for record in reader.poll(limit)[0]]


def written(folder: Path, count: int) -> Path:
    """A log of some records; returns its one file."""
    log = SegmentLog(folder, 0)
    log.predictions([make_prediction(str(number)) for number in range(count)])
    log.close()
    (file,) = (folder / PREDICTIONS).iterdir()
    return file


def starts(data: bytes) -> list[int]:
    """Where each frame of a file begins, and its end."""
    offsets = [len(MAGIC)]
    while offsets[-1] < len(data):
        offsets.append(offsets[-1] + HEAD.size + HEAD.unpack_from(data, offsets[-1])[0])
    return offsets


def test_a_file_cut_at_any_byte_of_its_last_frame_gives_all_earlier_ones(tmp_path: Path) -> None:
    """Then the rest arrives, and the last record is read too."""
    file = written(tmp_path, 3)
    whole = file.read_bytes()
    last = starts(whole)[-2]
    for cut in range(last, len(whole)):
        file.write_bytes(whole[:cut])
        reader = SegmentReader(tmp_path)
        assert ids(reader) == ["0", "1"]
        file.write_bytes(whole)
        assert ids(reader) == ["2"]
        assert reader.damage == []


def test_a_damaged_frame_is_skipped_and_named(tmp_path: Path) -> None:
    """One flipped bit costs one record, and no further poll: the file and the offset are told."""
    file = written(tmp_path, 4)
    data = bytearray(file.read_bytes())
    second = starts(bytes(data))[1]
    data[second + HEAD.size + 10] ^= 1
    file.write_bytes(data)
    reader = SegmentReader(tmp_path)
    assert ids(reader) == ["0", "2", "3"]
    assert [(damage.file, damage.offset) for damage in reader.damage] == [(f"{PREDICTIONS}/{file.name}", second)]


@pytest.mark.parametrize("rubbish", [b"\0" * 64, b"\xff" * 64, b"\x05\0\0\0" + b"z" * 60])
def test_rubbish_after_good_frames_costs_the_rest_of_its_file_only(tmp_path: Path, rubbish: bytes) -> None:
    """What stood before is read, and so are the other files."""
    file = written(tmp_path, 2)
    with file.open("ab") as out:
        out.write(rubbish)
    reader = SegmentReader(tmp_path)
    assert ids(reader) == ["0", "1"]
    assert ids(reader) == []
    assert len(reader.damage) == 1
    log = SegmentLog(tmp_path, 1)
    log.predictions([make_prediction("other")])
    log.close()
    assert ids(reader) == ["other"]
    assert len(reader.damage) == 1


def test_a_file_of_another_format_is_named_and_left(tmp_path: Path) -> None:
    """A wrong magic is damage; a file with another name is not looked at."""
    folder = tmp_path / PREDICTIONS
    folder.mkdir()
    (folder / str(SegmentName(1, 0, 1, 0))).write_bytes(b"SOMETHING ELSE")
    (folder / "notes.txt").write_text("not a segment")
    reader = SegmentReader(tmp_path)
    assert ids(reader) == []
    assert [damage.offset for damage in reader.damage] == [0]


def test_a_record_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A whole frame with another content is skipped; the next one is read."""
    file = written(tmp_path, 1)
    with file.open("ab") as out:
        out.write(frame(b'{"other": 1}'))
        out.write(frame(b"not json"))
    log = SegmentLog(tmp_path, 1)
    log.predictions([make_prediction("next")])
    log.close()
    reader = SegmentReader(tmp_path)
    assert ids(reader) == ["0", "next"]
    assert len(reader.damage) == 2


def test_it_follows_files_that_appear_and_grow(tmp_path: Path) -> None:
    """Several workers, rotations and late files: each record once."""
    reader = SegmentReader(tmp_path)
    assert ids(reader) == []
    logs = [SegmentLog(tmp_path, worker, segment_bytes=2000) for worker in range(3)]
    found: list[str] = []
    for number in range(60):
        logs[number % 3].predictions([make_prediction(str(number))])
        found += ids(reader, 7)
    found += ids(reader)
    for log in logs:
        log.close()
    assert sorted(found, key=int) == [str(number) for number in range(60)]


def test_a_retried_request_is_one_record(tmp_path: Path) -> None:
    """The same id answered twice by one version counts once; a failure before it is kept, and so is a shadow."""
    log = SegmentLog(tmp_path, 0)
    log.predictions(
        [
            make_prediction("a", status=500, error="x"),
            make_prediction("a"),
            make_prediction("a"),
            make_prediction("a", arm="shadow", model_version=2, shadow_of=1),
        ]
    )
    log.close()
    reader = SegmentReader(tmp_path)
    records, _ = reader.poll()
    assert [(record.status, record.arm) for record in records] == [
        (500, "champion"),
        (200, "champion"),
        (200, "shadow"),
    ]
    assert reader.repeats == 1


@pytest.mark.parametrize("changes", [{"model_name": "churn"}, {"unit_id": "another"}], ids=["models", "units"])
def test_requests_that_share_a_number_are_no_retries(tmp_path: Path, changes: dict[str, str]) -> None:
    """Two models asked with one order's number, or two units that count from 1: each has its record."""
    log = SegmentLog(tmp_path, 0)
    log.predictions([make_prediction("order-1"), make_prediction("order-1", **changes)])
    log.close()
    reader = SegmentReader(tmp_path)
    assert (ids(reader), reader.repeats) == (["order-1", "order-1"], 0)


class BadDisk:
    """Reads of one file fail, at once or after `good` reads, until `heal`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str, good: int = 0) -> None:
        self._patch = monkeypatch
        self._real = os.pread
        self._left = good

        def pread(fd: int, size: int, offset: int) -> bytes:
            if str(Path(f"/proc/self/fd/{fd}").readlink()).endswith(name):
                self._left -= 1
                if self._left < 0:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
            return self._real(fd, size, offset)

        monkeypatch.setattr(os, "pread", pread)

    def heal(self) -> None:
        """The file can be read again."""
        self._patch.setattr(os, "pread", self._real)


def files(folder: Path, workers: int, count: int) -> list[str]:
    """A log of several workers; returns their files' names."""
    for worker in range(workers):
        log = SegmentLog(folder, worker)
        log.predictions([make_prediction(f"{worker}-{number}") for number in range(count)])
        log.outcomes([OutcomeRecord(f"{worker}-{number}", 1, 2.0, 3.0) for number in range(count)])
        log.close()
    return sorted(file.name for file in (folder / PREDICTIONS).iterdir())


@pytest.mark.parametrize("bad", [0, 1, 2])
@pytest.mark.parametrize("good", [0, 1, 2])
def test_a_file_that_cannot_be_read_blinds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: int, good: int
) -> None:
    """One bad sector, met at once or on the way: the others are read, it is named once, and read when it can be."""
    monkeypatch.setattr("fairlead.adapters.segment_scan.CHUNK", 1000)
    names = files(tmp_path, 3, 5)
    disk = BadDisk(monkeypatch, f"{PREDICTIONS}/{names[bad]}", good)
    reader, found, known = SegmentReader(tmp_path), list[str](), list[str]()
    for _ in range(3):
        predictions, outcomes = reader.poll()
        found += [record.request_id for record in predictions]
        known += [record.request_id for record in outcomes]
    assert {f"{worker}-{number}" for worker in range(3) if worker != bad for number in range(5)} <= set(found)
    assert len(known) == 15
    assert [damage.file for damage in reader.damage] == [f"{PREDICTIONS}/{names[bad]}"]
    assert "Input/output error" in reader.damage[0].reason
    disk.heal()
    found += ids(reader)
    assert len(found) == len(set(found)) == 15
    assert len(reader.damage) == 1


def test_outcomes_that_cannot_be_read_cost_no_prediction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before the failure is handed over."""
    files(tmp_path, 1, 4)
    disk = BadDisk(monkeypatch, next((tmp_path / OUTCOMES).iterdir()).name)
    reader = SegmentReader(tmp_path)
    predictions, outcomes = reader.poll()
    assert (len(predictions), outcomes) == (4, [])
    disk.heal()
    predictions, outcomes = reader.poll()
    assert (predictions, len(outcomes)) == ([], 4)


def test_outcomes_that_cannot_be_listed_cost_no_prediction(tmp_path: Path) -> None:
    """A file in the place of the outcomes' folder is named once; predictions are read."""
    written(tmp_path, 3)
    shutil.rmtree(tmp_path / OUTCOMES, ignore_errors=True)
    (tmp_path / OUTCOMES).write_text("in the way")
    reader = SegmentReader(tmp_path)
    assert ids(reader) == ["0", "1", "2"]
    assert ids(reader) == []
    assert [damage.file for damage in reader.damage] == [f"{OUTCOMES}/"]


def test_a_list_that_fails_later_stops_no_known_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a descriptor to list the folder, the files that are known are read on."""
    log = SegmentLog(tmp_path, 0)
    log.predictions([make_prediction("a")])
    reader = SegmentReader(tmp_path)
    assert ids(reader) == ["a"]

    def refuse(path: Path) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refuse)
        log.predictions([make_prediction("b")])
        assert ids(reader) == ["b"]
    log.predictions([make_prediction("c")])
    log.close()
    assert ids(reader) == ["c"]
    assert ["cannot be listed" in damage.reason for damage in reader.damage] == [True]


def test_a_later_reader_goes_on_where_an_earlier_stopped(tmp_path: Path) -> None:
    """Positions carry over a restart."""
    log = SegmentLog(tmp_path, 0)
    log.predictions([make_prediction("a")])
    log.outcomes([OutcomeRecord("a", 1, 2.0, 3.0)])
    first = SegmentReader(tmp_path)
    first.poll()
    log.predictions([make_prediction("b")])
    log.close()
    records, outcomes = SegmentReader(tmp_path, first.positions()).poll()
    assert ([record.request_id for record in records], outcomes) == (["b"], [])


def test_a_log_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    """A file in the folder's place is an error of one line."""
    (tmp_path / PREDICTIONS).write_text("in the way")
    with pytest.raises(StateError, match="cannot be listed"):
        SegmentReader(tmp_path).poll()


def test_names_sort_by_time() -> None:
    """A name says who wrote it and when, and reads back."""
    names = [SegmentName(2, 0, 5, 0), SegmentName(2, 0, 5, 1), SegmentName(10, 0, 4, 0)]
    assert [parse_name(str(name)) for name in names] == names == sorted(names)
    assert parse_name("other.seg") is None


def test_a_tail_reads_what_is_added_by_those_that_count(tmp_path: Path) -> None:
    """From the ends that it is given, also where one is amid a record; files that come later from their start. What a
    writer who does not count adds is passed over."""
    file = written(tmp_path, 3)
    amid = starts(file.read_bytes())[1] + 5
    tails = [
        PredictionTail(tmp_path, {f"{PREDICTIONS}/{file.name}": end}, lambda name: name.worker < 9900)
        for end in (file.stat().st_size, amid, 0)
    ]
    logs = [SegmentLog(tmp_path, number) for number in (0, 9000, 9900)]
    for log in logs:
        log.predictions([make_prediction("new")])
        log.close()
    assert [[one.request_id for one in tail.poll(100)] for tail in tails] == [
        ["new", "new"],
        ["2", "new", "new"],
        ["0", "1", "2", "new", "new"],
    ]
    assert [tail.poll(100) for tail in tails] == [[], [], []]


def test_a_tail_stops_at_its_limit_and_goes_on_there(tmp_path: Path) -> None:
    """A backlog is taken in pieces; a log that is not there yet is an empty one."""
    tail = PredictionTail(tmp_path, {}, lambda _: True)
    assert tail.poll(2) == []
    written(tmp_path, 5)
    found = [[one.request_id for one in tail.poll(2)] for _ in range(4)]
    assert found == [["0", "1"], ["2", "3"], ["4"], []]
