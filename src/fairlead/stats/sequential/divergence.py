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
from math import log

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from fairlead.stats.sequential.evidence import Evidence, Floats
from fairlead.stats.sequential.observations import Ints
from fairlead.stats.sequential.observations import cells as checked_cells
from fairlead.stats.sequential.rates import ODDS, log_mean_exp, rates_log_e

# A cell that held nothing in the reference is given this share, so that one score there is not infinite evidence.
_LEAST_SHARE = 1e-4
_BLOCK = 256


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
    shares = expected_shares(expected)
    index = float(np.sum((live - shares) * np.log(live / shares)))
    return max(0.0, index - (cells - 1) / total)


def rate_limit(share: float, bound: float) -> float:
    """u(q, b): the largest rate whose two-cell PSI against `share` is within `bound`, by bisection.

    >>> round(rate_limit(0.1, 0.25), 4)
    0.2912
    """
    return float(_rate_limits(np.array([share]), bound)[0])


def expected_shares(expected: Sequence[float]) -> Floats:
    """The share that each cell is expected to hold, none of them 0."""
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
    return members, _rate_limits(expected_shares(expected) @ members, bound)


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


class ScoreWatch(Struct, frozen=True):
    """The whole state: the scores in each cell. `expected` and `bound` as in `divergence_log_e`."""

    expected: tuple[float, ...]
    bound: float
    counts: tuple[int, ...] = ()
    evidence: Evidence = Evidence()

    def update(self, scores: ArrayLike) -> ScoreWatch:
        """The state after some more scores, in their order, each the place of its cell, with a look at each.

        >>> watch = ScoreWatch((0.1,) * 10, 0.25).update([9] * 10).update([9, 9])
        >>> watch.counts[9], watch.evidence.reached(0.01)
        (12, True)
        """
        found = np.ravel(checked_cells(scores, len(self.expected)))
        if not found.size:
            return self
        before = np.array(self.counts or (0,) * len(self.expected), dtype=float)
        path = _path(found, self.expected, self.bound, before)
        after = before + np.bincount(found, minlength=before.size)
        counts = tuple(int(n) for n in after)
        return ScoreWatch(self.expected, self.bound, counts, self.evidence.along(path))


def divergence_path(scores: ArrayLike, expected: Sequence[float], bound: float) -> Floats:
    """ln E after each score, shape (n,); `scores` (n,) are the places of their cells, counted from 0.

    Raises `ValueError` for a cell that is none, and as `divergence_log_e`.

    >>> path = divergence_path([9] * 20, [0.1] * 10, 0.25)
    >>> round(float(path[-1]), 1)
    19.2
    """
    return _path(np.ravel(checked_cells(scores, len(expected))), expected, bound, np.zeros(len(expected)))


def _path(found: Ints, expected: Sequence[float], bound: float, before: Floats) -> Floats:
    members, limits = _family(tuple(float(share) for share in expected), float(bound))
    odds = np.tile(ODDS, limits.size)
    growth = np.log1p(np.repeat(limits, ODDS.size) * (odds - 1.0))
    # What a score in each cell adds to ln of each bet, shape (cells, sets * odds): the hit, less the growth.
    hits = np.repeat(members, ODDS.size, axis=1) * np.log(odds)
    path, unit = np.empty(found.size), np.eye(before.size)
    for start in range(0, found.size, _BLOCK):
        counts = before + np.cumsum(unit[found[start : start + _BLOCK]], axis=0)
        now = before @ hits - before.sum() * growth
        # A bet that cannot come within e^-45 of the leading one in this block is nothing beside it.
        kept = now + (counts[-1] - before) @ hits >= (now - len(counts) * growth).max() - 45.0
        path[start : start + _BLOCK] = _log_sum(counts @ (hits[:, kept] - growth[kept])) - log(growth.size)
        before = counts[-1]
    return path


def _log_sum(logs: Floats) -> Floats:
    """ln of the sum of exp over each row, in place: a block stays in the processor's cache."""
    peak = logs.max(axis=1)
    logs -= peak[:, None]
    np.exp(logs, out=logs)
    total: Floats = np.log(logs.sum(axis=1)) + peak
    return total
