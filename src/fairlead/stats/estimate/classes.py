"""Confidence-based estimation for several classes: each class's probability calibrated, then made to add up to 1.

One class at a time is not enough: how wrong a decision is depends on the other probabilities too. So the probabilities
of rows decided alike are then tilted, class by class, until the expected confusion matrix of the held-out rows
is the real one (iterative proportional fitting; Deming, Stephan, 1940).

With q the result, the expected confusion matrix of live rows has sum q_k [d = j] rows of truth k and decision j;
accuracy, macro precision, recall and F1 follow from it, macro AUROC from sweeping each class's probability against the
rest. As for two classes, P(truth | probabilities) must be what it was on the held-out rows.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict
from numpy.typing import ArrayLike, NDArray

from fairlead.stats.calibrate import Calibration, cells, curve_of, groups, summed
from fairlead.stats.estimate.confidence import auroc_of_cells
from fairlead.stats.estimate.spread import REPLICATES, centre_of, ratio, spread
from fairlead.stats.performance import LEVEL, UNDEFINED, Floats, Measure

MOST_ROWS = 20_000  # rows on which the replicates are drawn
TINY = 1e-12
ROUNDS = 2  # of the proportional fitting
Codes = NDArray[np.intp]


class Fitted(Struct, frozen=True, eq=False):
    """One curve a class, and by what a class's probability is multiplied in rows of a decision, (class, decision)."""

    curves: tuple[Calibration, ...]
    tilt: Floats


class HeldoutClasses(Struct, frozen=True, eq=False):
    """One curve a class with the tilt by (class, decision), and both for bootstrap replicates of the held-out rows."""

    fitted: Fitted
    redrawn: tuple[Fitted, ...]

    @property
    def curves(self) -> tuple[Calibration, ...]:
        """One curve a class."""
        return self.fitted.curves


class ClassEstimates(Struct, frozen=True):
    """Expected metrics of unlabelled rows, each with its interval."""

    rows: int
    accuracy: Measure = UNDEFINED
    macro_f1: Measure = UNDEFINED
    macro_precision: Measure = UNDEFINED
    macro_recall: Measure = UNDEFINED
    macro_auroc: Measure = UNDEFINED

    def named(self) -> dict[str, Measure]:
        """The metrics that are defined, by name."""
        return {name: value for name, value in asdict(self).items() if name != "rows" and value.defined}


class _Ranks(Struct, frozen=True, eq=False):
    """The place of every row among the distinct probabilities of each class."""

    place: tuple[Codes, ...]
    sizes: tuple[int, ...]


def heldout_classes(
    truth: ArrayLike,
    probabilities: ArrayLike,
    rng: np.random.Generator,
    weight: ArrayLike | None = None,
    *,
    decided: ArrayLike | None = None,
) -> HeldoutClasses:
    """Takes in held-out rows: class numbers (n,), probabilities (n, k), weights (n,), and decisions (n,), or the most
    probable class.

    Rows are redrawn whole (Bayesian bootstrap), so that the curves of one replicate belong together. Raises
    `ValueError` for no rows, a class number outside 0 to k - 1, and probabilities that are nan.

    >>> known = heldout_classes([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]], np.random.default_rng(0))
    >>> len(known.curves), len(known.redrawn)
    (2, 200)
    """
    y, p = np.asarray(truth, np.intp), _probabilities(probabilities)
    if y.size == 0 or y.shape != p.shape[:1]:
        raise ValueError(
            f"{y.size:,} truths and {len(p):,} rows of probabilities: a calibration needs as many, and one"
        )
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise ValueError(f"classes are numbered 0 to {p.shape[1] - 1}: another number is among the rows")
    d = p.argmax(axis=1) if decided is None else np.asarray(decided, np.intp)
    w = np.ones(y.size) if weight is None else np.asarray(weight, np.float64)
    held = [cells(y == place, p[:, place], w) for place in range(p.shape[1])]
    where = [np.clip(np.searchsorted(one.first, p[:, k], "right") - 1, 0, None) for k, one in enumerate(held)]
    curves = []
    for _ in range(REPLICATES):
        drawn = w * rng.standard_exponential(y.size)
        sums = [
            (summed(at, drawn * (y == k), one.score.size), summed(at, drawn, one.score.size))
            for k, (at, one) in enumerate(zip(where, held, strict=True))
        ]
        pairs = zip(held, sums, strict=True)
        each = tuple(curve_of(one, ones, np.maximum(rows - ones, 0.0)) for one, (ones, rows) in pairs)
        curves.append(_tilted(each, (y, p, d), drawn))
    return HeldoutClasses(_tilted(tuple(curve_of(one) for one in held), (y, p, d), w), tuple(curves))


def _tilted(curves: tuple[Calibration, ...], rows: tuple[Codes, Floats, Codes], weight: Floats) -> Fitted:
    """The curves with the tilt that makes the expected confusion matrix of the rows the real one, to within a row."""
    y, p, d = rows
    k = p.shape[1]
    real = summed(y * k + d, weight, k * k).reshape(k, k)
    tilt, bare = np.ones((k, k)), calibrated(p, Fitted(curves, np.ones((k, k))), d)
    for _ in range(ROUNDS):
        q = _normed(bare * tilt.T[d])
        expected = np.stack([summed(d, weight * q[:, place], k) for place in range(k)])
        tilt = tilt * (real + 0.5) / (expected + 0.5)
    return Fitted(curves, tilt)


