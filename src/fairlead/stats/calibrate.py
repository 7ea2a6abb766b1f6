"""Calibration: from a model's score to the probability that it stands for, learned on held-out rows."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from fairlead.stats.performance import Floats, cells_of


class Calibration(Struct, frozen=True):
    """A monotone curve: probability `levels` at ascending score `knots`, straight between them, flat outside."""

    knots: tuple[float, ...]
    levels: tuple[float, ...]

    def __call__(self, score: ArrayLike) -> Floats:
        """The calibrated probabilities of scores (n,)."""
        return np.asarray(np.interp(np.asarray(score, np.float64), self.knots, self.levels), np.float64)


def calibrate(truth: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> Calibration:
    """Centred isotonic regression (Oron, Flournoy, 2017) of 0/1 truth on score.

    Pool-adjacent-violators finds the blocks; each block's share stands at the block's mean score, and the curve runs
    straight between blocks, so it keeps the scores' order where plain steps would tie them. Shares are shrunk by half
    a row to each side (Krichevsky, Trofimov): no finite sample proves a probability of 0 or 1.

    Raises `ValueError` for no rows. `weight` (n,) weighs the rows.

    >>> curve = calibrate([0, 0, 1, 0, 1, 1], [.1, .2, .3, .4, .5, .6])
    >>> [round(float(p), 2) for p in curve([0.0, 0.35, 0.9])]
    [0.17, 0.5, 0.83]
    """
    y, s = np.asarray(truth, np.float64), np.asarray(score, np.float64)
    w = np.ones_like(y) if weight is None else np.asarray(weight, np.float64)
    kept = w > 0
    if not kept.any():
        raise ValueError("a calibration needs at least one held-out row")
    return calibrate_cells(*cells_of(s[kept], y[kept], w[kept]))


def calibrate_cells(scores: Floats, ones: Floats, rows: Floats) -> Calibration:
    """`calibrate` from cells: ascending distinct scores with the weight of 1s and of all rows in each (all above 0)."""
    from scipy.optimize import isotonic_regression

    blocks = isotonic_regression(ones / rows, weights=rows).blocks
    starts = np.asarray(blocks[:-1], np.intp)
    sums = np.add.reduceat(np.stack([ones, rows, rows * scores]), starts, axis=1)
    levels = (sums[0] + 0.5) / (sums[1] + 1.0)
    # Shrinking small blocks more than large ones may put two neighbours out of order by a hair.
    levels = np.maximum.accumulate(levels)
    knots = sums[2] / sums[1]
    return Calibration(tuple(knots.tolist()), tuple(levels.tolist()))
