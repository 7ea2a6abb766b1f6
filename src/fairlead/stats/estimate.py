"""Performance without labels: what a binary classifier's own calibrated scores say of its live metrics.

Confidence-based performance estimation (CBPE; Kivimäki et al., arXiv 2407.08649): with c the calibrated probability
of class 1 and d the decision, TP = sum c [d=1], FP = sum (1-c)[d=1], FN = sum c [d=0], TN = sum (1-c)[d=0]. It holds as
long as P(truth | score) is what it was on the held-out rows; where the concept drifts, it does not, and the distance
between estimated and realised is then the evidence. Estimates for regression (DLE) are not part of this module.

The intervals count both sources of chance: which labels the live rows will turn out to have (for accuracy, the
Poisson-binomial variance sum c(1-c) / n²) and how well finite held-out rows pin the calibration down (bootstrap).
"""

from __future__ import annotations

from math import isnan, nan, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.special import ndtri

from fairlead.stats.calibrate import Calibration, calibrate_cells
from fairlead.stats.performance import LEVEL, UNDEFINED, Floats, Measure, auroc_of_counts, cells_of

CELLS = 400
REPLICATES = 200


class Heldout(Struct, frozen=True):
    """Held-out rows in cells of ascending score: what a calibration is learned from, again per replicate."""

    scores: Floats
    ones: Floats
    rows: Floats
    curve: Calibration


class Estimates(Struct, frozen=True):
    """Expected binary metrics of unlabelled rows, each with its interval."""

    rows: int
    accuracy: Measure
    precision: Measure
    recall: Measure
    f1: Measure
    auroc: Measure


def heldout(truth: ArrayLike, score: ArrayLike) -> Heldout:
    """Takes in held-out rows: 0/1 truth and score, both (n,). Raises `ValueError` for none."""
    y, s = np.asarray(truth, np.float64), np.asarray(score, np.float64)
    if y.size == 0:
        raise ValueError("a calibration needs at least one held-out row")
    cells, ones, rows = cells_of(s, y, np.ones_like(y))
    return Heldout(cells, ones, rows, calibrate_cells(cells, ones, rows))


def estimate(
    score: ArrayLike,
    known: Heldout,
    threshold: float,
    rng: np.random.Generator,
    level: float = LEVEL,
) -> Estimates:
    """The metrics that rows with these scores (n,) are expected to show; class 1 is predicted from `threshold` up.

    Work is O(n log n) once and O(cells) per replicate: rows are gathered in up to 400 score cells that never straddle
    the threshold, and a cell's labels are one binomial draw. The seeded `rng` makes it repeatable.
    """
    s = np.sort(np.asarray(score, np.float64))
    if s.size == 0:
        return Estimates(0, *([UNDEFINED] * 5))
    centres, counts, positive = _cells(s, threshold)
    chance = known.curve(centres)
    point = _metrics(chance * counts, (1 - chance) * counts, positive)
    expected, drawn = np.empty(REPLICATES), np.empty((REPLICATES, 5))
    for replicate in range(REPLICATES):
        curve = _resampled(known, rng)(centres)
        ones = rng.binomial(counts.astype(np.int64), curve).astype(np.float64)
        expected[replicate] = _metrics(curve * counts, (1 - curve) * counts, positive)[0]
        drawn[replicate] = _metrics(ones, counts - ones, positive)
    correct = Measure(point[0], *_normal(point[0], _accuracy_deviation(chance, counts, expected), level))
    return Estimates(s.size, correct, *(_spread(point[i], drawn[:, i], level) for i in range(1, 5)))


def poisson_binomial_variance(chance: ArrayLike) -> float:
    """The variance of the number of successes among independent trials with these chances (n,): sum c(1-c)."""
    c = np.asarray(chance, np.float64)
    return float(np.sum(c * (1 - c)))


def _cells(ordered: Floats, threshold: float) -> tuple[Floats, Floats, Floats]:
    """Mean score, rows and decision (0/1) of each cell of an ascending score array."""
    edges = np.linspace(0, ordered.size, min(CELLS, ordered.size) + 1).astype(np.intp)[:-1]
    starts = np.searchsorted(ordered, ordered[edges], side="left")  # ties share a cell
    cut = int(np.searchsorted(ordered, threshold, side="left"))
    starts = np.unique(np.append(starts, cut)) if 0 < cut < ordered.size else np.unique(starts)
    counts = np.diff(np.append(starts, ordered.size)).astype(np.float64)
    centres = np.add.reduceat(ordered, starts) / counts
    return centres, counts, (starts >= cut).astype(np.float64)


def _resampled(known: Heldout, rng: np.random.Generator) -> Calibration:
    """A calibration of as many held-out rows drawn with replacement."""
    total = int(known.rows.sum())
    share = np.concatenate([known.ones, known.rows - known.ones]) / total
    drawn = rng.multinomial(total, share / share.sum()).astype(np.float64)
    ones, zeros = drawn[: known.rows.size], drawn[known.rows.size :]
    rows = ones + zeros
    kept = rows > 0
    return calibrate_cells(known.scores[kept], ones[kept], rows[kept])


def _metrics(ones: Floats, zeros: Floats, positive: Floats) -> tuple[float, float, float, float, float]:
    """Accuracy, precision, recall, F1 and AUROC of cells of ascending score."""
    tp, fp = float(np.sum(ones * positive)), float(np.sum(zeros * positive))
    fn, tn = float(np.sum(ones)) - tp, float(np.sum(zeros)) - fp
    return (
        (tp + tn) / (tp + fp + fn + tn),
        _ratio(tp, tp + fp),
        _ratio(tp, tp + fn),
        _ratio(2 * tp, 2 * tp + fp + fn),
        auroc_of_counts(ones, zeros),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole > 0 else nan


def _accuracy_deviation(chance: Floats, counts: Floats, expected: Floats) -> float:
    labels = float(np.sum(counts * chance * (1 - chance))) / float(counts.sum()) ** 2
    return sqrt(labels + float(expected.var(ddof=1)))


def _normal(value: float, deviation: float, level: float) -> tuple[float, float]:
    half = float(ndtri(0.5 + level / 2)) * deviation
    return max(0.0, value - half), min(1.0, value + half)


def _spread(value: float, drawn: Floats, level: float) -> Measure:
    """The point with the replicates' quantiles, moved so that their median lies on the point: the resampled curve is
    a little flatter than the fitted one, which is the resampling's bias and not the metric's chance."""
    seen = drawn[~np.isnan(drawn)]
    if isnan(value) or seen.size < REPLICATES // 2:
        return UNDEFINED
    low, middle, high = np.quantile(seen, [0.5 - level / 2, 0.5, 0.5 + level / 2])
    return Measure(value, max(0.0, value + float(low - middle)), min(1.0, value + float(high - middle)))
