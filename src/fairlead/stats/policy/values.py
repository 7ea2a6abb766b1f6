"""The value of a policy that did not run: the mean reward it would have earned on the logged contexts.

| estimator | formula | bias | interval |
|---|---|---|---|
| IPS | mean(w r) | none | sd / sqrt(n) |
| SNIPS | sum(w r) / sum(w) | O(1/n) | influence w (r - V) / mean(w) |
| DR | mean(expected + w (r - predicted)) | none, if propensities or model are right | sd / sqrt(n) |
| clipped IPS | mean(min(w, c) r) | -mean((w - c)+ r) | sd / sqrt(n) |
| switch | mean(expected + w [w <= c] (r - predicted)) | as the model errs where w > c | sd / sqrt(n) |

Swaminathan, Joachims (2015) for SNIPS; Dudík, Langford, Li (2011) for DR; Wang, Agarwal, Dudík (2017) for switch, whose
rows beyond c rely on the model alone. Rows of one unit are added up before the spread is taken, so that what a user did
twice does not count as two.

The normal interval is a law of large samples: heavy weights break it, which the effective sample size tells. The other
is Maurer and Pontil's (2009) empirical Bernstein bound, for values in [0, b]: with probability 1 - delta

    V >= mean - sqrt(2 var ln(2 / delta) / n) - 7 b ln(2 / delta) / (3 (n - 1)),

exact at every n, and wide. It needs b, the largest weight times the largest reward, to be known and not observed.
"""

from __future__ import annotations

import math
from enum import StrEnum
from math import inf, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import ndtri

from fairlead.stats.policy.log import Log

Floats = NDArray[np.float64]


class Estimator(StrEnum):
    """How a value is estimated."""

    IPS = "ips"
    SNIPS = "snips"
    DR = "dr"
    CLIPPED = "clipped"
    SWITCH = "switch"


class Value(Struct, frozen=True):
    """A mean reward with its two-sided interval, and the one-sided lower bound at the same level.

    `bias` is what clipping took off, as estimated from the log; None where nothing was clipped or it is not known.
    """

    value: float
    low: float
    high: float
    lower: float
    bias: float | None = None


def value(log: Log, estimator: Estimator, alpha: float = 0.05, clip: float | None = None) -> Value:
    """The new policy's value with a normal interval. Raises `ValueError` for weights of 0 throughout (SNIPS), for an
    estimator that needs a model or a `clip` and has none, and for fewer than two units.

    >>> log = Log(np.array([1.0, 0.0, 1.0, 0.0]), np.array([2.0, 0.0, 0.5, 1.5]))
    >>> found = value(log, Estimator.SNIPS)
    >>> round(found.value, 3), round(found.low, 3), round(found.high, 3)
    (0.625, -0.063, 1.313)
    """
    middle, influence = influences(log, estimator, clip)
    bias = None
    if estimator is Estimator.CLIPPED and clip is not None:
        bias = -float((np.maximum(log.weights - clip, 0.0) * log.rewards).mean())
    return _normal(middle, influence, log, alpha, bias)


def logged_value(log: Log, alpha: float = 0.05) -> Value:
    """What the policy that ran earned: the mean reward.

    >>> round(logged_value(Log(np.array([1.0, 0.0] * 50), np.ones(100))).low, 3)
    0.402
    """
    middle = float(log.rewards.mean())
    return _normal(middle, log.rewards - middle, log, alpha, None)


def gain(log: Log, estimator: Estimator, alpha: float = 0.05, clip: float | None = None) -> Value:
    """The new policy's value less that of the one that ran, on the same rows: what both earn alike cancels.

    >>> log = Log(np.array([1.0, 0.0, 1.0, 0.0] * 100), np.array([1.5, 0.5, 1.5, 0.5] * 100))
    >>> round(gain(log, Estimator.IPS).value, 2)
    0.25
    """
    middle, influence = influences(log, estimator, clip)
    mean = float(log.rewards.mean())
    return _normal(middle - mean, influence - (log.rewards - mean), log, alpha, None)


