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

from fairlead.stats.sequential.failures import failure_log_e
from fairlead.stats.sequential.rates import rate_log_e

SLOW_SHARE = 0.01  # what a p99 allows above it
TOLERANCE = 0.25  # relative risk of being slow that passes for equal


def latency_log_e(groups: Iterable[tuple[float, int, int]], slow: int, units: int) -> float:
    """ln E against "the canary is no slower than the champion, or its p99 is within the limit".

    `groups` are units by their first slow request, as in `failure_log_e`; `units` are the canary's, `slow` those of
    which the first answer was slow.

    >>> latency_log_e([(0.5, 2, 60)], slow=80, units=1000) > 5.7
    True
    >>> latency_log_e([(0.5, 60, 60)], slow=80, units=1000) < 0  # both arms are slow: not the canary's doing
    True
    """
    return min(failure_log_e(groups, TOLERANCE), rate_log_e(slow, units, SLOW_SHARE))
