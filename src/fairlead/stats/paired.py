"""Two models on the same rows: the difference with its interval. Pairing removes what both find hard."""

from __future__ import annotations

from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from fairlead.stats.performance import LEVEL, UNDEFINED, Measure

Floats = NDArray[np.float64]


def auroc_difference(truth: ArrayLike, score: ArrayLike, other: ArrayLike, level: float = LEVEL) -> Measure:
    """AUROC of `score` minus that of `other` on the same rows, with the normal interval of DeLong, DeLong and
    Clarke-Pearson (1988).

    `truth` (n,) is 0/1. Each score's area is a mean of its placements, V(1) over the ones and V(0) over the zeros; the
    variance of the difference is var(V1 - W1) / ones + var(V0 - W0) / zeros. nan unless each class has two rows.

    >>> found = auroc_difference([0, 0, 0, 1, 1, 1], [1, 2, 4, 3, 5, 6], [1, 2, 5, 3, 4, 6])
    >>> round(found.value, 4), round(found.low, 4), round(found.high, 4)
    (0.1111, -0.1969, 0.4191)
    """
    ones = np.asarray(truth, np.float64) > 0.5
    m, n = int(ones.sum()), int((~ones).sum())
    if min(m, n) < 2:
        return UNDEFINED
    over, under = _placements(ones, np.asarray(score, np.float64))
    other_over, other_under = _placements(ones, np.asarray(other, np.float64))
    gain = over - other_over
    variance = float(gain.var(ddof=1)) / m + float((under - other_under).var(ddof=1)) / n
    return _normal(float(gain.mean()), variance, level)


def loss_difference(loss: ArrayLike, other: ArrayLike, level: float = LEVEL) -> Measure:
    """Mean of `other` minus `loss`, row by row: positive where `loss` is the lower. Normal interval; nan below 2 rows.

    >>> loss_difference([1.0, 2.0, 3.0], [2.0, 3.0, 4.0])
    Measure(value=1.0, low=1.0, high=1.0)
    """
    gain = np.asarray(other, np.float64) - np.asarray(loss, np.float64)
    if gain.size < 2:
        return UNDEFINED
    return _normal(float(gain.mean()), float(gain.var(ddof=1)) / gain.size, level)


def _placements(ones: NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """For each 1 the share of 0s below it, for each 0 the share of 1s above it; ties count half (Sun, Xu, 2014)."""
    from scipy.stats import rankdata

    ranks = rankdata(score)
    high, low = score[ones], score[~ones]
    over = (ranks[ones] - rankdata(high)) / low.size
    under = 1.0 - (ranks[~ones] - rankdata(low)) / high.size
    return over, under


def _normal(value: float, variance: float, level: float) -> Measure:
    half = float(ndtri(0.5 + level / 2)) * sqrt(variance) if variance >= 0 else nan
    return Measure(value, value - half, value + half)
