"""Two arms, one mean each: the difference at every look, also while the split changes and an outage hits both.

Comparing the arms' own running means would go wrong: when the traffic ramps up in an outage, the canary has more of the
bad time in its mean than the champion. So each unit is compared with what was known at its time. With x = 1 on the
canary, rho the canary's share of the traffic at that time, and c the mean of all values before,

    g_i = (x_i - rho_i) (Y_i - c_i),   E[g_i | past] = v_i d_i,   v_i = rho_i (1 - rho_i),

where d_i is the difference of the arms' means at that time (canary minus champion), whatever the two means are. If d_i
= d throughout, sum g / sum v estimates d, weighted by the information that the split gave.

**Values in [0, 1]**: g lies between bounds known in advance, so `capital` bets on it: an exact e-process for "d =
delta" and "d <= delta", an exact confidence sequence. **Any values**: the asymptotic sequence of `means` in its form
for martingales, from 100 units per arm,

    sum g / sum v  +-  sqrt(2 (V r^2 + 1) / r^2 ln(sqrt(V r^2 + 1) / alpha)) / sum v,   V_t = sum (g_i - v_i d_t)^2,

with V r^2 in place of t r^2 (theorem on varying variances there). Count units, one value each; units are split at
random.
"""

from __future__ import annotations

from math import inf, log

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from fairlead.stats.sequential.capital import (
    CELLS,
    Moments,
    Search,
    Stakes,
    capital_gains,
    moments_after,
    plug_in_bets,
)
from fairlead.stats.sequential.evidence import Evidence, Floats, level
from fairlead.stats.sequential.means import LEAST_UNITS, tuning
from fairlead.stats.sequential.observations import finite, open_shares, unit_interval, zero_one

_BLOCK = 4096
_FIRST_BLOCK = 32
_EVEN = 0.25  # the information of one unit at an even split


class RiseWatch(Struct, frozen=True):
    """An exact test of "the canary's mean is at most the champion's + `margin`", values in [0, 1], constant memory.

    For "at least the champion's - margin" (revenue) give 1 - value.
    """

    margin: float = 0.0
    alpha: float = 0.05  # tunes the bets; the guarantee holds at every level
    values: Moments = Moments()
    gains: Moments = Moments()
    evidence: Evidence = Evidence()

    def update(self, values: ArrayLike, on_canary: ArrayLike, shares: ArrayLike) -> RiseWatch:
        """The state after some more units' values in [0, 1], with a look at each.

        >>> watch = RiseWatch().update([0.9, 0.1] * 50, [1, 0] * 50, 0.5)
        >>> watch.evidence.reached(0.001)
        True
        """
        y, arms, rho = _checked(unit_interval(values), on_canary, shares)
        if not y.size:
            return self
        _check_margin(self.margin)
        stakes = _stakes(y, arms, rho, self.values)
        bets = plug_in_bets(stakes.gains + 0.5, 1.0 / level(self.alpha), self.gains)
        path = self.evidence.log_e + np.cumsum(capital_gains(stakes, bets, self.margin, up=True))
        known = moments_after(y, self.values), moments_after(stakes.gains + 0.5, self.gains)
        return RiseWatch(self.margin, self.alpha, *known, self.evidence.along(path))


class DifferenceWatch(Struct, frozen=True):
    """The asymptotic sequence of the difference in constant memory. `best_at` is t*, in units of both arms at an even
    split."""

    alpha: float
    best_at: int = 1000
    values: Moments = Moments()
    units: tuple[int, int] = (0, 0)  # of the champion, of the canary
    sums: tuple[float, float, float, float, float] = (0.0, 0.0, 0.0, 0.0, 0.0)  # of g, v, g^2, g v, v^2

    def update(self, values: ArrayLike, on_canary: ArrayLike, shares: ArrayLike) -> DifferenceWatch:
        """The state after some more units' values; `ValueError` for nan, an infinity, or a share of 0 or 1.

        >>> watch = DifferenceWatch(alpha=0.05).update([1.0, 3.0, 2.0, 4.0] * 100, [0, 1, 0, 1] * 100, 0.5)
        >>> [round(end, 2) for end in watch.interval()]
        [1.84, 2.17]
        """
        y, arms, rho = _checked(finite(values), on_canary, shares)
        if not y.size:
            return self
        g, v = _gains(y, arms, rho, self.values)
        added = g.sum(), v.sum(), g @ g, g @ v, v @ v
        s0, s1, s2, s3, s4 = (float(a + b) for a, b in zip(self.sums, added, strict=True))
        canary = int(arms.sum())
        units = self.units[0] + y.size - canary, self.units[1] + canary
        after = moments_after(y, self.values)
        return DifferenceWatch(self.alpha, self.best_at, after, units, (s0, s1, s2, s3, s4))

    def estimate(self) -> float:
        """The difference, canary minus champion; nan before the first unit."""
        return self.sums[0] / self.sums[1] if self.sums[1] else float("nan")

    def interval(self) -> tuple[float, float]:
        """(lower, upper) now; everything before 100 units per arm."""
        if min(self.units) < LEAST_UNITS:
            return -inf, inf
        columns = tuple(np.array([one]) for one in self.sums)
        centre, half = _normal(columns, (level(self.alpha), self.best_at))
        return float(centre[0] - half[0]), float(centre[0] + half[0])


