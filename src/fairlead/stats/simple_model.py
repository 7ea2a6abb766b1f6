"""The simplest models worth beating: logistic regression for classes, ridge regression for values.

Numbers are standardised, with a null at the mean and a column that says so; categories are one column each, the twenty
most frequent of a feature. The penalty is a half of one squared coefficient a row in a thousand: enough for a solution
where columns repeat each other, too little to matter otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.performance import Floats

CATEGORIES = 20  # of one feature
_PENALTY = 1e-3  # of the rows
_STEPS = 25
_ENOUGH = 1e-8  # change of a coefficient at which Newton's steps end
_FARTHEST = 6.0  # standard deviations from the mean at which a number is cut: one value must not bend a line

Design = Callable[[Sequence[Column]], Floats]


def answers(columns: Sequence[Column], truth: Floats, asked: Sequence[Column], *, classes: int) -> Floats:
    """Fits on columns of (n,) and truths (n,), and answers the same columns of m other rows.

    Truths are class numbers, and (m, classes) probabilities come back; or values, for `classes` 0, and (m, 1) values.

    >>> x = np.linspace(-1, 1, 200); column = [NumericColumn("x", x)]
    >>> answers(column, 3 * x + 1, [NumericColumn("x", np.array([0.0, 1.0]))], classes=0).round(1).ravel().tolist()
    [1.0, 4.0]
    """
    design = _design(columns)
    known, other = design(columns), design(asked)
    if classes == 0:
        return _ridge(known, truth, other)
    if classes == 2:
        one = expit(other @ _logistic(known, truth))
        return np.column_stack([1.0 - one, one])
    apart = [expit(other @ _logistic(known, (truth == place).astype(np.float64))) for place in range(classes)]
    found = np.maximum(np.column_stack(apart), 1e-12)
    return np.asarray(found / found.sum(axis=1, keepdims=True), np.float64)


def _ridge(known: Floats, truth: Floats, other: Floats) -> Floats:
    weights = np.linalg.solve(known.T @ known + _penalty(known), known.T @ truth)
    return np.asarray((other @ weights)[:, None], np.float64)


def _logistic(known: Floats, truth: Floats) -> Floats:
    """Newton's steps (iteratively reweighted least squares), halved where one goes too far."""
    penalty, weights = _penalty(known), np.zeros(known.shape[1])
    loss = _loss(known, truth, weights, penalty)
    for _ in range(_STEPS):
        chance = expit(known @ weights)
        slope = known.T @ (chance - truth) + penalty @ weights
        curve = (known * (chance * (1.0 - chance))[:, None]).T @ known + penalty
        step = np.linalg.solve(curve, slope)
        for _ in range(_STEPS):
            after = _loss(known, truth, weights - step, penalty)
            if after <= loss:
                break
            step = step / 2
        weights, loss = weights - step, min(after, loss)
        if np.abs(step).max() < _ENOUGH:
            break
    return weights


def _loss(known: Floats, truth: Floats, weights: Floats, penalty: Floats) -> float:
    odds = known @ weights
    return float(np.logaddexp(0.0, odds).sum() - truth @ odds + weights @ penalty @ weights / 2)


def _penalty(known: Floats) -> Floats:
    """Not of the constant, which is the last column; a trace of it keeps the matrix regular."""
    sizes = np.full(known.shape[1], max(_PENALTY * known.shape[0], 1e-6))
    sizes[-1] = 1e-6
    return np.diag(sizes)


def _design(columns: Sequence[Column]) -> Design:
    """How columns become numbers, learned from these."""
    parts = [_numbers(column) if isinstance(column, NumericColumn) else _categories(column) for column in columns]

    def design(asked: Sequence[Column]) -> Floats:
        made = [part(column) for part, column in zip(parts, asked, strict=True)]
        return np.column_stack([*made, np.ones(asked[0].rows)])

    return design


def _numbers(column: NumericColumn) -> Callable[[Column], Floats]:
    known = column.values[np.isfinite(column.values)]
    mean = float(known.mean()) if known.size else 0.0
    spread = float(known.std()) if known.size else 0.0
    nulls = bool(np.isnan(column.values).any())

    def part(asked: Column) -> Floats:
        if not isinstance(asked, NumericColumn):
            return np.zeros((asked.rows, 1 + nulls))
        missing = np.isnan(asked.values)
        scaled = np.where(missing, 0.0, (asked.values - mean) / (spread or 1.0)).clip(-_FARTHEST, _FARTHEST)
        return np.column_stack([scaled, missing.astype(np.float64)]) if nulls else scaled[:, None]

    return part


def _categories(column: CategoricalColumn) -> Callable[[Column], Floats]:
    counts: dict[str, int] = {}
    tally: NDArray[np.intp] = np.bincount(column.codes[column.codes >= 0], minlength=len(column.categories))
    for text, count in zip(column.categories, tally.tolist(), strict=True):
        counts[text] = counts.get(text, 0) + count
    kept = sorted((text for text in counts if counts[text]), key=lambda text: (-counts[text], text))[:CATEGORIES]

    def part(asked: Column) -> Floats:
        if not isinstance(asked, CategoricalColumn):
            return np.zeros((asked.rows, len(kept)))
        place = {text: number for number, text in enumerate(kept)}
        where = np.array([*(place.get(text, -1) for text in asked.categories), -1], np.intp)[asked.codes]
        return np.asarray(where[:, None] == np.arange(len(kept)), np.float64)

    return part
