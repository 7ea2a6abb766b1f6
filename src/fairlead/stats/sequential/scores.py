"""Do canary and champion give the same scores? A two-sample multinomial e-process, at any split of the traffic.

Scores fall into the cells of the reference grid. **Null**: given the past and the cell of the next unit's score, the
unit is on the canary with probability rho, the canary's share at that time. That is what holds when both arms draw each
score from one distribution, which may change at any time and in any way (an outage, another season), and units are
split at random. Under it,

    E_n = prod q1(c_i)^x_i q0(c_i)^(1 - x_i) / (rho_i q1(c_i) + (1 - rho_i) q0(c_i)),

x_i = 1 on the canary, is a martingale for *any* q1, q0 that know only the past: given the cell the two outcomes have
probabilities rho and 1 - rho, and rho q1 / (...) + (1 - rho) q0 / (...) = 1. So the total of a cell, the traffic and
the split never enter. q1 and q0 are the arms' posterior shares under a Dirichlet prior centred on the reference, which
makes E the ratio of two Dirichlet mixtures where the split is constant (compare Turner, Ly, Gruenwald, "Generic
E-variables for exact sequential k-sample tests", 2024; Lindon, Malek, NeurIPS 2022).

The null is equality. A challenger that was trained anew *should* score differently; then `divergence`, with a bound on
how far, is the guardrail, and this test the finding.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from fairlead.stats.sequential.evidence import Evidence, Floats
from fairlead.stats.sequential.observations import Ints, cells, open_shares, zero_one

# Observations that the prior counts for, per cell. Jeffreys' 1/2 on even cells.
PRIOR_PER_CELL = 0.5
_LEAST_SHARE = 1e-4


class ArmScores(Struct, frozen=True):
    """The whole state: the scores in each cell of each arm. `reference` are the cells' expected shares, on any
    scale."""

    reference: tuple[float, ...]
    champion: tuple[int, ...] = ()
    canary: tuple[int, ...] = ()
    evidence: Evidence = Evidence()

    def update(self, scores: ArrayLike, on_canary: ArrayLike, shares: ArrayLike) -> ArmScores:
        """The state after some more first scores of units, with a look at each (`arm_scores_path`).

        >>> watch = ArmScores((1, 1, 1, 1)).update([0, 3, 0, 3] * 20, [0, 1, 0, 1] * 20, 0.5)
        >>> watch.champion, watch.canary, watch.evidence.reached(0.01)
        ((40, 0, 0, 0), (0, 0, 0, 40), True)
        """
        prior = _prior(self.reference)
        found, arms = _checked(scores, on_canary, prior.size)
        if not found.size:
            return self
        before = np.array([self.champion or (0,) * prior.size, self.canary or (0,) * prior.size], dtype=np.float64)
        steps = _steps(found, arms, open_shares(shares, arms), (prior, before))
        path = self.evidence.log_e + np.cumsum(steps)
        after = before + np.bincount(found + prior.size * arms.astype(np.int64), minlength=before.size).reshape(2, -1)
        champion, canary = (tuple(int(n) for n in arm) for arm in after)
        return ArmScores(self.reference, champion, canary, self.evidence.along(path))


def arm_scores_path(scores: ArrayLike, on_canary: ArrayLike, shares: ArrayLike, reference: Sequence[float]) -> Floats:
    """ln E after each unit's first score, shape (n,).

    `scores` (n,) are places of cells, from 0; `on_canary` (n,) 0 or 1; `shares` the canary's share in (0, 1) at each,
    or one for all; `reference` (cells,) expected shares. Raises `ValueError` for a cell that is none, a share of 0, 1
    or nan, lengths that differ.

    >>> np.round(arm_scores_path([0, 1, 1], [0, 1, 1], 0.5, [0.5, 0.5]), 3)
    array([0.   , 0.288, 0.693])
    """
    prior = _prior(reference)
    found, arms = _checked(scores, on_canary, prior.size)
    steps = _steps(found, arms, open_shares(shares, arms), (prior, np.zeros((2, prior.size))))
    path: Floats = np.cumsum(steps)
    return path


def _prior(reference: Sequence[float]) -> Floats:
    shares = np.asarray(reference, dtype=np.float64)
    if shares.size < 2 or not np.isfinite(shares).all() or shares.min() < 0.0 or shares.sum() <= 0.0:
        raise ValueError(f"{shares.size} expected shares: give two cells or more, none negative, not all zero")
    shares = np.maximum(shares / shares.sum(), _LEAST_SHARE)
    prior: Floats = PRIOR_PER_CELL * shares.size * shares / shares.sum()
    return prior


def _checked(scores: ArrayLike, on_canary: ArrayLike, count: int) -> tuple[Ints, Floats]:
    found, arms = np.ravel(cells(scores, count)), np.ravel(zero_one(on_canary, "arm"))
    if found.size != arms.size:
        raise ValueError(f"{found.size} scores for {arms.size} arms: give one arm for each score")
    return found, arms


def _steps(found: Ints, arms: Floats, shares: Floats, known: tuple[Floats, Floats]) -> Floats:
    """What each score adds to ln E. `known` holds the prior (cells,) and the counts before (2, cells)."""
    prior, before = known
    on_canary, on_champion = _earlier(found, arms, prior.size)
    canary_total = np.cumsum(arms)
    canary_total -= arms
    champion_total = np.arange(float(arms.size)) - canary_total
    mass, totals = prior.sum(), before.sum(axis=1)
    q1 = (on_canary + (prior + before[1])[found]) / (canary_total + (mass + totals[1]))
    q0 = (on_champion + (prior + before[0])[found]) / (champion_total + (mass + totals[0]))
    mixed = shares * (q1 - q0)
    mixed += q0
    steps: Floats = np.where(arms == 1.0, q1, q0)
    steps /= mixed
    return np.log(steps, out=steps)


def _earlier(found: Ints, arms: Floats, count: int) -> tuple[Floats, Floats]:
    """For each score the earlier ones in its cell on the canary, and on the champion."""
    small: NDArray[np.generic] = found.astype(np.uint8 if count <= 256 else np.uint16 if count <= 65_536 else np.int64)
    order = np.argsort(small, kind="stable")  # a radix sort on small integers
    sorted_arms = arms[order]
    running = np.cumsum(sorted_arms)
    running -= sorted_arms
    held = np.bincount(found, minlength=count)
    starts = np.concatenate([[0], np.cumsum(held)[:-1]])
    first = np.repeat(starts, held)
    on_canary, on_champion = np.empty(arms.size), np.empty(arms.size)
    hits = running - running[first] if arms.size else running
    on_canary[order] = hits
    on_champion[order] = np.arange(float(arms.size)) - first - hits
    return on_canary, on_champion
