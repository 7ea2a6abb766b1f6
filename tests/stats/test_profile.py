from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.errors import TableError
from fairlead.stats import profile as profile_module
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.grid import BUCKETS
from fairlead.stats.profile import (
    CategoryProfile,
    NumericProfile,
    TableProfile,
    build_grid,
    empty_profile,
    profile,
    profile_column,
)

REFERENCE = NumericColumn("x", np.random.default_rng(0).normal(size=2_000))
GRID = build_grid(REFERENCE)
NAMES = ("a", "b", "c", "d")
CATEGORY_GRID = build_grid(CategoricalColumn("x", np.array([0, 1, 1], dtype=np.int32), NAMES))

floats = st.lists(st.floats(-5, 5) | st.sampled_from([np.nan, np.inf, -np.inf, 0.0]), max_size=30)
codes = st.lists(st.integers(-1, 3), max_size=30)


def numbers(values: list[float]) -> NumericProfile:
    found = profile_column(NumericColumn("x", np.array(values, dtype=np.float64)), GRID)
    assert isinstance(found, NumericProfile)
    return found


def categories(values: list[int]) -> CategoryProfile:
    found = profile_column(CategoricalColumn("x", np.array(values, dtype=np.int32), NAMES), CATEGORY_GRID)
    assert isinstance(found, CategoryProfile)
    return found


@given(floats, floats)
def test_adding_numbers_is_profiling_both(one: list[float], two: list[float]) -> None:
    """The profile of a union is the sum of the profiles, to the last bit."""
    assert numbers(one) + numbers(two) == numbers(one + two)


@given(floats, floats, floats)
def test_adding_numbers_is_associative_and_commutative(one: list[float], two: list[float], three: list[float]) -> None:
    """The order in which slots are merged does not matter to the last bit, and an empty slot changes nothing."""
    a, b, c = numbers(one), numbers(two), numbers(three)
    assert (a + b) + c == a + (b + c)
    assert a + b == b + a
    zero = empty_profile(GRID)
    assert isinstance(zero, NumericProfile)
    assert a + zero == a


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=40), st.integers(0, 40))
def test_merging_is_exact_whatever_the_numbers(values: list[float], cut: int) -> None:
    """From the smallest to the largest float, and however a batch is cut in two."""
    assert numbers(values[:cut]) + numbers(values[cut:]) == numbers(values)


@given(codes, codes, codes)
def test_adding_categories_is_exact(one: list[int], two: list[int], three: list[int]) -> None:
    """Categories merge exactly, seen or unseen."""
    a, b, c = categories(one), categories(two), categories(three)
    assert (a + b) + c == a + (b + c) == categories(one + two + three)
    assert a + b == b + a


