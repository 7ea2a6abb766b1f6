"""Does one window's mean loss exceed the held-out one by more than is tolerated? A p-value, at one look.

The null: the window's mean is at most t(m), where m is the unknown mean behind the held-out losses and

    t(m) = m + max(share * m, points).

Losses of 0 and 1: with x of n in the window and x0 of n0 held out, p = P(L <= t(U)) for independent
L ~ Beta(x, n - x + 1) and U ~ Beta(x0 + 1, n0 - x0), the lower and the upper confidence distribution of Clopper and
Pearson, melded (Fay, Proschan, Brittain, "Combining one-sample confidence procedures for inference in the two-sample
case", Biometrics 2015). Without a tolerance this is Fisher's exact test (Altham 1969). It counts that the held-out rate
is itself measured, which an upper bound of it at a small alpha counts twice over.

Other losses in [0, 1]: Student's statistic of mean - t(held-out mean), the held-out side's error in it. Where few
skewed held-out losses carry most of that error, the difference leans to the left and its upper tail is too heavy:
Hall's transformation (1992) takes that out. Where it leans to the right it is left as it is, and conservative.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

_EDGE = 1e-12  # the chance that the quadrature leaves out at either end
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


class LossSums(Struct, frozen=True):
    """Some losses: how many, and the sums of their powers. `exact`: each is 0 or 1."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    cubes: float = 0.0
    exact: bool = True

    @property
    def mean(self) -> float:
        """Their mean; 0 where there is none."""
        return self.total / self.count if self.count else 0.0


class Tolerance(Struct, frozen=True):
    """By how much a mean loss may exceed the held-out one: `share` of it, or `points` where that is more."""

    share: float = 0.0
    points: float = 0.0

    def above(self, mean: float) -> float:
        """The largest mean that is tolerated.

        >>> round(Tolerance(0.1, 0.01).above(0.05), 3), round(Tolerance(0.1, 0.01).above(0.3), 3)
        (0.06, 0.33)
        """
        return min(1.0, mean + max(self.share * mean, self.points))

    def slope(self, mean: float) -> float:
        """How fast that grows with the held-out mean."""
        return 1.0 + self.share if self.share * mean > self.points else 1.0


def sums_of(losses: ArrayLike) -> LossSums:
    """The sums of losses in [0, 1], (n,).

    >>> sums_of([0, 1, 1])
    LossSums(count=3, total=2.0, squares=2.0, cubes=2.0, exact=True)
    """
    values = np.asarray(losses, np.float64).ravel()
    squared = values * values
    total, squares = float(values.sum()), float(squared.sum())
    if squares == total and bool((squared == values).all()):  # only 0 and 1 are their own squares
        return LossSums(values.size, total, total, total)
    return LossSums(values.size, total, squares, float((values * squared).sum()), exact=False)


def exceedance(now: LossSums, held: LossSums, tolerated: Tolerance) -> float:
    """The p-value of a mean loss `now` against what is tolerated above the `held` one; 1 where either has none.

    >>> held = sums_of([1] * 30 + [0] * 470)
    >>> [round(exceedance(sums_of([1] * bad + [0] * (400 - bad)), held, Tolerance(0.1, 0.01)), 4) for bad in (24, 45)]
    [0.777, 0.0154]
    """
    if not now.count or not held.count:
        return 1.0
    return _counted(now, held, tolerated) if now.exact and held.exact else _measured(now, held, tolerated)


def _counted(now: LossSums, held: LossSums, tolerated: Tolerance) -> float:
    from scipy.special import betainc, betaincinv, betaln  # a worker reads reports, and no scipy

    bad, known = round(now.total), round(held.total)
    if bad == 0 or known == held.count:
        return 1.0
    a, b = known + 1.0, float(held.count - known)
    low, high = (float(betaincinv(a, b, edge)) for edge in (_EDGE, 1.0 - _EDGE))
    rate = low + (high - low) * (_NODES + 1.0) / 2.0
    density = np.exp((a - 1.0) * np.log(rate) + (b - 1.0) * np.log1p(-rate) - betaln(a, b))
    allowed = np.minimum(1.0, rate + np.maximum(tolerated.share * rate, tolerated.points))
    below = betainc(bad, now.count - bad + 1.0, allowed)
    return min(1.0, float((_WEIGHTS * density * below).sum() * (high - low) / 2.0) + 2.0 * _EDGE)


def _measured(now: LossSums, held: LossSums, tolerated: Tolerance) -> float:
    from scipy.special import stdtr  # a worker reads reports, and no scipy

    slope = tolerated.slope(held.mean)
    one, other = _cumulants(now), _cumulants(held)
    variance = one[0] + slope**2 * other[0]
    gap = now.mean - tolerated.above(held.mean)
    if variance <= 0.0 or now.count < 2:
        return 0.0 if gap > 0.0 and now.count > 1 else 1.0
    lean = min(0.0, (one[1] - slope**3 * other[1]) / variance**1.5)
    t = gap / sqrt(variance)
    return float(stdtr(now.count - 1.0, -(t + lean * t * t / 3.0 + lean * lean * t**3 / 27.0 + lean / 6.0)))


def _cumulants(one: LossSums) -> tuple[float, float]:
    """The second and third cumulant of the mean."""
    n, mean = one.count, one.mean
    if n < 2:
        return 0.0, 0.0
    second = max(one.squares / n - mean**2, 0.0) / (n - 1)
    third = one.cubes / n - 3.0 * mean * one.squares / n + 2.0 * mean**3
    return second, third / n**2
