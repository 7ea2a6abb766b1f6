"""An e-process for tail latency: is the canary's p99 above its limit, and is that the canary's doing?

A request is slow when it takes longer than the limit, for instance twice the champion's p99. The p99 is above the
limit exactly when more than 1 % of the requests are slow. Requests of one unit are no independent trials, so each unit
is judged by one. Two nulls must both fall before the canary has regressed:

    A  slow units fall on the canary no more often, relative to its traffic, than 1 + tolerance times the champion's;
    B  at most 1 % of the first answers that units get from the canary are slow.

Where A or B is true, min(E_A, E_B) is below an e-process for the true one; so the minimum is an e-process for
"A or B". A noisy machine slows both arms and leaves A standing; a canary that is slower yet within its limit leaves B.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from fairlead.stats.sequential.evidence import Evidence, Floats
from fairlead.stats.sequential.failures import FailureWatch, failure_log_e
from fairlead.stats.sequential.observations import closed_shares, marks
from fairlead.stats.sequential.rates import RateWatch, rate_log_e

SLOW_SHARE = 0.01  # what a p99 allows above it
TOLERANCE = 0.25  # relative risk of being slow that passes for equal


def latency_log_e(
    groups: Iterable[tuple[float, int, int]], slow: int, units: int, allowed: float = SLOW_SHARE
) -> float:
    """ln E against "the canary is no slower than the champion, or its quantile is within the limit"; `allowed` is the
    share of requests that the quantile leaves above it.

    `groups` are units by their first slow request, as in `failure_log_e`; `units` are the canary's, `slow` those of
    which the first answer was slow.

    >>> latency_log_e([(0.5, 2, 60)], slow=80, units=1000) > 5.7
    True
    >>> latency_log_e([(0.5, 60, 60)], slow=80, units=1000) < 0  # both arms are slow: not the canary's doing
    True
    """
    return min(failure_log_e(groups, TOLERANCE), rate_log_e(slow, units, allowed))


class LatencyWatch(Struct, frozen=True):
    """The whole state: those of its two tests."""

    relative: FailureWatch = FailureWatch(TOLERANCE)
    absolute: RateWatch = RateWatch(SLOW_SHARE)
    evidence: Evidence = Evidence()

    def update(self, shares: ArrayLike, first_slow: ArrayLike, first_answer: ArrayLike) -> LatencyWatch:
        """The state after some more observations, with a look at each (`latency_path`).

        >>> watch = LatencyWatch().update(0.5, [1, 1, -1] * 12, [1, -1, 0] * 12)
        >>> watch.evidence.reached(0.05)
        True
        """
        relative, absolute = self.relative, self.absolute
        slow, answer = np.ravel(marks(first_slow)), np.ravel(marks(first_answer))
        if not slow.size:
            return self
        path = _path(shares, slow, answer, (relative, absolute))
        held, asked = slow >= 0, answer >= 0
        share = closed_shares(shares, slow)
        relative = relative.update(share[held], slow[held])
        absolute = absolute.update(answer[asked])
        return LatencyWatch(relative, absolute, self.evidence.along(path))


def latency_path(shares: ArrayLike, first_slow: ArrayLike, first_answer: ArrayLike) -> Floats:
    """ln E after each observation, shape (n,).

    `first_slow` (n,) is 1 where a unit was slow for the first time, on the canary, 0 if on the champion, -1 where
    neither; `first_answer` (n,) is 1 where a unit's first answer from the canary was slow, 0 where it was not, -1 where
    it was no such answer; `shares` the canary's share at each, or one for all.

    >>> np.round(latency_path(0.5, [-1, 1, -1, 1], [0, 1, -1, 1]), 2)
    array([-0.12,  0.31,  0.31,  0.65])
    """
    slow, answer = np.ravel(marks(first_slow)), np.ravel(marks(first_answer))
    return _path(shares, slow, answer, (FailureWatch(TOLERANCE), RateWatch(SLOW_SHARE)))


def _path(shares: ArrayLike, slow: Floats, answer: Floats, before: tuple[FailureWatch, RateWatch]) -> Floats:
    if slow.size != answer.size:
        raise ValueError(f"{slow.size} first slow requests for {answer.size} first answers: one each, -1 for none")
    held, asked = slow >= 0, answer >= 0
    share = closed_shares(shares, slow)
    relative = np.concatenate([[before[0].evidence.log_e], before[0].path(share[held], slow[held])])
    absolute = np.concatenate([[before[1].evidence.log_e], before[1].path(answer[asked])])
    path: Floats = np.minimum(relative[np.cumsum(held)], absolute[np.cumsum(asked)])
    return path
