"""The gateway's write-ahead log: append-only segments, one pair for each start of a worker.

A returned call has handed its bytes to the kernel in one write, so a killed process loses nothing that was answered.
Against a power cut, one thread syncs every 100 ms, or at once for those who await `durable()`: all who wait share
one fsync (group commit).
"""

from __future__ import annotations

import asyncio
import errno
import os
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from fairlead.adapters.disk_room import looked_at, remedy, tried
from fairlead.adapters.folder_sync import sync_folder
from fairlead.adapters.segment_frame import MAGIC, OUTCOMES, PREDICTIONS, SegmentName, frame
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.errors import StateError
from fairlead.ports.log import LogState

SEGMENT_BYTES = 64 * 2**20
SYNC_SECONDS = 0.1
DURABLE_SECONDS = 10.0  # who waits for the disk longer than this is told so
# After a sync that failed nobody is told for this long that a record is on the disk: it may be one that was written
# before, and its file has nothing left to sync.
SUSPECT_SECONDS = 1.0
_FULL = (errno.ENOSPC, errno.EDQUOT)


class _Segment:
    """The file being appended to, made at the first write. A torn write abandons the file: a reader that has seen a
    part of it must never find other bytes in its place. A file that holds nothing is removed: a disk that stays full
    under load must not fill with names."""

    def __init__(self, folder: Path, worker: int, segment_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = self._limit = segment_bytes
        self._worker, self._started_ns = worker, time.time_ns()
        self._sequence = 0
        self._path = folder  # of the file, once there is one
        self._fd = -1
        self._size = 0
        self._lock = threading.Lock()  # between a write and the sync thread; each holds it for one pointer swap
        self._unsynced: list[int] = []  # files that were left full and wait for their last sync
        self._dirty = False

    def append(self, data: bytes) -> None:
        """One write. Raises `StateError`, and then nothing of `data` counts as written."""
        if self._fd < 0 or self._size + len(data) > self._limit:
            self._open_next()
        try:
            written = os.write(self._fd, data)
        except OSError as error:
            if error.errno not in _FULL:  # a full disk took nothing; of any other failure nobody knows
                self._abandon()
            raise StateError(
                f"the log in {self._folder} cannot be written ({error.strerror}): {remedy(error)}"
            ) from error
        if written != len(data):
            self._abandon()
            raise StateError(
                f"the log in {self._folder} took {written} of {len(data)} bytes: the disk is full, free space"
            )
        self._size += written
        self._dirty = True

    def renew(self) -> None:
        """Goes on in a new file, once there is room for more than a record or two. Raises `StateError`."""
        trouble = tried(self._folder, str(self._worker))
        if trouble:
            raise StateError(trouble)
        self._abandon()
        self._open_next()

    def sync(self) -> None:
        """Flushes everything appended so far. Raises `OSError`."""
        with self._lock:
            full, self._unsynced = self._unsynced, []
            fd = os.dup(self._fd) if self._dirty and self._fd >= 0 else -1
            self._dirty = False
        try:
            for old in (*full, fd):
                if old >= 0:
                    os.fsync(old)
        except OSError:
            self._limit = 0  # the system may have dropped a part of this file: what comes goes to another
            raise
        finally:
            for old in (*full, fd):
                if old >= 0:
                    os.close(old)

    def close(self) -> None:
        """Closes the file; `sync()` first."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    def _open_next(self) -> None:
        self._retire()
        self._path = self._folder / str(SegmentName(self._started_ns, self._worker, os.getpid(), self._sequence))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, flags, 0o640)
            self._sequence += 1
            self._size = 0
            if os.write(self._fd, MAGIC) != len(MAGIC):
                self._abandon()
                raise StateError(f"the log in {self._folder} cannot be started: the disk is full, free space")
            sync_folder(self._folder)
        except OSError as error:
            self._abandon()
            raise StateError(
                f"the log in {self._folder} cannot be started ({error.strerror}): {remedy(error)}"
            ) from error
        self._size = len(MAGIC)
        self._limit = self._segment_bytes

    def _retire(self) -> None:
        with self._lock:
            if self._fd >= 0:
                self._unsynced.append(self._fd)
            self._fd = -1

    def _abandon(self) -> None:
        """Cuts a torn end off and writes no more to this file; one without a record goes."""
        if self._fd < 0:
            return
        with suppress(OSError):  # else the torn end stays: the reader leaves it, as after a crash
            os.ftruncate(self._fd, self._size)
        self._retire()
        if self._size <= len(MAGIC):
            with suppress(OSError):
                self._path.unlink()


class SegmentLog:
    """Writes under `folder/predictions` and `folder/outcomes`. One event loop writes; one thread syncs."""

    def __init__(
        self,
        folder: Path,
        worker: int,
        *,
        segment_bytes: int = SEGMENT_BYTES,
        sync_seconds: float = SYNC_SECONDS,
        kinds: Sequence[str] = (PREDICTIONS, OUTCOMES),
    ) -> None:
        """`segment_bytes`: a file is left when it would grow past this. `sync_seconds`: between two batched syncs.
        `kinds`: what is written, each in a folder of its own."""
        self._folder = folder
        self._segments = {kind: _Segment(folder / kind, worker, segment_bytes) for kind in kinds}
        self._encode = msgspec.json.Encoder().encode
        self._wait_seconds = sync_seconds
        self._waiters: list[asyncio.Future[None]] = []
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._failed: tuple[float, StateError] | None = None  # when a sync failed last, on the monotonic clock, and why
        self._trouble: StateError | None = None  # a batched sync that failed: told to the next who writes
        self._refused: dict[str, str] = {}  # why the last write of a kind failed, until one is known to succeed
        self._syncing_since: float | None = None
        self._thread = threading.Thread(target=self._sync_forever, name="segment-sync", daemon=True)
        self._thread.start()

    def predictions(self, records: Sequence[Prediction]) -> None:
        """Writes predictions in one system call. Raises `StateError`."""
        self.append(PREDICTIONS, records)

    def outcomes(self, records: Sequence[OutcomeRecord]) -> None:
        """Writes outcomes in one system call. Raises `StateError`."""
        self.append(OUTCOMES, records)

    async def durable(self) -> None:
        """Returns when everything written before is on the disk. Raises `StateError` when the disk refuses."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        with self._lock:
            self._waiters.append(waiter)
        self._wake.set()
        late = StateError(f"the log is not on the disk after {DURABLE_SECONDS:g} s: the disk is slow, look after it")
        timer = loop.call_later(DURABLE_SECONDS, _settle, waiter, late)
        try:
            await waiter
        finally:
            timer.cancel()

    def state(self) -> LogState:
        """How the log is. One that failed is tried by this call; of one that was not asked, the disk is looked at."""
        for kind in list(self._refused):
            try:
                self._segments[kind].renew()
            except StateError as error:
                self._refused[kind] = error.line
            else:
                del self._refused[kind]
        since = self._syncing_since
        behind = 0.0 if since is None else time.monotonic() - since
        if self._refused:
            return LogState("; ".join(self._refused.values()), behind, PREDICTIONS in self._refused)
        full = looked_at(self._folder)
        return LogState(full, behind, bool(full))

    def close(self) -> None:
        """Syncs and closes."""
        self._closing = True
        self._wake.set()
        self._thread.join()
        for segment in self._segments.values():
            segment.close()

    def append(self, kind: str, records: Sequence[Struct]) -> None:
        """Writes records of one of the `kinds` in one system call. Raises `StateError`."""
        if not records:
            return
        if self._trouble is not None:
            trouble, self._trouble = self._trouble, None
            raise trouble
        encode = self._encode
        data = frame(encode(records[0])) if len(records) == 1 else b"".join([frame(encode(one)) for one in records])
        try:
            self._segments[kind].append(data)
        except StateError as error:
            self._refused[kind] = error.line
            raise

    def _sync_forever(self) -> None:
        while not self._closing:
            self._wake.wait(self._wait_seconds)
            self._wake.clear()
            self._sync_once()
        self._sync_once()

    def _sync_once(self) -> None:
        with self._lock:
            waiters, self._waiters = self._waiters, []
        failure = None
        self._syncing_since = time.monotonic()
        try:
            for segment in self._segments.values():
                segment.sync()
        except OSError as error:
            failure = StateError(f"the log is not on the disk: fsync failed ({error.strerror}); check the disk")
            self._failed = (time.monotonic(), failure)
            self._trouble = None if waiters else failure
        self._syncing_since = None
        if self._failed is not None and time.monotonic() - self._failed[0] < SUSPECT_SECONDS:
            failure = self._failed[1]
        for waiter in waiters:
            with suppress(RuntimeError):  # its event loop is closed: nobody waits any more
                waiter.get_loop().call_soon_threadsafe(_settle, waiter, failure)


def _settle(waiter: asyncio.Future[None], failure: StateError | None) -> None:
    if waiter.done():
        return
    if failure is None:
        waiter.set_result(None)
    else:
        waiter.set_exception(failure)
