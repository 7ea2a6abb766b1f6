from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.grid import CATEGORIES, CategoryGrid, NumericGrid, bucket
from fairlead.stats.profile import NumericProfile, build_grid, profile_column


def numeric_grid(values: np.ndarray) -> NumericGrid:
    grid = build_grid(NumericColumn("x", np.asarray(values, dtype=np.float64)))
    assert isinstance(grid, NumericGrid)
    return grid


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=60))
def test_cuts_rise_strictly_and_are_finite(values: list[float]) -> None:
    """Whatever the reference holds, its cuts can be written as JSON and looked up by bisection."""
    cuts = np.asarray(numeric_grid(np.array(values)).cuts)
    assert np.isfinite(cuts).all()
    assert (np.diff(cuts) > 0).all()


def test_few_values_are_atoms() -> None:
    """Each of at most 512 distinct values has its own cell, and the gaps between them are cells too."""
    column = NumericColumn("x", np.repeat([1.0, 2.0, 5.0], [3, 1, 2]))
    found = profile_column(column)
    assert isinstance(found, NumericProfile)
    assert found.counts.tolist() == [0, 3, 0, 1, 0, 2, 0]


@pytest.mark.parametrize(("rows", "widest"), [(4_000, 2), (50_000, 5), (500_000, 4)])
def test_a_continuous_reference_has_about_a_thousand_cells(rows: int, widest: int) -> None:
    """At most 1,024 cuts, nothing outside, and no cell many times wider than a thousandth of the reference."""
    found = profile_column(NumericColumn("x", np.random.default_rng(0).normal(size=rows)))
    assert isinstance(found, NumericProfile)
    assert 1_000 <= len(found.counts) <= 1_025
    assert found.counts[0] == found.counts[-1] == 0
    assert max(found.counts) <= widest * rows / 1_022


def test_a_repeated_value_in_a_continuous_reference_is_an_atom() -> None:
    """Zero-inflated data: the zeros have a cell of their own, next to the quantiles of the rest."""
    rng = np.random.default_rng(0)
    values = np.where(rng.random(20_000) < 0.5, 0.0, rng.lognormal(size=20_000))
    found = profile_column(NumericColumn("x", values))
    assert isinstance(found, NumericProfile)
    zeros = int((values == 0).sum())
    assert found.counts[1] == zeros


def test_the_scale_is_the_deviation_or_robust_for_heavy_tails() -> None:
    """Above a kurtosis of 20 one outlier would set the scale, so the quartiles do."""
    rng = np.random.default_rng(0)
    normal = rng.normal(size=10_000)
    assert numeric_grid(normal).scale == pytest.approx(normal.std())
    wild = np.append(normal, 1e6)
    assert numeric_grid(wild).scale == pytest.approx(1.0, abs=0.05)
    assert numeric_grid(np.full(9, 0.1)).scale == 0.0


def test_moments_beyond_the_range_of_floats_stay_finite() -> None:
    """Squares that overflow stop at the largest float instead of poisoning JSON with infinity."""
    found = profile_column(NumericColumn("x", np.array([-1.7e308, 1.7e308, 0.0])))
    assert isinstance(found, NumericProfile)
    assert np.isfinite([found.mean, found.m2, found.grid.scale]).all()
    assert found.mean == 0.0


def test_categories_are_listed_most_frequent_first() -> None:
    """Unused categories are no part of the grid, doubled ones are one."""
    column = CategoricalColumn("x", np.array([0, 1, 1, 3, -1], dtype=np.int32), ("a", "b", "never", "a"))
    assert build_grid(column) == CategoryGrid("x", ("a", "b"))


def test_too_many_categories_are_an_open_vocabulary() -> None:
    """Above 10,000 categories names are counted in buckets."""
    size = CATEGORIES + 1
    names = tuple(f"id-{i}" for i in range(size))
    found = profile_column(CategoricalColumn("x", np.arange(size, dtype=np.int32), names))
    assert found.grid == CategoryGrid("x", (), hashed=True)
    assert found.present == size


def test_a_bucket_is_the_same_everywhere() -> None:
    """Buckets are written into profiles, so a name keeps its bucket (CRC-32 of "a" is e8b7be43)."""
    assert [bucket("a"), bucket("é")] == [579, 318]
