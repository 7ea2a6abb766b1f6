"""Distances between cumulative distributions on a grid: Kolmogorov-Smirnov and Wasserstein-1.

Both are linear near zero, so what chance alone adds is taken off in quadrature: sqrt(max(0, D^2 - E0[D^2])).

Wasserstein-1. With the sum of the values in a cell, the integral of F over it is exact: width F(start) + (count end -
sum) / n. So the distance is exact wherever F - G keeps its sign within a cell, and a lower bound where it does not.
Under no change F - G is a Brownian bridge of variance noise H(1 - H), H the pooled distribution, noise = 1/n + 1/m. The
mean of the distance is sqrt(2 noise / pi) times the integral of sqrt(H(1 - H)); its variance is the double integral of
Cov(|B(x)|, |B(y)|) = (2/pi) s(x) s(y) (sqrt(1 - r^2) + r asin(r) - 1), where r = exp(-d / 2) and d is the distance of
H(x) and H(y) in log odds: a bridge over its standard deviation is stationary in log odds.

The p-value is that of Pearson's type III law (a shifted gamma) with mean and variance of the part of the integral where
both samples together can be expected to have TAIL rows of the smaller one on either side: beyond, one outlier is all
the evidence, no bridge describes it, and heavy tails would be called drift. The distance itself is whole; `outside`
tests the tails. The skewness is min(3 sd / mean, 1.1), found by simulation between a single bridge point (1.0) and a
normal column (1.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import log, pi, sqrt

import numpy as np
from msgspec import Struct
from scipy.special import gammaincc

from fairlead.stats.distances.kolmogorov import p_values
from fairlead.stats.distances.values import Readings, Z
from fairlead.stats.exact import FARTHEST, Floats
from fairlead.stats.profile import NumericProfile

KOLMOGOROV_SECOND = pi * pi / 12.0  # E[K^2] of Kolmogorov's law
KOLMOGOROV_VARIANCE = KOLMOGOROV_SECOND - pi / 2.0 * log(2.0) ** 2
LARGEST_LOGIT = 16.0
POINTS = 257
CIRCLE = 540  # at least 2 POINTS, and quick to transform
BRIDGE_SKEWNESS = 1.1
TAIL = 5.0


class Steps(Struct, frozen=True, eq=False):
    """Many pairs of profiles, lined up: arrays of shape (pairs, cells), padded with empty cells of no width.

    `ends` (pairs, cells + 1) are the cells' ends in places (units of the grid from its origin), the outer ones drawn to
    the smallest and largest finite value; `sums` are of places. `present` counts infinities, `finite` does not.
    """

    counts: tuple[Floats, Floats]
    sums: tuple[Floats, Floats]
    ends: Floats
    present: tuple[Floats, Floats]
    finite: tuple[Floats, Floats]
    low_infinite: tuple[Floats, Floats]
    scale: Floats


def steps_of(pairs: Sequence[tuple[NumericProfile, NumericProfile]]) -> Steps:
    """Lines up pairs of profiles, each pair on one grid."""
    widest = max((one.counts.size for one, _ in pairs), default=1)
    shape = (len(pairs), widest)
    counts, sums = ((np.zeros(shape), np.zeros(shape)) for _ in range(2))
    ends = np.empty((len(pairs), widest + 1))
    lows, highs = _extremes(pairs)
    for place, pair in enumerate(pairs):
        size = pair[0].counts.size
        for side, profile in enumerate(pair):
            counts[side][place, :size] = profile.counts
            counts[side][place, 0] -= profile.low_infinite
            counts[side][place, size - 1] -= profile.high_infinite
            sums[side][place, :size] = profile.place_sums
        low, high = lows[place], highs[place]
        ends[place, 0] = low
        np.minimum(np.maximum(pair[0].grid.places, low), high, out=ends[place, 1:size])
        ends[place, size:] = high
    return Steps(
        counts,
        sums,
        ends,
        _numbers([(one.present, two.present) for one, two in pairs]),
        _numbers([(one.finite, two.finite) for one, two in pairs]),
        _numbers([(one.low_infinite, two.low_infinite) for one, two in pairs]),
        np.array([_scale(one, two) for one, two in pairs]),
    )


def ks(steps: Steps) -> Readings:
    """Kolmogorov-Smirnov, sup |F - G|, over the grid's cuts (exact for a reference of up to 512 distinct values).

    The p-value is exact for small samples, else Kolmogorov's limit law at nm / (n + m); repeated values make it
    conservative.
    """
    n, m = (np.maximum(side, 1.0) for side in steps.present)
    climbs = []
    for side, rows in enumerate((n, m)):
        climb = np.cumsum(steps.counts[side], axis=1)
        climbs.append((climb + steps.low_infinite[side][:, None])[:, :-1] / rows[:, None])
    if not climbs[0].shape[1]:
        climbs = [np.zeros((n.size, 1))] * 2
    gaps = np.abs(climbs[0] - climbs[1])
    widest = np.argmax(gaps, axis=1)[:, None]
    f, g, value = (np.take_along_axis(part, widest, axis=1)[:, 0] for part in (*climbs, gaps))
    some = (steps.present[0] > 0) & (steps.present[1] > 0)
    noise = 1.0 / n + 1.0 / m
    value = np.where(some, value, 0.0)
    corrected = np.sqrt(np.maximum(0.0, value * value - noise * KOLMOGOROV_SECOND))
    spread = Z * np.sqrt(f * (1.0 - f) / n + g * (1.0 - g) / m + noise * KOLMOGOROV_VARIANCE)
    low, high = np.maximum(corrected - spread, 0.0), np.minimum(corrected + spread, 1.0)
    return Readings("ks", value, corrected, p_values(value, n, m), np.where(some, low, 0.0), np.where(some, high, 0.0))


def wasserstein(steps: Steps) -> Readings:
    """Wasserstein-1, the integral of |F - G| over finite values, divided by the grid's `scale`.

    Where the reference is constant the pooled standard deviation takes its place.
    """
    some = (steps.finite[0] > 0) & (steps.finite[1] > 0) & (steps.scale > 0)
    sizes = tuple(np.maximum(rows, 1.0) for rows in steps.finite)
    widths = np.diff(steps.ends, axis=1)
    areas = [_areas(steps, side, rows, widths) for side, rows in enumerate(sizes)]
    gaps = areas[0] - areas[1]
    distance = np.abs(gaps)
    value = distance.sum(axis=1)
    pooled = _pooled(areas, sizes, widths)
    weights = widths * np.sqrt(pooled * (1.0 - pooled))
    odds = _log_odds(pooled)
    mean, variance = _null_moments(weights, odds, sizes)
    corrected = np.sqrt(np.maximum(0.0, value * value - mean * mean - variance))
    spread = Z * np.sqrt(_slope_variance(steps, sizes, np.sign(gaps), widths) + variance)
    bulk = np.minimum(pooled, 1.0 - pooled) * np.minimum(*sizes)[:, None] >= TAIL
    law = _null_moments(np.where(bulk, weights, 0.0), odds, sizes)
    p_value = _p_value(np.where(bulk, distance, 0.0).sum(axis=1), *law)
    unit = np.where(some, steps.scale, 1.0)
    found = (value, corrected, np.maximum(corrected - spread, 0.0), corrected + spread)
    value, corrected, low, high = (np.where(some, part / unit, 0.0) for part in found)
    return Readings("wasserstein", value, corrected, np.where(some, p_value, 1.0), low, high)


def _extremes(pairs: Sequence[tuple[NumericProfile, NumericProfile]]) -> tuple[Floats, Floats]:
    """The smallest and the largest place of both profiles of each pair; 0 for pairs without a finite value."""
    known = [[x for side in pair for x in (side.minimum, side.maximum) if x is not None] for pair in pairs]
    found = np.array([(min(ends), max(ends)) if ends else (0.0, 0.0) for ends in known]).reshape(-1, 2)
    grids = [pair[0].grid for pair in pairs]
    origins = np.array([grid.origin for grid in grids])
    with np.errstate(over="ignore"):
        found = np.rint(np.ldexp(found - origins[:, None], np.array([grid.exponent for grid in grids])[:, None]))
    found = np.where([[bool(ends)] for ends in known], np.clip(found, -FARTHEST, FARTHEST), 0.0)
    return found[:, 0], found[:, 1]


def _scale(one: NumericProfile, two: NumericProfile) -> float:
    """The grid's scale, or the pooled standard deviation, in places; 0 where nothing varies."""
    if one.grid.scale:
        with np.errstate(over="ignore"):
            return min(float(np.ldexp(one.grid.scale, one.grid.exponent)), FARTHEST)
    both = one + two
    if not both.finite or both.minimum == both.maximum:
        return 0.0
    return sqrt(both.place_variance)


