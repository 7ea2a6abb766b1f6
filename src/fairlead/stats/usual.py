"""What is usual: the interval in which the next of some alike values lies.

With k earlier values of mean m and standard deviation s, the next one, x, is unusual where

    |x - m| > t(1 - alpha / 2; k - 1) s sqrt(1 + 1 / k)        (the windows differ among themselves, Student's t)
and |x - m| > z(1 - alpha / 2) error sqrt(1 + 1 / k)           (and x is known only to `error`)

The first is exact where the values are independent and normal with one variance. Where s is small by chance, or every
value is the same, the second keeps sampling error from being called a change. Both must hold, so that the chance of a
false call is at most alpha.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, inf, sqrt

from msgspec import Struct
from scipy.special import ndtri, stdtrit

LEAST = 4  # earlier values: with 3 degrees of freedom t is wide, and still exact


class Usual(Struct, frozen=True):
    """The interval of the next value; `windows` is how many earlier ones it rests on."""

    middle: float
    low: float
    high: float
    windows: int

    def holds(self, value: float) -> bool:
        """Whether a value is usual."""
        return self.low <= value <= self.high


def usual(earlier: Sequence[float], error: float = 0.0, alpha: float = 0.01) -> Usual:
    """The interval from earlier values; `error` is the standard error of the value that it is for. With fewer than
    `LEAST` of them it has no ends.

    >>> found = usual([10.0, 11.0, 9.0, 10.0, 10.5, 9.5])
    >>> round(found.low, 2), round(found.high, 2), found.holds(14.0)
    (6.92, 13.08, False)
    >>> usual([10.0, 11.0]).holds(1e9)
    True
    """
    k = len(earlier)
    if not k:
        return Usual(0.0, -inf, inf, 0)
    middle = fsum(earlier) / k
    if k < LEAST:
        return Usual(middle, -inf, inf, k)
    spread = sqrt(fsum((one - middle) ** 2 for one in earlier) / (k - 1))
    wider = max(-float(stdtrit(k - 1, alpha / 2.0)) * spread, -float(ndtri(alpha / 2.0)) * error)
    half = wider * sqrt(1.0 + 1.0 / k)
    return Usual(middle, middle - half, middle + half, k)
