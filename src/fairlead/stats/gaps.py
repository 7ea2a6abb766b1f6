"""Did the gap between groups widen? Rates of groups now, and before, each k of n rows.

For every ordered pair of groups the difference of their rates now, less what it was before, is

    (p_i - p_j)_now - (p_i - p_j)_before

with the interval that the four rates' own intervals make (Wilson 1927; MOVER, Zou and Donner 2008), at a level that all
pairs share (Bonferroni), for the pair is chosen by what was seen. The pair whose gap grew most, beyond chance, is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import permutations
from math import nan

from msgspec import Struct

from fairlead.stats.performance import UNDEFINED, Measure, difference, proportion

FEWEST = 30  # rows behind a rate, on either side, below which a group is not asked
Rates = Mapping[str, tuple[int, int]]


class Widened(Struct, frozen=True):
    """The pair whose gap grew most: rates of the `high` and the `low` group, how far apart they are, by how much more
    than before (with its interval at the shared level), and the rows of the smaller of the two now."""

    high: str
    low: str
    rates: tuple[float, float]
    gap: Measure
    change: Measure
    rows: int

    @property
    def ratio(self) -> float:
        """The lower rate by the higher; nan where that is 0."""
        return self.rates[1] / self.rates[0] if self.rates[0] else nan


NOTHING = Widened("", "", (nan, nan), UNDEFINED, UNDEFINED, 0)


def widened(now: Rates, before: Rates, alpha: float, fewest: int = FEWEST) -> Widened:
    """The pair of groups, large enough on both sides, whose gap grew most; nothing where fewer than two are.

    Where no gap changed, the interval of the told change lies above 0 with a chance of at most alpha, as far as the
    four intervals hold.

    >>> found = widened({"a": (80, 100), "b": (20, 100)}, {"a": (500, 1000), "b": (480, 1000)}, 0.01)
    >>> found.high, round(found.gap.value, 2), round(found.change.value, 2), found.change.low > 0
    ('a', 0.6, 0.58, True)
    """
    large = [name for name, (_, rows) in now.items() if rows >= fewest and before.get(name, (0, 0))[1] >= fewest]
    if len(large) < 2:
        return NOTHING
    level = 1.0 - 2.0 * alpha / (len(large) * (len(large) - 1))
    news = {name: proportion(*now[name], level) for name in large}
    olds = {name: proportion(*before[name], level) for name in large}
    found = []
    for high, low in permutations(large, 2):
        gap = difference(news[high], news[low])
        if gap.value >= 0.0:
            change = difference(gap, difference(olds[high], olds[low]))
            rates = news[high].value, news[low].value
            found.append(Widened(high, low, rates, gap, change, min(now[high][1], now[low][1])))
    return max(found, key=lambda one: (one.change.low, one.change.value))


def fell(now: tuple[int, int], before: tuple[int, int]) -> float:
    """The p-value of Fisher's exact test (1935) that a rate, k of n rows, is no lower than it was: the chance of so few
    hits or fewer now, given the hits of both sides together.

    >>> round(fell((8, 20), (16, 20)), 4)
    0.0112
    """
    import numpy as np
    from scipy.special import gammaln

    (hits, rows), (others, wide) = now, before
    total = hits + others
    found = np.arange(max(0, total - wide), hits + 1)
    if not found.size:
        return 1.0

    def ways(n: float, k: object) -> object:
        return gammaln(n + 1.0) - gammaln(np.asarray(k) + 1.0) - gammaln(n - np.asarray(k) + 1.0)

    chances = ways(rows, found) + ways(wide, total - found) - ways(rows + wide, total)  # type: ignore[operator]
    return min(1.0, float(np.exp(chances).sum()))
