"""How good predictions were, once the truth is known: one small function a metric, intervals where they are cheap.

Shapes: `truth` and `predicted` are (n,) arrays; for binary tasks truth is 0/1, `score` the probability of 1 and
`predicted` 0/1. Intervals are two-sided, 95 % by default. A metric that its data does not define (AUROC of one class,
precision without a predicted positive) is nan, never a guess.
"""

from __future__ import annotations

from math import inf, isnan, log, nan, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtri

Floats = NDArray[np.float64]

LEVEL = 0.95
HIGHER_IS_BETTER = frozenset({"auroc", "auprc", "accuracy", "precision", "recall", "f1", "r2"})


class Measure(Struct, frozen=True):
    """A metric's value with its interval; nan where the data does not define it."""

    value: float
    low: float
    high: float

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not isnan(self.value)


UNDEFINED = Measure(nan, nan, nan)


def auroc(truth: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> float:
    """The area under the ROC curve: P(score of a 1 > score of a 0), ties count half (Hanley, McNeil, 1982).

    `weight` (n,) weighs the rows. nan unless both classes are there.

    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    y, s = _floats(truth), _floats(score)
    w = np.ones_like(y) if weight is None else _floats(weight)
    _, ones, rows = cells_of(s, y, w)
    return auroc_of_counts(ones, rows - ones)


def cells_of(score: Floats, truth: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """The distinct scores, ascending, with the weight of 1s and of all rows at each."""
    cells, place = np.unique(score, return_inverse=True)
    ones = np.asarray(np.bincount(place, weight * truth, cells.size), np.float64)
    return cells, ones, np.asarray(np.bincount(place, weight, cells.size), np.float64)


def auroc_of_counts(ones: Floats, zeros: Floats) -> float:
    """AUROC from the weight of each class in cells of ascending score; within a cell all are tied."""
    total = float(ones.sum() * zeros.sum())
    if not total > 0:
        return nan
    below = np.cumsum(zeros) - zeros
    return float(np.sum(ones * (below + 0.5 * zeros)) / total)


def auroc_interval(truth: ArrayLike, score: ArrayLike, level: float = LEVEL) -> Measure:
    """AUROC with DeLong's variance (1988; the midrank form of Sun and Xu, 2014) on the logit scale, which keeps
    the interval inside [0, 1]. Where that variance is 0, as for a perfect ranking, the interval is Wilson's of as many
    independent pairs as the rarer class has rows."""
    from scipy.stats import rankdata

    y, s = _floats(truth) > 0.5, _floats(score)
    m, n = int(y.sum()), int((~y).sum())
    if min(m, n) == 0:
        return UNDEFINED
    ranks = rankdata(s)
    over = (ranks[y] - rankdata(s[y])) / n  # P(a 0 lies below this 1)
    under = 1.0 - (ranks[~y] - rankdata(s[~y])) / m
    area = float(over.mean())
    variance = _variance(over) / m + _variance(under) / n
    if not (variance > 0 and 0 < area < 1):
        return proportion(area * min(m, n), min(m, n), level)
    half = _z(level) * sqrt(variance) / (area * (1 - area))
    centre = log(area / (1 - area))
    return Measure(area, float(expit(centre - half)), float(expit(centre + half)))


def auprc(truth: ArrayLike, score: ArrayLike) -> float:
    """Average precision: the sum over distinct scores, from above, of recall gained times precision there.

    >>> round(auprc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    y, s = _floats(truth), _floats(score)
    if not y.sum() > 0:
        return nan
    _, ones, rows = (np.cumsum(part) for part in cells_of(-s, y, np.ones_like(y)))
    return float(np.sum(np.diff(ones, prepend=0.0) * ones / rows) / ones[-1])


def proportion(successes: float, n: float, level: float = LEVEL) -> Measure:
    """A share with Wilson's score interval (1927).

    >>> share = proportion(8, 10); (share.value, round(share.low, 3), round(share.high, 3))
    (0.8, 0.49, 0.943)
    """
    if n <= 0:
        return UNDEFINED
    p, z = successes / n, _z(level)
    centre, half = (p + z * z / (2 * n)) / (1 + z * z / n), sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    half *= z / (1 + z * z / n)
    return Measure(p, min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)))


