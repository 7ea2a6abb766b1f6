"""Decisions between 0 and 1, and probabilities of 1: what they got right, and what their errors cost."""

from __future__ import annotations

from collections.abc import Mapping
from math import atanh, isnan, sqrt, tanh

import numpy as np
from numpy.typing import ArrayLike

from fairlead.stats.performance.measure import (
    LEVEL,
    UNDEFINED,
    Floats,
    Measure,
    floats,
    mean_interval,
    proportion,
    z_of,
)

COSTS = ("true_positive", "false_positive", "true_negative", "false_negative")


def accuracy(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """The share of right answers, of any number of classes, with Wilson's interval."""
    y, p = np.asarray(truth), np.asarray(predicted)
    return proportion(float(np.sum(y == p)), y.size, level)


def precision(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """The share of predicted 1s that are 1, with Wilson's interval."""
    y, p = floats(truth), floats(predicted)
    return proportion(float(np.sum(y * p)), float(p.sum()), level)


def recall(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """The share of 1s that were predicted, with Wilson's interval."""
    y, p = floats(truth), floats(predicted)
    return proportion(float(np.sum(y * p)), float(y.sum()), level)


def specificity(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """The share of 0s that were predicted as 0, with Wilson's interval.

    >>> specificity([0, 0, 0, 1], [0, 0, 1, 1]).value
    0.6666666666666666
    """
    return recall(1 - floats(truth), 1 - floats(predicted), level)


def balanced_accuracy(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """The mean of recall and specificity. They are of different rows, so their Wilson intervals combine as those of
    independent values do (MOVER; Zou, Donner, 2008). nan unless both classes are there.

    >>> balanced_accuracy([0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 0]).value
    0.625
    """
    one, two = recall(truth, predicted, level), specificity(truth, predicted, level)
    value = (one.value + two.value) / 2
    down = sqrt((one.value - one.low) ** 2 + (two.value - two.low) ** 2) / 2
    up = sqrt((one.high - one.value) ** 2 + (two.high - two.value) ** 2) / 2
    return UNDEFINED if isnan(value) else Measure(value, max(0.0, value - down), min(1.0, value + up))


def mcc(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """Matthews' correlation of truth and decision (1975), in [-1, 1]. nan where either is constant.

    The interval is normal on Fisher's scale, with the variance of the correlation's influence function
    z_y z_d - r (z_y^2 + z_d^2) / 2; both are taken at one more row in each cell, without which few 1s give an interval
    that is far too short (76 % at five 1s, measured).

    >>> found = mcc([0, 0, 1, 1] * 25, [0, 1, 1, 1] * 25); (round(found.value, 4), round(found.low, 3))
    (0.5774, 0.41)
    """
    y, d = floats(truth), floats(predicted)
    if y.size == 0 or y.std() == 0 or d.std() == 0:
        return UNDEFINED
    both, n = float(np.sum(y * d)), y.size
    cells = np.array([both, y.sum() - both, d.sum() - both, n - y.sum() - d.sum() + both])
    value, _ = _correlation(cells)
    r, spread = _correlation(cells + 1)
    half = z_of(level) * sqrt(spread / (n + 4)) / (1 - r * r)
    return Measure(value, min(value, tanh(atanh(r) - half)), max(value, tanh(atanh(r) + half)))


def _correlation(cells: Floats) -> tuple[float, float]:
    """Of a table's cells (hit, miss, false, right): the correlation, and its influence's variance."""
    share = cells / cells.sum()
    y, d = np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0])
    a, b = ((each - share @ each) / sqrt(share @ each * (1 - share @ each)) for each in (y, d))
    r = float(np.clip(share @ (a * b), -1.0, 1.0))
    return r, float(share @ (a * b - r * (a**2 + b**2) / 2) ** 2)


def f1(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """2 TP / (2 TP + FP + FN): with c = TP / (TP + FP + FN), F1 = 2c / (1 + c), so Wilson's interval of c carries
    over (the Jaccard form)."""
    y, p = floats(truth), floats(predicted)
    both = float(np.sum(y * p))
    return f1_of_counts(both, float(y.sum()), float(p.sum()), level)


def f1_of_counts(both: float, true: float, predicted: float, level: float = LEVEL) -> Measure:
    """F1 of a class from its hits, its rows and its predictions; see `f1`."""
    jaccard = proportion(both, true + predicted - both, level)
    return Measure(*(2 * c / (1 + c) for c in (jaccard.value, jaccard.low, jaccard.high)))


def log_loss(truth: ArrayLike, score: ArrayLike, level: float = LEVEL) -> Measure:
    """Mean negative log likelihood of 0/1 truths; probabilities are kept 1e-15 from 0 and 1. Normal interval."""
    y, p = floats(truth), np.clip(floats(score), 1e-15, 1 - 1e-15)
    return mean_interval(-(y * np.log(p) + (1 - y) * np.log1p(-p)), level)


def brier(truth: ArrayLike, score: ArrayLike, level: float = LEVEL) -> Measure:
    """Mean squared distance between probability and truth (Brier, 1950). Normal interval."""
    return mean_interval((floats(score) - floats(truth)) ** 2, level)


def cost_per_row(truth: ArrayLike, predicted: ArrayLike, cost: Mapping[str, float], level: float = LEVEL) -> Measure:
    """The mean cost of a decision, in the costs' unit, with a normal interval.

    `cost` names what a `true_positive`, `false_positive`, `true_negative` or `false_negative` costs; what is not named
    costs nothing. Raises `ValueError` for another name or a value that is not finite.

    >>> cost_per_row([0, 0, 1, 1], [0, 1, 1, 0], {"false_positive": 5, "false_negative": 200}).value
    51.25
    """
    wrong = [name for name, value in cost.items() if name not in COSTS or not np.isfinite(value)]
    if wrong:
        raise ValueError(f"cost {wrong[0]!r}: name finite costs of {', '.join(COSTS)}")
    return mean_interval(_costs(floats(truth), floats(predicted), cost), level)


def _costs(y: Floats, d: Floats, cost: Mapping[str, float]) -> Floats:
    hits, falses, rights, misses = (cost.get(name, 0.0) for name in COSTS)
    return np.asarray(y * d * hits + (1 - y) * d * falses + (1 - y) * (1 - d) * rights + y * (1 - d) * misses)
