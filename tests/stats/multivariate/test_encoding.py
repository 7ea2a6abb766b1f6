from __future__ import annotations

import numpy as np
import pytest

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.multivariate.encoding import Encoded, for_kernel, for_model


def number(*values: float) -> NumericColumn:
    return NumericColumn("x", np.array(values))


def category(codes: list[int], names: tuple[str, ...]) -> CategoricalColumn:
    return CategoricalColumn("c", np.array(codes, dtype=np.int32), names)


def kernel(one: Column, two: Column) -> Encoded:
    return for_kernel([one], [two])


def test_numbers_are_deviations_from_the_pooled_mean() -> None:
    """Mean 0 and standard deviation 1 over both sides together."""
    rng = np.random.default_rng(0)
    found = kernel(NumericColumn("x", rng.normal(5, 2, 300)), NumericColumn("x", rng.normal(9, 2, 100)))
    pooled = np.vstack([found.reference, found.current])
    assert (found.reference.shape, found.current.shape, found.names) == ((300, 1), (100, 1), ("x",))
    assert float(pooled.mean()) == pytest.approx(0.0, abs=1e-9)
    assert float(pooled.std()) == pytest.approx(1.0)


def test_which_side_a_row_is_from_does_not_enter() -> None:
    """Rows exchanged between the sides keep their encoding: a permutation test stays exact."""
    rng = np.random.default_rng(0)
    values = np.where(rng.random(200) < 0.1, np.nan, rng.lognormal(size=200))
    codes = rng.integers(-1, 60, 200)
    names = tuple(f"n{place:02d}" for place in range(60))
    order = rng.permutation(200)

    def encoded(places: np.ndarray, make: type[Encoded] | None = None) -> np.ndarray:
        sides: list[list[Column]] = [
            [NumericColumn("x", values[some]), category(codes[some].tolist(), names)]
            for some in np.split(places, [120])
        ]
        found = for_kernel(*sides) if make is None else for_model(*sides)
        return np.vstack([found.reference, found.current])

    straight, mixed = encoded(np.arange(200)), encoded(order)
    assert np.allclose(mixed, straight[order])
    assert np.array_equal(encoded(order, Encoded), encoded(np.arange(200), Encoded)[order], equal_nan=True)


def test_nulls_infinities_and_outliers_are_finite() -> None:
    """A null is 0 with a column that says so, an infinity ten deviations, and so is what lies farther."""
    found = kernel(number(*range(1_000), np.nan), number(np.inf, -np.inf, 1e9))
    assert found.reference[-1].tolist() == [0.0, 1.0]
    assert found.current[:, 0].tolist() == [10.0, -10.0, 10.0]
    assert np.abs(found.reference).max() < 3.0  # the interquartile range is no longer the outlier's


def test_a_constant_and_a_column_without_a_number_are_zero() -> None:
    """Nothing to standardise by: no division, no distance."""
    assert kernel(number(5.0, 5.0), number(5.0)).current.tolist() == [[0.0]]
    assert kernel(number(np.inf), number(-np.inf)).reference.tolist() == [[10.0]]
    assert kernel(number(np.nan), number(np.nan)).current.tolist() == [[0.0, 1.0]]


def test_categories_have_a_column_each_by_name() -> None:
    """Each side's codes are its own; the names decide. A null is a category, and a listed one without a row none."""
    found = kernel(category([0, 1, 1, -1], ("Oslo", "Rome", "Bonn")), category([0, 0], ("Rome", "Oslo")))
    assert found.reference.tolist() == [[0, 1, 0], [1, 0, 0], [1, 0, 0], [0, 0, 1]]
    assert found.current.tolist() == [[1, 0, 0], [1, 0, 0]]


def test_rare_categories_share_a_place() -> None:
    """Beyond the 50 most frequent, one column for all others."""
    names = tuple(f"n{place}" for place in range(200))
    codes = list(range(200)) * 2 + list(range(50)) * 2
    found = kernel(category(codes, names), category([0, 199], names))
    assert found.reference.shape[1] == 51
    assert found.current[:, -1].tolist() == [0.0, 1.0]
    assert (found.reference.sum(axis=1) == 1.0).all()


def test_a_model_gets_numbers_and_codes() -> None:
    """NaN for null, codes by frequency, infinities at the end of the range, and which columns are codes."""
    found = for_model(
        [number(1.0, np.nan, np.inf), category([0, 1, 1], ("a", "b"))], [number(2.0), category([-1], ("a",))]
    )
    assert found.reference[:, 0].tolist() == pytest.approx([1.0, np.nan, 1e100], nan_ok=True)
    assert found.reference[:, 1].tolist() == [1.0, 0.0, 0.0]
    assert np.isnan(found.current[0, 1])
    assert (found.names, found.categorical) == (("x", "c"), (1,))


def test_kinds_that_differ_are_refused() -> None:
    """Numbers on one side and categories on the other have no common encoding."""
    for encode in (for_kernel, for_model):
        with pytest.raises(ValueError, match="numbers on one side only"):
            encode([number(1.0)], [category([0], ("a",))])
        with pytest.raises(ValueError, match="categories on one side only"):
            encode([category([0], ("a",))], [number(1.0)])