def accuracy(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """The share of right answers, of any number of classes, with Wilson's interval."""
    y, p = np.asarray(truth), np.asarray(predicted)
    return proportion(float(np.sum(y == p)), y.size, level)


def precision(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """The share of predicted 1s that are 1, with Wilson's interval."""
    y, p = _floats(truth), _floats(predicted)
    return proportion(float(np.sum(y * p)), float(p.sum()), level)


def recall(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """The share of 1s that were predicted, with Wilson's interval."""
    y, p = _floats(truth), _floats(predicted)
    return proportion(float(np.sum(y * p)), float(y.sum()), level)


def f1(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """2 TP / (2 TP + FP + FN): with c = TP / (TP + FP + FN), F1 = 2c / (1 + c), so Wilson's interval of c carries
    over (the Jaccard form)."""
    y, p = _floats(truth), _floats(predicted)
    both = float(np.sum(y * p))
    jaccard = proportion(both, float(y.sum() + p.sum()) - both, level)
    return Measure(*(2 * c / (1 + c) for c in (jaccard.value, jaccard.low, jaccard.high)))


def log_loss(truth: ArrayLike, score: ArrayLike, level: float = LEVEL) -> Measure:
    """Mean negative log likelihood of 0/1 truths; probabilities are kept 1e-15 from 0 and 1. Normal interval."""
    y, p = _floats(truth), np.clip(_floats(score), 1e-15, 1 - 1e-15)
    return mean_interval(-(y * np.log(p) + (1 - y) * np.log1p(-p)), level)


def brier(truth: ArrayLike, score: ArrayLike, level: float = LEVEL) -> Measure:
    """Mean squared distance between probability and truth (Brier, 1950). Normal interval."""
    return mean_interval((_floats(score) - _floats(truth)) ** 2, level)


def ece(truth: ArrayLike, score: ArrayLike, bins: int = 10) -> float:
    """Expected calibration error over `bins` equal-width bins (Guo et al., 2017): the mean distance between a bin's
    mean probability and its share of 1s, weighted by the bin's rows. No truth makes it 0 on a finite sample."""
    y, p = _floats(truth), _floats(score)
    if y.size == 0:
        return nan
    place = np.minimum((p * bins).astype(np.intp), bins - 1)
    return float(np.sum(np.abs(np.bincount(place, p - y, bins))) / y.size)


def multiclass_log_loss(truth: ArrayLike, probabilities: ArrayLike, level: float = LEVEL) -> Measure:
    """Mean negative log probability of the true class. `truth` (n,) are column numbers of `probabilities` (n, k)."""
    p = np.asarray(probabilities, float)
    return mean_interval(-np.log(np.clip(p[np.arange(len(p)), np.asarray(truth, np.intp)], 1e-15, 1.0)), level)


def mae(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """Mean absolute error. Normal interval."""
    return mean_interval(np.abs(_floats(predicted) - _floats(truth)), level)


def rmse(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """Root of the mean squared error; the interval is that of the mean squared error, rooted."""
    squared = mean_interval((_floats(predicted) - _floats(truth)) ** 2, level)
    return Measure(*(nan if isnan(value) else sqrt(max(value, 0.0)) for value in _parts(squared)))


def mape(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Mean absolute error as a share of the truth, over rows whose truth is not 0; nan where there is none."""
    y, p = _floats(truth), _floats(predicted)
    kept = y != 0
    return float(np.mean(np.abs((p[kept] - y[kept]) / y[kept]))) if kept.any() else nan


def r2(truth: ArrayLike, predicted: ArrayLike) -> float:
    """1 - residual / total sum of squares; nan where the truth does not vary."""
    y, p = _floats(truth), _floats(predicted)
    total = float(np.sum((y - y.mean()) ** 2)) if y.size else 0.0
    return 1 - float(np.sum((y - p) ** 2)) / total if total > 0 else nan


def bias(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """Mean of predicted minus truth. Normal interval."""
    return mean_interval(_floats(predicted) - _floats(truth), level)


def mean_interval(values: ArrayLike, level: float = LEVEL) -> Measure:
    """A mean with its normal interval; unbounded on both sides for a single value."""
    x = _floats(values)
    if x.size == 0:
        return UNDEFINED
    half = _z(level) * sqrt(_variance(x) / x.size) if x.size > 1 else inf
    return Measure(float(x.mean()), float(x.mean()) - half, float(x.mean()) + half)


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, np.float64)


def _variance(values: Floats) -> float:
    return float(values.var(ddof=1)) if values.size > 1 else 0.0


def _z(level: float) -> float:
    return float(ndtri(0.5 + level / 2))


def _parts(measure: Measure) -> tuple[float, float, float]:
    return measure.value, measure.low, measure.high
