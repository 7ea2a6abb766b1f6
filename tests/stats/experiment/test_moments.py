from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.experiment.compare import Metric, compare
from fairlead.stats.experiment.means import difference_interval
from fairlead.stats.experiment.moments import adjusted, estimate, linearised, path
from fairlead.stats.experiment.rates import Counts, pooled_z

Check = Callable[[int, int, float], None]


def test_an_estimate_is_numpys_mean_and_variance() -> None:
    """With n - 1; one value has none."""
    values = np.random.default_rng(0).normal(size=50)
    found = estimate(values)
    assert (found.mean, found.variance) == pytest.approx((values.mean(), values.var(ddof=1)))
    with pytest.raises(ValueError, match="needs two"):
        estimate([1.0])


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0.5, 50)), min_size=2, max_size=60))
def test_linearised_values_have_the_ratio_as_mean_and_the_delta_methods_variance(
    rows: list[tuple[float, float]],
) -> None:
    """sum(y) / sum(d), and (var y - 2 R cov + R^2 var d) / mean(d)^2."""
    y, d = np.array(rows).T
    values = linearised(y, d)
    ratio = y.sum() / d.sum()
    cov = np.cov(y, d)
    delta = (cov[0, 0] - 2 * ratio * cov[0, 1] + ratio**2 * cov[1, 1]) / d.mean() ** 2
    assert values.mean() == pytest.approx(ratio)
    assert values.var(ddof=1) == pytest.approx(delta, abs=1e-9)


def test_a_ratio_of_nothing_is_refused() -> None:
    """Denominators that add up to 0."""
    with pytest.raises(ValueError, match="nothing to divide by"):
        linearised([1.0, 2.0], [0.0, 0.0])


def test_cuped_takes_off_what_the_covariate_explains() -> None:
    """theta is the pooled within-arm slope, the variance falls by the squared correlation, the overall mean stays."""
    rng = np.random.default_rng(1)
    arms = rng.integers(2, size=20_000)
    before = rng.normal(5, 2, 20_000)
    after = 3.0 * arms + 0.8 * before + rng.normal(size=20_000)
    found = adjusted(after, before, arms)
    assert found.theta == pytest.approx(0.8, abs=0.02)
    assert found.reduction == pytest.approx(np.corrcoef(after - 3.0 * arms, before)[0, 1] ** 2, abs=1e-3)
    assert found.values.mean() == pytest.approx(after.mean())


@pytest.mark.parametrize("covariate", [np.full(6, 4.0), np.full(6, np.nan)])
def test_a_covariate_that_says_nothing_changes_nothing(covariate: np.ndarray) -> None:
    """Constant or unknown throughout."""
    values = np.arange(6.0)
    found = adjusted(values, covariate, np.array([0, 1] * 3))
    assert (found.theta, found.reduction) == (0.0, 0.0)
    assert found.values.tolist() == values.tolist()


def test_an_unknown_covariate_is_average() -> None:
    """Its unit keeps its value."""
    rng = np.random.default_rng(2)
    before = rng.normal(size=100)
    values = before + rng.normal(size=100)
    before[7] = np.nan
    assert adjusted(values, before, np.arange(100) % 2).values[7] == values[7]


@pytest.mark.parametrize("kind", ["mean", "ratio", "cuped"])
def test_the_end_of_a_path_is_the_reading_of_all_units(kind: str) -> None:
    """Difference, squared error and the control's mean, against the fixed-horizon computation."""
    rng = np.random.default_rng(3)
    treated = rng.random(500) < 0.4
    d = 1.0 + rng.poisson(3, 500)
    x = rng.normal(2, 1, 500)
    y = rng.normal(1e6, 1, 500) + x if kind != "ratio" else rng.binomial(d.astype(int), 0.3).astype(float)
    along = path(y, treated, denominators=d if kind == "ratio" else None, covariate=x if kind == "cuped" else None)
    values = y
    if kind == "ratio":
        values = np.empty(500)
        for side in (treated, ~treated):
            values[side] = linearised(y[side], d[side])
    if kind == "cuped":
        values = adjusted(y, x, treated.astype(int)).values
    one, two = estimate(values[treated]), estimate(values[~treated])
    assert along.difference[-1] == pytest.approx(one.mean - two.mean, rel=1e-6)
    assert along.error[-1] == pytest.approx(one.error + two.error, rel=1e-6)
    assert along.base[-1] == pytest.approx(two.mean, rel=1e-9)
    assert along.units[-1] == 500
    assert along.least[-1] == treated.sum()


def test_a_path_is_the_reading_at_each_look() -> None:
    """What it says after k units is what k units alone would say; the skewness is theirs too."""
    rng = np.random.default_rng(4)
    y, treated = rng.exponential(size=300), rng.random(300) < 0.5
    along = path(y, treated)
    for k in (10, 77, 300):
        one, two = estimate(y[:k][treated[:k]]), estimate(y[:k][~treated[:k]])
        assert along.difference[k - 1] == pytest.approx(one.mean - two.mean)
        assert along.error[k - 1] == pytest.approx(one.error + two.error)
        z = y[:k] - y[:k].mean()
        assert along.skew[k - 1] == pytest.approx((z**3).mean() ** 2 / (z**2).mean() ** 3)
    assert math.isinf(along.error[0])
    assert math.isinf(path([1.0, 1.0], np.array([True, False])).skew[-1])


@pytest.mark.parametrize("runs", [400, pytest.param(4_000, marks=pytest.mark.slow)])
def test_cuped_is_valid_and_shorter(runs: int, at_most: Check, at_least: Check) -> None:
    """A covariate of correlation 0.8, unknown for a fifth of 400 units: 5 % false findings or fewer (5.25 %), 94.5 %
    coverage or more of an effect of 0.3, and intervals at most 0.75 times as long."""
    rng = np.random.default_rng(5)
    false = held = 0
    lengths = np.zeros(2)
    treated = np.arange(400) % 2 == 0
    for _ in range(runs):
        before = rng.normal(size=400)
        after = 0.8 * before + 0.6 * rng.normal(size=400)
        before[rng.random(400) < 0.2] = np.nan
        found = compare(Metric(after, None, before), treated)
        false += found.p_value < 0.05
        held += found.low + 0.3 <= 0.3 <= found.high + 0.3
        plain = difference_interval(estimate(after[treated]), estimate(after[~treated]))
        lengths += found.high - found.low, plain[1] - plain[0]
    at_most(false, runs, 0.0525)
    at_least(held, runs, 0.945)
    assert lengths[0] < 0.75 * lengths[1]


@pytest.mark.parametrize("runs", [400, pytest.param(4_000, marks=pytest.mark.slow)])
def test_the_delta_method_covers_a_ratio_and_rows_would_not(runs: int, at_least: Check) -> None:
    """Clicks per view, users with 1 to 30 views and their own rates: the interval by users holds equal ratios in 94.5 %
    or more; the pooled z of views, as if each were independent, rejects in more than twice its 5 %."""
    rng, held, by_view = np.random.default_rng(6), 0, 0
    treated = np.arange(800) % 2 == 0
    for _ in range(runs):
        views = 1 + rng.geometric(0.15, 800).clip(max=30)
        clicks = rng.binomial(views, rng.beta(1, 9, 800)).astype(float)
        found = compare(Metric(clicks, views.astype(float)), treated)
        held += found.low <= 0.0 <= found.high
        one, two = (Counts(int(clicks[side].sum()), int(views[side].sum())) for side in (treated, ~treated))
        by_view += pooled_z(one, two)[1] < 0.05
    at_least(held, runs, 0.945)
    assert by_view > 2 * 0.05 * runs
