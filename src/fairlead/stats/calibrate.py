"""Calibration: from a model's score to the probability that it stands for, learned on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from fairlead.stats.performance import Floats

FEWEST_CELLS = 50


class Calibration(Struct, frozen=True):
    """A monotone curve: probability `levels` at ascending score `knots`, straight between them, flat outside."""

    knots: tuple[float, ...]
    levels: tuple[float, ...]

    def __call__(self, score: ArrayLike) -> Floats:
        """The calibrated probabilities of scores (n,)."""
        return np.asarray(np.interp(np.asarray(score, np.float64), self.knots, self.levels), np.float64)


class Curves(Struct, frozen=True, eq=False):
    """Many monotone curves that have their knots in common: `knots` (k,), ascending, and `levels` (curves, k)."""

    knots: Floats
    levels: NDArray[np.float32]

    def __call__(self, score: ArrayLike) -> Floats:
        """Each curve's probabilities of scores of any shape: (curves, ...)."""
        s = np.asarray(score, np.float64)
        if self.knots.size == 1:
            return np.broadcast_to(self.levels.astype(np.float64), (len(self.levels), s.size)).reshape(-1, *s.shape)
        left = np.clip(np.searchsorted(self.knots, s, "right") - 1, 0, self.knots.size - 2)
        start = self.knots[left]
        share = np.clip((s - start) / (self.knots[left + 1] - start), 0.0, 1.0)
        return np.asarray(self.levels[:, left] * (1.0 - share) + self.levels[:, left + 1] * share, np.float64)


class Cells(Struct, frozen=True, eq=False):
    """Held-out rows in cells of ascending score, each array (cells,): mean score, smallest and largest score, weight of
    the 1s and of the 0s, and the sum of the squared weights of each, by which a weighted bootstrap is drawn."""

    score: Floats
    first: Floats
    last: Floats
    ones: Floats
    zeros: Floats
    ones_squared: Floats
    zeros_squared: Floats

    @property
    def rows(self) -> Floats:
        """The weight of all rows in each cell."""
        return self.ones + self.zeros


