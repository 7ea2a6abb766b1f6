"""Regression without labels: the error itself is modelled on held-out rows, and averaged over live ones (DLE).

`expected` is a model's out-of-fold prediction of a held-out row's error, `realised` that error: absolute for MAE,
squared for MSE and RMSE, relative for MAPE. How the error model is made is not known here (an adapter boosts one;
`by_prediction` is one of numpy alone). It is assumed that the error given the inputs stayed as it was.
"""

from __future__ import annotations

from math import exp, isnan, log1p, nan, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from fairlead.stats.performance import LEVEL, UNDEFINED, Floats, Measure

BINS = 20
FEWEST_IN_BIN = 25
MOST = 700.0  # whose exponential is still a number


class ErrorModel(Struct, frozen=True, eq=False):
    """Errors of held-out rows, out-of-fold expectation against what they were, in up to 20 bins of ascending
    expectation: the bins' mean expectation `centres`, and in each the variance of what the expectation missed."""

    centres: Floats
    variances: Floats
    rows: int


class ErrorCurve(Struct, frozen=True, eq=False):
    """The mean error by prediction: straight between `centres`, flat outside; `errors` are the standard errors of the
    bins' means `levels`, `variances` the variance of a row's error in them."""

    centres: Floats
    levels: Floats
    errors: Floats
    variances: Floats


def error_model(expected: ArrayLike, realised: ArrayLike) -> ErrorModel:
    """Takes in held-out rows, both (n,), none of them negative or nan. Raises `ValueError` for fewer than two.

    >>> rng = np.random.default_rng(0)
    >>> scale = rng.uniform(1, 2, 5000)
    >>> known = error_model(scale, scale * rng.exponential(size=5000))
    >>> bool(known.variances[-1] > 2 * known.variances[0])
    True
    """
    f, e = np.asarray(expected, np.float64), np.asarray(realised, np.float64)
    if f.shape != e.shape or e.size < 2:
        raise ValueError(f"{f.size:,} expected and {e.size:,} realised errors: pass as many, and at least 2 of each")
    if not (np.isfinite(f) & np.isfinite(e)).all():
        raise ValueError("an error is nan or infinite: leave those rows out")
    starts = _bins(f)
    order = np.argsort(f, kind="stable")
    rows = np.diff(np.append(starts, f.size))
    centres = np.add.reduceat(f[order], starts) / rows
    missed = np.add.reduceat((e - f)[order] ** 2, starts) / rows
    return ErrorModel(centres, missed, e.size)


def estimate_error(expected: ArrayLike, known: ErrorModel, level: float = LEVEL) -> Measure:
    """The mean error that live rows are expected to show. `expected` is (n,), or (k, n) by the k models of k folds.

    Its variance is that of the rows' own errors, sum v(x) / n², and that of the error model: the grouped jackknife over
    the fold models, (k-1)/k sum (m_j - m)² (Quenouille; Tukey, 1958). The quantile is Student's, its degrees of freedom
    Satterthwaite's. With one model the second part is not counted. Errors are positive and skewed, so the interval is
    that of their logarithm, whose variance is log(1 + variance / mean²), as a log-normal's.

    Raises `ValueError` for an expectation that is nan or infinite.

    >>> known = error_model(np.full(400, 2.0), np.tile([1.0, 3.0], 200))
    >>> found = estimate_error(np.full(100, 2.0), known)
    >>> found.value, round(found.low, 2), round(found.high, 2)
    (2.0, 1.81, 2.21)
    """
    f = np.atleast_2d(np.asarray(expected, np.float64))
    if not np.isfinite(f).all():
        raise ValueError("an expected error is nan or infinite: leave those rows out")
    folds, n = f.shape
    if n == 0:
        return UNDEFINED
    each = f.mean(axis=0)
    value = float(each.mean())
    own = float((np.interp(each, known.centres, known.variances) * _beyond(each, known.centres[-1])).sum()) / n**2
    models = f.mean(axis=1)
    learned = (folds - 1) / folds * float(np.sum((models - value) ** 2))
    return _around(value, own, learned, max(folds - 1, 1), level)