def calibrated(probabilities: ArrayLike, fitted: Fitted, decided: Codes) -> Floats:
    """Each class's calibrated probability, tilted by the decision, divided by the row's sum; (n, k)."""
    p = np.asarray(probabilities, np.float64)
    each = np.stack([curve(p[:, place]) for place, curve in enumerate(fitted.curves)], axis=1)
    return _normed(each * fitted.tilt.T[decided])


def _normed(each: Floats) -> Floats:
    return np.asarray(each / np.maximum(each.sum(axis=1, keepdims=True), TINY))


def estimate_classes(
    probabilities: ArrayLike,
    known: HeldoutClasses,
    rng: np.random.Generator,
    level: float = LEVEL,
    *,
    decided: ArrayLike | None = None,
) -> ClassEstimates:
    """The metrics that rows with these probabilities (n, k) are expected to show.

    The most probable class is decided, or `decided` (n,), a class number. The interval counts the labels to come and
    the calibration, both by replicates; of more than 20,000 rows, these are drawn on as many, and the labels' part is
    scaled by the root of the share. Raises `ValueError` for nan or negative probabilities, a number of classes that is
    not the held-out rows', and decisions that fit neither.
    """
    p = _probabilities(probabilities)
    d = p.argmax(axis=1) if decided is None else np.asarray(decided, np.intp)
    _check(p, d, known)
    if p.shape[0] == 0:
        return ClassEstimates(0)
    point = _metrics(calibrated(p, known.fitted, d), d, _ranks(p))
    some = np.sort(rng.permutation(len(p))[:MOST_ROWS])
    few, decisions, ranks = p[some], d[some], _ranks(p[some])
    shrink = sqrt(some.size / len(p))
    base = _metrics(calibrated(few, known.fitted, decisions), decisions, ranks)
    drawn: dict[str, list[float]] = {name: [] for name in point}
    meant: dict[str, list[float]] = {name: [] for name in point}
    for fitted in known.redrawn:
        chance = calibrated(few, fitted, decisions)
        expected = _metrics(chance, decisions, ranks)
        labels = (chance.cumsum(axis=1) < rng.random((some.size, 1))).sum(axis=1).clip(max=p.shape[1] - 1)
        came = _metrics(np.eye(p.shape[1])[labels], decisions, ranks)
        for name, value in expected.items():
            meant[name].append(value)
            drawn[name].append(value + shrink * (came[name] - value))
    found = {}
    for name, value in point.items():
        centre = centre_of(base[name], np.array(meant[name]))
        found[name] = spread(value, np.array(drawn[name]), level, centre=centre)
    return ClassEstimates(len(p), **found)


def _probabilities(values: ArrayLike) -> Floats:
    p = np.asarray(values, np.float64)
    if p.ndim != 2:
        raise ValueError(
            f"probabilities of shape {p.shape}: pass a row for each prediction and a column for each class"
        )
    if np.isnan(p).any() or (p < 0).any():
        raise ValueError("a probability is nan or negative: leave those rows out")
    return p


def _check(p: Floats, d: Codes, known: HeldoutClasses) -> None:
    if p.shape[1] != len(known.curves):
        raise ValueError(f"{p.shape[1]} classes: the held-out rows have {len(known.curves)}")
    if d.shape != p.shape[:1]:
        raise ValueError(f"{len(p):,} rows and {d.size:,} decisions: pass one decision a row")
    if d.size and (d.min() < 0 or d.max() >= p.shape[1]):
        raise ValueError(f"classes are numbered 0 to {p.shape[1] - 1}: another number is among the decisions")


def _ranks(p: Floats) -> _Ranks:
    found = []
    for column in p.T:
        distinct, place, counts = np.unique(column, return_inverse=True, return_counts=True)
        several = distinct.size > 1_000
        found.append(groups(counts.astype(np.float64))[place] if several else place)
    return _Ranks(tuple(found), tuple(int(place.max()) + 1 for place in found))


def _metrics(q: Floats, d: Codes, ranks: _Ranks) -> dict[str, float]:
    """Every metric of rows whose truth is class k with probability q_k, (n, k)."""
    k = q.shape[1]
    confusion = np.stack([summed(d, q[:, place], k) for place in range(k)])
    hits, true, said = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    areas = []
    for place in range(k):
        ones = summed(ranks.place[place], q[:, place], ranks.sizes[place])
        rows = summed(ranks.place[place], np.ones(len(q)), ranks.sizes[place])
        areas.append(float(auroc_of_cells(ones, np.maximum(rows - ones, 0.0))))
    return {
        "accuracy": float(hits.sum()) / len(q),
        "macro_f1": _mean(ratio(2 * hits, true + said)),
        "macro_precision": _mean(ratio(hits, said)),
        "macro_recall": _mean(ratio(hits, true)),
        "macro_auroc": _mean(np.array(areas)),
    }


def _mean(each: Floats) -> float:
    """Over the classes that define it."""
    there = each[~np.isnan(each)]
    return float(there.mean()) if there.size else float("nan")
