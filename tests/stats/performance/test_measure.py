"""Differences of two measures, and the p-values that belong to them."""

from __future__ import annotations

from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import binom
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from fairlead.stats.performance import UNDEFINED, Measure, difference, mean_interval, p_value, proportion
from fairlead.stats.performance.measure import mapped, on_log, on_logit, z_of


@given(st.integers(0, 40), st.integers(0, 40))
def test_of_two_shares_it_is_newcombes(one: int, two: int) -> None:
    """Wilson's intervals and Newcombe's of their difference agree with statsmodels to 1e-9."""
    low, high = proportion_confint(one, 40, method="wilson")
    found = proportion(one, 40)
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-9)
    gap = difference(found, proportion(two, 40))
    wanted = confint_proportions_2indep(one, 40, two, 40, method="newcomb", compare="diff")
    assert [gap.low, gap.high] == pytest.approx(list(wanted), abs=1e-9)


@given(st.floats(-5, 5), st.floats(0.01, 3))
def test_the_p_value_is_below_5_percent_where_the_interval_leaves_0_out(gap: float, half: float) -> None:
    """It is the normal test's for a symmetric interval, and the two never contradict each other."""
    found = Measure(gap, gap - half, gap + half)
    p = p_value(found)
    assert p == pytest.approx(2 * ndtr(-abs(gap) / (half / z_of(0.95))), abs=1e-12)
    if abs(abs(gap) - half) > 1e-9:
        assert (p < 0.05) == (found.low > 0 or found.high < 0)


def test_edges_of_p_values() -> None:
    """No interval, no p-value; an unbounded one says nothing; a point that is not 0 is certain."""
    assert isnan(p_value(Measure(0.1, nan, nan)))
    assert isnan(p_value(UNDEFINED))
    assert p_value(Measure(0.1, -inf, inf)) == 1.0
    assert p_value(Measure(0.0, -1.0, 1.0)) == 1.0
    assert p_value(Measure(2.0, 2.0, 2.0)) == 0.0


def test_differences_hold_the_true_one() -> None:
    """95 % intervals of the difference of a skewed mean and of two shares cover with at least 94 %."""
    rng = np.random.default_rng(0)
    runs = 500
    means = shares = 0
    for _ in range(runs):
        gap = difference(mean_interval(rng.exponential(1, 200)), mean_interval(rng.exponential(2, 100)))
        means += gap.low <= -1 <= gap.high
        gap = difference(proportion(rng.binomial(60, 0.9), 60), proportion(rng.binomial(200, 0.7), 200))
        shares += gap.low <= 0.2 <= gap.high
    assert binom.cdf(means, runs, 0.94) > 1e-4
    assert binom.cdf(shares, runs, 0.94) > 1e-4


@given(st.floats(0.01, 0.99), st.floats(0.001, 0.2))
def test_scales_keep_intervals_where_values_can_be(value: float, error: float) -> None:
    """On the logit scale inside (0, 1), on the log scale above 0, both around the value."""
    one, two = on_logit(value, error, 50), on_log(value, error)
    assert 0 <= one.low < value < one.high <= 1
    assert 0 <= two.low < value < two.high
    wide = on_logit(value, error, 50, freedom=3)
    assert wide.low < one.low


def test_mapping_keeps_ends_in_order() -> None:
    """A negative scale turns the interval round."""
    assert mapped(Measure(1.0, 0.0, 3.0), -2.0, 1.0) == Measure(-1.0, -5.0, 1.0)
    assert on_log(0.0, 0.1) == Measure(0.0, 0.0, 0.0)
    assert not on_logit(nan, 0.1, 10).defined
