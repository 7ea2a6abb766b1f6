"""Metrics of more than two classes: all that decisions tell comes from the confusion matrix, the rest from scores.

Classes are numbered 0 to k - 1; `truth` and `predicted` are (n,) such numbers, `probabilities` is (n, k). Means over
classes are over those that the data define, and their intervals are of the delta method: a cell of the confusion matrix
moves the mean by a known amount, and the variance of those amounts over the rows is the mean's (for F1: Takahashi,
Yamamoto, Kuchiba, Koyama, Applied Intelligence 2022).
"""

from __future__ import annotations

from math import sqrt
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from fairlead.stats.performance.binary import f1_of_counts
from fairlead.stats.performance.calibration import BINS, ece_interval, mean_ece
from fairlead.stats.performance.measure import (
    LEVEL,
    UNDEFINED,
    Floats,
    Measure,
    floats,
    mean_interval,
    on_logit,
    proportion,
)
from fairlead.stats.performance.ranking import auroc_interval, placements

Average = Literal["macro", "weighted"]
Kind = Literal["precision", "recall", "f1"]


class ClassCard(Struct, frozen=True):
    """One class: its rows (`support`), and each metric against all other classes."""

    support: int
    predicted: int
    precision: Measure
    recall: Measure
    f1: Measure
    auroc: Measure = UNDEFINED


