"""Rows that were seen before, and features that tell the target."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.leakage import copies, remembered, row_hashes, single_score, sketch, twins


def numbers(*values: float, name: str = "a") -> NumericColumn:
    """A column."""
    return NumericColumn(name, np.array(values, np.float64))


def texts(*values: str | None, name: str = "b") -> CategoricalColumn:
    """A column."""
    kinds = tuple(sorted({value for value in values if value is not None}))
    codes = [-1 if value is None else kinds.index(value) for value in values]
    return CategoricalColumn(name, np.array(codes, np.int32), kinds)


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.5, nan]), st.sampled_from(["x", "y", None])), max_size=30))
def test_equal_rows_have_equal_hashes_and_others_do_not(rows: list[tuple[float, str | None]]) -> None:
    """Whatever the order of the columns; a null is a value of its own."""
    one = numbers(*(row[0] for row in rows))
    two = texts(*(row[1] for row in rows))
    found = row_hashes([one, two])
    assert found.tolist() == row_hashes([two, one]).tolist()
    keys = [("null" if isnan(row[0]) else row[0], row[1]) for row in rows]
    for place, key in enumerate(keys):
        assert [bool(each) for each in found == found[place]] == [other == key for other in keys]


def test_a_row_is_the_same_in_another_table() -> None:
    """Whatever else that table's categories are; but not the same value in another column."""
    one = row_hashes([texts("x", "z")])
    assert row_hashes([texts("a", "z", "x")])[[2, 1]].tolist() == one.tolist()
    assert row_hashes([texts("x", name="c")])[0] != one[0]
    assert row_hashes([numbers(-0.0)]) == row_hashes([numbers(0.0)])
    assert row_hashes([]).size == 0


def test_twins_are_counted_within_and_across() -> None:
    """Both of two equal rows, and those that the other table holds."""
    own = np.array([3, 4, 4, 5], np.uint64)
    assert twins(own).tolist() == [False, True, True, False]
    assert twins(own, np.array([5, 9], np.uint64)).tolist() == [False, False, False, True]


def test_a_sketch_remembers_a_share_of_the_rows_exactly() -> None:
    """Of those it can tell of, all of the table's own are known, and none of another's."""
    hashes = row_hashes([numbers(*range(5000))])
    known = sketch(("a",), hashes, 200)
    asked, held = remembered(known, hashes)
    assert asked == held == 200
    asked, held = remembered(known, row_hashes([numbers(*range(5000, 10_000))]))
    assert held == 0
    assert 120 < asked < 300
    assert remembered(sketch(("a",), hashes[:50], 200), hashes) == (5000, 50)


def test_a_feature_that_is_the_target_is_found() -> None:
    """Exactly, under other names for its values, with noise, or nulled where the target is 1."""
    rng = np.random.default_rng(1)
    truth = (rng.random(2000) < 0.1).astype(np.float64)
    leak = truth + rng.normal(0, 0.1, 2000)
    assert single_score(numbers(*leak), truth, classes=2) > 0.98
    assert single_score(texts(*(None if one else "x" for one in truth)), truth, classes=2) == 1.0
    assert copies([texts(*("yes" if one else "no" for one in truth)), numbers(*leak, name="c")], truth) == ("b",)
    assert single_score(numbers(*(truth * 2 + 7)), truth * 3, classes=0) == pytest.approx(1.0, abs=0.01)


def test_a_feature_that_tells_nothing_scores_a_half() -> None:
    """Noise, an identifier with a value for each row, and a target that does not vary."""
    rng = np.random.default_rng(2)
    truth = (rng.random(2000) < 0.3).astype(np.float64)
    assert single_score(numbers(*rng.normal(size=2000)), truth, classes=2) < 0.56
    assert single_score(texts(*(f"row-{number}" for number in range(2000))), truth, classes=2) == 0.5
    assert isnan(single_score(numbers(*rng.normal(size=20)), np.zeros(20), classes=2))
    assert isnan(single_score(numbers(*rng.normal(size=20)), np.zeros(20), classes=0))
    assert single_score(numbers(*rng.normal(size=2000)), rng.normal(size=2000), classes=0) < 0.05


def test_the_best_told_of_several_classes_counts() -> None:
    """A feature that tells one class of three is found."""
    truth = np.arange(900.0) % 3
    column = numbers(*(truth == 1))
    assert single_score(column, truth, classes=3) == 1.0


def test_no_copy_without_a_value_in_each_row() -> None:
    """A null, a constant, an empty table, and a column of more values than the target are none."""
    truth = np.array([0.0, 1.0, 0.0, 1.0])
    wrong: list[Column] = [numbers(0, 1, nan, 1), numbers(5, 5, 5, 5), texts("x", "y", "x", None), numbers(0, 1, 2, 1)]
    assert copies(wrong, truth) == ()
    assert copies([numbers()], np.zeros(0)) == ()
