"""Business events and spans in segments of their own, beside those of predictions and outcomes.

The files and the thread that syncs them are there from the first record on: a gateway that nobody tells anything has
neither.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from fairlead.adapters.segment_frame import EVENTS, TRACES
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_reader import EventTail
from fairlead.adapters.segment_scan import Scan
from fairlead.adapters.segment_store import SegmentStore
from fairlead.core.record import EventRecord, SpanRecord
from fairlead.errors import StateError

T = TypeVar("T", bound=Struct)


class SegmentFacts:
    """Writes under `folder/events` and `folder/traces`. One event loop writes."""

    def __init__(self, folder: Path, worker: int) -> None:
        self._folder, self._worker = folder, worker
        self._log: SegmentLog | None = None

    def add_events(self, records: Sequence[EventRecord]) -> None:
        """Writes business events in one system call. Raises `StateError`."""
        self._opened().append(EVENTS, records)

    def add_spans(self, records: Sequence[SpanRecord]) -> None:
        """Writes spans in one system call. Raises `StateError`."""
        self._opened().append(TRACES, records)

    async def durable(self) -> None:
        """Returns when everything written before is on the disk. Raises `StateError` when the disk refuses."""
        if self._log is not None:
            await self._log.durable()

    def close(self) -> None:
        """Syncs and closes."""
        if self._log is not None:
            self._log.close()

    def _opened(self) -> SegmentLog:
        if self._log is None:
            self._log = SegmentLog(self._folder, self._worker, kinds=(EVENTS, TRACES))
        return self._log


class SegmentFactReader:
    """Reads what the segments hold now. `damaged` counts what was passed over. Identities are kept in memory while an
    iterator runs: some 200 bytes a record."""

    def __init__(self, folder: Path) -> None:
        """`folder` need not exist yet."""
        self._store = SegmentStore(folder)
        self._folder = folder
        self._tail = EventTail(folder)
        self.damaged = 0

    def events(self) -> Iterator[EventRecord]:
        """Business events, each identity once: the first that was written. Raises `StateError`."""
        seen: set[Hashable] = set()
        for event in self._read(EVENTS, EventRecord):
            if (identity := (event.model_name, event.event_id)) not in seen:
                seen.add(identity)
                yield event

    def poll(self, limit: int = 10_000) -> list[EventRecord]:
        """Business events that were added since the last call, at most `limit`."""
        return self._tail.poll(limit)

    def spans(self) -> Iterator[SpanRecord]:
        """Spans, each once. Raises `StateError`."""
        seen: set[Hashable] = set()
        for span in self._read(TRACES, SpanRecord):
            if (identity := (span.trace_id, span.span_id)) not in seen:
                seen.add(identity)
                yield span

    def _read(self, kind: str, record: type[T]) -> Iterator[T]:
        decoder = msgspec.json.Decoder(record)
        for payload in self._payloads(kind):
            try:
                found = decoder.decode(payload)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self.damaged += 1
            else:
                yield found

    def _payloads(self, kind: str) -> Iterator[bytes]:
        for name in self._store.names(kind):
            path = self._folder / kind / str(name)
            scan = Scan(path, 0)
            try:
                for _, payload in scan.records():
                    yield payload
            except FileNotFoundError:  # removed since it was listed
                continue
            except OSError as error:
                raise StateError(f"the segment {path} cannot be read ({error.strerror}): check the disk") from error
            self.damaged += scan.damaged
