"""Distances between shares of cells: population stability index, Jensen-Shannon, Cramer's V.

All three are quadratic near zero: under no change each is a multiple of noise chi2(k - 1), with noise = 1/n + 1/m and k
cells. What chance alone adds, its mean, is taken off. Intervals are the delta method's, with the null law's variance
added where the gradient vanishes at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.special import chdtrc, chdtri, chndtrinc

from fairlead.stats.cells import Cells
from fairlead.stats.distances.values import Readings, Z
from fairlead.stats.exact import Floats


class Shares(Struct, frozen=True, eq=False):
    """Many pairs in cells: counts of shape (pairs, cells), padded with empty cells; the rest (pairs,)."""

    reference: Floats
    current: Floats
    used: Floats  # 1 for a cell, 0 for padding
    n: Floats
    m: Floats
    freedom: Floats

    @property
    def noise(self) -> Floats:
        """1/n + 1/m."""
        return 1.0 / self.n + 1.0 / self.m

    @property
    def smoothed(self) -> tuple[Floats, Floats]:
        """Proportions with Jeffreys' half a count in each cell; 1 in the padding of both, which then adds nothing."""
        half, pad = 0.5 * self.used, 1.0 - self.used
        room = half.sum(axis=1)
        one = (self.reference + half) / (self.n + room)[:, None] + pad
        return one, (self.current + half) / (self.m + room)[:, None] + pad


def shares_of(cells: Sequence[Cells]) -> Shares:
    """Lines up the cells of many pairs; a pair without rows gets one row a side and no freedom."""
    widest = max((one.reference.size for one in cells), default=0)
    reference, current, used = (np.zeros((len(cells), max(widest, 1))) for _ in range(3))
    for place, one in enumerate(cells):
        size = one.reference.size
        reference[place, :size] = one.reference
        current[place, :size] = one.current
        used[place, :size] = 1.0
    n, m = (np.maximum(side.sum(axis=1), 1.0) for side in (reference, current))
    return Shares(reference, current, used, n, m, np.maximum(used.sum(axis=1) - 1.0, 0.0))


def psi(shares: Shares) -> Readings:
    """Population stability index, sum (a - e) ln(a / e), on smoothed proportions (Yurdakul 2018)."""
    e, a = shares.smoothed
    ratio = np.log(a / e)
    slopes = (1.0 - a / e - ratio, ratio + 1.0 - e / a)
    return _quadratic("psi", ((a - e) * ratio).sum(axis=1), shares, slopes, 1.0)


def js(shares: Shares) -> Readings:
    """Jensen-Shannon divergence in bits, between 0 and 1 (Lin 1991), on smoothed proportions.

    With both samples weighted equally, JS = sum (a - e)^2 / (4 (a + e)) nats to second order, so under no change
    8 ln(2) JS / noise ~ chi2(k - 1).
    """
    e, a = shares.smoothed
    middle = (a + e) / 2.0
    slopes = (0.5 * np.log2(e / middle), 0.5 * np.log2(a / middle))
    value = np.maximum((e * slopes[0] + a * slopes[1]).sum(axis=1), 0.0)
    return _quadratic("js", value, shares, slopes, 1.0 / (8.0 * log(2.0)))


def chi_squared(shares: Shares) -> Readings:
    """Pearson's chi-squared on the 2 x k table; the distance is Cramer's V, its p-value is chi-squared's.

    V is taken on shares, V^2 = sum (a - e)^2 / (2 (a + e)), which is Cramer's V where both samples have as many rows:
    the plain one would shrink with every row that only one side adds.
    """
    e, a = shares.reference / shares.n[:, None], shares.current / shares.m[:, None]
    both = a + e
    gap = np.divide(a - e, both, out=np.zeros_like(both), where=both > 0)
    slopes = (-gap - gap * gap / 2.0, gap - gap * gap / 2.0)
    squared = _quadratic("chi_squared", (gap * (a - e)).sum(axis=1) / 2.0, shares, slopes, 0.25)
    balance = np.sqrt(shares.n / shares.m)[:, None]
    total = shares.current + shares.reference
    table = np.divide(
        (balance * shares.current - shares.reference / balance) ** 2, total, out=np.zeros_like(total), where=total > 0
    )
    p_value = _tail(shares.freedom, table.sum(axis=1))
    value, corrected, low, high = map(np.sqrt, (squared.value, squared.corrected, squared.low, squared.high))
    return Readings("chi_squared", value, corrected, p_value, low, high)


def detectable_psi(freedom: ArrayLike, noise: ArrayLike, alpha: float, power: float = 0.8) -> Floats:
    """The smallest PSI that a test at `alpha` finds with probability `power`, for laws of the shape (pairs,).

    Under a change PSI / noise is close to a noncentral chi2(freedom), with noncentrality PSI / noise.
    """
    freed, place = np.unique(np.maximum(freedom, 1.0), return_inverse=True)  # most columns have ten cells
    found: Floats = chndtrinc(chdtri(freed, alpha), freed, 1.0 - power)[place] * noise
    return found


def _quadratic(name: str, value: Floats, shares: Shares, slopes: tuple[Floats, Floats], factor: float) -> Readings:
    """A distance that is `factor * noise * chi2(k - 1)` under no change. `slopes`: by the shares e and a."""
    unit = factor * shares.noise
    gap = value - shares.freedom * unit
    variance = 2.0 * shares.freedom * unit * unit
    for counts, rows, slope in ((shares.reference, shares.n, slopes[0]), (shares.current, shares.m, slopes[1])):
        share = counts / rows[:, None]
        mean = (share * slope).sum(axis=1, keepdims=True)
        variance += (share * (slope - mean) ** 2).sum(axis=1) / rows
    spread = Z * np.sqrt(variance)
    some = shares.freedom > 0
    found = (value, np.maximum(gap, 0.0), np.maximum(gap - spread, 0.0), np.maximum(gap + spread, 0.0))
    value, corrected, low, high = (np.where(some, part, 0.0) for part in found)
    return Readings(name, value, corrected, _tail(shares.freedom, value / unit), low, high)


def _tail(freedom: Floats, statistic: Floats) -> Floats:
    """P(chi2 > statistic), 1 without freedom."""
    return np.where(freedom > 0, chdtrc(np.maximum(freedom, 1.0), statistic), 1.0)
