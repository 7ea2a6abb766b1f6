"""A condition and its cells mean the same rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.slices.conditions import Condition, coded

NUMBERS = st.lists(st.one_of(st.floats(-5, 5), st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf])), max_size=40)


@given(NUMBERS, NUMBERS)
def test_cells_of_numbers_are_what_their_conditions_say(one: list[float], two: list[float]) -> None:
    """Every interval, and missing: the rows with a member code are those that meet the condition; none is all or no
    row."""
    before, after = NumericColumn("x", np.array(one, float)), NumericColumn("x", np.array(two, float))
    found = coded(before, after)
    both = NumericColumn("x", np.concatenate([before.values, after.values]))
    if found is None:
        assert np.unique(both.values[~np.isnan(both.values)]).size <= 1
        return
    for condition, cells in zip(found.conditions, found.members, strict=True):
        rows = cells.astype(bool)[found.codes]
        assert np.array_equal(rows, condition.holds(both))
        assert rows.any()


@given(st.lists(st.integers(-1, 19), max_size=60), st.lists(st.integers(-1, 19), max_size=60))
def test_cells_of_categories_are_what_their_conditions_say(one: list[int], two: list[int]) -> None:
    """The lists of the two sides may be ordered differently; the 15 most frequent have a condition."""
    names = tuple(f"n{i}" for i in range(20))
    before = CategoricalColumn("c", np.array(one, np.int32), names)
    after = CategoricalColumn("c", np.array(two, np.int32), names[::-1])
    found = coded(before, after)
    if found is None:
        return
    assert sum(condition.category is not None for condition in found.conditions) <= 15
    for condition, cells in zip(found.conditions, found.members, strict=True):
        rows = cells.astype(bool)[found.codes]
        assert np.array_equal(rows, np.concatenate([condition.holds(before), condition.holds(after)]))


def test_a_condition_reads_as_people_write_it() -> None:
    """Bounds, categories and missing."""
    assert Condition("x", low=1.5).text == "x > 1.5"
    assert Condition("x", high=2e6).text == "x <= 2e+06"
    assert Condition("x", low=0.0, high=1.0).text == "0 < x <= 1"
    assert Condition("x", missing=True).text == "x is missing"


def test_a_column_without_a_choice_offers_nothing() -> None:
    """Constant or empty columns tell no slices apart; two kinds are refused."""
    assert coded(NumericColumn("x", np.ones(5)), NumericColumn("x", np.ones(5))) is None
    flat = CategoricalColumn("c", np.zeros(5, np.int32), ("a",))
    assert coded(flat, flat) is None
    with pytest.raises(ValueError, match="numbers on one side"):
        coded(NumericColumn("c", np.ones(5)), flat)