def calibrate(truth: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Calibration:
    """Isotonic regression of 0/1 truth on score: pool-adjacent-violators (Ayer et al., 1955) finds the blocks, each
    block's share of 1s is the probability over the block's scores, straight lines join the blocks.

    The curve's mean over the held-out rows is therefore their share of 1s. Where scores hardly repeat, rows are first
    gathered in cells of about half the root of their number: on single rows the pooled order is better than the true
    one, and every metric estimated by it too good. A lowest block of only 0s and a highest of only 1s stop half a row
    short of certainty: no finite sample proves a probability of 0 or 1.

    `weight` (n,) weighs the rows. Raises `ValueError` for no rows of positive weight.

    >>> curve = calibrate([0, 0, 1, 0, 1, 1], [.1, .2, .3, .4, .5, .6])
    >>> [round(float(p), 2) for p in curve([0.0, 0.35, 0.9])]
    [0.17, 0.5, 0.83]
    """
    return curve_of(cells(truth, score, weight))


def cells(truth: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Cells:
    """Held-out rows as cells: 0/1 truth, score, and weight, each (n,). Equal scores share a cell.

    There are as many cells as distinct scores, but at most the larger of 50 and twice the root of the total weight.
    Raises `ValueError` for no rows of positive weight.

    >>> found = cells([0, 1, 1], [0.2, 0.2, 0.7])
    >>> found.score.tolist(), found.ones.tolist(), found.rows.tolist()
    ([0.2, 0.7], [1.0, 1.0], [2.0, 1.0])
    """
    y, s = np.asarray(truth, np.float64), np.asarray(score, np.float64)
    w = np.ones_like(y) if weight is None else np.asarray(weight, np.float64)
    kept = w > 0
    if not kept.any():
        raise ValueError("a calibration needs at least one held-out row")
    y, s, w = y[kept], s[kept], w[kept]
    distinct, place = np.unique(s, return_inverse=True)
    group = groups(summed(place, w, distinct.size))
    place, size = group[place], int(group[-1]) + 1
    ones, total, moment = (summed(place, part, size) for part in (w * y, w, w * s))
    edges = np.flatnonzero(np.diff(group, prepend=-1))
    squared = summed(place, w * w * y, size)
    return Cells(
        moment / total,
        distinct[edges],
        distinct[np.append(edges[1:], distinct.size) - 1],
        ones,
        np.maximum(total - ones, 0.0),
        squared,
        np.maximum(summed(place, w * w, size) - squared, 0.0),
    )


def groups(weight: Floats) -> NDArray[np.intp]:
    """The cell number, from 0 up, of each distinct score in ascending order, by the weight at it."""
    total = float(weight.sum())
    most = max(FEWEST_CELLS, ceil(2 * sqrt(total)))
    if weight.size <= most:
        return np.arange(weight.size)
    before = np.cumsum(weight) - weight
    slot = np.floor(before * (most / total) * (1 + 1e-12)).astype(np.intp)
    return np.asarray(np.unique(slot, return_inverse=True)[1], np.intp)


def curve_of(held: Cells, ones: Floats | None = None, zeros: Floats | None = None) -> Calibration:
    """The isotonic curve of cells, or of the same cells with other weights of 1s and 0s (a bootstrap's)."""
    from scipy.optimize import isotonic_regression

    y, n = (held.ones, held.zeros) if ones is None or zeros is None else (ones, zeros)
    rows = np.maximum(y + n, 1e-9)
    blocks = np.asarray(isotonic_regression(y / rows, weights=rows).blocks, np.intp)
    starts, ends = blocks[:-1], blocks[1:] - 1
    sums = np.add.reduceat(np.stack([y, rows]), starts, axis=1)
    levels, half = sums[0] / sums[1], 0.5 / (sums[1] + 1.0)
    # Only the first block can be all 0s and only the last all 1s; neither may be drawn in past its neighbour.
    if levels[0] == 0.0:
        levels[0] = min([half[0], *levels[1:2]])
    if levels[-1] == 1.0:
        levels[-1] = max([1.0 - half[-1], *levels[-2:-1]])
    single = held.first[starts] == held.last[ends]
    knots = np.stack([held.first[starts], held.last[ends]], axis=1)
    kept = np.stack([np.ones_like(single), ~single], axis=1).ravel()
    return Calibration(tuple(knots.ravel()[kept].tolist()), tuple(np.repeat(levels, 2)[kept].tolist()))


def redrawn(held: Cells, rng: np.random.Generator) -> Calibration:
    """The curve of one Bayesian bootstrap of the rows (Rubin, 1981): exponential weights, which in a cell of equal
    weights add up to a gamma variate; unequal ones are matched in mean and variance."""
    ones, zeros = (_gamma(*of, rng) for of in ((held.ones, held.ones_squared), (held.zeros, held.zeros_squared)))
    return curve_of(held, ones, zeros)


def curves_of(held: Cells, each: Sequence[Calibration]) -> Curves:
    """Curves that were fitted to the same cells: between the cells' ends each is straight, so nothing is lost but what
    lies beyond seven digits."""
    knots = np.union1d(held.first, held.last)
    return Curves(knots, np.array([curve(knots) for curve in each], np.float32, order="F"))


def _gamma(mean: Floats, variance: Floats, rng: np.random.Generator) -> Floats:
    there = mean > 0
    scale = np.divide(variance, mean, out=np.ones_like(mean), where=there)
    return np.asarray(np.where(there, rng.standard_gamma(np.where(there, mean / scale, 1.0)) * scale, 0.0))


def summed(place: NDArray[np.intp], values: Floats, size: int) -> Floats:
    """The sum of values (n,) at each place from 0 to `size` - 1.

    >>> summed(np.array([0, 2, 2]), np.array([1.0, 2.0, 3.0]), 3).tolist()
    [1.0, 0.0, 5.0]
    """
    return np.asarray(np.bincount(place, values, size), np.float64)
