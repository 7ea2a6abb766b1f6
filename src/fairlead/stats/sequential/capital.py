"""Means of bounded values by betting: the hedged capital confidence sequence (Waudby-Smith, Ramdas, JRSS B 2024).

A gambler who believes that the mean is above m bets on it, another on the opposite. With bets from the past alone,

    K+_t(m) = prod (1 + l_i(m) (X_i - m)),   l_i(m) = min(l_i, c / m),
    K-_t(m) = prod (1 - l_i(m) (X_i - m)),   l_i(m) = min(l_i, c / (1 - m)),
    l_i = sqrt(2 ln(2 / alpha) / (s2_{i-1} i ln(1 + i))),   c = 1/2,

each has expectation at most 1 where the conditional mean is m, so that max(K+, K-) / 2 is an e-process against "the
mean is m", and the means that neither has refuted at 2 / alpha are a confidence sequence: they hold the mean at *all*
looks together with probability 1 - alpha, without any assumption on the distribution. s2 is the variance of the values
so far with one prior observation of 1/4.

The same for any X_i with a known weight and range: conditional mean v_i d, low_i <= X_i <= high_i, where v_i > 0 and
the range are known before X_i (`Stakes`). `mean_difference` bets on the difference of two arms that way.

K+(m) falls with m, so its refuted values lie below one bound, which only rises; the other bound only falls. Both are
tracked on a grid of candidate means; only candidates between the bounds still cost anything, and a bound is rounded
outwards to the grid: the guarantee holds for every grid.
"""

from __future__ import annotations

from math import log

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from fairlead.stats.sequential.evidence import Floats, level
from fairlead.stats.sequential.observations import Ints, unit_interval

CELLS = 1000
_LARGEST_LOSS = 0.5  # c: no bet may lose more than this share of the capital
_FIRST_BLOCK, _BLOCK = 32, 4096


class Moments(Struct, frozen=True):
    """Count, sum and squared deviations of what was seen: all that a bet may know."""

    count: int = 0
    total: float = 0.0
    spread: float = 0.0


NOTHING = Moments()


class Stakes(Struct, frozen=True):
    """Observations to bet on, each (n,): `gains` X_i, their `weights` v_i, and the range [`low`, `high`] of each."""

    gains: Floats
    weights: Floats
    low: Floats
    high: Floats


class MeanWatch(Struct, frozen=True):
    """The confidence sequence of one bounded mean in constant memory: two logarithms for each candidate in question.

    `lower` and `upper` are the bounds now, in [0, 1]; `alpha` belongs to the state, as the bets depend on it.
    """

    alpha: float
    cells: int = CELLS
    moments: Moments = Moments()
    bounds: tuple[int, int] = (0, 0)  # candidates refuted from below, and from above
    capital: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())

    @property
    def lower(self) -> float:
        """The lower bound, valid at all looks together."""
        return self.bounds[0] / self.cells

    @property
    def upper(self) -> float:
        """The upper bound, valid at all looks together."""
        return 1.0 - self.bounds[1] / self.cells

    def update(self, values: ArrayLike) -> MeanWatch:
        """The state after some more values in [0, 1], with a look at each; `ValueError` for any other.

        >>> watch = MeanWatch(alpha=0.05).update([0.4, 0.6] * 100).update([0.5] * 100)
        >>> watch.lower, watch.upper
        (0.482, 0.517)
        """
        return _follow(self, np.ravel(unit_interval(values)))[0]


def mean_sequence(values: ArrayLike, alpha: float, cells: int = CELLS) -> tuple[Floats, Floats]:
    """(lower, upper) after each value, each (n,): at all looks together they hold the mean with probability 1 - alpha.

    Values lie in [0, 1]; the bounds are multiples of 1 / `cells`.

    >>> low, high = mean_sequence([1, 0, 1, 1] * 50, alpha=0.05)
    >>> float(low[-1]), float(high[-1])
    (0.644, 0.844)
    """
    _, lower, upper = _follow(MeanWatch(level(alpha), cells), np.ravel(unit_interval(values)))
    return lower / cells, 1.0 - upper / cells


def mean_log_e_path(values: ArrayLike, mean: float, alpha: float = 0.05) -> Floats:
    """ln E against "the mean is `mean`" after each value, shape (..., n), time last: ln of max(K+, K-) / 2.

    `alpha` tunes the bets; the guarantee holds at every level.

    >>> path = mean_log_e_path([0.9, 0.8, 0.9, 0.7] * 10, mean=0.5)
    >>> bool(path[-1] > 3)
    True
    """
    x = unit_interval(values)
    if not 0.0 < mean < 1.0:
        raise ValueError(f"a mean of {mean} cannot be bet against: it must lie between 0 and 1")
    ones = np.ones_like(x)
    stakes = Stakes(x, ones, np.zeros_like(x), ones)
    bets = plug_in_bets(x, 2.0 / level(alpha))
    above = np.cumsum(capital_gains(stakes, bets, mean, up=True), axis=-1)
    below = np.cumsum(capital_gains(stakes, bets, mean, up=False), axis=-1)
    path: Floats = np.maximum(above, below) - log(2.0)
    return path


