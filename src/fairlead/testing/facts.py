"""Business events and spans in memory, and what every log of them keeps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from fairlead.core.record import EventRecord, SpanRecord, event_id_of
from fairlead.errors import StateError
from fairlead.ports.facts import FactLog, FactReader


class MemoryFacts:
    """A writer and its reader in one. `full` makes every write fail as a full disk does."""

    def __init__(self) -> None:
        """Starts empty."""
        self.kept_events: list[EventRecord] = []
        self.kept_spans: list[SpanRecord] = []
        self._polled = 0
        self.synced = 0
        self.full = False

    def add_events(self, records: Sequence[EventRecord]) -> None:
        """Keeps events. Raises `StateError` when `full`."""
        self._check()
        self.kept_events += records

    def add_spans(self, records: Sequence[SpanRecord]) -> None:
        """Keeps spans. Raises `StateError` when `full`."""
        self._check()
        self.kept_spans += records

    def events(self) -> Iterator[EventRecord]:
        """Each identity once."""
        return iter({(event.model_name, event.event_id): event for event in reversed(self.kept_events)}.values())

    def poll(self, limit: int = 10_000) -> list[EventRecord]:
        """Those that were kept since the last call."""
        found = self.kept_events[self._polled : self._polled + limit]
        self._polled += len(found)
        return found

    def spans(self) -> Iterator[SpanRecord]:
        """Each span once."""
        return iter({(span.trace_id, span.span_id): span for span in reversed(self.kept_spans)}.values())

    async def durable(self) -> None:
        """Counts the call."""
        self.synced += 1

    def close(self) -> None:
        """Does nothing."""

    def _check(self) -> None:
        if self.full:
            raise StateError("the facts in memory are full: set `full` to False")


def make_event(unit: str, **changes: object) -> EventRecord:
    """A plausible event, for tests."""
    identity = event_id_of("hotel", unit, "complained", 1, 1_700_000_000.0)
    plain = EventRecord(identity, "hotel", unit, "complained", 1, 1_700_000_000.0, 1_700_000_060.0)
    return msgspec.structs.replace(plain, **changes)


def make_span(number: int, **changes: object) -> SpanRecord:
    """A plausible span, for tests."""
    plain = SpanRecord("ab" * 16, f"{number:016x}", "", "chat", "assistant", 1_700_000_000.0, 1_700_000_001.5, 1.7e9)
    return msgspec.structs.replace(plain, **changes)


async def check_facts(open_log: Callable[[], FactLog], open_reader: Callable[[], FactReader]) -> None:
    """What every log of facts keeps: records come back equal in every field, each identity once, to every reader."""
    assert list(open_reader().events()) == [], "a new log is empty"
    log = open_log()
    first, second = make_event("u1"), make_event("ü2", value="a text", event_id="theirs")
    log.add_events([first, second])
    log.add_events([msgspec.structs.replace(first, received_at=1_700_000_999.0)])
    spans = [make_span(1), make_span(2, attributes={"tokens": 7, "nested": [1.5, None]}, dropped=3)]
    log.add_spans(spans)
    log.add_spans(spans[:1])
    await log.durable()
    _check_poll(log, open_reader())
    for reader in (open_reader(), open_reader()):
        events = [event for event in reader.events() if event.unit_id != "u3"]
        assert sorted(events, key=lambda event: event.unit_id) == [first, second], (
            "the same fact twice is one fact, as it came first"
        )
        assert sorted(reader.spans(), key=lambda span: span.span_id) == spans, "a span that is sent again is one span"
    log.close()


def _check_poll(log: FactLog, reader: FactReader) -> None:
    """A cursor: what is there, then only what is added, no more at once than was asked for."""
    found = reader.poll(1)
    assert len(found) == 1, "no more than the limit at once"
    while more := reader.poll(1):
        found += more
    assert {event.unit_id for event in found} == {"u1", "ü2"}, "every event is polled"
    third = make_event("u3", event_id="a third")
    log.add_events([third])
    assert reader.poll() == [third], "what was added since, and nothing twice"
    assert reader.poll() == [], "nothing was added"
