"""What callers tell beside predictions and outcomes: business events, and spans of their own traces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from fairlead.core.record import EventRecord, SpanRecord


class FactLog(Protocol):
    """What a gateway worker writes. A returned call has written its records: a killed process loses none of them."""

    def add_events(self, records: Sequence[EventRecord]) -> None:
        """Writes business events in one system call. Raises `StateError`."""
        ...

    def add_spans(self, records: Sequence[SpanRecord]) -> None:
        """Writes spans in one system call. Raises `StateError`."""
        ...

    async def durable(self) -> None:
        """Returns once everything written before is on the disk. Raises `StateError`."""
        ...

    def close(self) -> None:
        """Syncs and closes."""
        ...


class FactReader(Protocol):
    """What all workers wrote, the oldest start of a worker first; from the beginning at each call, save for `poll`."""

    def events(self) -> Iterator[EventRecord]:
        """Business events, each identity once. Raises `StateError`."""
        ...

    def poll(self, limit: int = 10_000) -> list[EventRecord]:
        """The business events that were added since the last call, at most `limit`; one that was sent twice may come
        twice, under one identity. What cannot be read is passed over, and tried again."""
        ...

    def spans(self) -> Iterator[SpanRecord]:
        """Spans, each once: a batch that was sent again is the same spans. Raises `StateError`."""
        ...
