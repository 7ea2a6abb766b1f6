"""A median with its interval."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.median import median_interval


def covered(draws: np.ndarray, median: float) -> float:
    """The share of (runs, n) draws whose interval holds the median."""
    found = [median_interval(values) for values in draws]
    return float(np.mean([one.low <= median <= one.high for one in found]))


@pytest.mark.parametrize("n", [8, 20, 60])
def test_the_interval_covers_as_often_as_it_says(n: int) -> None:
    """At least 95 % of 1,500 samples, of values without a mean as of normal ones; 4 standard errors are allowed."""
    rng = np.random.default_rng(n)
    for draws in (rng.standard_normal((1500, n)), rng.standard_cauchy((1500, n)), rng.exponential(1, (1500, n))):
        true = np.log(2) if draws.min() >= 0 else 0.0
        assert covered(draws, float(true)) >= 0.95 - 4 * np.sqrt(0.05 * 0.95 / 1500)


@pytest.mark.slow
def test_the_interval_covers_in_the_long_run() -> None:
    """40,000 samples of 20 values: at least 95 %, and no more than the next wider pair of order statistics would."""
    draws = np.random.default_rng(1).standard_normal((40_000, 20))
    assert 0.95 <= covered(draws, 0.0) <= 0.97


def test_a_few_jumps_do_not_move_it() -> None:
    """Five of twenty increments as large as one likes leave the interval where the others are."""
    found = median_interval(np.array([0.0] * 15 + [1e9] * 5))
    assert (found.low, found.value, found.high) == (0.0, 0.0, 0.0)


def test_few_values_say_nothing() -> None:
    """Below six there is no interval at 95 %, and of none no median."""
    assert (median_interval(np.arange(5.0)).low, median_interval(np.arange(5.0)).high) == (-inf, inf)
    assert median_interval(np.arange(6.0)).low == 0.0
    assert not median_interval(np.array([])).defined
    assert not median_interval(np.array([1.0, np.nan])).defined


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=60), st.floats(-100, 100))
def test_it_moves_with_its_values(values: list[float], by: float) -> None:
    """The median lies in its interval, and both move with a constant that is added."""
    one, other = median_interval(np.array(values)), median_interval(np.array(values) + by)
    assert one.low <= one.value <= one.high
    assert other.value == pytest.approx(one.value + by, abs=1e-6)
    assert other.low == pytest.approx(one.low + by, abs=1e-6)
