"""Refused rows in files of their own beside the log, bounded whatever is thrown at the gateway.

A row is taken from the event loop into a bounded queue and written by a thread that starts with the first one; when the
queue, the rate, or the worker's share of the disk is used up, a row is dropped and counted. Files have the log's frames
and names, so a crash tears at most the last row, and an erasure works as in the log.

A file ends after 1 MiB or a part of its keeping time, and is removed when its last row is older than that time. Nobody
writes to a file that old any more, so whichever worker comes by may remove it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Iterator
from math import inf
from pathlib import Path
from queue import Empty, SimpleQueue

import msgspec

from fairlead.adapters.segment_frame import MAGIC, SegmentName, frame, parse_name
from fairlead.adapters.segment_scan import Scan, erase
from fairlead.core.quarantine import DROPS, FULL, TOO_LARGE, TOO_MANY, UNWRITABLE, Quarantined, QuarantineLimits
from fairlead.errors import StateError

FOLDER = "quarantine"
FILE_BYTES = 2**20
ROW_BYTES = 2**16  # of the longest row that is kept
RATE, BURST = 100.0, 1_000.0  # rows a second that are kept, and how many at once after a quiet while
WAITING = 1_000  # rows between the event loop and the thread
PARTS = 8  # a file is written to for this part of the keeping time, at most a day
LOOK_SECONDS = 1.0  # between two looks for room where there is none
_DAY = 86_400.0

Clock = Callable[[], float]


class QuarantineFolder:
    """What one worker keeps. `keep` belongs to its event loop; one thread writes."""

    def __init__(
        self, folder: Path, worker: int, limits: QuarantineLimits, *, now: Clock = time.time, rate: float = RATE
    ) -> None:
        """`folder`: of the log. `limits`: this worker's share."""
        self._folder = folder / FOLDER
        self._worker = worker
        self._limits = limits
        self._now = now
        self._rate = rate
        self._left, self._left_at = BURST, now()
        self._counts: Counter[str] = Counter()
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._file = _File(self._folder, worker, limits, now)
        self._encode = msgspec.json.Encoder().encode

    def keep(self, row: Quarantined) -> None:
        """Takes a row, or drops and counts it. It does not wait and does not raise."""
        if len(row.features) > ROW_BYTES:
            self._counts[TOO_LARGE] += 1
        elif self._queue.qsize() >= WAITING or not self._allowed():
            self._counts[TOO_MANY] += 1
        else:
            self._queue.put(frame(self._encode(row)))
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="quarantine", daemon=True)
                self._thread.start()

    def counts(self) -> dict[str, int]:
        """Rows that are on the disk, and those that were dropped, by reason."""
        return {fate: self._counts[fate] for fate in ("kept", *DROPS)}

    def close(self) -> None:
        """Writes what was taken."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None
        self._file.close()

    def _allowed(self) -> bool:
        """A token bucket: so many rows a second, however fast they come."""
        now = self._now()
        self._left = min(BURST, self._left + max(0.0, now - self._left_at) * self._rate)
        self._left_at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def _work(self) -> None:
        is_open = True
        while is_open:
            rows = [self._queue.get()]
            with contextlib.suppress(Empty):
                while rows[-1] is not None and len(rows) < WAITING:
                    rows.append(self._queue.get_nowait())
            is_open = rows[-1] is not None
            for row in rows:
                if row is not None:
                    self._counts[self._file.append(row)] += 1


class _File:
    """The file that is being written to. Used by one thread."""

    def __init__(self, folder: Path, worker: int, limits: QuarantineLimits, now: Clock) -> None:
        self._folder, self._worker, self._limits, self._now = folder, worker, limits, now
        self._started_ns = time.time_ns()
        self._file_bytes = min(FILE_BYTES, max(limits.most_bytes // PARTS, 1))
        self._sequence = 0
        self._fd = -1
        self._size = 0  # of this file
        self._others = 0  # of this worker's other files
        self._until = 0.0
        self._full_until = -inf

    def append(self, data: bytes) -> str:
        """Writes a row, and says what became of it: kept, or the reason why not."""
        try:
            now = self._now()
            if self._fd < 0 or self._size + len(data) > self._file_bytes or now >= self._until:
                self.close()
                if now < self._full_until or not self._open_next(now):
                    return FULL
            if self._others + self._size + len(data) > self._limits.most_bytes:
                return FULL
            if os.write(self._fd, data) != len(data):
                self._cut()
                return UNWRITABLE
        except OSError:
            self._cut()
            return UNWRITABLE
        self._size += len(data)
        return "kept"

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def _open_next(self, now: float) -> bool:
        """Removes what is old, and begins a file where there is room. Raises `OSError`."""
        self._others = tidied(self._folder, self._worker, self._limits, now)
        if self._others + len(MAGIC) >= self._limits.most_bytes:
            self._full_until = now + LOOK_SECONDS
            return False
        self._folder.mkdir(parents=True, exist_ok=True)
        name = str(SegmentName(self._started_ns, self._worker, os.getpid(), self._sequence))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._fd = os.open(self._folder / name, flags, 0o600)  # personal data: for nobody else
        self._sequence += 1
        self._size = os.write(self._fd, MAGIC)
        self._until = now + min(self._limits.keep_seconds / PARTS, _DAY)
        return True

    def _cut(self) -> None:
        """Leaves no half of a row behind."""
        if self._fd >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._size)
        self.close()


def tidied(folder: Path, worker: int, limits: QuarantineLimits, now: float) -> int:
    """Removes files that are old, whoever wrote them; the bytes of a worker's that stay. Raises `OSError`."""
    kept = 0
    for path, name in _files(folder):
        with contextlib.suppress(FileNotFoundError):
            seen = path.stat()
            if seen.st_mtime < now - limits.keep_seconds:
                path.unlink()
            elif name.worker == worker:
                kept += seen.st_size
    return kept


def _files(folder: Path) -> Iterator[tuple[Path, SegmentName]]:
    try:
        names = sorted(name for entry in os.scandir(folder) if (name := parse_name(entry.name)) is not None)
    except FileNotFoundError:
        return
    for name in names:
        yield folder / str(name), name


def rows_of(folder: Path) -> Iterator[Quarantined]:
    """What is kept beside the log in `folder`, each worker's in its order. Raises `StateError`."""
    decoder = msgspec.json.Decoder(Quarantined)
    try:
        for path, _ in _files(folder / FOLDER):
            with contextlib.suppress(FileNotFoundError):
                for _, payload in Scan(path, 0).records():
                    with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
                        yield decoder.decode(payload)
    except OSError as error:
        raise StateError(
            f"the quarantine in {folder} cannot be read ({error.strerror}): check its permissions"
        ) from error


def erase_units(folder: Path, units: Container[str]) -> int:
    """Overwrites the rows of units; how many. Raises `StateError`."""
    decoder = msgspec.json.Decoder(Quarantined)

    def is_doomed(payload: bytes) -> bool:
        try:
            return decoder.decode(payload).unit_id in units
        except (msgspec.DecodeError, UnicodeDecodeError):
            return False

    found = 0
    try:
        for path, _ in _files(folder / FOLDER):
            with contextlib.suppress(FileNotFoundError):  # its time was over
                found += erase(path, is_doomed)
    except OSError as error:
        raise StateError(f"the quarantine in {folder} cannot be erased from ({error.strerror})") from error
    return found
