"""A metric's value with its interval, and the few ways by which the metrics get theirs."""

from __future__ import annotations

from math import exp, inf, isnan, log, nan, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtri, stdtrit

Floats = NDArray[np.float64]

LEVEL = 0.95
HIGHER_IS_BETTER = frozenset(
    {"auroc", "auprc", "accuracy", "precision", "recall", "specificity", "f1", "balanced_accuracy", "mcc", "r2"}
    | {"macro_auroc", "macro_f1", "macro_precision", "macro_recall"}
    | {"weighted_f1", "weighted_precision", "weighted_recall"}
)


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


def proportion(successes: float, n: float, level: float = LEVEL) -> Measure:
    """A share with Wilson's score interval (1927).

    >>> share = proportion(8, 10); (share.value, round(share.low, 3), round(share.high, 3))
    (0.8, 0.49, 0.943)
    """
    if n <= 0:
        return UNDEFINED
    p, z = successes / n, z_of(level)
    centre, half = (p + z * z / (2 * n)) / (1 + z * z / n), sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    half *= z / (1 + z * z / n)
    return Measure(p, min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)))


def mean_interval(values: ArrayLike, level: float = LEVEL) -> Measure:
    """A mean with its normal interval; unbounded on both sides for a single value."""
    x = floats(values)
    if x.size == 0:
        return UNDEFINED
    half = z_of(level) * sqrt(variance(x) / x.size) if x.size > 1 else inf
    return Measure(float(x.mean()), float(x.mean()) - half, float(x.mean()) + half)


def on_logit(value: float, error: float, rows: float, level: float = LEVEL, freedom: float = inf) -> Measure:
    """An interval inside [0, 1]: on the scale ln(v / (1 - v)), by the delta method, from the standard error; normal, or
    Student's where that error itself rests on few rows (`freedom`).

    Where the error is 0 or the value lies at an end, as for a perfect classifier, the interval is Wilson's of as many
    rows as carry the least certain part (`rows`).

    >>> found = on_logit(0.9, 0.03, 100); (round(found.low, 3), round(found.high, 3))
    (0.824, 0.945)
    """
    if isnan(value):
        return UNDEFINED
    if not (error > 0 and 0 < value < 1):
        return proportion(value * rows, rows, level)
    half, centre = quantile_of(level, freedom) * error / (value * (1 - value)), log(value / (1 - value))
    return Measure(value, float(expit(centre - half)), float(expit(centre + half)))


def on_log(value: float, error: float, level: float = LEVEL, freedom: float = inf) -> Measure:
    """An interval above 0: on the scale ln v, by the delta method; normal, or Student's. A value of 0 stays a point.

    >>> found = on_log(2.0, 0.2); (round(found.low, 3), round(found.high, 3))
    (1.644, 2.433)
    """
    if isnan(value) or not value > 0:
        return Measure(value, value, value)
    factor = exp(min(quantile_of(level, freedom) * error / value, 700.0))
    return Measure(value, value / factor, value * factor)


def difference(one: Measure, two: Measure) -> Measure:
    """`one` minus `two`, measured on different rows, from their two intervals (MOVER; Zou, Donner, 2008; of two
    shares with Wilson's it is Newcombe's tenth method, 1998): d - sqrt((v1 - l1)^2 + (u2 - v2)^2) to
    d + sqrt((u1 - v1)^2 + (v2 - l2)^2). The two must be at one level; nan where either has no interval.

    >>> found = difference(proportion(56, 70), proportion(48, 80)); (round(found.low, 4), round(found.high, 4))
    (0.0524, 0.3339)
    """
    gap = one.value - two.value
    down = _length(one.value - one.low, two.high - two.value)
    up = _length(one.high - one.value, two.value - two.low)
    return Measure(gap, gap - down, gap + up)


def p_value(gap: Measure, level: float = LEVEL) -> float:
    """The two-sided p-value of "the difference is 0" that belongs to a difference's interval: below 1 - level exactly
    where the interval leaves 0 out, and normal beyond. nan where there is no interval.

    >>> round(p_value(Measure(1.96, 0.0, 3.92)), 3)
    0.05
    """
    from scipy.special import ndtr

    side = gap.value - gap.low if gap.value > 0 else gap.high - gap.value
    if isnan(side) or isnan(gap.value):
        return nan
    if gap.value == 0 or side == inf:
        return 1.0
    return float(2 * ndtr(-abs(gap.value) * z_of(level) / side)) if side > 0 else 0.0


def mapped(measure: Measure, scale: float, shift: float = 0.0) -> Measure:
    """`shift + scale * measure`, its ends kept in order."""
    ends = sorted((shift + scale * measure.low, shift + scale * measure.high))
    return Measure(shift + scale * measure.value, ends[0], ends[1])


def ends_of(measure: Measure) -> tuple[float, float, float]:
    """Value, low and high."""
    return measure.value, measure.low, measure.high


def floats(values: ArrayLike) -> Floats:
    """As float64."""
    return np.asarray(values, np.float64)


def variance(values: Floats) -> float:
    """The unbiased variance; 0 of a single value."""
    return float(values.var(ddof=1)) if values.size > 1 else 0.0


def z_of(level: float) -> float:
    """The normal quantile of a two-sided level. Raises `ValueError` for a level outside (0, 1).

    >>> round(z_of(0.95), 3)
    1.96
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}: an interval's level lies between 0 and 1, as in 0.95")
    return float(ndtri(0.5 + level / 2))


def quantile_of(level: float, freedom: float = inf) -> float:
    """The two-sided quantile of Student's law with so many degrees of freedom; of the normal law for inf."""
    return z_of(level) if freedom == inf else float(stdtrit(freedom, 0.5 + level / 2))


def _length(one: float, two: float) -> float:
    return sqrt(one * one + two * two)
