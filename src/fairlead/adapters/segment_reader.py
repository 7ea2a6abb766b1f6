"""Follows the segments of all workers.

A torn end is left: its writer may still be at work, or died there. A frame whose bytes do not match its checksum is
skipped and named in `damage`, with the rest of its file when no good frame follows. A file that cannot be read is named
there too and tried again at each poll, from where it was left. The other files are read on, because one bad sector must
not blind the watch. Nothing is raised once a record has been taken, so none is lost on the way.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct

from fairlead.adapters.segment_frame import EVENTS, HEAD, MAGIC, OUTCOMES, PREDICTIONS, TRACES, SegmentName, parse_name
from fairlead.adapters.segment_scan import frames, is_erased, past_damage
from fairlead.core.record import EventRecord, OutcomeRecord, Prediction, SpanRecord
from fairlead.errors import StateError

_LOG = logging.getLogger("fairlead.log")
REMEMBERED = 100_000
SETTLED_SECONDS = 2.0  # a folder's time stamp may be this coarse: look again while it is young

T = TypeVar("T", Prediction, OutcomeRecord, EventRecord, SpanRecord)


class Damage(Struct, frozen=True):
    """Bytes that were skipped: the file, where they begin, and why."""

    file: str
    offset: int
    reason: str


class SegmentReader:
    """Reads every record once. A unit's request that was retried and answered twice by one version is one record."""

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

        Raises `StateError` when the folder of the predictions cannot be listed and none of its files is known yet.
        """
        unlisted = self._predictions.find_files()
        if unlisted and not self._predictions.positions():
            raise StateError(unlisted)
        self._outcomes.find_files()  # what cannot be listed is noted: rollouts need no outcomes
        return self.without_repeats(self._predictions.read(limit)), self._outcomes.read(limit)

    def without_repeats(self, records: Iterable[Prediction]) -> list[Prediction]:
        """The records that are no retry of one seen before, which they become."""
        fresh = []
        for record in records:
            if record.status < 500 and self._recent.seen(_key(record)):
                self.repeats += 1
            else:
                fresh.append(record)
        return fresh

    def positions(self) -> dict[str, int]:
        """The offset reached in each file, for a later reader to go on from."""
        return {**self._predictions.positions(), **self._outcomes.positions()}


class PredictionTail:
    """The predictions that are added to the segments of those writers that `counts` says yes to."""

    def __init__(self, folder: Path, ends: Mapping[str, int], counts: Callable[[SegmentName], bool]) -> None:
        """`folder` is that of the log; `ends`: the sizes from which on its files are read, as in `positions()`. One
        that was taken in the midst of a write may cut a record in two, which is passed over as damage is."""
        self._damage: list[Damage] = []
        self._follower = _Follower(folder / PREDICTIONS, PREDICTIONS, Prediction, ends, self._damage, counts)

    def poll(self, limit: int) -> list[Prediction]:
        """What was added since the last call, about `limit` at most. What cannot be read is noted, and waits."""
        self._follower.find_files()
        self._damage.clear()
        return self._follower.read(limit)


class EventTail:
    """The business events that all workers add, from the beginning on."""

    def __init__(self, folder: Path) -> None:
        """`folder` is that of the log, and need not exist yet."""
        self.damage: list[Damage] = []
        self._follower = _Follower(folder / EVENTS, EVENTS, EventRecord, {}, self.damage)

    def poll(self, limit: int) -> list[EventRecord]:
        """What was added since the last call, at most `limit`; one that was sent twice comes twice. What cannot be read
        is noted, and waits."""
        self._follower.find_files()
        return self._follower.read(limit)


class SpanTail:
    """The spans of applications' own traces that all workers add, from the beginning on, each once as far as the last
    ones tell: a batch that is sent again comes soon."""

    def __init__(self, folder: Path) -> None:
        """`folder` is that of the log, and need not exist yet."""
        self.damage: list[Damage] = []
        self._follower = _Follower(folder / TRACES, TRACES, SpanRecord, {}, self.damage)
        self._recent = _Recent(REMEMBERED)

    def poll(self, limit: int) -> list[SpanRecord]:
        """What was added since the last call, at most `limit`. What cannot be read is noted, and waits."""
        self._follower.find_files()
        found = self._follower.read(limit)
        return [span for span in found if not self._recent.seen((span.trace_id, span.span_id))]


def _key(record: Prediction) -> tuple[object, ...]:
    """What a retry has in common with the first attempt. A caller may number its requests per model, or per unit."""
    return record.request_id, record.model_name, record.model_version, record.arm, record.unit_id


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
        self,
        folder: Path,
        kind: str,
        record: type[T],
        positions: Mapping[str, int],
        damage: list[Damage],
        counts: Callable[[SegmentName], bool] = lambda _: True,
    ) -> None:
        self._folder = folder
        self._kind = kind
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(record)
        self._before = positions
        self._damage = damage
        self._counts = counts
        self._offsets: dict[SegmentName, int] = {}
        self._done: set[SegmentName] = set()  # read to the end, and a later file of the same start exists
        self._seen_folder = -1
        self._failing: set[str] = set()  # what could not be read at the last try

    def read(self, limit: int) -> list[T]:
        """New records of the files that are known, oldest first. A file that cannot be read waits for the next call."""
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

    def find_files(self) -> str:
        """Lists the folder only when its time stamp moved, or is so young that it may hide a later change.

        Returns why it cannot be listed, nothing when it can; the files that are known can be read on all the same.
        """
        try:
            changed = self._folder.stat().st_mtime_ns
            if changed == self._seen_folder:
                return ""
            with os.scandir(self._folder) as entries:
                found = [name for entry in entries if (name := parse_name(entry.name)) is not None]
        except FileNotFoundError:
            return ""
        except OSError as error:
            self._note_failure("", 0, f"the folder cannot be listed ({error.strerror})")
            return f"the log folder {self._folder} cannot be listed ({error.strerror})"
        names = sorted(name for name in found if self._counts(name))
        known = self._offsets
        self._offsets = {name: known.get(name, self._before.get(f"{self._kind}/{name}", 0)) for name in names}
        self._failing.discard("")
        self._seen_folder = changed if time.time() - changed * 1e-9 > SETTLED_SECONDS else -1
        return ""

    def _read_file(self, name: SegmentName, records: list[T], limit: int) -> None:
        path = self._folder / str(name)
        try:
            size = path.stat().st_size
            if size > self._offsets[name]:
                with path.open("rb", buffering=0) as file:
                    while self._read_frames(file.fileno(), name, size, records, limit):
                        pass
        except OSError as error:
            self._note_failure(str(name), self._offsets[name], f"the segment cannot be read ({error.strerror})")
            return
        self._failing.discard(str(name))
        successor = name._replace(sequence=name.sequence + 1)
        if successor in self._offsets and self._offsets[name] >= size:
            self._done.add(name)

    def _read_frames(self, fd: int, name: SegmentName, size: int, records: list[T], limit: int) -> bool:
        """Reads on to the end, a damaged frame or the limit; true after damage that leaves more to read. The offset
        moves with each record: what was taken is never taken again, whatever fails later."""
        if self._offsets[name] == 0:
            magic = os.pread(fd, len(MAGIC), 0)
            if len(magic) < len(MAGIC):
                return False
            if magic != MAGIC:
                self._note(name, 0, "it is no segment of this format")
            self._offsets[name] = len(MAGIC) if magic == MAGIC else size
        for start, payload in frames(fd, self._offsets[name], size):
            if payload is None:
                self._offsets[name] = self._skip(fd, name, start, size)
                return start < self._offsets[name] < size
            self._offsets[name] = start + HEAD.size + len(payload)
            self._decode(payload, name, start, records)
            if len(records) >= limit:
                break
        return False

    def _skip(self, fd: int, name: SegmentName, start: int, size: int) -> int:
        after = past_damage(fd, start, size)
        if after != start:
            self._note(name, start, "the frame does not match its checksum")
        return after

    def _decode(self, payload: bytes, name: SegmentName, start: int, records: list[T]) -> None:
        if is_erased(payload):
            return
        try:
            records.append(self._decoder.decode(payload))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self._note(name, start, f"the record cannot be read: {error}")

    def _note_failure(self, name: str, offset: int, reason: str) -> None:
        """Notes what could not be read, once until it can be."""
        if name not in self._failing:
            self._failing.add(name)
            self._note(name, offset, reason)

    def _note(self, name: SegmentName | str, offset: int, reason: str) -> None:
        self._damage.append(Damage(f"{self._kind}/{name}", offset, reason))
        _LOG.warning("%s/%s at byte %d: %s", self._kind, name, offset, reason)