def _numbers(pairs: Sequence[tuple[int, int]]) -> tuple[Floats, Floats]:
    one, two = np.asarray(pairs, dtype=np.float64).reshape(-1, 2).T
    return one, two


def _areas(steps: Steps, side: int, rows: Floats, widths: Floats) -> Floats:
    """The integral of one sample's distribution over each cell."""
    counts = steps.counts[side]
    before = np.cumsum(counts, axis=1) - counts
    within = np.clip(counts * steps.ends[:, 1:] - steps.sums[side], 0.0, counts * widths)
    return np.asarray((before * widths + within) / rows[:, None])


def _pooled(areas: Sequence[Floats], sizes: Sequence[Floats], widths: Floats) -> Floats:
    """The pooled distribution's mean level in each cell, 0 in a cell of no width."""
    total = sizes[0][:, None] * areas[0] + sizes[1][:, None] * areas[1]
    rows = (sizes[0] + sizes[1])[:, None] * widths
    return np.clip(np.divide(total, rows, out=np.zeros_like(total), where=widths > 0), 0.0, 1.0)


def _log_odds(pooled: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(pooled) - np.log1p(-pooled)


def _null_moments(weights: Floats, odds: Floats, sizes: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Mean and variance of the distance under no change."""
    pairs = weights.shape[0]
    place = np.rint((np.clip(odds / LARGEST_LOGIT, -1.0, 1.0) + 1.0) * ((POINTS - 1) / 2.0)).astype(np.intp)
    place += (np.arange(pairs) * POINTS)[:, None]
    mass = np.bincount(place.ravel(), weights=weights.ravel(), minlength=pairs * POINTS).reshape(pairs, POINTS)
    unit = 2.0 / pi * (1.0 / sizes[0] + 1.0 / sizes[1])
    # The covariance depends on the distance alone: the double sum is one of squares in the frequency domain.
    waves = np.fft.rfft(mass, CIRCLE, axis=1)
    power = waves.real**2 + waves.imag**2
    return np.sqrt(unit) * mass.sum(axis=1), unit * (power * _spectrum()).sum(axis=1)


def _p_value(value: Floats, mean: Floats, variance: Floats) -> Floats:
    some = variance > 0
    deviation = np.sqrt(np.where(some, variance, 1.0))
    skew = np.minimum(3.0 * deviation / np.where(some, mean, 1.0), BRIDGE_SKEWNESS)
    shape = 4.0 / (skew * skew)
    tail = gammaincc(shape, np.maximum(0.0, shape + (value - mean) / deviation * 2.0 / skew))
    return np.where(some, tail, 1.0)


@cache
def _spectrum() -> Floats:
    """Weights of the frequencies: the transform of the covariance, on a circle so wide that its ends do not meet."""
    step = np.minimum(np.arange(CIRCLE), CIRCLE - np.arange(CIRCLE)) * (2.0 * LARGEST_LOGIT / (POINTS - 1))
    r = np.exp(-step / 2.0)
    weights = np.fft.rfft(np.sqrt(1.0 - r * r) + r * np.arcsin(r) - 1.0).real / CIRCLE
    weights[1:-1] *= 2.0
    return np.asarray(weights)


def _slope_variance(steps: Steps, sizes: Sequence[Floats], signs: Floats, widths: Floats) -> Floats:
    """Delta method: the distance is the difference of the two means of a function that climbs by the gap's sign."""
    climb = signs * widths
    starts = np.cumsum(climb, axis=1) - climb
    total = np.zeros(widths.shape[0])
    for counts, sums, rows in zip(steps.counts, steps.sums, sizes, strict=True):
        means = np.divide(sums, counts, out=steps.ends[:, 1:].copy(), where=counts > 0)
        heights = starts + signs * (np.clip(means, steps.ends[:, :-1], steps.ends[:, 1:]) - steps.ends[:, :-1])
        mean = (counts * heights).sum(axis=1) / rows
        total += (counts * (heights - mean[:, None]) ** 2).sum(axis=1) / (rows * rows)
    return total
