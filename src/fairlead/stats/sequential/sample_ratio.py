"""Do the arms get the units that the split says? An e-process for the sample ratio (Lindon, Malek, NeurIPS 2022).

Under the null the next unit is on arm i with probability rho_i. Against it a Dirichlet(k rho) mixture of splits, close
to the planned one, k = 10^4:

    E_n = Gamma(k) / Gamma(k + n) * prod Gamma(k rho_i + S_i) / Gamma(k rho_i) / prod rho_i^S_i,

the product over the units of (k rho_i + S_i) / (k + n) / rho_i, with the arm's units S_i and all units n before each.
It is a martingale under the null, so it may be looked at after every unit.

Count *units*, each once, at its first request: requests of one user come in bursts on one arm. When the weights change,
S and n start again, as the mixture must centre on the new split, and E goes on from where it was: the product of the
epochs' e-processes is an e-process, so alpha is spent once over all epochs.

k is how many units the planned split counts for: below about k units even a split that is far off is found slowly; a
small k finds it soon, and pays for it against a split that is off by little.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lgamma, log

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from fairlead.stats.sequential.evidence import Evidence, Floats
from fairlead.stats.sequential.observations import Ints, cells

CONCENTRATION = 1e4


class RatioWatch(Struct, frozen=True):
    """The whole state: the units on each arm since the weights were set. `weights` are positive, on any scale."""

    weights: tuple[float, ...]
    units: tuple[int, ...] = ()
    settled: float = 0.0  # ln E of the epochs before
    evidence: Evidence = Evidence()
    concentration: float = CONCENTRATION

    def update(self, arms: ArrayLike) -> RatioWatch:
        """The state after some more units, in their order; `arms` holds the place of each one's arm, from 0.

        >>> watch = RatioWatch((0.9, 0.1)).update([0] * 9000 + [1] * 1300)
        >>> watch.units, watch.evidence.reached(0.01)
        ((9000, 1300), True)
        """
        shares = _shares(self.weights)
        found = np.ravel(cells(arms, shares.size))
        if not found.size:
            return self
        before = np.array(self.units or (0,) * shares.size, dtype=np.float64)
        earlier = self.settled + _closed(before, shares, self.concentration)
        path: Floats = earlier + _path(found, shares, before, self.concentration)
        after = before + np.bincount(found, minlength=shares.size)
        units = tuple(int(n) for n in after)
        return RatioWatch(self.weights, units, self.settled, self.evidence.along(path), self.concentration)

    def reweigh(self, weights: Sequence[float]) -> RatioWatch:
        """The state when the split changes: the counts start again, the evidence stays.

        >>> watch = RatioWatch((0.9, 0.1)).update([0] * 9000 + [1] * 1300).reweigh((0.5, 0.5))
        >>> watch.units, watch.evidence.reached(0.01)
        ((), True)
        """
        _shares(weights)
        return RatioWatch(tuple(weights), (), self.evidence.log_e, self.evidence, self.concentration)


def sample_ratio_log_e(units: Sequence[int], weights: Sequence[float], concentration: float = CONCENTRATION) -> float:
    """ln E from the units on each arm under one split. Raises `ValueError` for negative counts or other lengths.

    >>> round(sample_ratio_log_e([9000, 1300], [0.9, 0.1]), 2), sample_ratio_log_e([9000, 1000], [0.9, 0.1]) < 0
    (18.8, True)
    """
    shares = _shares(weights)
    if len(units) != shares.size or min(units) < 0:
        raise ValueError(f"{list(units)} units for {shares.size} weights: give each arm a count of 0 or more")
    return _closed(np.array(units, dtype=np.float64), shares, concentration)


def sample_ratio_path(arms: ArrayLike, weights: Sequence[float], concentration: float = CONCENTRATION) -> Floats:
    """ln E after each unit, shape (n,); `arms` (n,) holds the place of each unit's arm, from 0.

    >>> np.round(sample_ratio_path([0, 1, 1], [0.5, 0.5]), 6)
    array([ 0.    , -0.0001, -0.0001])
    """
    shares = _shares(weights)
    return _path(np.ravel(cells(arms, shares.size)), shares, np.zeros(shares.size), concentration)


def _shares(weights: Sequence[float]) -> Floats:
    given = np.asarray(weights, dtype=np.float64)
    if given.size < 2 or not (np.isfinite(given).all() and (given > 0.0).all()):
        raise ValueError(
            f"weights of {list(weights)}: give two or more arms a positive weight, leave out those without"
        )
    shares: Floats = given / given.sum()
    return shares


def _path(arms: Ints, shares: Floats, before: Floats, concentration: float) -> Floats:
    """ln E after each unit, less ln E before the first."""
    own = np.empty(arms.size)
    for arm in range(shares.size):
        at = np.flatnonzero(arms == arm)
        # (k rho + S) / rho, with S the arm's own units before.
        own[at] = (concentration + before[arm] / shares[arm]) + np.arange(at.size) / shares[arm]
    own /= concentration + before.sum() + np.arange(float(arms.size))
    path: Floats = np.cumsum(np.log(own, out=own))
    return path


def _closed(units: Floats, shares: Floats, concentration: float) -> float:
    total = lgamma(concentration) - lgamma(concentration + float(units.sum()))
    for count, share in zip(units.tolist(), shares.tolist(), strict=True):
        prior = concentration * share
        total += lgamma(prior + count) - lgamma(prior) - count * log(share)
    return total
