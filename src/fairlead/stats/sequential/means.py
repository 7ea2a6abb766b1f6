"""Confidence sequences for a mean: intervals that hold it at *all* looks together with probability 1 - alpha.

**Empirical Bernstein** (Waudby-Smith, Ramdas, JRSS B 2024, theorem 2), values in [0, 1] with conditional mean mu:

    sum l_i X_i / sum l_i  +-  (ln(2 / alpha) + sum 4 (X_i - mu_{i-1})^2 psi(l_i)) / sum l_i,
    psi(l) = (-ln(1 - l) - l) / 4,   l_i = min(1/2, sqrt(2 ln(2 / alpha) / (s2_{i-1} i ln(1 + i)))),

mu_{i-1} and s2_{i-1} the mean and variance of the values before i. Exact, in closed form; `capital` is somewhat
shorter.

**Asymptotic** (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory", 2024), any values
with a finite variance s^2:

    mean +- s sqrt(2 (t r^2 + 1) / (t^2 r^2) ln(sqrt(t r^2 + 1) / alpha)),
    r = sqrt((-2 ln alpha + ln(1 - 2 ln alpha)) / t*),

shortest about t*. Its coverage is a limit law, as that of an ordinary interval is: nothing is said before 100 units.

Where one value per unit is not enough (the mean itself moves, or two arms are compared) see `mean_difference`.
"""

from __future__ import annotations

from math import inf, log, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from fairlead.stats.sequential.capital import Moments, moments_after, plug_in_bets
from fairlead.stats.sequential.evidence import Floats, level
from fairlead.stats.sequential.observations import finite, unit_interval

LEAST_UNITS = 100
_LARGEST_BET = 0.5


class BernsteinWatch(Struct, frozen=True):
    """The empirical-Bernstein sequence in constant memory; `lower` and `upper` only ever close in, within [0, 1]."""

    alpha: float
    moments: Moments = Moments()
    weight: float = 0.0  # sum of l_i
    weighted: float = 0.0  # sum of l_i X_i
    penalty: float = 0.0  # sum of 4 (X_i - mu_{i-1})^2 psi(l_i)
    lower: float = 0.0
    upper: float = 1.0

    def update(self, values: ArrayLike) -> BernsteinWatch:
        """The state after some more values in [0, 1], with a look at each; `ValueError` for any other.

        >>> watch = BernsteinWatch(alpha=0.05).update([0.4, 0.6] * 100).update([0.5] * 100)
        >>> round(watch.lower, 3), round(watch.upper, 3)
        (0.473, 0.527)
        """
        x = np.ravel(unit_interval(values))
        return _bernstein(self, x)[0] if x.size else self


class NormalWatch(Struct, frozen=True):
    """The asymptotic sequence in constant memory: three moments. `best_at` is t*, the units at which it is shortest."""

    alpha: float
    best_at: int = 1000
    count: int = 0
    mean: float = 0.0
    squares: float = 0.0  # sum of squared deviations from the mean

    def update(self, values: ArrayLike) -> NormalWatch:
        """The state after some more values, one per unit; `ValueError` for nan or an infinity.

        >>> watch = NormalWatch(alpha=0.05).update([10.0, 30.0] * 60)
        >>> [round(end, 2) for end in watch.interval()]
        [16.63, 23.37]
        """
        x = np.ravel(finite(values))
        if not x.size:
            return self
        mean, count = float(x.mean()), self.count + x.size
        gap = mean - self.mean
        squares = self.squares + float(((x - mean) ** 2).sum()) + gap * gap * self.count * x.size / count
        return NormalWatch(self.alpha, self.best_at, count, self.mean + gap * x.size / count, squares)

    def interval(self) -> tuple[float, float]:
        """(lower, upper) now; everything before 100 units."""
        if self.count < LEAST_UNITS:
            return -inf, inf
        half = sqrt(self.squares / self.count) * float(normal_margin(np.float64(self.count), self.alpha, self.best_at))
        return self.mean - half, self.mean + half


