"""An e-process for failures: does the canary fail more often than the champion?

Take the units in the order of their first failure. While the canary holds a share rho of the traffic, the next unit
to fail is one of its with probability theta(R) = rho R / (rho R + 1 - rho), where R is the relative risk. Nothing
else enters: an outage that hits both arms changes how fast failures come, not whose they are, and the split may change
at any time (Lindon, Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022).

The null is R <= 1 + tolerance. A failure is a trial with limit u = theta(1 + tolerance), an event when it is the
canary's; the alternatives put the relative risk at {1.25, 1.5, 2, 3, 5, 10} times what is tolerated, which multiplies
the odds of u by as much. `rates` says why the mixture of these likelihood ratios is an e-process.

`failure_log_e` takes the counts of a journal, `failure_path` the failures themselves (the value after each), and
`FailureWatch` batches of them in constant memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, log, log1p

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from fairlead.stats.sequential.evidence import Evidence, Floats, log_mean
from fairlead.stats.sequential.observations import closed_shares, zero_one

RISKS = (1.25, 1.5, 2.0, 3.0, 5.0, 10.0)


def canary_fraction(share: float, risk: float) -> float:
    """theta: the fraction of first failures that fall on a canary with this share of the traffic and relative risk.

    >>> canary_fraction(0.05, 1.0), round(canary_fraction(0.05, 3.0), 4)
    (0.05, 0.1364)
    """
    return share * risk / (share * risk + 1.0 - share)


def failure_log_e(groups: Iterable[tuple[float, int, int]], tolerance: float = 0.0) -> float:
    """ln E against "the canary's failure rate is at most 1 + `tolerance` times the champion's".

    Each group is (share of the canary in (0, 1), units that first failed on the champion, on the canary). Only sums
    enter, so the order within a share is free; a share of 0 or 1 compares nothing and adds nothing. Raises
    `ValueError` for a tolerance of -1 or less.

    >>> round(failure_log_e([(0.05, 40, 12)]), 2)  # 2.6 failures were expected on the canary
    8.4
    >>> round(failure_log_e([(0.01, 99, 1), (0.05, 38, 2)]), 2)
    -1.01
    """
    if tolerance <= -1.0:
        raise ValueError(f"a tolerance of {tolerance} leaves no relative risk to allow: it must be above -1")
    sums = [0.0] * len(RISKS)
    for share, champion, canary in groups:
        if not 0.0 < share < 1.0:
            continue
        limit = canary_fraction(share, 1.0 + tolerance)
        for i, risk in enumerate(RISKS):
            sums[i] += canary * log(risk) - (champion + canary) * log1p(limit * (risk - 1.0))
    peak = max(sums)
    return peak + log(sum(exp(value - peak) for value in sums) / len(sums))


class FailureWatch(Struct, frozen=True):
    """The whole state: one sum for each risk of the mixture, whatever the number of failures."""

    tolerance: float = 0.0
    sums: tuple[float, ...] = (0.0,) * len(RISKS)
    evidence: Evidence = Evidence()

    def update(self, shares: ArrayLike, on_canary: ArrayLike) -> FailureWatch:
        """The state after some more first failures, in their order, with a look at each (`failure_path`).

        >>> watch = FailureWatch().update(0.05, [0] * 40 + [1] * 12).update([0.5, 0.5], [0, 1])
        >>> round(watch.evidence.log_e_max, 2), watch.evidence.reached(0.01)
        (8.4, True)
        """
        sums = self._sums(shares, on_canary)
        if not sums.shape[-1]:
            return self
        last = tuple(sums[:, -1].tolist())
        return FailureWatch(self.tolerance, last, self.evidence.along(log_mean(sums)))

    def path(self, shares: ArrayLike, on_canary: ArrayLike) -> Floats:
        """ln E after each of some more first failures, shape (n,): what `update` would look at."""
        return log_mean(self._sums(shares, on_canary))

    def _sums(self, shares: ArrayLike, on_canary: ArrayLike) -> Floats:
        steps = _steps(shares, np.ravel(on_canary), self.tolerance)
        steps[:, :1] += np.array(self.sums)[:, None]
        sums: Floats = np.cumsum(steps, axis=-1)
        return sums


def failure_path(shares: ArrayLike, on_canary: ArrayLike, tolerance: float = 0.0) -> Floats:
    """ln E after each first failure, shape (..., n); time is the last axis.

    `on_canary` (..., n) is 1 where the unit failed on the canary, `shares` the canary's share at that time (one number
    for all, or as many). A share of 0 or 1 compares nothing and leaves ln E where it was. Raises `ValueError` for what
    is not 0 or 1, a share outside [0, 1] or nan, and a tolerance of -1 or less.

    >>> np.round(failure_path([0.01, 0.05, 0.05], [0, 1, 1]), 2)
    array([-0.03,  1.08,  2.52])
    """
    steps = _steps(shares, on_canary, tolerance)
    return log_mean(np.cumsum(steps, axis=-1, out=steps))


def _steps(shares: ArrayLike, on_canary: ArrayLike, tolerance: float) -> Floats:
    """What each failure adds to the sum of each risk, shape (risks, ..., n)."""
    if not tolerance > -1.0:
        raise ValueError(f"a tolerance of {tolerance} leaves no relative risk to allow: it must be above -1")
    hits = zero_one(on_canary, "failure")
    share = closed_shares(shares, hits)
    limits = share * (1.0 + tolerance) / (share * tolerance + 1.0)
    beyond = (np.array(RISKS) - 1.0).reshape(-1, *(1,) * hits.ndim)
    steps: Floats = limits * beyond
    steps += 1.0
    np.log(steps, out=steps)
    np.subtract(hits * np.log(beyond + 1.0), steps, out=steps)
    alone = (share == 0.0) | (share == 1.0)
    if alone.any():
        steps[:, alone] = 0.0
    return steps
