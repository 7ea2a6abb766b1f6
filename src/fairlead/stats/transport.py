"""Wasserstein-1 on the grid, with its law under no change.

With the sum of the values in a cell, the integral of F over it is exact: width * F(start) + (count * end - sum) / n. So
the distance is exact wherever F - G keeps its sign within a cell, and a lower bound where it does not.

Under no change F - G is a Brownian bridge of variance noise H(1 - H), H the pooled distribution, and the distance is
the integral of its absolute value. Its mean is sqrt(2 noise / pi) times the integral of sqrt(H(1 - H)); its variance is
the double integral of Cov(|B(x)|, |B(y)|) = (2/pi) s(x) s(y) (sqrt(1 - r^2) + r asin(r) - 1), where r = exp(-d / 2) and
d is the distance of H(x) and H(y) in log odds: a bridge over its standard deviation is stationary in log odds.

The p-value is that of Pearson's type III law (a shifted gamma) with this mean and variance. Its skewness is
min(3 sd / mean, 1.1), found by simulation between a single bridge point (1.0) and a normal column (1.1), plus what a
bridge does not know: with heavy tails and samples of unequal size, one outlier in the smaller one moves the distance by
|x - median| / m. That statistic's third cumulant is mu3 (1/m^2 - 1/n^2), mu3 the third central moment of |x - median|
over both samples.
"""

from __future__ import annotations

from functools import cache
from math import isfinite, pi, sqrt

import numpy as np
from msgspec import Struct
from scipy.special import gammaincc

from fairlead.stats.distances import DEFAULT, Distance, Limits, Z
from fairlead.stats.grid import within_range
from fairlead.stats.profile import NumericProfile
from fairlead.stats.tally import Floats

LARGEST_LOGIT = 16.0
POINTS = 257
BRIDGE_SKEWNESS = 1.1


class _Side(Struct, frozen=True, eq=False):
    """One sample on the cells: its finite counts, the integral of its distribution over each cell, its cells' means."""

    counts: Floats
    integrals: Floats
    means: Floats
    size: int


def wasserstein(reference: NumericProfile, current: NumericProfile, limits: Limits = DEFAULT.wasserstein) -> Distance:
    """Wasserstein-1, the integral of |F - G| over finite values, divided by the grid's `scale`.

    Where the reference is constant the pooled standard deviation takes its place.
    """
    n, m = reference.finite, current.finite
    scale = reference.grid.scale or _pooled_deviation(reference, current)
    if n == 0 or m == 0 or scale == 0.0:
        return Distance("wasserstein", 0.0, 0.0, 1.0, 0.0, 0.0, limits.warning, limits.critical)
    with np.errstate(over="ignore", invalid="ignore"):
        ends = _ends(reference, current)
        one, two = _side(reference, ends), _side(current, ends)
        gaps = one.integrals - two.integrals
        value = within_range(float(np.abs(gaps).sum()))
        mean, variance = _null_moments(one, two, np.diff(ends))
        third = _outlier_cumulant(one, two)
        corrected = sqrt(max(0.0, value * value - mean * mean - variance))
        spread = Z * sqrt(_slope_variance(one, two, ends, np.sign(gaps)) + variance)
    return Distance(
        name="wasserstein",
        value=within_range(value / scale),
        corrected=within_range(corrected / scale),
        p_value=_p_value(value, mean, variance, third),
        low=within_range(max(0.0, corrected - spread) / scale),
        high=within_range((corrected + spread) / scale),
        warning=limits.warning,
        critical=limits.critical,
    )


def _ends(reference: NumericProfile, current: NumericProfile) -> Floats:
    """The cells' ends, the outer ones drawn to the smallest and largest finite values."""
    extremes = [x for side in (reference, current) for x in (side.minimum, side.maximum) if x is not None]
    low, high = min(extremes), max(extremes)
    return np.concatenate(([low], np.clip(np.asarray(reference.grid.cuts), low, high), [high]))