def bernstein(log: Log, largest: float, alpha: float = 0.05, rewards: tuple[float, float] = (0.0, 1.0)) -> Value:
    """IPS with Maurer and Pontil's bounds; `largest` bounds the weights, larger ones are clipped (which only lowers it
    where rewards are not negative), `rewards` are the ends of the reward's range.

    Rewards are moved to begin at 0, which changes the value by that much as long as E[w] = 1. Raises `ValueError` for a
    reward outside its range and a bound of 0.

    >>> log = Log(np.array([1.0, 0.0] * 2_000), np.array([1.5, 0.5] * 2_000))
    >>> found = bernstein(log, largest=2.0)
    >>> round(found.lower, 3), found.value, round(found.high, 3)
    (0.713, 0.75, 0.79)
    """
    floor, top = rewards
    if not ((log.rewards >= floor) & (log.rewards <= top)).all() or not top > floor:
        raise ValueError(f"a reward lies outside {floor:g} to {top:g}: name the range that it has by construction")
    if not 0.0 < largest < inf:
        raise ValueError(f"weights of at most {largest}: the bound must be known and above 0")
    terms = _by_unit(np.minimum(log.weights, largest) * (log.rewards - floor), log)
    size = terms.size
    if size < 2:
        raise ValueError("one unit: an interval needs two")
    most = largest * (top - floor) * _rows_in_a_unit(log)
    middle, variance = float(terms.mean()), float(terms.var(ddof=1))
    scale = log.rows / size  # rows a unit: the value is told by row

    def half(delta: float) -> float:
        return sqrt(2.0 * variance * math.log(2.0 / delta) / size) + 7.0 * most * math.log(2.0 / delta) / (
            3.0 * (size - 1)
        )

    two, one = half(alpha / 2.0), half(alpha)
    ends = (middle, middle - two, middle + two, middle - one)
    return Value(*(end / scale + floor for end in ends))


def influences(log: Log, estimator: Estimator, clip: float | None = None) -> tuple[float, Floats]:
    """The estimate, and each row's influence on it (rows,): their spread over sqrt(n) is its standard error."""
    w, r = log.weights, log.rewards
    if estimator is Estimator.SNIPS:
        total = float(w.sum())
        if total <= 0.0:
            raise ValueError("every weight is 0: the new policy takes no action that is in the log")
        middle = float(w @ r) / total
        return middle, w * (r - middle) / (total / w.size)
    if estimator in (Estimator.CLIPPED, Estimator.SWITCH) and (clip is None or not clip > 0.0):
        raise ValueError(f"{estimator.value} needs a clip above 0: the largest weight that is believed")
    if estimator in (Estimator.DR, Estimator.SWITCH):
        if log.predicted is None or log.expected is None:
            raise ValueError(
                f"{estimator.value} needs a reward model: its prediction for the logged and the new actions"
            )
        kept = w if estimator is Estimator.DR else np.where(w <= (clip or inf), w, 0.0)
        terms = log.expected + kept * (r - log.predicted)
    else:
        terms = (w if estimator is Estimator.IPS else np.minimum(w, clip or inf)) * r
    middle = float(terms.mean())
    return middle, terms - middle


def _normal(middle: float, influence: Floats, log: Log, alpha: float, bias: float | None) -> Value:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}: it must lie between 0 and 1")
    sums = _by_unit(influence, log)
    if sums.size < 2:
        raise ValueError("one unit: an interval needs two")
    error = sqrt(float(sums @ sums) * sums.size / (sums.size - 1)) / log.rows
    two, one = -float(ndtri(alpha / 2.0)) * error, -float(ndtri(alpha)) * error
    return Value(middle, middle - two, middle + two, middle - one, bias)


def _by_unit(terms: Floats, log: Log) -> Floats:
    return terms if log.units is None else np.bincount(log.units, weights=terms).astype(np.float64)


def _rows_in_a_unit(log: Log) -> int:
    return 1 if log.units is None else int(np.bincount(log.units).max())