@given(codes, codes, codes)
def test_giving_names_up_does_not_depend_on_the_order(one: list[int], two: list[int], three: list[int]) -> None:
    """With room for one unseen name only, every order of merging ends in the same buckets or the same name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profile_module, "CATEGORIES", 1)
        a, b, c = categories(one), categories(two), categories(three)
        assert (a + b) + c == a + (b + c) == (c + a) + b == categories(one + two + three)


def test_counts_are_those_of_a_direct_count() -> None:
    """Each cell holds the rows between its cuts, and the sum of their values."""
    values = np.random.default_rng(1).normal(size=5_000) * 1.5
    found = numbers(values.tolist())
    cells = np.searchsorted(np.asarray(found.grid.cuts), values, side="left")
    assert np.array_equal(np.bincount(cells, minlength=len(found.counts)), found.counts)
    assert np.allclose(
        np.bincount(cells, weights=values, minlength=len(found.counts)), found.sums, rtol=1e-9, atol=1e-9
    )
    assert found.mean == pytest.approx(values.mean(), rel=1e-9)
    assert found.m2 == pytest.approx(((values - values.mean()) ** 2).sum(), rel=1e-9)
    assert found.deviation == pytest.approx(values.std(), rel=1e-9)


def test_infinities_are_counted_outside_and_left_out_of_the_moments() -> None:
    """An infinity is a value beyond every cut; nulls are neither."""
    found = numbers([np.inf, np.inf, -np.inf, 1.0, np.nan])
    assert (found.counts[-1], found.counts[0], found.nulls) == (2, 1, 1)
    assert (found.low_infinite, found.high_infinite, found.finite, found.present, found.rows) == (1, 2, 1, 4, 5)
    assert found.mean == pytest.approx(1.0)
    assert (found.minimum, found.maximum) == (1.0, 1.0)


def test_unseen_categories_keep_their_names() -> None:
    """What the reference does not list is counted by name."""
    found = categories([0, 2, 3, 3, -1])
    assert (found.counts, found.unseen, found.nulls) == ((0, 1), {"c": 1, "d": 2}, 1)
    assert (found.unlisted, found.present, found.rows) == (3, 4, 5)


def test_a_flood_of_unseen_names_is_counted_in_buckets() -> None:
    """Above 10,000 unseen names a profile stays small and loses no row."""
    size = 10_050
    names = tuple(f"new-{i}" for i in range(size))
    found = profile_column(CategoricalColumn("x", np.arange(size, dtype=np.int32), names), CATEGORY_GRID)
    assert isinstance(found, CategoryProfile)
    assert found.unseen == {}
    assert (len(found.buckets), found.unlisted) == (BUCKETS, size)
    assert (found + categories([0, 3])).unlisted == size + 1


def test_a_profile_survives_json() -> None:
    """What is written into a bundle is read back equal, cut for cut."""
    rng = np.random.default_rng(2)
    table = profile(
        [
            NumericColumn("n", np.append(rng.lognormal(size=3_000), [np.nan, np.inf, 0.0])),
            NumericColumn("huge", np.array([-1.7e308, 1.7e308, 5e-324] * 1_001)),
            NumericColumn("void", np.full(3_003, np.nan)),
            CategoricalColumn("c", rng.integers(-1, 4, 3_003).astype(np.int32), NAMES),
        ]
    )
    assert msgspec.json.decode(msgspec.json.encode(table), type=TableProfile) == table
    assert table.names == ("n", "huge", "void", "c")


def test_tables_add_up_column_by_column() -> None:
    """A table's profile is a sum of slots."""
    reference = profile([REFERENCE])
    total = reference + profile([REFERENCE], reference.grids) + profile([REFERENCE], reference.grids)
    assert total.rows == 6_000
    assert total.columns[0].present == 6_000


def test_a_missing_column_and_another_kind_are_refused_by_name() -> None:
    """A batch that lacks a column, or holds text where the reference holds numbers, is an error that names it."""
    words = CategoricalColumn("x", np.zeros(2, dtype=np.int32), NAMES)
    with pytest.raises(TableError, match="column 'x' is missing"):
        profile([NumericColumn("y", np.zeros(2))], [GRID])
    with pytest.raises(TableError, match="column 'x' holds categories, its reference holds numbers"):
        profile([words], [GRID])
    with pytest.raises(TableError, match="column 'x' holds numbers, its reference holds categories"):
        profile([REFERENCE], [CATEGORY_GRID])


def test_nulls_have_no_kind() -> None:
    """A column of nothing but nulls fits any grid."""
    found = profile_column(NumericColumn("x", np.full(3, np.nan)), CATEGORY_GRID)
    assert (found.present, found.nulls) == (0, 3)


def test_different_grids_do_not_add_up() -> None:
    """Counts in different cells have no sum."""
    other = profile_column(NumericColumn("x", np.arange(9.0)))
    assert isinstance(other, NumericProfile)
    with pytest.raises(TableError, match="different grids"):
        numbers([1.0]) + other
    with pytest.raises(TableError, match="different columns"):
        profile([REFERENCE]) + profile([NumericColumn("y", np.zeros(2))])
    one = TableProfile(1, (numbers([1.0]),))
    with pytest.raises(TableError, match="numbers and categories"):
        one + TableProfile(1, (categories([1]),))
