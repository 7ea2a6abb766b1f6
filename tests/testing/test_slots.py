"""The store of slots in memory, and the check that every store passes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from fairlead.core.slot import Slot
from fairlead.errors import StateError
from fairlead.testing.slots import MemorySlots, check_slots, make_slot


def test_the_memory_keeps_what_every_store_keeps() -> None:
    """The fake passes the check of the adapters."""
    store = MemorySlots()
    check_slots(store, lambda: store)


def test_one_that_counts_twice_is_told() -> None:
    """The check finds what it is there for."""

    class Doubling(MemorySlots):
        def read(self, model: str, version: int, segment: str, starts_at: float, ends_at: float) -> tuple[Slot, ...]:
            mine = [one for one in self.slots if (one.model, one.version, one.segment) == (model, version, segment)]
            return tuple(sorted((one for one in mine if starts_at <= one.starts_at < ends_at), key=lambda one: one.key))

    store = Doubling()
    with pytest.raises(AssertionError, match="takes its place"):
        check_slots(store, lambda: store)


def test_a_broken_one_refuses_to_write() -> None:
    """As a disk does that is full."""
    store = MemorySlots()
    store.broken = True
    with pytest.raises(StateError, match="cannot be kept"):
        store.put([make_slot()])

    def same(before: Sequence[Slot]) -> Sequence[Slot]:
        return before

    with pytest.raises(StateError, match="cannot be kept"):
        store.replace("hotel", 1, (0.0, 1.0), same)
