"""An e-process for a distribution: have the scores left the cells they were expected in?

The population stability index of live shares p against expected shares q is the symmetrised Kullback-Leibler
divergence J(p, q) = sum (p_i - q_i) ln(p_i / q_i) = KL(p || q) + KL(q || p). The null is J(p, q) <= b, for instance
b = 0.25.

J is an f-divergence, so by the data-processing inequality merging cells never increases it: every set S of cells has
j(p_S, q_S) <= J(p, q) <= b, where j(x, y) = (x - y)(logit x - logit y) is the index of two cells. As j grows without
bound while x rises from y to 1, this says p_S <= u(q_S, b), the root of j(u, q_S) = b. Under the null each set
therefore obeys a one-sided bound on a rate, for which `rates` gives an e-process; their average over a family of sets
is an e-process too, and it is valid after every request. The family: all runs of cells from the left, all from the
right (shifts), and each single cell (collapse). Scores need not be identically distributed: it is enough that each
one, given the past, obeys the bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from fairlead.stats.sequential.rates import Floats, log_mean_exp, rates_log_e

# A cell that held nothing in the reference is given this share, so that one score there is not infinite evidence.
_LEAST_SHARE = 1e-4


def divergence_log_e(counts: Sequence[int], expected: Sequence[float], bound: float) -> float:
    """ln E against "the scores' PSI against `expected` is at most `bound`".

    `counts` per cell, `expected` the share that each cell should hold (any positive scale), `bound` > 0. Raises
    `ValueError` where the two differ in length, fewer than two cells are given, or the bound is not positive.

    >>> even = [0.1] * 10
    >>> round(divergence_log_e([0] * 9 + [20], even, 0.25), 1)  # all scores in one cell
    19.2
    >>> divergence_log_e([11, 9, 10, 12, 8, 10, 10, 9, 11, 10], even, 0.25) < 0
    True
    """
    return float(divergence_log_e_path(np.asarray([counts], dtype=float), expected, bound)[0])


def divergence_log_e_path(counts: Floats, expected: Sequence[float], bound: float) -> Floats:
    """`divergence_log_e` for many vectors of counts at once: shape (looks, cells) gives shape (looks,)."""
    if counts.shape[-1] != len(expected):
        raise ValueError(f"{counts.shape[-1]} counts for {len(expected)} expected cells: count on the same edges")
    members, limits = _family(tuple(float(share) for share in expected), float(bound))
    events = counts @ members
    trials = np.broadcast_to(counts.sum(axis=-1, keepdims=True), events.shape)
    return log_mean_exp(rates_log_e(events, trials, limits))


def psi_from_counts(counts: Sequence[int], expected: Sequence[float]) -> float | None:
    """The PSI of counts against expected shares, at least 0; None without counts.

    Live shares carry Jeffreys' 1/2 a cell. Under no change the PSI of n scores in B cells is about chi-squared(B - 1)
    / n (Yurdakul, 2018), so (B - 1) / n is subtracted.

    >>> psi_from_counts([25, 26, 24, 25], [0.25] * 4)
    0.0
    >>> round(psi_from_counts([70, 10, 10, 10], [0.25] * 4), 2)
    0.81
    """
    total, cells = sum(counts), len(expected)
    if total == 0:
        return None
    live = (np.asarray(counts, dtype=float) + 0.5) / (total + cells / 2)
    shares = _shares(expected)
    index = float(np.sum((live - shares) * np.log(live / shares)))
    return max(0.0, index - (cells - 1) / total)


def rate_limit(share: float, bound: float) -> float:
    """u(q, b): the largest rate whose two-cell PSI against `share` is within `bound`, by bisection.

    >>> round(rate_limit(0.1, 0.25), 4)
    0.2912
    """
    return float(_rate_limits(np.array([share]), bound)[0])


def _shares(expected: Sequence[float]) -> Floats:
    shares = np.maximum(np.asarray(expected, dtype=float), 0.0)
    shares = np.maximum(shares / shares.sum(), _LEAST_SHARE)
    positive: Floats = shares / shares.sum()
    return positive


@lru_cache(maxsize=256)
def _family(expected: tuple[float, ...], bound: float) -> tuple[Floats, Floats]:
    """The sets of cells as columns of ones, shape (cells, sets), and the limit of each."""
    if len(expected) < 2 or bound <= 0 or sum(expected) <= 0:
        raise ValueError(f"{len(expected)} cells and a bound of {bound}: give at least two cells and a bound above 0")
    cells = len(expected)
    lower = np.tri(cells, dtype=float)[: cells - 1]
    members = np.unique(np.vstack([lower, 1.0 - lower, np.eye(cells)]), axis=0).T
    return members, _rate_limits(_shares(expected) @ members, bound)


def _rate_limits(shares: Floats, bound: float) -> Floats:
    logit = np.log(shares) - np.log1p(-shares)
    # Bisection in odds: j rises from 0 at the share itself, and exceeds any bound long before odds of e^700.
    low, high = logit, np.full_like(logit, 700.0)
    for _ in range(80):
        middle = (low + high) / 2
        over = (1.0 / (1.0 + np.exp(-middle)) - shares) * (middle - logit) > bound
        low, high = np.where(over, low, middle), np.where(over, middle, high)
    limits: Floats = 1.0 / (1.0 + np.exp(-high))
    # Too close to 1 to be broken by any count: a hair below keeps its evidence at nothing.
    return np.minimum(limits, 1.0 - 1e-12)