def _beyond(expected: Floats, most: float) -> Floats:
    """Errors are as spread as they are large: above the last bin's centre the variance goes on with the square."""
    return np.maximum(expected / most, 1.0) ** 2 if most > 0 else np.ones_like(expected)


def root(mean_squared: Measure) -> Measure:
    """The root of a mean squared error, with its interval.

    >>> root(Measure(4.0, 1.0, 9.0))
    Measure(value=2.0, low=1.0, high=3.0)
    """
    parts = (mean_squared.value, mean_squared.low, mean_squared.high)
    return Measure(*(nan if isnan(part) else sqrt(max(part, 0.0)) for part in parts))


def by_prediction(predicted: ArrayLike, realised: ArrayLike) -> ErrorCurve:
    """The mean error by prediction, both (n,): the least that can be known of it, and all that a log need hold.

    Up to 20 bins of equally many rows, at least 25 in each. Inputs that move while predictions stay go unseen.
    Raises `ValueError` for no rows, or values that are not finite.

    >>> curve = by_prediction(np.arange(1000.0), np.arange(1000.0) / 10)
    >>> estimate_by_prediction(np.full(50, 500.0), curve).value.__round__()
    50
    """
    p, e = np.asarray(predicted, np.float64), np.asarray(realised, np.float64)
    if p.shape != e.shape or p.size == 0:
        raise ValueError(f"{p.size:,} predictions and {e.size:,} errors: pass as many, and at least one")
    if not (np.isfinite(p) & np.isfinite(e)).all():
        raise ValueError("a prediction or an error is nan or infinite: leave those rows out")
    starts, order = _bins(p), np.argsort(p, kind="stable")
    rows = np.diff(np.append(starts, p.size)).astype(np.float64)
    centres, levels, squares = (np.add.reduceat(part[order], starts) / rows for part in (p, e, e * e))
    variances = np.maximum(squares - levels**2, 0.0) * rows / np.maximum(rows - 1, 1.0)
    return ErrorCurve(centres, levels, np.sqrt(variances / rows), variances)


def estimate_by_prediction(predicted: ArrayLike, curve: ErrorCurve, level: float = LEVEL) -> Measure:
    """The mean error that live rows with these predictions (n,) are expected to show, with both sources of chance: the
    rows' own errors, and the curve's (bins are independent; a row leans on the two next to it)."""
    p = np.asarray(predicted, np.float64)
    p = p[np.isfinite(p)]
    if p.size == 0:
        return UNDEFINED
    value = float(np.interp(p, curve.centres, curve.levels).mean())
    own = float(np.interp(p, curve.centres, curve.variances).sum()) / p.size**2
    bins = curve.centres.size
    above = np.clip(np.searchsorted(curve.centres, p), 1, max(bins - 1, 1))
    share = np.zeros(p.size)
    if bins > 1:
        gap = curve.centres[above] - curve.centres[above - 1]
        share = np.clip((p - curve.centres[above - 1]) / gap, 0.0, 1.0)
    lean = np.bincount(above - 1, 1 - share, bins) + np.bincount(np.minimum(above, bins - 1), share, bins)
    learned = float(np.sum((lean / p.size * curve.errors) ** 2))
    return _around(value, own, learned, 1e6, level)


def _bins(values: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Where bins of ascending values start, equal values in one."""
    ordered = np.sort(values)
    count = int(np.clip(values.size // FEWEST_IN_BIN, 1, BINS))
    edges = np.linspace(0, values.size, count + 1).astype(np.intp)[:-1]
    return np.unique(np.searchsorted(ordered, ordered[edges], side="left"))


def _around(value: float, own: float, learned: float, freedom: float, level: float) -> Measure:
    total = own + learned
    if not total > 0:
        return Measure(value, value, value)
    degrees = min(freedom * (total / learned) ** 2, 1e9) if learned > 0 else 1e9
    quantile = float(stdtrit(degrees, 0.5 + level / 2))
    if not value > 0:
        return Measure(value, max(0.0, value - quantile * sqrt(total)), value + quantile * sqrt(total))
    relative = sqrt(total) / value
    wide = exp(min(quantile * sqrt(log1p(relative * relative)), MOST))
    return Measure(value, value / wide, value * wide)
