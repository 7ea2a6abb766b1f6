"""What the segments say of requests that streams have answered, by this process in an earlier life or by others.

Only ids and places are held, of the newest `WINDOW` records (about 20 MB); a record is read from its segment when it is
asked for. A segment that was pruned is forgotten: what it held counts as never answered.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct

from fairlead.adapters.segment_frame import PREDICTIONS, SegmentName, parse_name
from fairlead.adapters.segment_scan import Scan
from fairlead.adapters.stream_seat import SEATS
from fairlead.core.record import Prediction
from fairlead.errors import StateError

WINDOW = 100_000


class Known(Struct):
    """What is read of a record to know it."""

    request_id: str
    model_name: str
    model_version: int
    arm: str
    shadow_of: int | None = None


class _Place(NamedTuple):
    segment: SegmentName
    start: int


class AnsweredLog:
    """The records of streams' segments that `counts` says yes to. This process's own are left out: it knows them."""

    def __init__(self, folder: Path, counts: Callable[[Known], bool], window: int = WINDOW) -> None:
        """`folder` is that of the log."""
        self._folder = folder / PREDICTIONS
        self._counts = counts
        self._window = window
        self._since_ns = time.time_ns()
        self._decode = msgspec.json.Decoder(Known).decode
        self._whole = msgspec.json.Decoder(Prediction).decode
        self._offsets: dict[SegmentName, int] = {}
        self._places: dict[str, _Place] = {}
        self._is_new = True

    def catch_up(self) -> None:
        """Reads what was added. The first time from the newest segments back, until the window is full. Raises
        `StateError`."""
        try:
            if self._is_new:
                self._begin()
            else:
                for name in self._names():
                    self._keep(self._read(name))
        except OSError as error:
            raise StateError(f"the log in {self._folder} cannot be read ({error.strerror}): check the disk") from error
        self._is_new = False

    def find(self, request_id: str) -> Prediction | None:
        """The record of a request."""
        place = self._places.get(request_id)
        if place is None:
            return None
        try:
            payload = next((held for _, held in Scan(self._folder / str(place.segment), place.start).records()), None)
            record = self._whole(payload) if payload is not None else None
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            record = None
        return record if record is not None and record.request_id == request_id else None

    def _begin(self) -> None:
        found: list[list[tuple[str, _Place]]] = []
        size = 0
        for name in reversed(self._names()):
            if size < self._window:
                found.append(self._read(name))
                size += len(found[-1])
            else:
                self._offsets[name] = self._size(name)
        for part in reversed(found):
            self._keep(part)

    def _names(self) -> list[SegmentName]:
        try:
            with os.scandir(self._folder) as entries:
                names = [name for entry in entries if (name := parse_name(entry.name)) is not None]
        except FileNotFoundError:
            return []
        return sorted(name for name in names if name.worker in SEATS and not self._is_own(name))

    def _is_own(self, name: SegmentName) -> bool:
        return name.pid == os.getpid() and name.started_ns >= self._since_ns

    def _read(self, name: SegmentName) -> list[tuple[str, _Place]]:
        """The new records of one segment, and how far it was read."""
        offset = self._offsets.get(name, 0)
        if self._size(name) <= offset:
            return []
        scan = Scan(self._folder / str(name), offset)
        found = []
        for start, payload in scan.records():
            known = self._known(payload)
            if known is not None and known.shadow_of is None and self._counts(known):
                found.append((known.request_id, _Place(name, start)))
        self._offsets[name] = scan.offset
        return found

    def _known(self, payload: bytes) -> Known | None:
        try:
            return self._decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _keep(self, found: list[tuple[str, _Place]]) -> None:
        self._places.update(found)
        for _ in range(len(self._places) - self._window):
            del self._places[next(iter(self._places))]

    def _size(self, name: SegmentName) -> int:
        try:
            return (self._folder / str(name)).stat().st_size
        except FileNotFoundError:
            return 0
