"""The segments as a whole: what waits to be moved into the table, and what may go once it is there.

A source is one start of one worker. Its files are read in order, and how far it was read is one number that only
grows: the file's sequence in the high bits, the offset in the low 40.

A segment's end is final once its worker has opened the next file, or has been followed by another start: what is torn
there then is passed over and counted. Whole frames of a file that is still written to are taken as they come: they
never change.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Container
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from fairlead.adapters.segment_frame import EVENTS, OUTCOMES, PREDICTIONS, TRACES, SegmentName, parse_name
from fairlead.adapters.segment_scan import Scan, erase
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.errors import StateError
from fairlead.ports.log import Batch, Pruned

_BITS = 40
KINDS = (PREDICTIONS, OUTCOMES, EVENTS, TRACES)
_Record = TypeVar("_Record")


def source_of(name: SegmentName) -> str:
    """The start of a worker that a segment belongs to."""
    return f"w{name.worker:03d}-{name.started_ns:020d}-{name.pid}"


def place(sequence: int, offset: int) -> int:
    """How far a source was read, as one number."""
    return sequence << _BITS | offset


def offset_in(name: SegmentName, reached: int, size: int) -> int:
    """How far this file was read, in bytes; `size` when it was read to its end."""
    sequence = reached >> _BITS
    if sequence != name.sequence:
        return size if sequence > name.sequence else 0
    return reached & ((1 << _BITS) - 1)


class _Unit(msgspec.Struct):
    unit_id: str
    request_id: str


class _AnyUnit(msgspec.Struct):
    unit_id: str


class _Request(msgspec.Struct):
    request_id: str


class _Received(msgspec.Struct):
    received_at: float


class _Gathered:
    """A batch while it is being read."""

    def __init__(self, kind: str, limit: int) -> None:
        self.kind, self.limit = kind, limit
        self.decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
            Prediction if kind == PREDICTIONS else OutcomeRecord
        )
        self.segments: list[str] = []
        self.offsets: list[int] = []
        self.records: list[Any] = []
        self.reached: dict[str, int] = {}
        self.damaged = 0
        self.unread: list[str] = []

    @property
    def full(self) -> bool:
        return len(self.records) >= self.limit

    def take(self, name: str, start: int, payload: bytes) -> None:
        try:
            self.records.append(self.decoder.decode(payload))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self.damaged += 1
            return
        self.segments.append(name)
        self.offsets.append(start)

    def batch(self) -> Batch:
        records = tuple(self.records)
        segments, offsets, unread = tuple(self.segments), tuple(self.offsets), tuple(self.unread)
        return Batch(self.kind, segments, offsets, records, self.reached, self.damaged, unread)


class SegmentStore:
    """The folder that the workers write to. Nothing here takes a lock: the compactor's caller holds one."""

    def __init__(self, folder: Path) -> None:
        """`folder` need not exist yet."""
        self._folder = folder

    def names(self, kind: str) -> list[SegmentName]:
        """The segments of one kind, the oldest start first. Raises `StateError`."""
        try:
            with os.scandir(self._folder / kind) as entries:
                return sorted(name for entry in entries if (name := parse_name(entry.name)) is not None)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StateError(
                f"the log folder {self._folder / kind} cannot be listed ({error.strerror}): check its permissions"
            ) from error

    def read(self, kind: str, reached: Callable[[str], int], limit: int) -> Batch:
        """At most about `limit` records beyond what was reached. A file that cannot be read holds its own source up,
        and no other. Raises `StateError`."""
        gathered = _Gathered(kind, limit)
        names = self.names(kind)
        final = {name for name, after in pairwise(names) if source_of(name) == source_of(after)}
        stuck: set[str] = set()
        for name in names:
            source = source_of(name)
            if gathered.full:
                break
            if source not in stuck and not self._read_one(name, gathered, reached(source), name in final):
                stuck.add(source)
        return gathered.batch()

    def waiting(self, kind: str, reached: Callable[[str], int]) -> int:
        """Bytes beyond what was reached. Raises `StateError`."""
        total = 0
        for name in self.names(kind):
            size = self._size(kind, name)
            total += max(0, size - offset_in(name, reached(source_of(name)), size))
        return total

    def prune(self, kind: str, reached: Callable[[str], int], before: float) -> Pruned:
        """Removes what was read to the end, is not the newest of its worker, and was last written before an instant.
        Raises `StateError`."""
        names = self.names(kind)
        newest = {name.worker: name for name in names}
        files = size = 0
        for name in names:
            path = self._folder / kind / str(name)
            try:
                seen = path.stat()
                if name == newest[name.worker] or seen.st_mtime >= before:
                    continue
                if self._is_done(path, name, reached(source_of(name)), seen.st_size):
                    path.unlink(missing_ok=True)
                    files, size = files + 1, size + seen.st_size
            except FileNotFoundError:
                continue
            except OSError as error:
                raise StateError(f"the segment {path} cannot be removed ({error.strerror})") from error
        return Pruned(files, size)

    def count(self, kind: str) -> int:
        """Records of a kind, read through; those that were written twice count twice. Raises `StateError`."""
        return sum(len(self._records(kind, name)) for name in self.names(kind))

    def drop(self, kind: str, before: float) -> Pruned:
        """Removes segments of a kind that no table takes, last written before an instant. Raises `StateError`."""
        return self.prune(kind, lambda _: place(2**20, 0), before)

    def requests_of(self, unit: str) -> set[str]:
        """The request ids of a unit's predictions. Raises `StateError`."""
        decoder, found = msgspec.json.Decoder(_Unit), set()
        needle = msgspec.json.encode(unit)
        for name in self.names(PREDICTIONS):
            for _, payload in self._records(PREDICTIONS, name):
                record = _decoded(decoder, payload) if needle in payload else None
                if record is not None and record.unit_id == unit:
                    found.add(record.request_id)
        return found

    def erase(self, units: Container[str], requests: Container[str]) -> tuple[int, int]:
        """Overwrites the outcomes of requests, then the predictions of units; first, and not counted, what units did
        (`events`). Raises `StateError`."""
        by_request, by_unit = msgspec.json.Decoder(_Request), msgspec.json.Decoder(_Unit)
        by_any = msgspec.json.Decoder(_AnyUnit)

        def of_any_unit(payload: bytes) -> bool:
            record = _decoded(by_any, payload)
            return record is not None and record.unit_id in units

        def of_request(payload: bytes) -> bool:
            record = _decoded(by_request, payload)
            return record is not None and record.request_id in requests

        def of_unit(payload: bytes) -> bool:
            record = _decoded(by_unit, payload)
            return record is not None and record.unit_id in units

        self._erase(EVENTS, of_any_unit)
        outcomes = self._erase(OUTCOMES, of_request)
        return self._erase(PREDICTIONS, of_unit), outcomes

    def expire(self, before: float) -> int:
        """Overwrites what was received before an instant. A file that does not begin before it is passed over: records
        stand in the order of their arrival, give or take the time of an answer. Raises `StateError`."""
        decoder = msgspec.json.Decoder(_Received)

        def is_old(payload: bytes) -> bool:
            record = _decoded(decoder, payload)
            return record is not None and record.received_at < before

        return sum(self._erase(kind, is_old, only_if_first=True) for kind in KINDS)

    def _erase(self, kind: str, doomed: Callable[[bytes], bool], *, only_if_first: bool = False) -> int:
        count = 0
        for name in self.names(kind):
            path = self._folder / kind / str(name)
            try:
                first = next(Scan(path, 0).records(), None) if only_if_first else None
                if not only_if_first or (first is not None and doomed(first[1])):
                    count += erase(path, doomed)
            except OSError as error:
                raise StateError(f"records in {path} cannot be overwritten ({error.strerror})") from error
        return count

    def _records(self, kind: str, name: SegmentName) -> list[tuple[int, bytes]]:
        path = self._folder / kind / str(name)
        try:
            return list(Scan(path, 0).records())
        except OSError as error:
            raise StateError(f"the segment {path} cannot be read ({error.strerror})") from error

    def _read_one(self, name: SegmentName, gathered: _Gathered, reached: int, final: bool) -> bool:
        """Reads on in one file; false when it could not be read. A torn end is passed over once it is final."""
        source = source_of(name)
        if reached >> _BITS > name.sequence:
            return True
        file = str(name)
        scan = Scan(self._folder / gathered.kind / file, offset_in(name, reached, 0))
        try:
            for start, payload in scan.records():
                gathered.take(file, start, payload)
                if gathered.full:
                    break
        except OSError:
            gathered.unread.append(f"{gathered.kind}/{file}")
            return False
        gathered.damaged += scan.damaged
        after = place(name.sequence, scan.offset)
        if final and not gathered.full:
            gathered.damaged += scan.offset < scan.size
            after = place(name.sequence + 1, 0)
        if after > reached:
            gathered.reached[source] = after
        return True

    def _is_done(self, path: Path, name: SegmentName, reached: int, size: int) -> bool:
        """Whether the table has all of a file that nobody writes to any more. What is torn at its end is nobody's."""
        offset = offset_in(name, reached, size)
        if offset >= size:
            return True
        scan = Scan(path, offset)
        return not any(True for _ in scan.records()) and not scan.damaged

    def _size(self, kind: str, name: SegmentName) -> int:
        try:
            return (self._folder / kind / str(name)).stat().st_size
        except OSError:
            return 0


def _decoded(decoder: msgspec.json.Decoder[_Record], payload: bytes) -> _Record | None:
    """A record, None for one that cannot be read."""
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
