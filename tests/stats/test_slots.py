from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.errors import TableError
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.profile import build_grid, profile_column
from fairlead.stats.slots import profile_slots

ROWS = 5_000
RNG = np.random.default_rng(0)
NUMBERS = NumericColumn("x", np.where(RNG.random(ROWS) < 0.1, np.nan, RNG.standard_t(2, ROWS)))
WORDS = CategoricalColumn("x", RNG.integers(-1, 5, ROWS).astype(np.int32), ("a", "b", "new", "a", "newer"))
KNOWN = CategoricalColumn("x", np.array([0, 1, 1], dtype=np.int32), ("b", "a"))


def part(column: Column, start: int, end: int) -> Column:
    if isinstance(column, NumericColumn):
        return NumericColumn("x", column.values[start:end])
    return CategoricalColumn("x", column.codes[start:end], column.categories)


@pytest.mark.parametrize(("column", "reference"), [(NUMBERS, NUMBERS), (WORDS, KNOWN)])
@given(st.lists(st.integers(0, ROWS), min_size=2, max_size=8))
@settings(max_examples=30, deadline=None)
def test_a_slot_is_the_profile_of_its_rows(column: Column, reference: Column, places: list[int]) -> None:
    """However the rows are cut, empty slots among them, to the last bit."""
    grid, edges = build_grid(reference), np.array(sorted(places))
    found = profile_slots(column, grid, edges)
    for slot, (start, end) in enumerate(pairwise(edges)):
        assert found[slot] == profile_column(part(column, start, end), grid)


def test_another_kind_is_refused_unless_all_is_null() -> None:
    """Text where the reference holds numbers has no cells; nulls have no kind."""
    with pytest.raises(TableError, match="column 'x' is of another kind than its reference"):
        profile_slots(WORDS, build_grid(NUMBERS), np.array([0, ROWS]))
    void = NumericColumn("x", np.full(4, np.nan))
    assert [one.nulls for one in profile_slots(void, build_grid(KNOWN), np.array([0, 1, 4]))] == [1, 3]
