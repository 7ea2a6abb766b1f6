"""How well a score orders 0s and 1s: the areas under the ROC curve and under the precision-recall curve."""

from __future__ import annotations

from math import inf, nan, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from fairlead.stats.performance.measure import LEVEL, UNDEFINED, Floats, Measure, floats, on_logit


def auroc(truth: ArrayLike, score: ArrayLike, weight: ArrayLike | None = None) -> float:
    """The area under the ROC curve: P(score of a 1 > score of a 0), ties count half (Hanley, McNeil, 1982).

    `weight` (n,) weighs the rows. nan unless both classes are there.

    >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
    """
    y, s = floats(truth), floats(score)
    w = np.ones_like(y) if weight is None else floats(weight)
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


class Placements(Struct, frozen=True, eq=False):
    """For each 1 the share of 0s below it (`over`), for each 0 the share of 1s above it (`under`); `ones` tells rows
    apart, (n,) booleans. Their common mean is the AUROC (Sun, Xu, 2014)."""

    ones: np.ndarray[tuple[int], np.dtype[np.bool_]]
    over: Floats
    under: Floats

    @property
    def influence(self) -> Floats:
        """Each row's influence on the AUROC, (n,): their mean is 0, their variance over n the AUROC's variance."""
        share = float(self.ones.mean())
        found = np.empty(self.ones.size)
        found[self.ones] = (self.over - self.over.mean()) / share
        found[~self.ones] = (self.under - self.under.mean()) / (1 - share)
        return found


def placements(truth: ArrayLike, score: ArrayLike) -> Placements:
    """The placements of (n,) scores. Both classes must be there."""
    from scipy.stats import rankdata

    ones, s = floats(truth) > 0.5, floats(score)
    ranks = rankdata(s)
    over = (ranks[ones] - rankdata(s[ones])) / (~ones).sum()
    under = 1.0 - (ranks[~ones] - rankdata(s[~ones])) / ones.sum()
    return Placements(ones, over, under)


class Ranking(Struct, frozen=True, eq=False):
    """0s and 1s in the order of their score: how many of each there are at every distinct score, ascending."""

    ones: Floats
    zeros: Floats

    def auroc(self, level: float = LEVEL) -> Measure:
        """See `auroc_interval`."""
        m, n = float(self.ones.sum()), float(self.zeros.sum())
        if min(m, n) == 0:
            return UNDEFINED
        over = (np.cumsum(self.zeros) - self.zeros / 2) / n  # of a 1 at this score: the share of 0s below it
        under = 1 - (np.cumsum(self.ones) - self.ones / 2) / m
        area = float(self.ones @ over) / m
        if min(m, n) < 2:
            return on_logit(area, 0.0, 1, level)
        one = float(self.ones @ (over - area) ** 2) / (m - 1) / m
        two = float(self.zeros @ (under - area) ** 2) / (n - 1) / n
        spread = one + two if one + two > 1e-18 else 0.0
        freedom = spread**2 / (one**2 / (m - 1) + two**2 / (n - 1)) if spread > 0 else inf
        return on_logit(min(area, 1.0), sqrt(spread), min(m, n), level, freedom)

    def auprc(self, level: float = LEVEL) -> Measure:
        """See `auprc_interval`."""
        positives, n = float(self.ones.sum()), float(self.ones.sum() + self.zeros.sum())
        if positives == 0:
            return UNDEFINED
        ones, rows = self.ones / n, (self.ones + self.zeros) / n
        a, b = np.cumsum(ones[::-1])[::-1], np.cumsum(rows[::-1])[::-1]
        precision, pi = a / b, positives / n
        numerator = float(ones @ precision)
        value = numerator / pi
        of_zero = -(numerator - value * pi + np.cumsum(ones * precision / b)) / pi
        of_one = of_zero + (precision + np.cumsum(ones / b) - value) / pi
        spread = float(ones @ of_one**2 + (rows - ones) @ of_zero**2)
        error = sqrt(spread / n) if positives > 1 and spread > 1e-18 else 0.0
        return on_logit(min(value, 1.0), error, positives, level, positives - 1 if error > 0 else inf)


def ranking_of(truth: ArrayLike, score: ArrayLike) -> Ranking:
    """The ranking of (n,) 0/1 truths by their scores. Plain sorts are several times as fast as a sort of places, and
    two sorted parts are merged in one pass."""
    y, s = floats(truth) > 0.5, floats(score)
    parts = np.sort(s[y]), np.sort(s[~y])
    whole = np.sort(np.concatenate(parts), kind="stable")
    cells = whole[np.concatenate(([True], whole[1:] != whole[:-1]))] if whole.size else whole
    ones, zeros = (np.searchsorted(part, cells, side="right").astype(np.float64) for part in parts)
    return Ranking(np.diff(ones, prepend=0.0), np.diff(zeros, prepend=0.0))


def auroc_interval(truth: ArrayLike, score: ArrayLike, level: float = LEVEL) -> Measure:
    """AUROC with DeLong's variance (1988; the midrank form of Sun and Xu, 2014) on the logit scale, which keeps
    the interval inside [0, 1], and Student's quantile with Welch's degrees of freedom, which few 1s or few 0s need.
    Where that variance is 0, as for a perfect ranking, the interval is Wilson's of as many independent pairs as the
    rarer class has rows.

    >>> found = auroc_interval([0, 0, 1, 1] * 25, [0.1, 0.4, 0.35, 0.8] * 25)
    >>> found.value, round(found.low, 3), round(found.high, 3)
    (0.75, 0.637, 0.837)
    """
    return ranking_of(truth, score).auroc(level)


def auprc(truth: ArrayLike, score: ArrayLike) -> float:
    """Average precision: the sum over distinct scores, from above, of recall gained times precision there.

    >>> round(auprc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), 4)
    0.8333
    """
    y, s = floats(truth), floats(score)
    if not y.sum() > 0:
        return nan
    _, ones, rows = (np.cumsum(part) for part in cells_of(-s, y, np.ones_like(y)))
    return float(np.sum(np.diff(ones, prepend=0.0) * ones / rows) / ones[-1])


def auprc_interval(truth: ArrayLike, score: ArrayLike, level: float = LEVEL) -> Measure:
    """Average precision with the interval of its influence function, on the logit scale (whose use: Boyd, Eng, Page,
    2013).

    With a(s) = P(S >= s, Y = 1), b(s) = P(S >= s) and pi = P(Y = 1), AP = N / pi, N = E[Y a(S) / b(S)], and the row
    (s, y) moves it by (y a(s)/b(s) - N + y G(s) - H(s) - AP (y - pi)) / pi, where G(s) = E[Y' 1(S' <= s) / b(S')] and
    H(s) = E[Y' 1(S' <= s) a(S') / b(S')^2]. O(n log n). Student's quantile with as many degrees of freedom as
    there are 1s, less one. Where the variance is 0, as for a perfect ranking, Wilson's of as many rows as there are 1s.
    The estimate itself lies a little high with few 1s: below about 30 of them the interval covers a few points less.

    >>> found = auprc_interval([0, 0, 1, 1] * 50, [0.1, 0.4, 0.35, 0.8] * 50)
    >>> round(found.value, 4), round(found.low, 3), round(found.high, 3)
    (0.8333, 0.777, 0.878)
    """
    return ranking_of(truth, score).auprc(level)
