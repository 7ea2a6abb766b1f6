"""Symptoms of broken pipelines, told from two profiles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.performance import Floats
from fairlead.stats.profile import ColumnProfile, profile
from fairlead.stats.symptoms import symptom_of

PRICES = np.random.default_rng(0).gamma(4.0, 25.0, 2_000)
GRID = profile([NumericColumn("price", PRICES)])


def price(values: Floats) -> ColumnProfile:
    """A profile on the grid of prices."""
    return profile([NumericColumn("price", values)], GRID.grids).columns[0]


def words(counts: dict[str, int]) -> CategoricalColumn:
    """A column of so many rows of each word."""
    return CategoricalColumn("word", np.repeat(np.arange(len(counts)), list(counts.values())).astype(np.int32),
                             tuple(counts))  # fmt: skip


BEFORE, NOW = price(PRICES[:1_000]), PRICES[1_000:]


@pytest.mark.parametrize(
    ("values", "symptom"),
    [
        (NOW, ""),
        (NOW * 100, "x100"),
        (NOW / 1_000, "/1,000"),
        (np.where(np.arange(1_000) % 2, NOW, np.nan), "null"),
        (np.full(1_000, np.nan), "missing"),
        (np.full(1_000, NOW[0]), "frozen"),
        (NOW * 1.3, ""),
    ],
)
def test_each_fault_of_a_number_has_its_symptom(values: Floats, symptom: str) -> None:
    """Nulls, a changed unit, a frozen value and a missing column are told apart, and a new price level is none."""
    assert symptom_of(BEFORE, price(values)) == symptom


def test_a_category_is_unseen_until_a_window_has_held_it() -> None:
    """What neither the reference nor the window before held is new; what came with that window is not."""
    known = profile([words({"a": 500, "b": 500})])
    (was,) = known.columns
    (renamed,) = profile([words({"A": 500, "B": 500})], known.grids).columns
    (other,) = profile([words({"AA": 500, "b": 500})], known.grids).columns
    assert symptom_of(was, renamed) == "unseen"
    assert symptom_of(renamed, renamed) == ""
    assert symptom_of(renamed, other) == "unseen"


def test_a_column_that_is_gone_is_missing() -> None:
    """Not measured at all, or without a value; one that never had any misses nothing."""
    empty = price(np.full(100, np.nan))
    assert symptom_of(BEFORE, None) == "missing"
    assert symptom_of(empty, empty) == ""


def test_a_nearly_constant_column_can_freeze() -> None:
    """Nine rows of ten are 0 in it: a window of a thousand without any other value is no chance."""
    values = np.where(np.arange(1_000) % 10, 0.0, np.arange(1_000) % 7)
    known = profile([NumericColumn("children", values)])
    (frozen,) = profile([NumericColumn("children", np.zeros(1_000))], known.grids).columns
    (few,) = profile([NumericColumn("children", np.zeros(40))], known.grids).columns
    assert (symptom_of(known.columns[0], frozen), symptom_of(known.columns[0], few)) == ("frozen", "")


def test_a_constant_changes_its_unit_too() -> None:
    """One value in every row, then a hundred times that value: there is no spread to compare."""
    known = profile([NumericColumn("rate", np.full(500, 1.1))])
    (now,) = profile([NumericColumn("rate", np.full(500, 110.0))], known.grids).columns
    assert symptom_of(known.columns[0], now) == "x100"


def test_few_rows_show_nothing() -> None:
    """Below thirty rows there is no symptom, whatever they hold."""
    assert symptom_of(BEFORE, price(100 * NOW[:20])) == ""


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 99_999), rows=st.integers(30, 400), nulls=st.floats(0.0, 0.6), zeros=st.floats(0.0, 0.9))
def test_the_same_population_shows_no_symptom(seed: int, rows: int, nulls: float, zeros: float) -> None:
    """Two samples of one population, however skewed, sparse or full of nulls: nothing looks broken."""
    rng = np.random.default_rng(seed)

    def draw() -> Floats:
        values = np.where(rng.random(rows) < zeros, 0.0, rng.lognormal(3.0, 1.0, rows))
        return np.where(rng.random(rows) < nulls, np.nan, values)

    one, two = draw(), draw()
    known = profile([NumericColumn("x", np.concatenate((one, two)))])
    (was,), (is_now,) = (profile([NumericColumn("x", each)], known.grids).columns for each in (one, two))
    assert symptom_of(was, is_now) == ""


SCALED = np.random.default_rng(5).normal(size=2_000)
SCALED_GRID = profile([NumericColumn("z", SCALED)])


@pytest.mark.parametrize("offset", [0.0, 1.2])
@pytest.mark.parametrize(("factor", "symptom"), [(100.0, "x100"), (0.001, "/1,000"), (-1.0, ""), (3.0, ""), (1.0, "")])
def test_a_unit_that_changed_is_seen_around_zero_too(offset: float, factor: float, symptom: str) -> None:
    """A standardised column has no mean to multiply, nor do its values move to one side: its spread tells."""
    grids = SCALED_GRID.grids
    (was,) = profile([NumericColumn("z", SCALED[:1_000] + offset)], grids).columns
    (now,) = profile([NumericColumn("z", factor * (SCALED[1_000:] + offset))], grids).columns
    assert symptom_of(was, now) == symptom


@pytest.mark.parametrize("freedom", [1.0, 2.0, 5.0])
def test_heavy_tails_around_zero_change_no_unit(freedom: float) -> None:
    """A single far value multiplies the spread of a Cauchy sample by ten, and leaves the rest where it was: no symptom
    in 300 pairs of windows."""
    rng = np.random.default_rng(int(freedom))
    grid = profile([NumericColumn("t", rng.standard_t(freedom, 2_000))])
    windows = [profile([NumericColumn("t", rng.standard_t(freedom, 200))], grid.grids).columns[0] for _ in range(301)]
    assert {symptom_of(was, now) for was, now in pairwise(windows)} == {""}
