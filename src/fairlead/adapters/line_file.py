"""Lines to a file of bounded size, or to standard output, without ever making the one who writes wait.

A line goes into a bounded queue; a thread writes blocks. What a full queue or a disk that refuses cannot take is
dropped and counted: log lines are for people, and no request waits for them. (The prediction log is another matter:
`segment_log`.)
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from pathlib import Path

QUEUE_BYTES = 4 * 2**20
BLOCK_BYTES = 2**17
EVERY_SECONDS = 0.2  # a block is gathered for this long
RETRY_SECONDS = 1.0  # after a disk has refused
QUEUE_FULL, WRITE_FAILED = "queue_full", "write_failed"
STDOUT = 1


class LineFile:
    """Appends to `path`, which is put aside as `path.1`, `path.2`, … when it is full, `files` in all; without a path,
    to standard output. `dropped` counts lines by why they went."""

    def __init__(
        self,
        path: Path | None,
        *,
        file_bytes: int = 16 * 2**20,
        files: int = 5,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        self._path = path
        self._file_bytes, self._files, self._queue_bytes = file_bytes, files, queue_bytes
        self.dropped = {QUEUE_FULL: 0, WRITE_FAILED: 0}
        self._lines: deque[bytes] = deque()
        self._waiting = 0  # bytes
        self._lock = threading.Lock()  # held for a few instructions by either side
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._fd = -1
        self._size = 0
        self._is_torn = False  # the last write left a part of a line
        self._refused_at = float("-inf")
        self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
        self._thread.start()

    def put(self, line: bytes) -> None:
        """Takes a line, without its end. It never waits for the disk."""
        size = len(line) + 1
        with self._lock:
            if self._waiting + size > self._queue_bytes:
                self.dropped[QUEUE_FULL] += 1
                return
            self._lines.append(line)
            self._waiting += size
        if not self._wake.is_set():
            self._wake.set()

    def close(self, seconds: float = 2.0) -> None:
        """Writes what waits, for `seconds` at most, and ends."""
        self._closing.set()
        self._wake.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._closing.wait(EVERY_SECONDS)
            self._wake.clear()
            self._write_all()
        self._write_all()
        self._leave()

    def _write_all(self) -> None:
        while block := self._next_block():
            if not self._write(block):
                with self._lock:
                    self.dropped[WRITE_FAILED] += len(block)

    def _next_block(self) -> list[bytes]:
        block: list[bytes] = []
        size = 0
        with self._lock:
            while self._lines and size < BLOCK_BYTES:
                block.append(self._lines.popleft())
                size += len(block[-1]) + 1
            self._waiting -= size
        return block

    def _write(self, block: list[bytes]) -> bool:
        """One block. A disk that has just refused is not asked again at once."""
        if time.monotonic() - self._refused_at < RETRY_SECONDS and not self._closing.is_set():
            return False
        data = b"\n".join(block) + b"\n"
        try:
            self._prepare(len(data))
            data = b"\n" + data if self._is_torn else data
            written = 0
            while written < len(data):
                written += os.write(self._fd, data[written:])
                self._is_torn = written < len(data)
        except OSError:
            self._refused_at = time.monotonic()
            self._leave()
            return False
        self._size += len(data)
        return True

    def _prepare(self, size: int) -> None:
        """Opens the file: anew when it was put aside, by us because it is full or by anybody. Raises `OSError`."""
        if self._path is None:
            self._fd = STDOUT
            return
        if self._fd >= 0 and self._size and self._size + size > self._file_bytes:
            self._leave()
            self._put_aside(self._path)
        elif self._fd >= 0 and not self._is_ours(self._path):
            self._leave()
        if self._fd < 0:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
            self._size = os.fstat(self._fd).st_size
            if self._size and self._size + size > self._file_bytes:
                self._prepare(size)

    def _is_ours(self, path: Path) -> bool:
        try:
            return path.stat().st_ino == os.fstat(self._fd).st_ino
        except FileNotFoundError:
            return False

    def _put_aside(self, path: Path) -> None:
        for number in range(self._files - 1, 0, -1):
            older = path.with_name(f"{path.name}.{number}")
            newer = path.with_name(f"{path.name}.{number - 1}") if number > 1 else path
            if newer.exists():
                newer.replace(older)
        if self._files == 1:
            path.unlink(missing_ok=True)

    def _leave(self) -> None:
        if self._fd >= 0 and self._path is not None:
            os.close(self._fd)
        self._fd = -1
