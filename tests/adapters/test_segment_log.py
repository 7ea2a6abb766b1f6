"""The write-ahead log."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from fairlead.adapters import segment_log
from fairlead.adapters.segment_frame import PREDICTIONS, parse_name
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.errors import StateError
from fairlead.ports.log import LogState
from fairlead.testing.log import check_log, make_prediction

WRITER = """
import sys
from pathlib import Path
from fairlead.adapters.segment_log import SegmentLog
from fairlead.testing.log import make_prediction
log = SegmentLog(Path(sys.argv[1]), 3)
for number in range(10**9):
    log.predictions([make_prediction(str(number))])
    print(number, flush=True)
"""


def ids(reader: SegmentReader) -> list[str]:
    """The request ids of everything that is left to read."""
    return [record.request_id for record in reader.poll()[0]]


def test_keeps_the_port(tmp_path: Path) -> None:
    """It is a log, and its reader reads it."""
    asyncio.run(check_log(lambda: SegmentLog(tmp_path, 0), lambda: SegmentReader(tmp_path)))


def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """kill -9 in the middle of writing: every record whose call had returned is read."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 500:
                break
        process.send_signal(signal.SIGKILL)
        acknowledged = [line, *process.stdout]
    last = int([line for line in acknowledged if line.endswith("\n")][-1])
    reader = SegmentReader(tmp_path)
    found = ids(reader)
    assert found[: last + 1] == [str(number) for number in range(last + 1)]
    assert len(found) <= last + 2
    assert reader.damage == []


def test_a_full_file_is_left_for_the_next(tmp_path: Path) -> None:
    """Rotation keeps every record, in order, in files under the size."""
    log = SegmentLog(tmp_path, 1, segment_bytes=1000)
    for number in range(20):
        log.predictions([make_prediction(str(number))])
    log.close()
    files = sorted((tmp_path / PREDICTIONS).iterdir())
    assert len(files) > 3
    assert all(file.stat().st_size <= 1000 for file in files)
    assert [name.sequence for file in files if (name := parse_name(file.name))] == list(range(len(files)))
    assert ids(SegmentReader(tmp_path)) == [str(number) for number in range(20)]


def test_each_start_has_its_own_file(tmp_path: Path) -> None:
    """A worker that starts again never appends to what its predecessor left."""
    for number in range(3):
        log = SegmentLog(tmp_path, 0)
        log.predictions([make_prediction(str(number))])
        log.close()
    assert len(list((tmp_path / PREDICTIONS).iterdir())) == 3
    assert ids(SegmentReader(tmp_path)) == ["0", "1", "2"]


@pytest.mark.parametrize("failure", ["short", "full"])
def test_a_failed_write_is_told_and_leaves_the_log_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    """A short write or a full disk raises; what was cut is not read, what comes after is."""
    log = SegmentLog(tmp_path, 0)
    log.predictions([make_prediction("before")])
    true_write = os.write

    def write(fd: int, data: bytes) -> int:
        if failure == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return true_write(fd, data[: len(data) - 5])

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StateError, match=r"free space|disk is full"):
        log.predictions([make_prediction("lost"), make_prediction("lost too")])
    monkeypatch.undo()
    log.predictions([make_prediction("after")])
    log.close()
    reader = SegmentReader(tmp_path)
    assert ids(reader) == ["before", "after"]
    assert reader.damage == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], check=True)  # takes root
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_that_stays_full_fills_with_no_names(small_disk: Path) -> None:
    """However many writes it refuses, of whatever size: a few files, each acknowledged record once, and once there is
    room the state is well again, whether or not anybody writes."""
    log, taken, sizes = SegmentLog(small_disk, 0), list[str](), random.Random(1)
    assert log.state() == LogState()
    for number in range(3000):
        record = make_prediction(f"r{number}", error="e" * sizes.choice([1, 10, 100, 5000]))
        with suppress(StateError):
            log.predictions([record])
            taken.append(record.request_id)
    assert 20 < len(taken) < 1500
    assert len(list((small_disk / PREDICTIONS).iterdir())) < 20
    state = log.state()
    assert (state.sheds, "free space" in state.refused) == (True, True)
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    assert log.state().refused == ""
    log.predictions([make_prediction("after")])
    log.close()
    assert ids(SegmentReader(small_disk)) == [*taken, "after"]


def test_a_log_on_a_disk_that_another_filled_says_so_before_it_is_asked(small_disk: Path) -> None:
    """A worker without requests is not called ready on a full disk."""
    log = SegmentLog(small_disk, 0)
    (small_disk / "ballast").write_bytes(b"x" * 220_000)
    assert log.state().sheds
    (small_disk / "ballast").unlink()
    assert not log.state().sheds
    log.close()


