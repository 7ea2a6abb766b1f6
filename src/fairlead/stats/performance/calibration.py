"""Whether a probability means what it says: calibration error, the reliability curve, the parts of Brier's score.

All of it looks at bins of equal width on [0, 1] (a probability of 1 belongs to the last), except Brier's parts, which
need none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.special import ndtr

from fairlead.stats.performance.measure import LEVEL, UNDEFINED, Floats, Measure, floats, proportion, z_of

BINS = 10


class Bin(Struct, frozen=True):
    """One bin of the reliability curve: from `low` to `high`, its rows, their mean probability and the share of 1s."""

    low: float
    high: float
    rows: int
    score: float
    share: Measure


class BrierParts(Struct, frozen=True):
    """Brier's score as calibration + refinement, and what is left of the truth's own variance.

    `calibration` is what a monotone recalibration would take away (0 is best); `refinement` is what would stay, so
    brier = calibration + refinement; `uncertainty` is the score of the constant base rate, and 1 - refinement /
    uncertainty the share of it that the scores explain.
    """

    calibration: float
    refinement: float
    uncertainty: float


def ece(truth: ArrayLike, score: ArrayLike, bins: int = BINS) -> float:
    """Expected calibration error over `bins` equal-width bins (Guo et al., 2017): the mean distance between a bin's
    mean probability and its share of 1s, weighted by the bin's rows. No truth makes it 0 on a finite sample.

    >>> round(ece([0, 1, 1, 1], [0.05, 0.55, 0.55, 1.0]), 4)
    0.2375
    """
    gaps, _ = _gaps(floats(truth), floats(score), bins)
    return float(np.abs(gaps).sum()) if gaps.size else nan


def ece_debiased(truth: ArrayLike, score: ArrayLike, bins: int = BINS, level: float = LEVEL) -> Measure:
    """Expected calibration error less what chance alone adds, with the interval of `ece_interval`.

    A bin's gap d is normal around its true value with error s, so |d| lies high by E|N(d, s^2)| - |d|; that is taken
    off once, not below 0 (the l1 correction of Kumar, Liang, Ma, 2019, in closed form). At perfect calibration about
    0.6 of the bias stays, far from it none.

    >>> rng = np.random.default_rng(1); p = rng.random(2000); y = rng.random(2000) < p
    >>> round(ece(y, p), 3), round(ece_debiased(y, p).value, 3)
    (0.023, 0.015)
    """
    return calibration_errors(truth, score, bins, level)[1]


def calibration_errors(
    truth: ArrayLike, score: ArrayLike, bins: int = BINS, level: float = LEVEL
) -> tuple[Measure, Measure]:
    """`ece_interval` and `ece_debiased` at once: they share their interval."""
    gaps, errors = _gaps(floats(truth), floats(score), bins)
    if not gaps.size:
        return UNDEFINED, UNDEFINED
    raw = float(np.abs(gaps).sum())
    mean, _ = _folded(gaps, errors)
    less = max(0.0, 2 * raw - mean)
    low, high = _inverted([(gaps, errors)], level)
    return Measure(raw, min(low, raw), max(high, raw)), Measure(less, min(low, less), max(high, less))


def ece_interval(truth: ArrayLike, score: ArrayLike, bins: int = BINS, level: float = LEVEL) -> Measure:
    """Expected calibration error with an interval for its true value in these bins.

    The estimate is high by chance: each bin's |d| is a folded normal. The interval therefore holds the true values
    `t` under which the observed error is no surprise: the gaps are taken to be the observed ones times one factor
    l >= 0, so t = l ECE, and the ends are the l at which the observed error lies z standard deviations above, or below,
    its mean sum E|N(l d, s^2)|. Its low end is 0 where the data do not refute perfect calibration. The high end is
    never below the estimate.

    Not covered: what the bins hide. Within a bin, gaps of both signs cancel, so the error in bins is a lower bound of
    the error without them (Kumar, Liang, Ma, 2019), and the interval says nothing of that distance.

    >>> found = ece_interval([0, 1, 1, 1] * 50, [0.05, 0.55, 0.55, 1.0] * 50)
    >>> round(found.value, 4), found.low <= found.value <= found.high
    (0.2375, True)
    """
    return mean_ece([truth], [score], bins, level)


def mean_ece(
    truths: Sequence[ArrayLike], scores: Sequence[ArrayLike], bins: int = BINS, level: float = LEVEL
) -> Measure:
    """The mean of several calibration errors on the same rows, as `ece_interval` gives one. Their errors are added as
    though they rose and fell together, which is the widest that they can be."""
    pairs = [_gaps(floats(y), floats(p), bins) for y, p in zip(truths, scores, strict=True)]
    if not pairs or not all(gaps.size for gaps, _ in pairs):
        return UNDEFINED
    value = float(np.mean([np.abs(gaps).sum() for gaps, _ in pairs]))
    low, high = _inverted(pairs, level)
    return Measure(value, min(low, value), max(high, value))


def reliability(truth: ArrayLike, score: ArrayLike, bins: int = BINS, level: float = LEVEL) -> tuple[Bin, ...]:
    """The reliability curve: the bins that have rows, ascending, each with its share of 1s and Wilson's interval.

    >>> [(bin.rows, bin.share.value) for bin in reliability([0, 1, 1], [0.1, 0.1, 0.9])]
    [(2, 0.5), (1, 1.0)]
    """
    y, p = floats(truth), floats(score)
    place = _places(p, bins)
    rows = np.bincount(place, minlength=bins)
    sums = np.bincount(place, p, bins), np.bincount(place, y, bins)
    return tuple(
        Bin(
            at / bins,
            (at + 1) / bins,
            int(rows[at]),
            float(sums[0][at] / rows[at]),
            proportion(float(sums[1][at]), int(rows[at]), level),
        )
        for at in np.flatnonzero(rows).tolist()
    )


def brier_parts(truth: ArrayLike, score: ArrayLike) -> BrierParts:
    """Brier's score in two parts, without bins: against the isotonic recalibration of the scores (CORP; Dimitriadis,
    Gneiting, Jordan, PNAS 2021). They add up exactly. Like the calibration error, `calibration` is above 0 by chance,
    by the order of n^(-2/3); the parts have no interval.

    >>> parts = brier_parts([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    >>> round(parts.calibration, 4), round(parts.refinement, 4), parts.uncertainty
    (0.0331, 0.125, 0.25)
    """
    from scipy.optimize import isotonic_regression

    y, p = floats(truth), floats(score)
    if y.size == 0:
        return BrierParts(nan, nan, nan)
    cells, place = np.unique(p, return_inverse=True)
    rows = np.bincount(place, minlength=cells.size)
    level = isotonic_regression(np.bincount(place, y, cells.size) / rows, weights=rows).x[place]
    refinement = float(np.mean((level - y) ** 2))
    return BrierParts(float(np.mean((p - y) ** 2)) - refinement, refinement, float(y.var()))


def _places(score: Floats, bins: int) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.clip((score * bins).astype(np.intp), 0, bins - 1)


def _gaps(y: Floats, p: Floats, bins: int) -> tuple[Floats, Floats]:
    """Each filled bin's part of the gap, mean(p - y) times its share of the rows, and that part's standard error."""
    place = _places(p, bins)
    rows = np.bincount(place, minlength=bins)
    filled = rows > 0
    n = max(y.size, 1)
    gaps = np.bincount(place, p - y, bins)[filled] / n
    squares = np.bincount(place, (p - y) ** 2, bins)[filled] / n
    return gaps, np.sqrt(np.maximum(squares - gaps**2, 0.0) / n)


def _folded(gaps: Floats, errors: Floats) -> tuple[float, float]:
    """Mean and variance of sum |N(d, s^2)| over independent bins."""
    far = np.divide(gaps, errors, out=np.full_like(gaps, 40.0), where=errors > np.abs(gaps) / 40)  # beyond, |d| is d
    mean = np.where(
        np.abs(far) < 40,
        errors * sqrt(2 / np.pi) * np.exp(-(far**2) / 2) + gaps * (1 - 2 * ndtr(-far)),
        np.abs(gaps),
    )
    return float(mean.sum()), float(np.sum(np.maximum(gaps**2 + errors**2 - mean**2, 0.0)))


def _inverted(pairs: Sequence[tuple[Floats, Floats]], level: float) -> tuple[float, float]:
    """The true mean errors under which the observed one is no surprise; see `ece_interval`."""
    observed = float(np.mean([np.abs(gaps).sum() for gaps, _ in pairs]))
    z = z_of(level)

    def surprise(factor: float, side: float) -> float:
        parts = [_folded(gaps * factor, errors) for gaps, errors in pairs]
        spread = float(np.mean([sqrt(part[1]) for part in parts]))
        return float(np.mean([part[0] for part in parts])) + side * z * spread - observed

    if observed == 0:
        return 0.0, 0.0
    low = 0.0 if surprise(0.0, 1.0) >= 0 else _root(lambda factor: surprise(factor, 1.0), 0.0, 1.0)
    top = 1.0
    while surprise(top, -1.0) < 0 and top < 1e6:
        top *= 2
    high = _root(lambda factor: surprise(factor, -1.0), 0.0, top) if surprise(top, -1.0) >= 0 else top
    return low * observed, min(1.0, high * observed)


def _root(of: Callable[[float], float], low: float, high: float) -> float:
    """Where a rising function passes 0 between two points, by false position (the Illinois rule); the low end where it
    is above 0 already."""
    below, above = of(low), of(high)
    if below >= 0:
        return low
    for _ in range(60):
        middle = (low * above - high * below) / (above - below)
        found = of(middle)
        if abs(found) < 1e-13 or high - low < 1e-12:
            return middle
        if found > 0:
            high, above, below = middle, found, below / 2
        else:
            low, below, above = middle, found, above / 2
    return (low + high) / 2
