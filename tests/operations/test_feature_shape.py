"""A feature's two distributions as bars."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.operations.feature_shape import BARS, NAMES, FeatureShape, shape_of
from fairlead.stats.columns import CategoricalColumn, NumericColumn
from fairlead.stats.profile import profile


def numbers(reference: list[float], current: list[float]) -> FeatureShape:
    """Both sides of a numeric feature."""
    one = profile([NumericColumn("x", np.array(reference, np.float64))])
    two = profile([NumericColumn("x", np.array(current, np.float64))], one.grids)
    return shape_of("x", one.columns[0], two.columns[0])


def words(reference: list[str], current: list[str]) -> FeatureShape:
    """Both sides of a categorical feature."""
    one = profile([categories(reference)])
    two = profile([categories(current)], one.grids)
    return shape_of("x", one.columns[0], two.columns[0])


def categories(values: list[str]) -> CategoricalColumn:
    """A column of words."""
    names = tuple(dict.fromkeys(values))
    return CategoricalColumn("x", np.array([names.index(value) for value in values]), names)


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200),
    st.lists(st.one_of(st.floats(-1e9, 1e9), st.just(float("nan"))), min_size=1, max_size=200),
)
def test_every_row_lies_in_one_bar(reference: list[float], current: list[float]) -> None:
    """Whatever the numbers, each side's shares add up to one, and there are no more bars than fit."""
    shape = numbers(reference, current)
    assert sum(bar.reference for bar in shape.bars) == pytest.approx(1.0)
    assert sum(bar.current for bar in shape.bars) == pytest.approx(1.0)
    assert len(shape.bars) <= BARS + 3


def test_a_unit_that_changed_by_a_factor_shows_beyond_the_reference() -> None:
    """Of rows that are a hundred times too large, all lie in the bar above."""
    values = np.random.default_rng(1).gamma(2.0, 50.0, 2_000).tolist()
    shape = numbers(values, [100.0 * value for value in values[:500]])
    assert shape.bars[-1].side == "above"
    assert shape.bars[-1].current > 0.95
    assert shape.bars[-1].reference < 0.02


def test_numbers_lie_where_they_are() -> None:
    """Of even numbers from 0 to 1 each bar has its part; what is missing has a bar of its own."""
    values = np.linspace(0.0, 1.0, 2_001).tolist()
    shape = numbers(values, [0.5] * 50 + [float("nan")] * 50)
    middle = max((bar for bar in shape.bars if bar.side == "value"), key=lambda bar: bar.current)
    assert float(middle.label) <= 0.5 < float(middle.label) + 1.0 / BARS + 0.01
    assert middle.current == 0.5
    assert [bar.current for bar in shape.bars if bar.side == "missing"] == [0.5]


def test_new_categories_and_many_categories_are_named_or_counted() -> None:
    """The most frequent have names, the rest is one bar, and what the reference never had is marked as new."""
    listed = [f"c{place}" for place in range(40) for _ in range(40 - place)]
    shape = words(listed, ["c0"] * 10 + ["zz"] * 10)
    assert sum(bar.side == "value" for bar in shape.bars) == NAMES
    assert [(bar.label, bar.current) for bar in shape.bars if bar.side == "new"] == [("zz", 0.5)]
    assert sum(bar.reference for bar in shape.bars) == pytest.approx(1.0)


def test_other_kinds_are_said() -> None:
    """A number where the reference has words has no histogram, and the page says why."""
    one = profile([categories(["a"])])
    two = profile([NumericColumn("x", np.array([1.0]))])
    assert shape_of("x", one.columns[0], two.columns[0]).why