def test_who_waits_for_a_slow_disk_is_told_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for an fsync that does not end is bounded; meanwhile the state tells how long it has taken."""
    go_on, begun = threading.Event(), threading.Event()

    def wait(fd: int) -> None:
        begun.set()
        go_on.wait(30)

    log = SegmentLog(tmp_path, 0, sync_seconds=60.0)
    log.predictions([make_prediction("a")])
    monkeypatch.setattr(os, "fsync", wait)
    with monkeypatch.context() as hasty:
        hasty.setattr(segment_log, "DURABLE_SECONDS", 0.05)
        with pytest.raises(StateError, match="the disk is slow"):
            asyncio.run(log.durable())
    assert begun.wait(30)
    assert log.state().behind > 0.0
    go_on.set()
    asyncio.run(log.durable())
    log.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    """A file in the folder's place is an error of one line, not a traceback."""
    (tmp_path / "log").write_text("in the way")
    log = SegmentLog(tmp_path / "log", 0)
    with pytest.raises(StateError, match="cannot be started"):
        log.predictions([make_prediction("a")])
    log.close()


def refuse(fd: int) -> None:
    """An fsync on a broken disk."""
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_durable_waits_for_the_disk_and_shares_the_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred who wait together cost a few syncs, and each returns after one that covers its record."""
    synced: list[int] = []
    true_sync = os.fsync

    def count(fd: int) -> None:
        synced.append(fd)
        true_sync(fd)

    log = SegmentLog(tmp_path, 0, sync_seconds=60.0)
    log.predictions([make_prediction("opens the file")])
    monkeypatch.setattr(os, "fsync", count)

    async def one(number: int) -> None:
        log.predictions([make_prediction(str(number))])
        await log.durable()

    async def many() -> None:
        await asyncio.gather(*(one(number) for number in range(100)))

    asyncio.run(many())
    assert 1 <= len(synced) < 50
    log.close()


def test_a_disk_that_refuses_to_sync_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who wait get the error; without any, the next who writes does, and writing goes on in another file."""
    log = SegmentLog(tmp_path, 0, sync_seconds=60.0)
    log.predictions([make_prediction("a")])
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StateError, match="not on the disk"):
        asyncio.run(log.durable())
    with pytest.raises(StateError, match="check the disk"):
        log.predictions([make_prediction("refused")])
    monkeypatch.undo()
    log.predictions([make_prediction("b")])
    monkeypatch.setattr(os, "fsync", refuse)
    log._sync_once()
    monkeypatch.undo()
    with pytest.raises(StateError, match="not on the disk"):
        log.predictions([make_prediction("told")])
    log.predictions([make_prediction("c")])
    log.close()
    assert ids(SegmentReader(tmp_path)) == ["a", "b", "c"]
    assert len(list((tmp_path / PREDICTIONS).iterdir())) == 3, "no file is written on once a part of it may be gone"


def test_who_waits_after_a_sync_failed_is_not_told_of_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch's sync may lose a record before its writer waits for it: the next sync, which finds nothing to do, is
    no word for that record. A while later there is none left of whom this could be true."""
    log = SegmentLog(tmp_path, 0, sync_seconds=60.0)
    log.predictions([make_prediction("a")])
    log.predictions([make_prediction("b")])
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", refuse)
        log._sync_once()
    for _ in "ab":
        with pytest.raises(StateError, match="not on the disk"):
            asyncio.run(log.durable())
    monkeypatch.setattr(segment_log, "SUSPECT_SECONDS", 0.0)
    with pytest.raises(StateError, match="not on the disk"):  # as the next who writes is told
        log.predictions([make_prediction("told")])
    log.predictions([make_prediction("c")])
    asyncio.run(log.durable())
    log.close()


def test_the_batch_syncs_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without anybody waiting, what was written is synced within the batch's time."""
    synced = asyncio.Event()
    loop_call: list[Callable[[], object]] = []

    def tell(fd: int) -> None:
        for call in loop_call:
            call()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        log = SegmentLog(tmp_path, 0, sync_seconds=0.01)
        log.predictions([make_prediction("a")])
        loop_call.append(lambda: loop.call_soon_threadsafe(synced.set))
        log.predictions([make_prediction("b")])
        await asyncio.wait_for(synced.wait(), 60)
        log.close()

    monkeypatch.setattr(os, "fsync", tell)
    asyncio.run(run())