def bernstein_sequence(values: ArrayLike, alpha: float) -> tuple[Floats, Floats]:
    """(lower, upper) after each value in [0, 1], each (..., n), time last; they only ever close in.

    >>> low, high = bernstein_sequence([1, 0, 1, 1] * 50, alpha=0.05)
    >>> round(float(low[-1]), 3), round(float(high[-1]), 3)
    (0.641, 0.855)
    """
    x = unit_interval(values)
    _, low, high = _bernstein(BernsteinWatch(level(alpha)), x)
    return low, high


def normal_sequence(values: ArrayLike, alpha: float, best_at: int = 1000) -> tuple[Floats, Floats]:
    """(lower, upper) of the asymptotic sequence after each value, each (..., n); everything before 100 units.

    >>> low, high = normal_sequence([10.0, 30.0] * 60, alpha=0.05)
    >>> round(float(low[-1]), 2), round(float(high[-1]), 2), float(low[98])
    (16.63, 23.37, -inf)
    """
    x = finite(values)
    number = np.arange(1.0, x.shape[-1] + 1.0)
    # Shifted by the first value, or the squares of large values would cancel.
    shift = x[..., :1]
    moved = x - shift
    means = np.cumsum(moved, axis=-1) / number
    squares = np.cumsum(moved * moved, axis=-1) / number
    half = np.sqrt(np.maximum(squares - means * means, 0.0)) * normal_margin(number, alpha, best_at)
    half[..., : LEAST_UNITS - 1] = inf
    means += shift
    return means - half, means + half


def normal_margin(count: Floats | np.float64, alpha: float, best_at: float = 1000) -> Floats:
    """The half-width of the asymptotic sequence in standard deviations, at each number of units.

    >>> normal_margin(np.array([100.0, 1000.0, 10_000.0]), alpha=0.05).round(4)
    array([0.3855, 0.096 , 0.0324])
    """
    variance = count * tuning(alpha, best_at)
    margin: Floats = np.sqrt(2.0 * (variance + 1.0) / (variance * count) * (np.log1p(variance) / 2 - log(level(alpha))))
    return margin


def tuning(alpha: float, best_at: float) -> float:
    """r^2 for which the sequence is shortest at `best_at` units.

    >>> round(tuning(alpha=0.05, best_at=1000), 6)
    0.007936
    """
    if not best_at > 0.0:
        raise ValueError(f"the sequence cannot be shortest at {best_at} units: give a number above 0")
    return (-2.0 * log(level(alpha)) + log(1.0 - 2.0 * log(alpha))) / best_at


def _bernstein(state: BernsteinWatch, x: Floats) -> tuple[BernsteinWatch, Floats, Floats]:
    """The state after the values (of their last row), and the bounds after each."""
    before = state.moments
    bets = np.minimum(plug_in_bets(x, 2.0 / level(state.alpha), before), _LARGEST_BET)
    totals = np.cumsum(x, axis=-1)
    past = (totals - x + (before.total + 0.5)) / (before.count + np.arange(1.0, x.shape[-1] + 1.0))
    penalties = state.penalty + np.cumsum((x - past) ** 2 * (-np.log1p(-bets) - bets), axis=-1)
    weights = state.weight + np.cumsum(bets, axis=-1)
    weighted = state.weighted + np.cumsum(bets * x, axis=-1)
    half = (penalties + log(2.0 / state.alpha)) / weights
    centre = weighted / weights
    low = np.maximum(np.maximum.accumulate(centre - half, axis=-1), state.lower)
    high = np.minimum(np.minimum.accumulate(centre + half, axis=-1), state.upper)
    if x.ndim > 1 or not x.size:
        return state, low, high
    last = weights[-1], weighted[-1], penalties[-1], low[-1], high[-1]
    return BernsteinWatch(state.alpha, moments_after(x, before), *(float(one) for one in last)), low, high
