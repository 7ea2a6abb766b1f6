from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from fairlead.stats.columns import NumericColumn
from fairlead.stats.distances import cumulative, wasserstein
from fairlead.stats.profile import NumericProfile, profile_column


def pair(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NumericProfile, NumericProfile]:
    one = profile_column(NumericColumn("x", np.asarray(x, dtype=np.float64)))
    two = profile_column(NumericColumn("x", np.asarray(y, dtype=np.float64)), one.grid)
    assert isinstance(one, NumericProfile)
    assert isinstance(two, NumericProfile)
    return one, two


def test_a_shift_beyond_the_grid_is_measured_exactly() -> None:
    """With sums in every cell the distance is scipy's, even where all values overflow."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=5_000)
    for y in (x + 100.0, rng.normal(0.5, 1, 3_000), rng.normal(0, 3, 3_000)):
        found = wasserstein(*pair(x, y))
        assert found.value == pytest.approx(stats.wasserstein_distance(x, y) / x.std(), rel=1e-3)


def test_it_is_exact_for_few_values_and_never_too_large() -> None:
    """A lower bound of scipy's distance, equal where the reference has few distinct values."""
    rng = np.random.default_rng(1)
    x, y = rng.poisson(3, 1_000).astype(float), rng.poisson(3.2, 700).astype(float)
    assert wasserstein(*pair(x, y)).value == pytest.approx(stats.wasserstein_distance(x, y) / x.std(), rel=1e-9)
    x, y = rng.lognormal(size=4_000), rng.lognormal(size=4_000)
    one, two = pair(x, y)
    exact = stats.wasserstein_distance(x, y) / one.grid.scale
    assert 0.95 * exact <= wasserstein(one, two).value <= exact * (1 + 1e-9)


def test_a_constant_reference_is_scaled_by_both() -> None:
    """Without a spread of its own, the reference is measured against the pooled one."""
    found = wasserstein(*pair(np.full(100, 5.0), np.full(100, 7.0)))
    assert found.value == pytest.approx(2.0)
    assert (found.p_value or 0.0) < 1e-6
    same = wasserstein(*pair(np.full(100, 5.0), np.full(50, 5.0)))
    assert (same.value, same.p_value) == (0.0, 1.0)


def test_infinities_do_not_move_it() -> None:
    """Infinite values have no distance; they are counted elsewhere."""
    x = np.random.default_rng(0).normal(size=500)
    plain = wasserstein(*pair(x, x + 0.3))
    wild = wasserstein(*pair(np.append(x, [np.inf]), np.append(x + 0.3, [np.inf, -np.inf])))
    assert wild.value == pytest.approx(plain.value)


def test_the_largest_floats_do_not_break_it() -> None:
    """Where a range overflows, the distance is still that of half the values moving half the range."""
    found = wasserstein(*pair(np.array([-1.7e308, 1.7e308] * 20), np.array([0.0, 1.7e308] * 20)))
    assert np.isfinite([found.value, found.corrected, found.low, found.high]).all()
    assert found.value == pytest.approx(0.5)


@pytest.mark.parametrize("spread", [0.0, 0.8])
def test_the_null_moments_are_those_of_simulation(spread: float) -> None:
    """Mean and deviation of the distance between equal samples are within 3 % and 10 % of what the bridge predicts."""
    rng = np.random.default_rng(2)
    seen, predicted = [], []
    for _ in range(500):
        x, y = (rng.lognormal(0, spread, n) if spread else rng.normal(size=n) for n in (2_000, 1_500))
        one, two = pair(x, y)
        steps, unit = cumulative.steps_of([(one, two)]), 2.0**-one.grid.exponent
        widths = np.diff(steps.ends, axis=1)
        areas = [cumulative._areas(side, steps.ends, widths) for side in (steps.reference, steps.current)]
        sizes = (steps.reference.sizes, steps.current.sizes)
        pooled = cumulative._pooled(areas, sizes, widths)
        weights = widths * np.sqrt(pooled * (1 - pooled))
        seen.append(float(np.abs(areas[0] - areas[1]).sum() * unit))
        moments = cumulative._null_moments(weights, cumulative._on_line(pooled), sizes)
        predicted.append((moments[0][0] * unit, moments[1][0] * unit**2))
    mean, variance = np.mean(predicted, axis=0)
    assert np.mean(seen) == pytest.approx(mean, rel=0.03)
    assert np.std(seen) == pytest.approx(variance**0.5, rel=0.1)


def test_the_interval_holds_a_true_shift() -> None:
    """The 95 % interval covers a shift of 0.3 standard deviations in at least 92 % of samples."""
    rng = np.random.default_rng(4)
    held = 0
    for _ in range(300):
        found = wasserstein(*pair(rng.normal(size=600), rng.normal(0.3, 1, 400)))
        held += found.low <= 0.3 <= found.high
    assert held >= 0.92 * 300
