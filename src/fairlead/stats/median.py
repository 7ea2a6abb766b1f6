"""A median with its interval, of whatever distribution."""

from __future__ import annotations

import numpy as np
from scipy.special import bdtr

from fairlead.stats.performance.measure import LEVEL, UNDEFINED, Floats, Measure


def median_interval(values: Floats, level: float = LEVEL) -> Measure:
    """The median of (n,) independent values, and the order statistics that cover it (Thompson, 1936).

    The interval holds the true median with probability `level` at least, whatever the distribution: it is where the
    sign test does not reject. With too few values for that (below 6 at 95 %) it is from -inf to inf.

    >>> found = median_interval(np.arange(20.0)); (found.value, found.low, found.high)
    (9.5, 5.0, 14.0)
    """
    ordered = np.sort(np.asarray(values, np.float64))
    n = ordered.size
    if n == 0 or np.isnan(ordered).any():
        return UNDEFINED
    middle = float(np.median(ordered))
    # The largest k for which fewer than k of n coin tosses are heads with probability (1 - level) / 2 at most.
    tails = bdtr(np.arange(n), n, 0.5)
    k = int(np.searchsorted(tails, (1.0 - level) / 2.0, side="right"))
    if k == 0:
        return Measure(middle, -np.inf, np.inf)
    return Measure(middle, float(ordered[k - 1]), float(ordered[n - k]))
