"""Can a model tell the reference from the current data? Scores in, AUROC and its significance out (Lopez-Paz 2017).

Two sets of scores of one discriminator, by folds that were drawn label by label and otherwise blindly:

- cross-fitted: each fold by a model of all others. Their AUROC, fold by fold and averaged, is the effect.
- forward: each fold by a model of the folds before it. They give the p-value.

Cross-fitted scores are no basis for a test: fold j trained the model that judged k, and k the one that judged j, so
every pair of rows is counted twice. For a linear discriminator the variance is twice what independent folds would
have (the U-statistic's), and the AUROC's interval is widened by sqrt(2) for it.
Forward, the labels of a fold are exchangeable given all that went before, so each fold's rank sum has Wilcoxon's exact
mean and variance whatever the model, and the standardised sums are martingale differences: Stouffer's sum of them is
standard normal under no change.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata

from fairlead.stats.multivariate.evidence import POWER_Z, Evidence, Suspect

Floats = NDArray[np.float64]

LIMIT = 0.55
Z = 1.959963984540054
REUSE = 2.0  # by how much cross-fitting may inflate the variance


class Scores(Struct, frozen=True, eq=False):
    """What a discriminator says of each row, greater for more like the current data; all of shape (n,).

    `current` says which side a row is from, `folds` which fold (0, 1, …) held it out. `forward` is NaN in fold 0.
    """

    current: NDArray[np.bool_]
    folds: NDArray[np.int64]
    crossed: Floats
    forward: Floats


def discriminate(
    scores: Scores, *, suspects: tuple[Suspect, ...] = (), alpha: float = 0.01, limit: float = LIMIT
) -> Evidence:
    """The evidence in a discriminator's scores. `effect` and `statistic` are the cross-fitted AUROC, 0.5 for no change.

    The interval is for the mean AUROC of the models that were fitted. `detectable` is the AUROC that the forward scores
    would have shown, were the models as good from the start. Raises `ValueError` for shapes that differ, or where no
    fold after the first holds rows of both sides.

    >>> rng = np.random.default_rng(0)
    >>> side, folds = np.arange(500) % 2 == 0, np.arange(500) // 2 % 5
    >>> told = rng.normal(size=500) + side
    >>> found = discriminate(Scores(side, folds, told, told))
    >>> round(found.effect, 2), found.p_value < 1e-6
    (0.72, True)
    """
    _check(scores, alpha)
    value, spread = _auc(scores)
    p_value, per_z = _forward(scores)
    return Evidence(
        method="classifier",
        statistic=value,
        effect=value,
        limit=limit,
        p_value=p_value,
        detectable=min(1.0, 0.5 + (float(ndtri(1.0 - alpha)) + POWER_Z) * per_z) if per_z else 1.0,
        low=max(0.0, value - Z * spread),
        high=min(1.0, value + Z * spread),
        suspects=suspects,
    )


def mann_whitney(scores: Floats, positive: NDArray[np.bool_]) -> tuple[float, float]:
    """AUROC, ties counting half, and its variance by DeLong, DeLong and Clarke-Pearson (1988).

    >>> value, variance = mann_whitney(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, True, False, True]))
    >>> value, variance
    (0.75, 0.125)
    """
    one, other = scores[positive], scores[~positive]
    n, m = one.size, other.size
    everywhere = rankdata(np.concatenate([one, other]))
    beats = (everywhere[:n] - rankdata(one)) / m  # of each positive row: the share of the others that it exceeds
    beaten = 1.0 - (everywhere[n:] - rankdata(other)) / n
    variance = sum(float(part.var(ddof=1)) / part.size for part in (beats, beaten) if part.size > 1)
    return float(beats.mean()), variance


def _auc(scores: Scores) -> tuple[float, float]:
    """The mean of the folds' AUROCs, weighted by rows, and its standard deviation."""
    values, variances, weights = [], [], []
    for rows in _folds(scores, first=0):
        value, variance = mann_whitney(scores.crossed[rows], scores.current[rows])
        values.append(value)
        variances.append(variance)
        weights.append(rows.size)
    share = np.array(weights) / sum(weights)
    return float(share @ values), sqrt(REUSE * float(share**2 @ variances))


def _forward(scores: Scores) -> tuple[float, float]:
    """The one-sided p-value, and by how much the AUROC must rise for the sum of z to rise by 1 (0.0: never).

    A fold weighs as the root of the rows that trained its model, times its own precision: as its z grows with both
    while the model is still learning.
    """
    z, weights, precisions = [], [], []
    for rows in _folds(scores, first=1):
        ranks = rankdata(scores.forward[rows])
        positive = scores.current[rows]
        n, m = int(positive.sum()), int((~positive).sum())
        variance = float(ranks.var(ddof=1)) * n * m / (n + m)  # of the rank sum, exact, with ties
        if variance <= 0.0:  # all tied: no model yet
            continue
        excess = float(ranks[positive].sum()) - n * (n + m + 1) / 2.0
        z.append(excess / sqrt(variance))
        precisions.append(n * m / sqrt(variance))
        earlier = np.count_nonzero(scores.folds < scores.folds[rows[0]])
        weights.append(sqrt(earlier) * precisions[-1])
    if not z:
        return 1.0, 0.0
    share = np.array(weights) / sqrt(float(np.square(weights).sum()))
    return float(ndtr(-(share @ z))), 1.0 / float(share @ precisions)


def _folds(scores: Scores, first: int) -> list[NDArray[np.int64]]:
    """The rows of each fold from the first on that has both sides."""
    found = []
    for fold in range(first, int(scores.folds.max()) + 1):
        rows = np.flatnonzero(scores.folds == fold)
        if 0 < np.count_nonzero(scores.current[rows]) < rows.size:
            found.append(rows)
    return found


def _check(scores: Scores, alpha: float) -> None:
    shapes = {part.shape for part in (scores.current, scores.folds, scores.crossed, scores.forward)}
    if len(shapes) > 1 or scores.current.ndim != 1 or not scores.current.size:
        raise ValueError(f"scores, sides and folds of shapes {sorted(shapes)}: pass one of each for every row")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}: it must lie between 0 and 1")
    if not _folds(scores, first=1):
        raise ValueError("no fold after the first has rows of both sides: deal each side's rows to the folds in turn")
    if np.isnan(scores.crossed).any() or np.isnan(scores.forward[scores.folds > 0]).any():
        raise ValueError("a score is missing: only the first fold has no forward score")
