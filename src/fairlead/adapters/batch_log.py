"""A part's predictions in the prediction log, each once, however often the part is begun again.

A part writes segments of its own, which its number names. Its records come in the same order each time, so the whole
frames of those segments are what an earlier attempt has written already, and as many records are left out. Segments
that were pruned between two attempts cannot be counted: their records are then written twice, as of a request that was
retried.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO
from zlib import crc32

import msgspec

from fairlead.adapters.folder_sync import sync_folder
from fairlead.adapters.segment_frame import HEAD, LONGEST, MAGIC, PREDICTIONS, SegmentName, frame, parse_name
from fairlead.adapters.segment_log import SEGMENT_BYTES
from fairlead.core.record import Prediction
from fairlead.errors import StateError

WORKER = 9998  # the worker that all batches' segments name: no gateway has so many
_WRITTEN = 1_000  # records of one write: at most this many are torn by a kill


class BatchLog:
    """Writes one part's predictions. Close it: what it holds is on the disk then."""

    def __init__(self, folder: Path, number: int, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """`folder` is that of the log; `number` is this part's alone, in nanoseconds since 1970 as segments have it."""
        self._folder, self._number, self._limit = folder / PREDICTIONS, number, segment_bytes
        self._written = logged(folder, number)
        self._sequence = 0
        self._file: BinaryIO | None = None
        self._encode = msgspec.json.Encoder().encode

    def predictions(self, records: Sequence[Prediction]) -> None:
        """Writes those of the records that are not there yet. Raises `StateError`."""
        fresh = records[self._written :]
        self._written = max(0, self._written - len(records))
        for start in range(0, len(fresh), _WRITTEN):
            self._append(b"".join([frame(self._encode(one)) for one in fresh[start : start + _WRITTEN]]))

    def close(self) -> None:
        """Syncs and closes. Raises `StateError`."""
        if self._file is None:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StateError(f"the log is not on the disk: fsync failed ({error.strerror}); check the disk") from error
        finally:
            self._file.close()
            self._file = None

    def _append(self, data: bytes) -> None:
        try:
            if self._file is not None and self._file.tell() + len(data) > self._limit:
                self.close()
            if self._file is None:
                self._file = self._opened()
            written = self._file.write(data)
        except OSError as error:
            # A torn end is no whole frame: nobody reads it, and the next attempt writes a segment of its own.
            raise StateError(f"the log in {self._folder} cannot be written ({error.strerror}): free space") from error
        if written != len(data):
            raise StateError(f"the log in {self._folder} took {written} of {len(data)} bytes: the disk is full")

    def _opened(self) -> BinaryIO:
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            name = str(SegmentName(self._number, WORKER, os.getpid(), self._sequence))
            self._sequence += 1
            try:
                fd = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
            except FileExistsError:  # an earlier attempt of this very process
                continue
            file = os.fdopen(fd, "wb", buffering=0)
            file.write(MAGIC)
            sync_folder(self._folder)
            return file


def logged(folder: Path, number: int) -> int:
    """How many whole records a part's segments hold."""
    return sum(_frames(path) for path in (folder / PREDICTIONS).glob(f"w{WORKER:03d}-*.seg") if _is_of(path, number))


def _is_of(path: Path, number: int) -> bool:
    name = parse_name(path.name)
    return name is not None and name.started_ns == number


def _frames(path: Path) -> int:
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return 0
        found = 0
        while _whole(file):
            found += 1
        return found


def _whole(file: BinaryIO) -> bool:
    head = file.read(HEAD.size)
    if len(head) < HEAD.size:
        return False
    length, check = HEAD.unpack(head)
    payload = file.read(length) if length <= LONGEST else b""
    return bool(len(payload) == length and crc32(payload) == check)