def confusion(truth: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Counts, (k, k): rows are true classes, columns predicted ones. Raises `ValueError` for a number that is no class.

    >>> confusion([0, 1, 2, 2], [0, 1, 1, 2], 3).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    """
    y, p = np.asarray(truth, np.intp), np.asarray(predicted, np.intp)
    if y.size and (min(y.min(), p.min()) < 0 or max(y.max(), p.max()) >= classes):
        raise ValueError(f"classes are numbered 0 to {classes - 1}: another number is among the rows")
    return np.bincount(y * classes + p, minlength=classes * classes).reshape(classes, classes)


def by_class(matrix: ArrayLike, level: float = LEVEL) -> tuple[ClassCard, ...]:
    """Every class of a confusion matrix (k, k): precision and recall with Wilson's interval, F1 with its Jaccard form.

    >>> [card.recall.value for card in by_class([[1, 0, 0], [0, 1, 0], [0, 1, 1]])]
    [1.0, 1.0, 0.5]
    """
    counts = floats(matrix)
    hits, true, predicted = (part.tolist() for part in (np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)))
    return tuple(
        ClassCard(
            int(rows),
            int(said),
            proportion(hit, said, level),
            proportion(hit, rows, level),
            f1_of_counts(hit, rows, said, level),
        )
        for hit, rows, said in zip(hits, true, predicted, strict=True)
    )


def averaged(matrix: ArrayLike, kind: Kind, average: Average = "macro", level: float = LEVEL) -> Measure:
    """Precision, recall or F1 over the classes of a confusion matrix, plain (`macro`) or weighted by support.

    A class without rows and predictions (for precision: without predictions, for recall: without rows) defines none
    and is left out, as scikit-learn does with `zero_division=nan`. Delta method on the logit scale; where every class
    is perfect, Wilson's of as many rows as the rarest class has.

    >>> found = averaged([[40, 10, 0], [5, 40, 5], [0, 10, 40]], "f1")
    >>> round(found.value, 4), round(found.low, 3), round(found.high, 3)
    (0.8038, 0.72, 0.846)
    """
    counts = floats(matrix)
    true, said = counts.sum(axis=1), counts.sum(axis=0)
    kept = {"precision": said > 0, "recall": true > 0, "f1": true + said > 0}[kind]
    if average == "weighted":
        kept &= true > 0
    if not kept.any():
        return UNDEFINED
    value, _ = _mean(counts, kind, average, kept)
    there = true + said > 0
    centre, error = _mean(counts + np.outer(there, there) / 2, kind, average, kept)
    found = on_logit(centre, error, float((true + said)[kept].min() / 2), level)
    return Measure(value, min(value, found.low), max(value, found.high))


def multiclass_log_loss(truth: ArrayLike, probabilities: ArrayLike, level: float = LEVEL) -> Measure:
    """Mean negative log probability of the true class. `truth` (n,) are column numbers of `probabilities` (n, k)."""
    return mean_interval(-np.log(np.clip(_of_truth(truth, probabilities), 1e-15, 1.0)), level)


def multiclass_brier(truth: ArrayLike, probabilities: ArrayLike, level: float = LEVEL) -> Measure:
    """Mean over rows of the squared distance between all probabilities and the truth, in [0, 2] (Brier, 1950). Of two
    classes it is twice the binary score. Normal interval.

    >>> round(multiclass_brier([0, 1], [[0.8, 0.2], [0.6, 0.4]]).value, 4)
    0.4
    """
    p = floats(probabilities)
    return mean_interval(np.sum(p**2, axis=1) + 1 - 2 * _of_truth(truth, p) if p.size else p.ravel(), level)


def top_label_ece(truth: ArrayLike, probabilities: ArrayLike, bins: int = BINS, level: float = LEVEL) -> Measure:
    """Calibration error of the most probable class's probability (Guo et al., 2017), as `ece_interval` gives it.

    >>> round(top_label_ece([0, 1], [[0.8, 0.2], [0.4, 0.6]]).value, 4)
    0.3
    """
    p = floats(probabilities)
    if p.size == 0:
        return UNDEFINED
    return ece_interval(p.argmax(axis=1) == np.asarray(truth, np.intp), p.max(axis=1), bins, level)


def classwise_ece(truth: ArrayLike, probabilities: ArrayLike, bins: int = BINS, level: float = LEVEL) -> Measure:
    """The mean over classes of each one's calibration error (Kull et al., 2019): top labels can be calibrated while the
    others are not.

    >>> round(classwise_ece([0, 1], [[0.8, 0.2], [0.4, 0.6]]).value, 4)
    0.3
    """
    y, p = np.asarray(truth, np.intp), floats(probabilities)
    if p.size == 0:
        return UNDEFINED
    return mean_ece([y == place for place in range(p.shape[1])], list(p.T), bins, level)


def class_aurocs(truth: ArrayLike, probabilities: ArrayLike, level: float = LEVEL) -> tuple[Measure, ...]:
    """Each class against all others, ranked by its probability; see `auroc_interval`.

    >>> [found.value for found in class_aurocs([0, 1, 1], [[0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])]
    [1.0, 1.0]
    """
    y, p = np.asarray(truth, np.intp), floats(probabilities)
    return tuple(auroc_interval(y == place, p[:, place], level) for place in range(p.shape[1]))


def macro_auroc(truth: ArrayLike, probabilities: ArrayLike, level: float = LEVEL) -> Measure:
    """The plain mean over classes of one-against-rest AUROC (Provost, Domingos, 2001), over the classes that have rows.
    Each row's influences on all of them are added up, so their dependence counts; on the logit scale.

    >>> found = macro_auroc([0, 1, 2] * 40, np.tile([[.5, .3, .2], [.3, .4, .3], [.4, .2, .4]], (40, 1)))
    >>> found.value
    1.0
    """
    y, p = np.asarray(truth, np.intp), floats(probabilities)
    support = np.bincount(y, minlength=p.shape[1]) if y.size else np.zeros(p.shape[1], np.intp)
    kept = np.flatnonzero((support > 0) & (support < y.size)).tolist()
    if not kept:
        return UNDEFINED
    total, moved = 0.0, np.zeros(y.size)
    for place in kept:
        found = placements(y == place, p[:, place])
        total += float(found.over.mean())
        moved += found.influence
    error = sqrt(float(np.var(moved)) / y.size) / len(kept)
    return on_logit(min(total / len(kept), 1.0), error, float(support[kept].min()), level)


def _mean(counts: Floats, kind: Kind, average: Average, kept: NDArray[np.bool_]) -> tuple[float, float]:
    """The mean over the classes that are kept, and its standard error by the delta method."""
    n = float(counts.sum())
    p = counts / n
    hit, true, said = np.diag(p), p.sum(axis=1), p.sum(axis=0)
    top, bottom = {"precision": (hit, said), "recall": (hit, true), "f1": (2 * hit, true + said)}[kind]
    weight = kept / kept.sum() if average == "macro" else kept * true / true[kept].sum()
    each = np.divide(top, bottom, out=np.zeros_like(top), where=kept)
    value = float(np.sum(weight * each))
    moved = _influence(kind, each, np.divide(weight, bottom, out=np.zeros_like(top), where=kept))
    if average == "weighted":
        moved += ((each - value) * kept / true[kept].sum())[:, None]
    spread = float(np.sum(p * moved**2) - np.sum(p * moved) ** 2)
    return value, sqrt(spread / n) if spread > 1e-24 else 0.0


def _influence(kind: Kind, each: Floats, scale: Floats) -> Floats:
    """How much a row in cell (true, predicted) moves sum_c w_c top_c / bottom_c; `scale` is w_c / bottom_c; (k, k)."""
    hit = (2.0 if kind == "f1" else 1.0) * np.diag(scale)
    lost = each * scale
    if kind == "precision":
        return np.asarray(hit - lost[None, :])
    if kind == "recall":
        return np.asarray(hit - lost[:, None])
    return np.asarray(hit - lost[:, None] - lost[None, :])


def _of_truth(truth: ArrayLike, probabilities: ArrayLike) -> Floats:
    p = floats(probabilities)
    return np.asarray(p[np.arange(len(p)), np.asarray(truth, np.intp)], np.float64)
