"""Profiles that were made apart, on one grid."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.drift import Level, compare
from fairlead.stats.grid import CATEGORIES
from fairlead.stats.profile import CategoryProfile, NumericProfile, TableProfile, profile_column
from fairlead.stats.regrid import on_one_grid

usual = st.one_of(st.integers(-50, 50).map(float), st.floats(-1e6, 1e6))
numbers = st.lists(st.one_of(usual, st.just(float("nan")), st.just(float("inf")), st.just(-float("inf"))), max_size=60)
words = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), max_size=40)


def column(values: list[float]) -> NumericColumn:
    return NumericColumn("x", np.array(values, np.float64))


def text(values: list[str]) -> CategoricalColumn:
    names = tuple(sorted(set(values)))
    place = {name: code for code, name in enumerate(names)}
    return CategoricalColumn("x", np.array([place[value] for value in values], np.int32), names)


@given(numbers, numbers)
def test_few_values_move_as_if_their_rows_had_been_counted_there(one: list[float], two: list[float]) -> None:
    """Atoms stand where they stood: the cells are those of the rows profiled on the other's grid, sums included."""
    reference, current = profile_column(column(one)), profile_column(column(two))
    _, moved = on_one_grid(reference, current)
    direct = profile_column(column(two), reference.grid)
    assert isinstance(moved, NumericProfile)
    assert isinstance(direct, NumericProfile)
    assert np.array_equal(moved.table, direct.table)
    assert (moved.nulls, moved.minimum, moved.maximum) == (direct.nulls, direct.minimum, direct.maximum)
    assert (moved.low_infinite, moved.high_infinite) == (direct.low_infinite, direct.high_infinite)
    assert moved.place_variance >= 0


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.1, 30), st.floats(-50, 50))
def test_many_values_move_by_less_than_their_largest_cell(seed: int, spread: float, shift: float) -> None:
    """The share below any cut of the other grid is off by no more than the largest share of one cell."""
    rng = np.random.default_rng(seed)
    one, two = rng.normal(0, 1, 1_500), rng.gamma(2, spread, 2_500) + shift
    reference, current = profile_column(NumericColumn("x", one)), profile_column(NumericColumn("x", two))
    _, moved = on_one_grid(reference, current)
    direct = profile_column(NumericColumn("x", two), reference.grid)
    assert isinstance(moved, NumericProfile)
    assert isinstance(direct, NumericProfile)
    assert isinstance(current, NumericProfile)
    gap = np.abs(np.cumsum(moved.counts) - np.cumsum(direct.counts)).max()
    assert moved.present == direct.present == 2_500
    assert gap <= current.counts.max() <= 5
    assert np.isclose(moved.mean, direct.mean)
    assert np.isclose(moved.deviation, direct.deviation)


@given(words, words)
def test_categories_move_by_name(one: list[str], two: list[str]) -> None:
    """The same profile as that of the rows on the other's grid."""
    reference, current = profile_column(text(one)), profile_column(text(two))
    assert on_one_grid(reference, current)[1] == profile_column(text(two), reference.grid)


def test_an_open_vocabulary_is_compared_in_its_buckets() -> None:
    """From either side: nothing is lost, and the same names are no drift."""
    many = [f"n{number}" for number in range(CATEGORIES + 1)]
    open_one, few = profile_column(text(many)), profile_column(text(many[:50]))
    for one, two in ((open_one, few), (few, open_one)):
        left, right = on_one_grid(one, two)
        assert isinstance(left, CategoryProfile)
        assert isinstance(right, CategoryProfile)
        assert left.grid == right.grid
        assert (left.present, right.present) == (one.rows, two.rows)
    both = on_one_grid(open_one, profile_column(text([*many, "new"])))
    (found,) = compare(TableProfile(1, (both[0],)), TableProfile(1, (both[1],)))
    assert found.level is Level.NONE


def test_two_kinds_stay_apart_and_one_grid_is_left_alone() -> None:
    """Numbers and words cannot share a grid; what shares one is returned as it is."""
    number, word = profile_column(column([1.0, 2.0])), profile_column(text(["a"]))
    assert on_one_grid(number, word) == (number, word)
    again = profile_column(column([2.0]), number.grid)
    assert on_one_grid(number, again)[1] is again


def test_two_halves_profiled_apart_are_seldom_told_apart() -> None:
    """At a false discovery rate of 1 %, rows of one law on two grids drift in no run of 60: the move adds no harm."""
    rng = np.random.default_rng(5)
    flagged = 0
    for _ in range(60):
        one, two = (profile_column(NumericColumn("x", rng.lognormal(0, 1, 3_000))) for _ in range(2))
        left, right = on_one_grid(one, two)
        (found,) = compare(TableProfile(3_000, (left,)), TableProfile(3_000, (right,)))
        flagged += found.level is not Level.NONE
    assert flagged == 0


def test_a_shift_is_seen_as_on_the_rows_themselves() -> None:
    """PSI, KS and Wasserstein of moved profiles are those of the rows, to a hundredth."""
    rng = np.random.default_rng(6)
    one, two = rng.normal(0, 1, 4_000), rng.normal(0.4, 1.2, 4_000)
    reference, current = profile_column(NumericColumn("x", one)), profile_column(NumericColumn("x", two))
    left, moved = on_one_grid(reference, current)
    direct = profile_column(NumericColumn("x", two), reference.grid)
    (a,) = compare(TableProfile(4_000, (left,)), TableProfile(4_000, (moved,)))
    (b,) = compare(TableProfile(4_000, (reference,)), TableProfile(4_000, (direct,)))
    assert a.level is Level.CRITICAL
    for name in ("psi", "ks", "wasserstein"):
        assert abs(a.distance(name).value - b.distance(name).value) < 0.01