def rise_path(
    values: ArrayLike, on_canary: ArrayLike, shares: ArrayLike, margin: float = 0.0, alpha: float = 0.05
) -> Floats:
    """ln E against "the canary's mean is at most the champion's + `margin`" after each unit, shape (..., n).

    `values` in [0, 1], `on_canary` 0 or 1, `shares` the canary's share in (0, 1) at each, or one for all. Exact: valid
    for any dependence on the past, at any split, whatever happens to both arms alike.

    >>> path = rise_path([0.9, 0.1] * 50, [1, 0] * 50, 0.5)
    >>> round(float(path[-1]), 1)
    33.8
    """
    _check_margin(margin)
    y, arms, rho = _checked(unit_interval(values), on_canary, shares)
    stakes = _stakes(y, arms, rho, Moments())
    bets = plug_in_bets(stakes.gains + 0.5, 1.0 / level(alpha))
    path: Floats = np.cumsum(capital_gains(stakes, bets, margin, up=True), axis=-1)
    return path


def difference_sequence(
    values: ArrayLike, on_canary: ArrayLike, shares: ArrayLike, alpha: float, best_at: int = 1000
) -> tuple[Floats, Floats]:
    """(lower, upper) of the asymptotic sequence after each unit, each (..., n); everything before 100 units per arm.

    >>> low, high = difference_sequence([1.0, 3.0, 2.0, 4.0] * 100, [0, 1, 0, 1] * 100, 0.5, alpha=0.05)
    >>> round(float(low[-1]), 2), round(float(high[-1]), 2)
    (1.84, 2.17)
    """
    y, arms, rho = _checked(finite(values), on_canary, shares)
    g, v = _gains(y, arms, rho, Moments())
    number = np.arange(1.0, y.shape[-1] + 1.0)
    columns = tuple(np.cumsum(one, axis=-1) for one in (g, v, g * g, g * v, v * v))
    centre, half = _normal(columns, (level(alpha), best_at))
    canary = np.cumsum(arms, axis=-1)
    half = np.where(np.minimum(canary, number - canary) < LEAST_UNITS, inf, half)
    return centre - half, centre + half


def exact_difference_sequence(
    values: ArrayLike, on_canary: ArrayLike, shares: ArrayLike, alpha: float, cells: int = 2 * CELLS
) -> tuple[Floats, Floats]:
    """(lower, upper) of the difference of two means of values in [0, 1] after each unit, each (n,), by betting: exact.

    The bounds are multiples of 2 / `cells` above -1.

    >>> low, high = exact_difference_sequence([0.1, 0.7, 0.2, 0.6] * 200, [0, 1, 0, 1] * 200, 0.5, alpha=0.05)
    >>> round(float(low[-1]), 3), round(float(high[-1]), 3)
    (0.484, 0.517)
    """
    y, arms, rho = _checked(unit_interval(values), on_canary, shares)
    stakes = _stakes(y, arms, rho, Moments())
    bets = plug_in_bets(stakes.gains + 0.5, 2.0 / level(alpha))
    search = Search(cells, low=-1.0, high=1.0)
    lower, upper = np.empty(y.size), np.empty(y.size)
    start = 0
    while start < y.size:
        part = slice(start, start + min(_BLOCK, max(_FIRST_BLOCK, start)))
        staked = Stakes(*(one[part] for one in (stakes.gains, stakes.weights, stakes.low, stakes.high)))
        search, lower[part], upper[part] = search.bet(staked, bets[part], 2.0 / alpha)
        start = part.stop
    return lower * (2.0 / cells) - 1.0, 1.0 - upper * (2.0 / cells)


def _checked(values: Floats, on_canary: ArrayLike, shares: ArrayLike) -> tuple[Floats, Floats, Floats]:
    arms = zero_one(on_canary, "arm")
    if arms.shape != values.shape:
        raise ValueError(f"{values.shape} values for {arms.shape} arms: give one arm for each value")
    return values, arms, open_shares(shares, arms)


def _check_margin(margin: float) -> None:
    if not -1.0 < margin < 1.0:
        raise ValueError(f"a margin of {margin} is no difference of two means in [0, 1]: it must lie between -1 and 1")


def _gains(y: Floats, arms: Floats, rho: Floats, before: Moments) -> tuple[Floats, Floats]:
    """g and v of each unit; c is the mean of all values before (0 before the first)."""
    return (arms - rho) * (y - _centre(y, before)), rho * (1.0 - rho)


def _centre(y: Floats, before: Moments) -> Floats:
    totals = np.cumsum(y, axis=-1)
    totals -= y
    totals += before.total
    centre: Floats = totals / np.maximum(before.count + np.arange(float(y.shape[-1])), 1.0)
    return centre


def _stakes(y: Floats, arms: Floats, rho: Floats, before: Moments) -> Stakes:
    """What is bet on: g lies between what the lowest and the highest value would give on either arm."""
    centre = _centre(y, before)
    other = 1.0 - rho
    low = -np.maximum(other * centre, rho * (1.0 - centre))
    high = np.maximum(other * (1.0 - centre), rho * centre)
    return Stakes((arms - rho) * (y - centre), rho * other, low, high)


def _normal(sums: tuple[Floats, ...], tuned: tuple[float, int]) -> tuple[Floats, Floats]:
    """Centre and half-width from the sums of g, v, g^2, g v, v^2.

    V r^2 is taken at a variance of s^2 a unit of information, V = s^2 sum v: r is constant while the split changes.
    """
    g, v, gg, gv, vv = sums
    alpha, best_at = tuned
    centre = g / v
    variance = np.maximum(gg - 2.0 * centre * gv + centre * centre * vv, 0.0)
    grown = v * (tuning(alpha, best_at) / _EVEN)
    half = np.sqrt(2.0 * variance * (1.0 + 1.0 / grown) * (np.log1p(grown) / 2 - log(alpha))) / v
    return centre, half
