"""An e-process for failures: does the canary fail more often than the champion?

Take the units in the order of their first failure. While the canary holds a share rho of the traffic, the next unit
to fail is one of its with probability theta(R) = rho R / (rho R + 1 - rho), where R is the relative risk. Nothing
else enters: an outage that hits both arms changes how fast failures come, not whose they are, and the split may change
at any time (Lindon, Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022).

The null is R <= 1 + tolerance. A failure is a trial with limit u = theta(1 + tolerance), an event when it is the
canary's; the alternatives put the relative risk at {1.25, 1.5, 2, 3, 5, 10} times what is tolerated, which multiplies
the odds of u by as much. `rates` says why the mixture of these likelihood ratios is an e-process.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, log, log1p

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
