"""Slots: any window is a sum of them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.slot import Cut, Slot, lasting, parted, segment_name
from fairlead.errors import TableError
from fairlead.stats.condensed import TableSums

NONE = TableSums(0, ())


@given(st.floats(0, 1e9), st.sampled_from([60.0, 900.0, 3_600.0, 86_400.0]), st.floats(1.0, 1e6), st.floats(0, 0.999))
def test_an_instant_lies_in_its_slot(start: float, seconds: float, length: float, where: float) -> None:
    """Slots are no longer than they are to be, and lie within the window that is cut."""
    end = start + length
    at = min(start + where * length, end)
    if not start <= at < end:
        return
    low, high = Cut(seconds, start, end).edges(at)
    assert start <= low <= at < high <= end
    assert high - low <= seconds


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 4), st.sampled_from(["", "a=b"])), max_size=12))
def test_what_lasts_never_overlaps_and_the_last_is_in_it(spans: list[tuple[int, int, str]]) -> None:
    """Whatever was written in whatever order, no row is counted twice."""
    slots = [Slot("m", 1, float(at), float(at + long), NONE, segment) for at, long, segment in spans]
    kept = lasting(slots)
    for segment in ("", "a=b"):
        mine = [one for one in kept if one.segment == segment]
        assert all(one.ends_at <= two.starts_at for one, two in pairwise(mine))
    assert not slots or slots[-1] in kept
    assert lasting(kept) == kept


def test_rows_that_came_later_are_those_beyond_what_was_judged() -> None:
    """None where no window was judged, or where rows were taken away."""
    slot = Slot("m", 1, 0.0, 1.0, TableSums(5, ()), judged=3)
    assert slot.late == 2
    assert Slot("m", 1, 0.0, 1.0, TableSums(5, ())).late == 0
    assert Slot("m", 1, 0.0, 1.0, TableSums(5, ()), judged=9).late == 0


def test_a_segment_is_a_column_and_a_value() -> None:
    """The value is any text, also one with the sign in it."""
    assert parted(segment_name("region", "a=b")) == ("region", "a=b")
    for text in ("", "region", "=north"):
        with pytest.raises(TableError, match="no segment"):
            parted(text)
