"""Lines to a bounded file, never waited for."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fairlead.adapters.line_file import QUEUE_FULL, WRITE_FAILED, LineFile

Opened = Callable[..., LineFile]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens files, and closes them."""
    made: list[LineFile] = []

    def make(path: Path | None, **options: int) -> LineFile:
        made.append(LineFile(path, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def lines(path: Path) -> list[bytes]:
    """A file's lines."""
    return path.read_bytes().splitlines()


def test_lines_stand_in_the_file_in_their_order(tmp_path: Path, opened: Opened) -> None:
    """What was put before the end is written by it; the folder is made when it is needed."""
    file = opened(tmp_path / "logs" / "a.jsonl")
    for number in range(1000):
        file.put(b"%d" % number)
    file.close(60.0)
    assert lines(tmp_path / "logs" / "a.jsonl") == [b"%d" % number for number in range(1000)]
    assert set(file.dropped.values()) == {0}


def test_many_threads_lose_nothing(tmp_path: Path, opened: Opened) -> None:
    """Each thread's lines stand in its order."""
    file = opened(tmp_path / "a.jsonl")

    def work(name: int) -> None:
        for number in range(500):
            file.put(b"%d %d" % (name, number))

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.close(60.0)
    found = lines(tmp_path / "a.jsonl")
    for name in range(4):
        mine = [line for line in found if line.startswith(b"%d " % name)]
        assert mine == [b"%d %d" % (name, number) for number in range(500)]


def test_files_are_bounded_in_size_and_number(tmp_path: Path, opened: Opened) -> None:
    """A full file is put aside, the oldest goes, and no line is cut in two."""
    path = tmp_path / "a.jsonl"
    for number in range(60):  # each opening writes its block at the end
        file = opened(path, file_bytes=100, files=3)
        file.put(b"%038d" % number)
        file.close(60.0)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.jsonl", "a.jsonl.1", "a.jsonl.2"]
    assert [found.stat().st_size for found in sorted(tmp_path.iterdir())] == [78, 78, 78]
    newest = [line for name in ("a.jsonl.2", "a.jsonl.1", "a.jsonl") for line in lines(tmp_path / name)]
    assert newest == [b"%038d" % number for number in range(54, 60)]


def test_one_file_is_begun_anew(tmp_path: Path, opened: Opened) -> None:
    """With a single file, what was in it goes when it is full."""
    path = tmp_path / "a.jsonl"
    for number in range(4):
        file = opened(path, file_bytes=10, files=1)
        file.put(b"%08d" % number)
        file.close(60.0)
    assert lines(path) == [b"00000003"]
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_that_somebody_moved_is_opened_anew(tmp_path: Path, opened: Opened) -> None:
    """What rotates logs from outside needs to tell nobody."""
    path = tmp_path / "a.jsonl"
    file = opened(path)
    file.put(b"first")
    wait_for(lambda: path.exists() and lines(path) == [b"first"])
    path.rename(tmp_path / "moved")
    file.put(b"second")
    file.close(60.0)
    assert (lines(tmp_path / "moved"), lines(path)) == ([b"first"], [b"second"])


def test_a_disk_that_refuses_costs_lines_and_nothing_else(tmp_path: Path, opened: Opened) -> None:
    """They are counted, whoever writes does not notice, and it goes on when the disk takes lines again."""
    folder = tmp_path / "logs"
    folder.write_text("a file where the folder should be")
    file = opened(folder / "a.jsonl")
    file.put(b"lost")
    wait_for(lambda: file.dropped[WRITE_FAILED] == 1)
    folder.unlink()
    file.put(b"kept")
    file.close(60.0)
    assert lines(folder / "a.jsonl") == [b"kept"]
    assert file.dropped == {QUEUE_FULL: 0, WRITE_FAILED: 1}


FULL = """
import resource, signal, sys
from pathlib import Path
from fairlead.adapters.line_file import LineFile
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
file = LineFile(Path(sys.argv[1]))
for number in range(100):
    file.put(b"%030d" % number)
file.close(60.0)
print(file.dropped["write_failed"])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
"""


def test_a_full_disk_leaves_whole_lines_but_for_the_last(tmp_path: Path) -> None:
    """A block that did not fit counts as dropped."""
    path = tmp_path / "a.jsonl"
    done = subprocess.run([sys.executable, "-c", FULL, path], capture_output=True, text=True, check=True, timeout=60)
    assert int(done.stdout) == 100
    *whole, torn = path.read_bytes().split(b"\n")
    assert whole == [b"%030d" % number for number in range(32)]
    assert len(torn) == 1000 - 32 * 31


def test_after_a_torn_line_the_next_begins_at_a_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the torn line is lost to a reader."""
    path = tmp_path / "a.jsonl"
    file = LineFile(path)
    write = os.write
    answers = iter([3])

    def torn(fd: int, data: bytes) -> int:
        size = next(answers, None)
        if size is None:
            raise OSError(28, "No space left on device")
        return write(fd, data[:size])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", torn)
        file.put(b"torn line")
        wait_for(lambda: file.dropped[WRITE_FAILED] == 1)
    file.put(b"whole line")
    file.close(60.0)
    assert lines(path) == [b"tor", b"whole line"]


def test_a_full_queue_drops_and_counts(tmp_path: Path, opened: Opened) -> None:
    """What waits is bounded in bytes, however slow the disk is."""
    pipe = tmp_path / "slow"
    os.mkfifo(pipe)  # opening it blocks the writer until somebody reads
    file = opened(pipe, queue_bytes=1000)
    for _ in range(200):
        file.put(b"x" * 99)
    assert file.dropped[QUEUE_FULL] >= 180
    with pipe.open("rb") as reader:
        file.close(60.0)
        found = reader.read().splitlines()
    assert len(found) + file.dropped[QUEUE_FULL] == 200
    assert set(found) == {b"x" * 99}


def test_an_end_does_not_wait_for_ever(tmp_path: Path) -> None:
    """A disk that hangs holds up nobody who leaves."""
    pipe = tmp_path / "stuck"
    os.mkfifo(pipe)
    file = LineFile(pipe)
    file.put(b"never")
    file.close(0.05)
    with pipe.open("rb") as reader:  # let the thread go
        assert reader.read() == b"never\n"


def test_lines_can_go_to_standard_output() -> None:
    """For a machine that gathers what its programs print."""
    program = "from fairlead.adapters.line_file import LineFile\nf = LineFile(None)\nf.put(b'{}')\nf.close(60.0)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    assert done.stdout == b"{}\n"


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until a condition holds."""
    event = threading.Event()
    for _ in range(3000):
        if condition():
            return
        event.wait(0.02)
    raise AssertionError("what was waited for did not happen")
