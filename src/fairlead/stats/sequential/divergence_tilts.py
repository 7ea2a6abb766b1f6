"""An e-process for the population stability index that knows which way scores move.

The null is J(p, q) <= b, as in `divergence`. There a set of cells is bet on at a time, whose limit is what the index
allows to that set *alone*: a shift that moves every cell a little is seen late. Here all cells are bet on together.

K = {p: J(p, q) <= b} is convex, as J is convex in p. Take a point p0 on its boundary, with the gradient g of J there:
g_i = ln(p0_i / q_i) + 1 - q_i / p0_i. K lies in the half-space {p: sum (p_i - p0_i) g_i <= 0}, so a bet

    r_i = 1 + lambda (g_i - sum p0_j g_j) > 0,    lambda >= 0,

has expectation at most 1 under *every* p in K, and so has the product over scores of which each, given the past, lies
in K; the average of such products is an e-process (for the best p0 and lambda r is the likelihood ratio to the nearest
p in K: Larsson, Ramdas, Ruf, "The numeraire e-variable and reverse information projection", 2024).

The points are tilts of q, p0 ~ q exp(t v): v is the cells' normal score (scores move up or down) or its square (they
spread or gather); lambda is the best one against the tilt by which the index is so many times the bound. Half of the
capital is bet so, half as in `divergence`, which is quicker where scores collapse into few cells. Only counts enter.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from fairlead.stats.sequential.divergence import divergence_log_e_path, expected_shares
from fairlead.stats.sequential.evidence import Floats
from fairlead.stats.sequential.rates import log_mean_exp

# The index that a bet is best against, in multiples of the bound.
_BEYOND = (1.25, 1.6, 2.5, 5.0)
_HALVINGS = 60
# Logarithms of ratios of cells that a tilt may reach: the index is then beyond any bound that means something.
_STEEPEST = 200.0
_OUTERMOST = 1e-6


def tilted_log_e(counts: Sequence[int], expected: Sequence[float], bound: float) -> float:
    """ln E against "the scores' PSI against `expected` is at most `bound`"; arguments and errors as those of
    `divergence.divergence_log_e`.

    >>> even = [0.1] * 10
    >>> moved = [24, 38, 49, 60, 72, 86, 103, 126, 163, 280]  # up by 0.7 standard deviations: an index of 0.44
    >>> round(tilted_log_e(moved, even, 0.25), 1), round(tilted_log_e(moved, even, 0.5), 1)
    (10.0, -9.1)
    >>> tilted_log_e([11, 9, 10, 12, 8, 10, 10, 9, 11, 10], even, 0.25) < 0
    True
    """
    return float(tilted_log_e_path(np.asarray([counts], dtype=float), expected, bound)[0])


def tilted_log_e_path(counts: Floats, expected: Sequence[float], bound: float) -> Floats:
    """`tilted_log_e` for many vectors of counts at once: shape (looks, cells) gives shape (looks,)."""
    by_set = divergence_log_e_path(counts, expected, bound)
    bets = _bets(tuple(float(share) for share in expected), float(bound))
    if not bets.size:
        return by_set
    return log_mean_exp(np.stack([by_set, log_mean_exp(counts @ bets)], axis=-1))


@lru_cache(maxsize=256)
def _bets(expected: tuple[float, ...], bound: float) -> Floats:
    """ln r of each bet, shape (cells, bets)."""
    shares = expected_shares(expected)
    ways = _ways(shares)
    at = _tilt(shares, ways, _strength(shares, ways, bound))
    on = _index(at, shares) >= bound  # what no tilt along this way reaches is no boundary
    ways, at = ways[on], at[on]
    if not len(ways):
        return np.zeros((len(expected), 0))
    slopes = np.log(at / shares) + 1.0 - shares / at
    slopes -= (at * slopes).sum(axis=1, keepdims=True)
    found = [np.log1p(_best(slopes, _tilt(shares, ways, _strength(shares, ways, bound * m))) * slopes) for m in _BEYOND]
    bets: Floats = np.vstack(found).T
    return bets


def _ways(shares: Floats) -> Floats:
    """The directions in which scores may move, shape (ways, cells); a constant one moves nothing."""
    middles = np.clip(np.cumsum(shares) - shares / 2.0, _OUTERMOST, 1.0 - _OUTERMOST)
    scores = np.array([NormalDist().inv_cdf(float(middle)) for middle in middles])
    ways = np.array([scores, -scores, scores**2, -(scores**2)])
    moving: Floats = ways[np.ptp(ways, axis=1) > _OUTERMOST]
    return moving


def _tilt(shares: Floats, ways: Floats, strength: Floats) -> Floats:
    logs = np.log(shares) + strength[:, None] * ways
    logs -= logs.max(axis=1, keepdims=True)
    tilted = np.exp(logs)
    tilted /= tilted.sum(axis=1, keepdims=True)
    positive: Floats = np.maximum(tilted, 1e-300)
    return positive


def _index(live: Floats, shares: Floats) -> Floats:
    index: Floats = ((live - shares) * np.log(live / shares)).sum(axis=1)
    return index


def _strength(shares: Floats, ways: Floats, target: float) -> Floats:
    """The least strength of each tilt with an index of at least `target`, by bisection."""
    low, high = np.zeros(len(ways)), _STEEPEST / np.ptp(ways, axis=1)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        over = _index(_tilt(shares, ways, middle), shares) >= target
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    least: Floats = high
    return least


def _best(slopes: Floats, live: Floats) -> Floats:
    """The lambda of fastest growth under `live` for each bet, shape (bets, 1); that growth is concave in it."""
    low, high = np.zeros(len(slopes)), (1.0 - 1e-9) / -slopes.min(axis=1)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        rises = (live * slopes / (1.0 + middle[:, None] * slopes)).sum(axis=1) > 0.0
        low, high = np.where(rises, middle, low), np.where(rises, high, middle)
    best: Floats = low[:, None]
    return best
