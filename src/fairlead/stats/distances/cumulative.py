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
from numpy.typing import NDArray
from scipy.special import gammaincc

from fairlead.stats.distances.kolmogorov import p_values
from fairlead.stats.distances.values import Readings, Z
from fairlead.stats.exact import FARTHEST, LIMB, Floats
from fairlead.stats.profile import NumericProfile

KOLMOGOROV_SECOND = pi * pi / 12.0  # E[K^2] of Kolmogorov's law
KOLMOGOROV_VARIANCE = KOLMOGOROV_SECOND - pi / 2.0 * log(2.0) ** 2
LARGEST_LOGIT = 16.0
POINTS = 257
CIRCLE = 540  # at least 2 POINTS, and quick to transform
BRIDGE_SKEWNESS = 1.1
TAIL = 5.0


class Side(Struct, frozen=True, eq=False):
    """Profiles lined up: `counts` of finite values, their running sums `climbs` and the `sums` of places, all of shape
    (profiles, cells), padded with empty cells; the rest (profiles,). `low` and `high` are the ends of the finite
    values, NaN without one.
    """

    counts: Floats
    climbs: Floats
    sums: Floats
    present: Floats  # with infinities
    finite: Floats
    low_infinite: Floats
    low: Floats
    high: Floats

    @property
    def sizes(self) -> Floats:
        """Finite rows, at least 1."""
        return np.maximum(self.finite, 1.0)


class Steps(Struct, frozen=True, eq=False):
    """Many pairs of profiles, each pair on one grid. Where all have one reference, the reference's side has one row.

    `ends` (pairs, cells + 1) are the cells' ends in places (units of the grid from its origin), the outer ones drawn to
    the smallest and largest finite value, those of padding to the largest; `scale` (pairs,) is in places.
    """

    reference: Side
    current: Side
    ends: Floats
    scale: Floats


def steps_of(pairs: Sequence[tuple[NumericProfile, NumericProfile]]) -> Steps:
    """Lines up pairs of profiles."""
    references = [one for one, _ in pairs]
    if all(one is references[0] for one in references):
        references = references[:1]
    widest = max(one.counts.size for one in references)
    reference, current = _side(references, widest), _side([two for _, two in pairs], widest)
    low, high = np.fmin(reference.low, current.low), np.fmax(reference.high, current.high)
    inner = np.full((len(references), widest - 1), np.inf)
    for place, one in enumerate(references):
        inner[place, : one.counts.size - 1] = one.grid.places
    ends = np.empty((len(pairs), widest + 1))
    ends[:, 0], ends[:, -1] = (_places_of(end, references) for end in (low, high))
    np.clip(inner, ends[:, :1], ends[:, -1:], out=ends[:, 1:-1])
    scale = np.empty(len(pairs))
    scale[:] = [_scale(one) for one in references]
    for place in np.flatnonzero(scale == 0.0).tolist():
        scale[place] = _pooled_deviation(*pairs[place])
    return Steps(reference, current, ends, scale)


def _side(profiles: Sequence[NumericProfile], widest: int) -> Side:
    cells = np.zeros((len(profiles), 3, widest))
    for place, one in enumerate(profiles):
        cells[place, :, : one.counts.size] = one.table
    ends = np.array([(one.low_infinite, one.high_infinite, one.counts.size, one.present) for one in profiles], float)
    low_infinite, high_infinite, sizes, present = ends.T
    counts = cells[:, 0]
    counts[:, 0] -= low_infinite
    counts[np.arange(len(profiles)), sizes.astype(np.intp) - 1] -= high_infinite
    finite = present - low_infinite - high_infinite
    low = np.array([one.minimum for one in profiles], float)  # None becomes NaN
    high = np.array([one.maximum for one in profiles], float)
    sums = cells[:, 1] * 2.0**LIMB + cells[:, 2]
    return Side(counts, counts.cumsum(axis=1), sums, present, finite, low_infinite, low, high)


def ks(steps: Steps) -> Readings:
    """Kolmogorov-Smirnov, sup |F - G|, over the grid's cuts (exact for a reference of up to 512 distinct values).

    The p-value is exact for small samples, else Kolmogorov's limit law at nm / (n + m); repeated values make it
    conservative.
    """
    sides = (steps.reference, steps.current)
    n, m = (np.maximum(side.present, 1.0) for side in sides)
    climbs = [
        (side.climbs[:, :-1] + side.low_infinite[:, None]) / rows[:, None]
        for side, rows in zip(sides, (n, m), strict=True)
    ]
    if not climbs[0].shape[1]:
        climbs = [np.zeros((rows.size, 1)) for rows in (n, m)]
    gaps = np.abs(climbs[0] - climbs[1])
    every, widest = np.arange(m.size), np.argmax(gaps, axis=1)
    f, g, value = (np.broadcast_to(part, gaps.shape)[every, widest] for part in (*climbs, gaps))
    some = (sides[0].present > 0) & (sides[1].present > 0)
    noise = 1.0 / n + 1.0 / m
    value = np.where(some, value, 0.0)
    corrected = np.sqrt(np.maximum(0.0, value * value - noise * KOLMOGOROV_SECOND))
    spread = Z * np.sqrt(f * (1.0 - f) / n + g * (1.0 - g) / m + noise * KOLMOGOROV_VARIANCE)
    low, high = np.maximum(corrected - spread, 0.0), np.minimum(corrected + spread, 1.0)
    return Readings(
        "ks",
        value,
        corrected,
        p_values(value, np.broadcast_to(n, m.shape), m),
        np.where(some, low, 0.0),
        np.where(some, high, 0.0),
    )


