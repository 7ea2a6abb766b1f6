"""Where some labels are early: the estimate over all rows, corrected by what it missed on the labelled ones.

Prediction-powered inference (Angelopoulos et al., Science 2023), power-tuned (PPI++, arXiv 2311.01453): with l the loss
of a labelled row, f the estimate of a row's loss, n labelled and N unlabelled rows,

    mean over labelled of (l - lambda f) + lambda mean over unlabelled of f

is unbiased for the expected loss whatever f is worth, if the labelled rows are a random part of all; a good f makes it
more precise than the labels alone, and the lambda that does so best is never worse than lambda = 0, the labels alone.
"""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from fairlead.stats.performance import LEVEL, UNDEFINED, Floats, Measure


class Powered(Struct, frozen=True):
    """A mean loss from early labels and estimates. `share` of all rows were labelled; `weight` is lambda; `gain` is how
    many times as many labels would have been needed without the estimate."""

    measure: Measure
    share: float
    labels: int
    weight: float
    gain: float


def prediction_powered(
    loss: ArrayLike,
    estimate: ArrayLike,
    unlabelled: ArrayLike,
    level: float = LEVEL,
    *,
    tuned: bool = True,
) -> Powered:
    """The expected loss from labelled rows, their `loss` and its `estimate` (n,), and the estimate of the `unlabelled`
    ones (N,).

    `tuned` takes lambda = cov(l, f) / ((1 + n/N) var f), cut to [0, 1]; otherwise lambda = N / (n + N), which is the
    mean over all rows of the estimate plus the mean over labelled of loss minus estimate. Student's interval.
    Raises `ValueError` for values that are nan or infinite, or of unequal length.

    >>> found = prediction_powered([1, 0, 1, 1], [1, 0, 1, 1], [1, 0, 1, 1] * 25, tuned=False)
    >>> round(found.measure.value, 2), round(found.share, 3)
    (0.75, 0.038)
    """
    y, f, g = (np.asarray(each, np.float64) for each in (loss, estimate, unlabelled))
    _check(y, f, g)
    n, more = y.size, g.size
    share = n / (n + more) if n else 0.0
    if n < 2:
        return Powered(UNDEFINED, share, n, 0.0, 1.0)
    weight = _weight(y, f, more, tuned=tuned) if more > 1 else 0.0
    value = float((y - weight * f).mean()) + (weight * float(g.mean()) if more else 0.0)
    missed = float((y - weight * f).var(ddof=1)) / n
    variance = missed + (weight**2 * float(g.var(ddof=1)) / more if more > 1 else 0.0)
    half = float(stdtrit(n - 1, 0.5 + level / 2)) * sqrt(variance)
    alone = float(y.var(ddof=1)) / n
    gain = alone / variance if variance > 0 else (1.0 if alone == 0 else inf)
    return Powered(Measure(value, value - half, value + half), share, n, weight, gain)


def _weight(y: Floats, f: Floats, more: int, *, tuned: bool) -> float:
    if not tuned:
        return more / (y.size + more)
    spread = float(f.var(ddof=1))
    if not spread > 0:
        return 0.0
    together = float(np.sum((y - y.mean()) * (f - f.mean()))) / (y.size - 1)
    return float(np.clip(together / ((1 + y.size / more) * spread), 0.0, 1.0))


def _check(y: Floats, f: Floats, g: Floats) -> None:
    if y.shape != f.shape:
        raise ValueError(f"{y.size:,} losses and {f.size:,} estimates of labelled rows: pass as many")
    if not all(np.isfinite(each).all() for each in (y, f, g)):
        raise ValueError("a loss or an estimate is nan or infinite: leave those rows out")
