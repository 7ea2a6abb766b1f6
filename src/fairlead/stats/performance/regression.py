"""How far predicted values lie from true ones."""

from __future__ import annotations

from math import isnan, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike

from fairlead.stats.columns import SMALLEST
from fairlead.stats.performance.measure import (
    LEVEL,
    UNDEFINED,
    Measure,
    ends_of,
    floats,
    mapped,
    mean_interval,
    on_log,
    variance,
    z_of,
)


def mae(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """Mean absolute error. Normal interval."""
    return mean_interval(np.abs(floats(predicted) - floats(truth)), level)


def rmse(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """Root of the mean squared error; the interval is Student's on the scale ln MSE, which suits its long upper tail.
    Squares of errors with a long tail need many rows all the same: measured, 50 rows of lognormal errors give 86 %."""
    squared = (floats(predicted) - floats(truth)) ** 2
    if squared.size < 2:
        return Measure(*(nan if isnan(end) else sqrt(max(end, 0.0)) for end in ends_of(mean_interval(squared, level))))
    error = sqrt(variance(squared) / squared.size)
    return Measure(*(sqrt(end) for end in ends_of(on_log(float(squared.mean()), error, level, squared.size - 1))))


def mape(truth: ArrayLike, predicted: ArrayLike) -> float:
    """Mean absolute error as a share of the truth, over rows whose truth is not 0, nor within 1e-70 of it; nan where
    there is none."""
    return mape_interval(truth, predicted).value


def mape_interval(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """`mape` with a normal interval. Truths near 0 give it a heavy tail: the interval then covers less than it says.

    >>> found = mape_interval([1.0, 2.0, 4.0, 0.0], [1.5, 2.0, 3.0, 7.0]); (found.value, round(found.high, 3))
    (0.25, 0.533)
    """
    y, p = floats(truth), floats(predicted)
    kept = np.abs(y) > SMALLEST
    return mean_interval(np.abs((p[kept] - y[kept]) / y[kept]), level)


def r2(truth: ArrayLike, predicted: ArrayLike) -> float:
    """1 - residual / total sum of squares; nan where the truth does not vary."""
    y, p = floats(truth), floats(predicted)
    total = float(np.sum((y - y.mean()) ** 2)) if y.size else 0.0
    return 1 - float(np.sum((y - p) ** 2)) / total if total > 0 else nan


def r2_interval(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """`r2` with the delta-method interval of ln(1 - R2) = ln MSE - ln V, V the truth's variance: a row with error e
    and distance d from the mean truth moves it by e^2 / MSE - d^2 / V. Student's; it never reaches above 1.

    >>> y = np.arange(100.0); found = r2_interval(y, y + np.tile([5.0, -5.0], 50))
    >>> round(found.value, 4), round(found.low, 4), round(found.high, 4)
    (0.97, 0.9642, 0.9749)
    """
    value = r2(truth, predicted)
    if isnan(value) or value == 1:
        return Measure(value, value, value)
    y, p = floats(truth), floats(predicted)
    error, away = (p - y) ** 2, (y - y.mean()) ** 2
    moved = error / error.mean() - away / away.mean()
    rest = on_log(1 - value, (1 - value) * sqrt(float(np.mean(moved**2)) / y.size), level, y.size - 1)
    return mapped(rest, -1.0, 1.0)


def bias(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """Mean of predicted minus truth. Normal interval."""
    return mean_interval(floats(predicted) - floats(truth), level)


def median_absolute_error(truth: ArrayLike, predicted: ArrayLike, level: float = LEVEL) -> Measure:
    """The median of absolute errors, with the interval of two order statistics, which covers with at least `level`
    whatever the errors' law (Thompson, 1936). Too few rows for that (5 at 95 %) leave it unbounded above.

    >>> median_absolute_error(np.zeros(9), np.arange(9.0))
    Measure(value=4.0, low=1.0, high=7.0)
    """
    from scipy.stats import binom

    errors = np.sort(np.abs(floats(predicted) - floats(truth)))
    n = errors.size
    if n == 0:
        return UNDEFINED
    z_of(level)  # refuses an impossible level
    # The place k from either end with P(Binomial(n, 1/2) < k) <= (1 - level) / 2.
    k = int(binom.ppf((1 - level) / 2, n, 0.5))
    value = float(np.median(errors))
    if k == 0:
        return Measure(value, 0.0, float("inf"))
    return Measure(value, float(errors[k - 1]), float(errors[n - k]))


def quantile_loss(truth: ArrayLike, predicted: ArrayLike, quantile: float, level: float = LEVEL) -> Measure:
    """The mean pinball loss of predictions of a `quantile` in (0, 1) (Koenker, Bassett, 1978): q (y - f) where the
    truth y lies above the prediction f, (1 - q)(f - y) below. Normal interval. Raises `ValueError`.

    >>> quantile_loss([1.0, 2.0, 3.0], [2.0, 2.0, 2.0], 0.9).value
    0.3333333333333333
    """
    if not 0.0 < quantile < 1.0:
        raise ValueError(f"quantile is {quantile}: it lies between 0 and 1, as in 0.9")
    gap = floats(truth) - floats(predicted)
    return mean_interval(np.maximum(quantile * gap, (quantile - 1) * gap), level)