def _side(profile: NumericProfile, ends: Floats) -> _Side:
    counts = np.asarray(profile.counts, dtype=float)
    counts[0] -= profile.low_infinite
    counts[-1] -= profile.high_infinite
    sums, widths, size = np.asarray(profile.sums), np.diff(ends), profile.finite
    before = np.cumsum(counts) - counts
    within = np.clip(counts * ends[1:] - sums, 0.0, counts * widths)  # rounding must not leave the cell
    means = np.clip(np.divide(sums, counts, out=ends[1:].copy(), where=counts > 0), ends[:-1], ends[1:])
    return _Side(counts, (before * widths + within) / size, means, size)


def _null_moments(one: _Side, two: _Side, widths: Floats) -> tuple[float, float]:
    wide = widths > 0
    pooled = (one.size * one.integrals + two.size * two.integrals)[wide] / ((one.size + two.size) * widths[wide])
    pooled = np.clip(pooled, 0.0, 1.0)
    weights = widths[wide] * np.sqrt(pooled * (1.0 - pooled))
    some = weights > 0
    odds = np.log(pooled[some]) - np.log1p(-pooled[some])
    place = np.rint((np.clip(odds / LARGEST_LOGIT, -1.0, 1.0) + 1.0) * (POINTS - 1) / 2.0).astype(np.intp)
    mass = np.bincount(place, weights=weights[some], minlength=POINTS)
    unit = 2.0 / pi * (1.0 / one.size + 1.0 / two.size)
    return sqrt(unit) * float(mass.sum()), unit * float(((_covariance() * mass).sum(axis=1) * mass).sum())


def _outlier_cumulant(one: _Side, two: _Side) -> float:
    counts = one.counts + two.counts
    total = one.size + two.size
    means = np.divide(
        one.counts * one.means + two.counts * two.means, counts, out=np.zeros_like(counts), where=counts > 0
    )
    median = means[int(np.searchsorted(np.cumsum(counts), total / 2.0))]
    reach = np.abs(means - median)
    reach -= float(counts @ reach) / total
    return float(counts @ reach**3) / total * abs(1.0 / one.size**2 - 1.0 / two.size**2)


def _p_value(value: float, mean: float, variance: float, third: float) -> float:
    if not (variance > 0 and isfinite(variance) and isfinite(third)):
        return 1.0
    deviation = sqrt(variance)
    bridge = min(3.0 * deviation / mean, BRIDGE_SKEWNESS)
    # A larger skewness is not everywhere the larger tail, so the more cautious of the two speaks.
    skews = (bridge, bridge + max(third, 0.0) / deviation**3)
    return max(_pearson_tail((value - mean) / deviation, skew) for skew in skews)


def _pearson_tail(standardised: float, skew: float) -> float:
    shape = 4.0 / (skew * skew)
    return float(gammaincc(shape, max(0.0, shape + standardised * 2.0 / skew)))


@cache
def _covariance() -> Floats:
    steps = np.abs(np.subtract.outer(np.arange(POINTS), np.arange(POINTS))) * (2.0 * LARGEST_LOGIT / (POINTS - 1))
    r = np.exp(-steps / 2.0)
    return np.asarray(np.sqrt(1.0 - r * r) + r * np.arcsin(r) - 1.0)


def _slope_variance(one: _Side, two: _Side, ends: Floats, signs: Floats) -> float:
    """Delta method: the distance is the difference of the two means of a function that climbs by the gap's sign."""
    starts = np.concatenate(([0.0], np.cumsum(signs * np.diff(ends))[:-1]))
    total = 0.0
    for side in (one, two):
        heights = starts + signs * (side.means - ends[:-1])
        mean = float(side.counts @ heights) / side.size
        total += float(side.counts @ (heights - mean) ** 2) / side.size / side.size
    return total if isfinite(total) else 0.0


def _pooled_deviation(reference: NumericProfile, current: NumericProfile) -> float:
    both = reference + current
    return sqrt(both.m2 / both.finite) if both.finite and both.minimum != both.maximum else 0.0