def wasserstein(steps: Steps) -> Readings:
    """Wasserstein-1, the integral of |F - G| over finite values, divided by the grid's `scale`.

    Where the reference is constant the pooled standard deviation takes its place.
    """
    sides = (steps.reference, steps.current)
    some = (sides[0].finite > 0) & (sides[1].finite > 0) & (steps.scale > 0)
    sizes = (sides[0].sizes, sides[1].sizes)
    widths = np.diff(steps.ends, axis=1)
    areas = [_areas(side, steps.ends, widths) for side in sides]
    gaps = areas[0] - areas[1]
    distance = np.abs(gaps)
    value = distance.sum(axis=1)
    pooled = _pooled(areas, sizes, widths)
    weights = widths * np.sqrt(pooled * (1.0 - pooled))
    line = _on_line(pooled)
    mean, variance = _null_moments(weights, line, sizes)
    corrected = np.sqrt(np.maximum(0.0, value * value - mean * mean - variance))
    spread = Z * np.sqrt(_slope_variance(steps, np.sign(gaps), widths) + variance)
    bulk = np.minimum(pooled, 1.0 - pooled) * np.minimum(*sizes)[:, None] >= TAIL
    law = _null_moments(np.where(bulk, weights, 0.0), line, sizes)
    p_value = _p_value(np.where(bulk, distance, 0.0).sum(axis=1), *law)
    unit = np.where(some, steps.scale, 1.0)
    found = (value, corrected, np.maximum(corrected - spread, 0.0), corrected + spread)
    value, corrected, low, high = (np.where(some, part / unit, 0.0) for part in found)
    return Readings("wasserstein", value, corrected, np.where(some, p_value, 1.0), low, high)


def _places_of(ends: Floats, references: Sequence[NumericProfile]) -> Floats:
    """The places of values (pairs,), 0 for NaN."""
    origins = np.array([one.grid.origin for one in references])
    with np.errstate(over="ignore"):
        found = np.rint(np.ldexp(ends - origins, [one.grid.exponent for one in references]))
    return np.where(np.isnan(ends), 0.0, np.clip(found, -FARTHEST, FARTHEST))


def _scale(reference: NumericProfile) -> float:
    """The grid's scale in places, 0 where the reference does not vary."""
    with np.errstate(over="ignore"):
        return min(float(np.ldexp(reference.grid.scale, reference.grid.exponent)), FARTHEST)


def _pooled_deviation(one: NumericProfile, two: NumericProfile) -> float:
    """The standard deviation of both, in places; 0 where nothing varies."""
    both = one + two
    return 0.0 if not both.finite or both.minimum == both.maximum else sqrt(both.place_variance)


def _areas(side: Side, ends: Floats, widths: Floats) -> Floats:
    """The integral of one sample's distribution over each cell."""
    counts = side.counts
    within = np.clip(counts * ends[:, 1:] - side.sums, 0.0, counts * widths)
    return np.asarray(((side.climbs - counts) * widths + within) / side.sizes[:, None])


def _pooled(areas: Sequence[Floats], sizes: Sequence[Floats], widths: Floats) -> Floats:
    """The pooled distribution's mean level in each cell, 0 in a cell of no width."""
    total = sizes[0][:, None] * areas[0] + sizes[1][:, None] * areas[1]
    rows = (sizes[0] + sizes[1])[:, None] * widths
    return np.clip(np.divide(total, rows, out=np.zeros_like(total), where=widths > 0), 0.0, 1.0)


def _on_line(pooled: Floats) -> NDArray[np.intp]:
    """The point of each level (pairs, cells) on a line over its log odds; each pair has POINTS points of its own."""
    with np.errstate(divide="ignore"):
        odds = np.log(pooled / (1.0 - pooled))
    np.clip(odds, -LARGEST_LOGIT, LARGEST_LOGIT, out=odds)
    odds += LARGEST_LOGIT
    odds *= (POINTS - 1) / (2.0 * LARGEST_LOGIT)
    point = np.rint(odds, out=odds).astype(np.intp)
    point += (np.arange(pooled.shape[0]) * POINTS)[:, None]
    return point


def _null_moments(weights: Floats, line: NDArray[np.intp], sizes: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Mean and variance of the distance under no change."""
    pairs = weights.shape[0]
    mass = np.bincount(line.ravel(), weights=weights.ravel(), minlength=pairs * POINTS).reshape(pairs, POINTS)
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


def _slope_variance(steps: Steps, signs: Floats, widths: Floats) -> Floats:
    """Delta method: the distance is the difference of the two means of a function that climbs by the gap's sign."""
    climb = signs * widths
    starts = np.cumsum(climb, axis=1) - climb
    first, last = steps.ends[:, :-1], steps.ends[:, 1:]
    total = np.zeros(widths.shape[0])
    for side in (steps.reference, steps.current):
        counts, rows = side.counts, side.sizes
        means = np.divide(side.sums, counts, out=last.copy(), where=counts > 0)
        heights = starts + signs * (np.clip(means, first, last) - first)
        mean = (counts * heights).sum(axis=1) / rows
        total += (counts * (heights - mean[:, None]) ** 2).sum(axis=1) / (rows * rows)
    return total
