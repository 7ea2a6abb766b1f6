"""Follows the segments of all workers.

A torn end is left: its writer may still be at work, or died there. A frame whose bytes do not match its checksum is
skipped and named in `damage`, with the rest of its file when no good frame follows; the other files are read on,
because one bad sector must not blind the watch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Generic, TypeVar
from zlib import crc32

import msgspec
from msgspec import Struct

from fairlead.adapters.segment_frame import HEAD, LONGEST, MAGIC, OUTCOMES, PREDICTIONS, SegmentName, parse_name
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.errors import StateError

CHUNK = 2**20
REMEMBERED = 100_000
SETTLED_SECONDS = 2.0  # a folder's time stamp may be this coarse: look again while it is young

T = TypeVar("T", Prediction, OutcomeRecord)


class Damage(Struct, frozen=True):
    """Bytes that were skipped: the file, where they begin, and why."""

    file: str
    offset: int
    reason: str


class SegmentReader:
    """Reads every record once. A retried request that was answered twice by one version is one record."""

    def __init__(self, folder: Path, positions: Mapping[str, int] | None = None) -> None:
        """`positions`: where an earlier reader stopped, from its `positions()`; empty reads from the start."""
        self.damage: list[Damage] = []
        before = positions or {}
        self._predictions = _Follower(folder / PREDICTIONS, PREDICTIONS, Prediction, before, self.damage)
        self._outcomes = _Follower(folder / OUTCOMES, OUTCOMES, OutcomeRecord, before, self.damage)
        self._recent = _Recent(REMEMBERED)
        self.repeats = 0

    def poll(self, limit: int = 10_000) -> tuple[list[Prediction], list[OutcomeRecord]]:
        """What was added since the last call, at most `limit` of each, the oldest start of a worker first.

        Raises `StateError` when a segment cannot be read.
        """
        fresh = []
        for record in self._predictions.read(limit):
            if record.status < 500 and self._recent.seen((record.request_id, record.model_version, record.arm)):
                self.repeats += 1
            else:
                fresh.append(record)
        return fresh, self._outcomes.read(limit)

    def positions(self) -> dict[str, int]:
        """The offset reached in each file, for a later reader to go on from."""
        return {**self._predictions.positions(), **self._outcomes.positions()}


class _Recent:
    """Remembers the last `size` to 2 x `size` keys, by hash: a retry comes within seconds of the first attempt."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._new: set[int] = set()
        self._old: set[int] = set()

    def seen(self, key: tuple[object, ...]) -> bool:
        """Whether the key came before; remembers it."""
        mark = hash(key)
        if mark in self._new or mark in self._old:
            return True
        self._new.add(mark)
        if len(self._new) >= self._size:
            self._old, self._new = self._new, set()
        return False


class _Follower(Generic[T]):
    """The segments of one kind, each with the offset reached."""

    def __init__(
        self, folder: Path, kind: str, record: type[T], positions: Mapping[str, int], damage: list[Damage]
    ) -> None:
        self._folder = folder
        self._kind = kind
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(record)
        self._before = positions
        self._damage = damage
        self._offsets: dict[SegmentName, int] = {}
        self._done: set[SegmentName] = set()  # read to the end, and a later file of the same start exists
        self._seen_folder = -1

    def read(self, limit: int) -> list[T]:
        """New records, oldest file first."""
        self._find_files()
        records: list[T] = []
        for name in list(self._offsets):
            if name in self._done:
                continue
            self._read_file(name, records, limit)
            if len(records) >= limit:
                break
        return records

    def positions(self) -> dict[str, int]:
        """File (relative to the log) -> offset."""
        return {f"{self._kind}/{name}": offset for name, offset in self._offsets.items()}

    def _find_files(self) -> None:
        """Lists the folder only when its time stamp moved, or is so young that it may hide a later change."""
        try:
            changed = self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed == self._seen_folder:
            return
        try:
            names = sorted(name for entry in os.scandir(self._folder) if (name := parse_name(entry.name)) is not None)
        except OSError as error:
            raise StateError(f"the log folder {self._folder} cannot be listed ({error.strerror})") from error
        known = self._offsets
        self._offsets = {name: known.get(name, self._before.get(f"{self._kind}/{name}", 0)) for name in names}
        self._seen_folder = changed if time.time() - changed * 1e-9 > SETTLED_SECONDS else -1

    def _read_file(self, name: SegmentName, records: list[T], limit: int) -> None:
        path, offset = self._folder / str(name), self._offsets[name]
        try:
            size = path.stat().st_size
            if size > offset:
                with path.open("rb", buffering=0) as file:
                    offset = self._read_frames(file.fileno(), name, size, records, limit)
                self._offsets[name] = offset
        except OSError as error:
            raise StateError(f"the segment {path} cannot be read ({error.strerror})") from error
        successor = name._replace(sequence=name.sequence + 1)
        if successor in self._offsets and offset >= size:
            self._done.add(name)

    def _read_frames(self, fd: int, name: SegmentName, size: int, records: list[T], limit: int) -> int:
        offset = self._offsets[name] or len(MAGIC)
        if self._offsets[name] == 0:
            magic = os.pread(fd, len(MAGIC), 0)
            if len(magic) < len(MAGIC):
                return 0
            if magic != MAGIC:
                self._note(name, 0, "it is no segment of this format")
                return size
        for start, payload in _frames(fd, offset, size):
            if payload is None:
                return self._skip(fd, name, start, size)
            offset = start + HEAD.size + len(payload)
            self._decode(payload, name, start, records)
            if len(records) >= limit:
                break
        return offset

    def _skip(self, fd: int, name: SegmentName, start: int, size: int) -> int:
        """Past a damaged frame to the next good one, else to the end. A damaged last frame is a torn end: left."""
        length, _ = HEAD.unpack(os.pread(fd, HEAD.size, start))
        after = start + HEAD.size + length
        if after == size:
            return start
        following = next(_frames(fd, after, size), None) if length <= LONGEST else None
        self._note(name, start, "the frame does not match its checksum")
        return after if following is not None and following[1] is not None else size

    def _decode(self, payload: bytes, name: SegmentName, start: int, records: list[T]) -> None:
        try:
            records.append(self._decoder.decode(payload))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._note(name, start, f"the record cannot be read: {error}")

    def _note(self, name: SegmentName, offset: int, reason: str) -> None:
        self._damage.append(Damage(f"{self._kind}/{name}", offset, reason))


def _frames(fd: int, offset: int, size: int) -> Iterator[tuple[int, bytes | None]]:
    """Where each complete frame begins, and its payload; None for one that is damaged, which ends the walk."""
    buffer, base = b"", offset
    while offset + HEAD.size <= size:
        if offset + HEAD.size > base + len(buffer):
            buffer, base = os.pread(fd, CHUNK, offset), offset
        if len(buffer) - (offset - base) < HEAD.size:
            return  # cut since its size was read
        length, checksum = HEAD.unpack_from(buffer, offset - base)
        end = offset + HEAD.size + length
        if end > size and length <= LONGEST:
            return
        if end > base + len(buffer) and length <= LONGEST:
            buffer, base = os.pread(fd, max(CHUNK, end - offset), offset), offset
        payload = buffer[offset - base + HEAD.size : end - base]
        if not length or length > LONGEST or crc32(payload) != checksum:
            yield offset, None
            return
        yield offset, payload
        offset = end
