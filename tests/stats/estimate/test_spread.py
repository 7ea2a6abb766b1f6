"""From replicates to intervals."""

from __future__ import annotations

from math import nan

import numpy as np
import pytest
from scipy.stats import binom

from fairlead.stats.estimate.spread import ANY, POSITIVE, centre_of, ratio, spread


def test_the_median_lies_on_the_point() -> None:
    """Replicates that are all off by one are moved back; the interval stays within its bounds."""
    drawn = np.linspace(-1.0, 1.0, 201) + 1.0
    found = spread(0.0, drawn, 0.95, ANY)
    assert found.value == 0.0
    assert [found.low, found.high] == pytest.approx([-0.96, 0.96], abs=0.01)
    assert spread(0.0, drawn, 0.95, POSITIVE).low == 0.0
    assert spread(0.5, drawn, 0.95).high == 1.0


def test_the_interval_is_moved_by_the_bias_and_keeps_its_point() -> None:
    """Replicates whose expectation lies 0.3 above the curve say that the point lies 0.3 too high: the interval goes
    down by it, and no further than to the point."""
    base, expected = 0.0, np.full(201, 0.3)
    centre = centre_of(base, expected)
    assert centre == pytest.approx(0.6)
    found = spread(0.0, np.linspace(-1.0, 1.0, 201) + 0.3, 0.95, ANY, centre)
    assert [found.low, found.high] == pytest.approx([-1.26, 0.66], abs=0.01)
    assert spread(0.0, np.full(201, 0.3), 0.95, ANY, centre).high == 0.0
    assert np.isnan(centre_of(base, np.full(3, nan)))
    assert spread(0.0, np.linspace(-1.0, 1.0, 201), 0.95, ANY, nan).low == pytest.approx(-0.96, abs=0.01)


def test_what_is_not_defined_stays_so() -> None:
    """A point that is nan, or replicates that mostly are, give no interval; a ratio to nothing is nan."""
    assert not spread(nan, np.ones(10), 0.95).defined
    assert not spread(0.5, np.array([nan] * 8 + [0.5] * 2), 0.95).defined
    assert spread(0.5, np.array([nan] * 2 + [0.5] * 8), 0.95).defined
    assert np.isnan(ratio(np.array([1.0]), np.array([0.0])))[0]


def test_quantiles_of_few_replicates_cover() -> None:
    """With 59 replicates a 90 % interval holds a new draw in 90 % of runs, not less."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2000):
        drawn = rng.normal(size=60)
        found = spread(float(np.median(drawn[:59])), drawn[:59], 0.9, ANY)
        hits += found.low <= drawn[59] <= found.high
    assert binom.cdf(hits, 2000, 0.9) > 1e-3, hits
