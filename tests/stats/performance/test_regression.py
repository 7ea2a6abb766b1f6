"""Errors of values against scikit-learn."""

from __future__ import annotations

from math import inf, isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from fairlead.stats import performance as ours
from fairlead.stats.performance import Floats

VALUES = arrays(np.float64, 25, elements=st.floats(-1e3, 1e3))


def test_values_are_those_of_scikit_learn() -> None:
    """Every error to 1e-9, each inside its interval."""
    rng = np.random.default_rng(0)
    truth = rng.normal(10, 3, 400)
    predicted = truth + rng.normal(0.4, 1, 400)
    wanted = {
        "mae": (ours.mae(truth, predicted), sk.mean_absolute_error(truth, predicted)),
        "rmse": (ours.rmse(truth, predicted), sk.root_mean_squared_error(truth, predicted)),
        "mape": (ours.mape_interval(truth, predicted), sk.mean_absolute_percentage_error(truth, predicted)),
        "r2": (ours.r2_interval(truth, predicted), sk.r2_score(truth, predicted)),
        "median": (ours.median_absolute_error(truth, predicted), sk.median_absolute_error(truth, predicted)),
        "pinball": (ours.quantile_loss(truth, predicted, 0.8), sk.mean_pinball_loss(truth, predicted, alpha=0.8)),
    }
    for name, (found, value) in wanted.items():
        assert found.value == pytest.approx(value, abs=1e-9), name
        assert found.low < found.value < found.high, name


@given(VALUES, VALUES)
def test_intervals_hold_their_values(truth: Floats, predicted: Floats) -> None:
    """Whatever the values; R2 never reaches above 1, an error never below 0."""
    for found in (ours.rmse(truth, predicted), ours.median_absolute_error(truth, predicted)):
        assert 0 <= found.low <= found.value * (1 + 1e-12)
        assert found.value <= found.high * (1 + 1e-12)
    r2 = ours.r2_interval(truth, predicted)
    if r2.defined:
        assert r2.low <= r2.value + 1e-9
        assert r2.value - 1e-9 <= r2.high <= 1


def test_few_rows_bound_a_median_only_from_below() -> None:
    """Five rows or fewer cannot hold the median between two of them with 95 %."""
    five, six = (ours.median_absolute_error(np.zeros(n), np.arange(1.0, n + 1)) for n in (5, 6))
    assert (five.low, five.high) == (0.0, inf)
    assert (six.low, six.high) == (1.0, 6.0)


def test_what_the_values_do_not_define() -> None:
    """No rows, a constant truth, truths of 0 alone; a perfect fit has an R2 of 1 without a spread."""
    for found in (ours.rmse([], []), ours.median_absolute_error([], []), ours.mape_interval([0.0], [1.0])):
        assert not found.defined
    assert isnan(ours.r2_interval([2.0, 2.0], [1.0, 3.0]).low)
    perfect = ours.r2_interval([1.0, 2.0], [1.0, 2.0])
    assert (perfect.value, perfect.low) == (1.0, 1.0)
    assert ours.rmse([1.0], [2.0]).value == 1.0


@pytest.mark.parametrize("quantile", [0.0, 1.0, -0.1, 90])
def test_a_quantile_lies_between_0_and_1(quantile: float) -> None:
    """90 is a slip for 0.9, and said."""
    with pytest.raises(ValueError, match="quantile is"):
        ours.quantile_loss([1.0], [1.0], quantile)
