"""Slots made again from the log: what they hold depends on its rows alone."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from tests.flows.watching.test_slots import GRIDS, REFERENCE, add, count

from fairlead.core.slot import Slot
from fairlead.core.window import DAY, MONDAY, WindowPlan
from fairlead.errors import StateError
from fairlead.flows.backfill import Answers, Filling, fill, merged
from fairlead.flows.watching.slots import SlotPlan, counter_of, values_of
from fairlead.stats.condensed import added, condensed
from fairlead.testing.slots import MemorySlots

HOUR = 3_600.0
SPAN = (MONDAY, MONDAY + DAY)


def filling(window: float | None = HOUR, seconds: float = HOUR) -> Filling:
    """Slots with a segment."""
    return Filling("hotel", "b", REFERENCE, WindowPlan(window), seconds, values_of(GRIDS, ["kind"]))


def answers(places: Sequence[int]) -> Answers:
    """Rows of a day by their number: each always the same."""
    at = [MONDAY + place * 977.0 % DAY for place in places]
    raws = [Raw(msgspec.json.encode({"x": place % 7 - 3.0, "kind": "ab"[place % 2]})) for place in places]
    return Answers(np.array(at), np.array([place % 10 / 10 for place in places]), raws)


def watched(store: MemorySlots, places: Sequence[int], window: float = HOUR) -> None:
    """What the watch wrote of these rows."""
    rows = answers(places)
    for start in np.unique((rows.at - MONDAY) // window):
        edges = (MONDAY + start * window, MONDAY + (start + 1) * window)
        inside = np.flatnonzero((rows.at >= edges[0]) & (rows.at < edges[1]))
        counter = counter_of(REFERENCE, edges, SlotPlan(HOUR, ("kind",), 2))
        add(counter, [rows.features[one] for one in inside.tolist()], rows.at[inside], rows.score[inside])
        store.put(list(counter.slots("hotel", "b")))


def held(store: MemorySlots) -> dict[object, Slot]:
    """All slots by their keys, without what was judged."""
    return {slot.key: msgspec.structs.replace(slot, judged=None) for slot in store.slots}


@settings(deadline=None, max_examples=12)
@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=40, unique=True),
    st.sampled_from([600.0, HOUR, 6 * HOUR, DAY]),
    st.randoms(use_true_random=False),
    st.integers(0, 40),
)
def test_late_rows_change_nothing_but_what_they_add(
    places: list[int], window: float, order: object, early: int
) -> None:
    """Whatever the watch had seen, in whatever order and however often rows come: after a back-fill the store holds
    what the watch would have written of all of them, and says how many came later."""
    store, straight = MemorySlots(), MemorySlots()
    watched(store, places[:early], window)
    watched(straight, places, window)
    judged = {slot.key for slot in store.slots}
    mixed = list(places)
    order.shuffle(mixed)  # type: ignore[attr-defined]
    for _ in range(2):
        found = fill(store, filling(window), answers(mixed), SPAN)
        assert held(store) == held(straight)
        assert found.rows == len(places)
        assert found.stayed == 0
        late = sum(slot.rows for slot in straight.slots if slot.key in judged and not slot.segment)
        assert found.late == late - min(early, len(places))
    assert added((slot.sums for slot in store.slots if not slot.segment), GRIDS.grids) == condensed(
        count(list(answers(places).features), answers(places).score)
    )


def test_what_the_log_has_forgotten_stays() -> None:
    """A slot of more rows than the log still holds is left with its segments; `shrink` takes the log's word."""
    store = MemorySlots()
    watched(store, range(0, 200, 2))
    before = list(store.slots)
    found = fill(store, filling(), answers([0, 2]), SPAN)
    assert sorted(store.slots, key=lambda slot: slot.key) == sorted(before, key=lambda slot: slot.key)
    assert found.stayed == len([slot for slot in before if not slot.segment])
    found = fill(store, filling(), answers([0, 2]), SPAN, shrink=True)
    assert (found.rows, found.stayed) == (2, 0)
    assert fill(store, filling(), answers([]), SPAN, shrink=True).slots == 0
    assert store.slots == []


def test_slots_that_were_cut_otherwise_are_replaced_as_one() -> None:
    """An hour in four parts is one slot after a back-fill with windows of an hour, and nothing is counted twice."""
    store = MemorySlots()
    watched(store, range(200), 900.0)
    found = fill(store, filling(HOUR), answers(range(200)), SPAN)
    assert (found.slots, found.rows, found.stayed) == (24, 200, 0)
    assert sum(slot.rows for slot in store.read("hotel", 1, "", *SPAN)) == 200


def test_a_store_that_refuses_is_left_as_it_was() -> None:
    """And it is said."""
    store = MemorySlots()
    watched(store, range(20))
    before, store.broken = list(store.slots), True
    with pytest.raises(StateError):
        fill(store, filling(), answers(range(40)), SPAN)
    assert store.slots == before


def test_nothing_and_nothing_is_nothing() -> None:
    """A day without rows or slots stays empty."""
    assert merged((), ()) == ((), 0)
