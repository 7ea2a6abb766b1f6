from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_ind
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from fairlead.stats.experiment.means import Estimate, difference_interval, ratio_interval, welch
from fairlead.stats.experiment.moments import estimate

Check = Callable[[int, int, float], None]
arms = st.builds(Estimate, st.integers(2, 500), st.floats(-10, 10), st.floats(0.01, 50))


@pytest.mark.parametrize(("n", "m", "spread"), [(30, 50, 2.0), (500, 20, 0.3), (3, 4, 1.0)])
def test_welch_is_that_of_scipy_and_statsmodels(n: int, m: int, spread: float) -> None:
    """t, p and the interval of the difference to 1e-9."""
    rng = np.random.default_rng(n)
    x, y = rng.normal(1, spread, n), rng.normal(0, 1, m)
    one, two = estimate(x), estimate(y)
    theirs = ttest_ind(x, y, equal_var=False)
    assert welch(one, two) == pytest.approx((theirs.statistic, theirs.pvalue), abs=1e-9)
    ends = theirs.confidence_interval()
    assert difference_interval(one, two) == pytest.approx((ends.low, ends.high), abs=1e-9)
    other = CompareMeans(DescrStatsW(x), DescrStatsW(y)).tconfint_diff(usevar="unequal")
    assert difference_interval(one, two) == pytest.approx(other, abs=1e-9)


@given(arms, arms, st.floats(0.001, 0.3))
def test_difference_ratio_and_p_value_tell_the_same(one: Estimate, two: Estimate, alpha: float) -> None:
    """The difference excludes 0 exactly when p < alpha; a bounded ratio with a positive control excludes 1 with it."""
    _, p = welch(one, two)
    low, high = difference_interval(one, two, alpha)
    assert low <= one.mean - two.mean <= high
    if abs(p - alpha) > 1e-9:
        assert (low > 0 or high < 0) == (p < alpha)
    less, more = ratio_interval(one, two, alpha)
    if math.isfinite(less) and abs(p - alpha) > 1e-6:
        assert less <= one.mean / two.mean <= more
        assert (less > 1 or more < 1) == (p < alpha)


def test_a_control_near_zero_has_no_bounded_ratio() -> None:
    """Fieller's interval is everything where the control's mean may be 0."""
    assert ratio_interval(Estimate(50, 1.0, 1.0), Estimate(50, 0.1, 1.0)) == (-math.inf, math.inf)


def test_constants_are_compared_as_they_are() -> None:
    """Equal constants: nothing; different ones: beyond doubt."""
    assert welch(Estimate(5, 1.0, 0.0), Estimate(5, 1.0, 0.0)) == (0.0, 1.0)
    assert welch(Estimate(5, 2.0, 0.0), Estimate(5, 1.0, 0.0)) == (math.inf, 0.0)
    assert difference_interval(Estimate(5, 2.0, 0.0), Estimate(5, 1.0, 0.0)) == (1.0, 1.0)
    assert ratio_interval(Estimate(5, 2.0, 0.0), Estimate(5, 1.0, 0.0)) == (2.0, 2.0)


def test_a_margin_moves_the_hypothesis() -> None:
    """The p-value of a margin is the level at which the interval ends there."""
    one, two = Estimate(80, 9.9, 4.0), Estimate(90, 10.0, 5.0)
    _, p = welch(one, two, margin=0.5)
    assert difference_interval(one, two, p)[0] == pytest.approx(-0.5, abs=1e-9)


def test_impossible_input_is_refused() -> None:
    """One unit, no number, a negative variance, no level."""
    for arguments in ((1, 0.0, 1.0), (5, math.nan, 1.0), (5, 0.0, -1.0), (5, 0.0, math.nan)):
        with pytest.raises(ValueError, match=r"two|finite"):
            Estimate(*arguments)
    with pytest.raises(ValueError, match="alpha is 1"):
        difference_interval(Estimate(5, 1.0, 1.0), Estimate(5, 1.0, 1.0), 1.0)


DRAWS: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "normal": lambda rng, size: rng.normal(5, 2, size),
    "lognormal": lambda rng, size: rng.lognormal(0, 0.8, size),
    "counts": lambda rng, size: rng.poisson(1.5, size).astype(float),
    "revenue": lambda rng, size: np.where(rng.random(size) < 0.1, rng.lognormal(3, 0.6, size), 0.0),
}
MEANS = {"normal": 5.0, "lognormal": math.exp(0.32), "counts": 1.5, "revenue": 0.1 * math.exp(3.18)}


@pytest.mark.parametrize("runs", [500, pytest.param(8_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", DRAWS)
def test_equal_means_are_rarely_told_apart_and_intervals_cover(
    name: str, runs: int, at_most: Check, at_least: Check
) -> None:
    """600 against 500 units: at most 5.25 % false findings; Welch's difference and Fieller's ratio (of a treatment at
    1.1 times) hold the truth in at least 94.5 % (skewed values: a law of large samples)."""
    rng, draw, mean = np.random.default_rng(31), DRAWS[name], MEANS[name]
    found = difference = ratio = 0
    for x, y in zip(draw(rng, (runs, 600)), draw(rng, (runs, 500)), strict=True):
        one, two = estimate(x), estimate(y)
        found += welch(one, two)[1] < 0.05
        more = estimate(1.1 * x)
        low, high = difference_interval(more, two)
        difference += low <= 0.1 * mean <= high
        low, high = ratio_interval(more, two)
        ratio += low <= 1.1 <= high
    at_most(found, runs, 0.0525)
    at_least(difference, runs, 0.945)
    at_least(ratio, runs, 0.945)
