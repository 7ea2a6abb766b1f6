"""Recalibration of a binary score by two numbers (Cox, 1958; Platt, 1999): logit of the new probability is slope times
logit of the score plus intercept. A positive slope keeps the order of rows, so nothing that ranks them changes."""

from __future__ import annotations

from math import erfc, exp, log, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
_EDGE = 1e-9  # scores of 0 and 1 have no logit
_STEPS, _CLOSE = 50, 1e-10


class Recalibrated(Struct, frozen=True):
    """A fit. `p_value`: how likely rows so far off calibration are where the scores mean what they say (likelihood
    ratio, 2 degrees of freedom). `shift` is the intercept where the slope stays 1, `p_shift` the same for it alone (1
    degree), `p_slope` whether a slope other than 1 explains more than the shift does (1 degree)."""

    slope: float
    intercept: float
    shift: float
    p_value: float
    p_shift: float
    p_slope: float
    rows: int


def logit(score: ArrayLike) -> Floats:
    """Log odds of probabilities (n,); 0 and 1 count as nearly so."""
    clipped = np.clip(np.asarray(score, np.float64), _EDGE, 1 - _EDGE)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))


def sigmoid(value: ArrayLike) -> Floats:
    """Probabilities of log odds (n,)."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * np.asarray(value, np.float64))))


def recalibrate(truth: ArrayLike, score: ArrayLike) -> Recalibrated:
    """Fits slope and intercept by maximum likelihood. `truth` (n,) is 0/1, `score` (n,) a probability.

    Raises `ValueError` unless both classes are there.

    >>> found = recalibrate([0, 0, 0, 1, 0, 1, 1, 1], [0.1, 0.2, 0.3, 0.3, 0.7, 0.7, 0.8, 0.9])
    >>> found.slope > 0, found.p_value > 0.05
    (True, True)
    """
    y, z = np.asarray(truth, np.float64), logit(score)
    if not 0.0 < y.mean() < 1.0:
        raise ValueError("a recalibration needs rows of both classes")
    shift = _fit(y, np.ones((y.size, 1)), z)
    both = _fit(y, np.stack([np.ones_like(z), z], axis=1), np.zeros_like(z))
    at_rest, shifted, free = _likelihood(y, z), _likelihood(y, z + shift[0]), _likelihood(y, both[1] * z + both[0])
    return Recalibrated(
        slope=float(both[1]),
        intercept=float(both[0]),
        shift=float(shift[0]),
        p_value=exp(-max(0.0, free - at_rest)),
        p_shift=_one(shifted - at_rest),
        p_slope=_one(free - shifted),
        rows=y.size,
    )


def moved_threshold(threshold: float, shift: float) -> float:
    """Where a threshold must stand for the old scores to decide as the shifted ones would at the old threshold.

    >>> round(moved_threshold(0.5, 0.0), 3), round(moved_threshold(0.5, 1.0), 3)
    (0.5, 0.269)
    """
    at = min(max(threshold, _EDGE), 1 - _EDGE)
    return float(sigmoid(log(at / (1 - at)) - shift))


def _one(gain: float) -> float:
    """The tail of chi-squared with one degree of freedom at twice a gain of log likelihood."""
    return erfc(sqrt(max(0.0, gain)))


def _fit(y: Floats, design: Floats, offset: Floats) -> Floats:
    """Newton's method with halved steps: the likelihood is concave. A little ridge keeps separable rows finite."""
    found = np.zeros(design.shape[1])
    if design.shape[1] == 2:
        found[1] = 1.0
    ridge = 1e-6 * np.eye(design.shape[1])
    before = _likelihood(y, design @ found + offset)
    for _ in range(_STEPS):
        p = sigmoid(design @ found + offset)
        weight = np.maximum(p * (1 - p), 1e-12)
        step = np.linalg.solve(design.T @ (design * weight[:, None]) + ridge, design.T @ (y - p))
        while (after := _likelihood(y, design @ (found + step) + offset)) < before - _CLOSE and np.abs(
            step
        ).max() > _CLOSE:
            step = step / 2
        found, gained, before = found + step, after - before, after
        if gained < _CLOSE:
            break
    return found


def _likelihood(y: Floats, z: Floats) -> float:
    """The log likelihood of 0/1 truths at log odds."""
    return float((y * z - np.logaddexp(0.0, z)).sum())