def plug_in_bets(values: Floats, refuting: float, before: Moments = NOTHING, prior: float = 0.25) -> Floats:
    """l_i = sqrt(2 ln(refuting) / (s2_{i-1} i ln(1 + i))), shape (..., n); `prior` is the variance of one prior value.

    >>> np.round(plug_in_bets(np.array([0.5, 0.5, 0.5]), 40.0), 2)
    array([6.52, 5.18, 4.61])
    """
    number = before.count + np.arange(1.0, values.shape[-1] + 1.0)
    variance = past_variance(values, before, prior)
    variance *= number * np.log1p(number)
    bets: Floats = np.sqrt(2.0 * log(refuting) / variance)
    return bets


def past_variance(values: Floats, before: Moments, prior: float) -> Floats:
    """s2_{i-1}: the variance of the values before each, with one prior value 1/2 of variance `prior`."""
    spreads = np.cumsum((values - _means(values, before)) ** 2, axis=-1)
    past = np.empty_like(spreads)
    past[..., :1] = before.spread + prior
    past[..., 1:] = spreads[..., :-1] + (before.spread + prior)
    past /= before.count + np.arange(1.0, values.shape[-1] + 1.0)
    return past


def moments_after(values: Floats, before: Moments) -> Moments:
    """The moments after some more values, shape (n,)."""
    if not values.size:
        return before
    spread = float(((values - _means(values, before)) ** 2).sum())
    return Moments(before.count + values.size, before.total + float(values.sum()), before.spread + spread)


def capital_gains(stakes: Stakes, bets: Floats, mean: Floats | float, *, up: bool) -> Floats:
    """ln of each factor of K+ (`up`) or K- against "the mean is `mean`"; broadcasts over candidates in `mean`."""
    centre = stakes.weights * mean
    gains: Floats = stakes.gains - centre
    room = centre - stakes.low if up else stakes.high - centre
    gains *= np.minimum(bets, _LARGEST_LOSS / np.maximum(room, 1e-300))
    gains = 1.0 + gains if up else 1.0 - gains
    return np.log(gains, out=gains)


def _means(values: Floats, before: Moments) -> Floats:
    """The running mean with a prior value of 1/2, each value included."""
    means = np.cumsum(values, axis=-1)
    means += before.total + 0.5
    means /= before.count + np.arange(2.0, values.shape[-1] + 2.0)
    return means


def _follow(state: MeanWatch, values: Floats) -> tuple[MeanWatch, Floats, Floats]:
    """The state after the values, and after each the number of candidates refuted from below and from above."""
    if state.cells < 2:
        raise ValueError(f"{state.cells} cells leave no candidate mean between 0 and 1: give two or more")
    refuting = 2.0 / level(state.alpha)
    lower, upper = np.empty(values.size), np.empty(values.size)
    start = 0
    while start < values.size:
        size = min(_BLOCK, max(_FIRST_BLOCK, state.moments.count))
        part = values[start : start + size]
        bets = plug_in_bets(part, refuting, state.moments)
        ones = np.ones_like(part)
        stakes = Stakes(part, ones, np.zeros_like(part), ones)
        search = Search(state.cells, state.bounds, state.capital)
        search, lower[start : start + size], upper[start : start + size] = search.bet(stakes, bets, refuting)
        after = moments_after(part, state.moments)
        state = MeanWatch(state.alpha, state.cells, after, search.refuted, search.capital)
        start += size
    return state, lower, upper


class Search(Struct, frozen=True):
    """Candidates `low` + i (`high` - `low`) / `cells`, i = 1 ... cells - 1; how many are refuted from below and above,
    and ln K+ and ln K- of those in question."""

    cells: int
    refuted: tuple[int, int] = (0, 0)
    capital: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    low: float = 0.0
    high: float = 1.0

    def bet(self, stakes: Stakes, bets: Floats, refuting: float) -> tuple[Search, Floats, Floats]:
        """The search after some more stakes, and the two numbers of refuted candidates after each of them."""
        from_low, from_high = self.refuted
        open_ = np.arange(from_low + 1, self.cells - from_high)
        mean: Floats = (self.low + open_ * ((self.high - self.low) / self.cells))[:, None].astype(np.float64)
        up = np.cumsum(capital_gains(stakes, bets, mean, up=True), axis=1)
        down = np.cumsum(capital_gains(stakes, bets, mean, up=False), axis=1)
        held = self.capital if self.capital[0] else ((0.0,) * open_.size,) * 2
        up += np.array(held[0])[:, None]
        down += np.array(held[1])[:, None]
        lower = from_low + leading(up >= log(refuting))
        upper = from_high + leading(down[::-1] >= log(refuting))
        last = int(lower[-1]), int(upper[-1])
        # Where every candidate is refuted the mean lies between two of them: both bounds stop there.
        if sum(last) >= self.cells:
            lower, upper = np.minimum(lower, self.cells - 1 - from_high), np.minimum(upper, self.cells - 1 - lower)
            last = int(lower[-1]), int(upper[-1])
        kept = slice(last[0] - from_low, open_.size - (last[1] - from_high))
        capital = (tuple(up[kept, -1].tolist()), tuple(down[kept, -1].tolist()))
        return Search(self.cells, last, capital, self.low, self.high), lower.astype(float), upper.astype(float)


def leading(refuted: NDArray[np.bool_]) -> Ints:
    """How many leading rows have ever been refuted, after each column; a row counts with all before it.

    >>> leading(np.array([[False, False, False], [False, True, False]]))
    array([0, 2, 2])
    """
    counts = np.zeros(refuted.shape[1], dtype=np.int64)
    for row in np.flatnonzero(refuted.any(axis=1)).tolist():
        at = int(refuted[row].argmax())
        counts[at] = max(int(counts[at]), row + 1)
    return np.maximum.accumulate(counts)
