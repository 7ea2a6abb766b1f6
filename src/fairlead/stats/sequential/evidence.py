"""What a test that is looked at again and again has found so far: E, its largest value, and p_t.

Ville (1939): for an e-process E, P(E ever reaches 1 / alpha) <= alpha under the null. So p_t = min over the looks
s <= t of 1 / E_s is a p-value at every look together, and the largest E decides. Logarithms, as E leaves the range of a
float within a few thousand observations.
"""

from __future__ import annotations

from math import exp, inf, isnan, log

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_LARGEST_LOG = 709.0  # exp of more is no float


class Evidence(Struct, frozen=True):
    """ln E now, and the largest ln E so far (0 at the start, when E is 1).

    >>> found = Evidence().after(4.8).after(1.0)
    >>> found.log_e, found.log_e_max, round(found.p_value, 4), found.reached(0.01)
    (1.0, 4.8, 0.0082, True)
    """

    log_e: float = 0.0
    log_e_max: float = 0.0

    @property
    def e(self) -> float:
        """E now; infinite beyond 1e308."""
        return exp(self.log_e) if self.log_e < _LARGEST_LOG else inf

    @property
    def p_value(self) -> float:
        """p_t = min over all looks of 1 / E, at most 1: valid at whichever look one stops."""
        return exp(-max(0.0, self.log_e_max))

    def reached(self, alpha: float) -> bool:
        """Whether E has ever been 1 / `alpha`; under the null that happens with probability at most `alpha`."""
        return self.log_e_max >= log(1.0 / level(alpha))

    def after(self, log_e: float) -> Evidence:
        """The evidence after one more look. Raises `ValueError` for nan."""
        if isnan(log_e):
            raise ValueError("ln E is nan: an observation was missing or not a number")
        return Evidence(log_e, max(self.log_e_max, log_e))

    def along(self, path: Floats) -> Evidence:
        """The evidence after a look at each value of `path`, shape (n,); n may be 0."""
        if not path.size:
            return self
        return self.after(float(path.max())).after(float(path[-1]))


def level(alpha: float) -> float:
    """`alpha` itself, or `ValueError` unless it lies between 0 and 1.

    >>> level(0.01)
    0.01
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}: it must lie between 0 and 1")
    return alpha


def first_at_least(path: Floats, alpha: float) -> int | None:
    """The place in `path` at which ln E first reaches ln(1 / alpha), counted from 0; None if it never does.

    >>> first_at_least(np.array([0.0, 2.9, 3.1, 1.0]), 0.05)
    2
    """
    over = path >= log(1.0 / level(alpha))
    return int(over.argmax()) if over.any() else None


def log_mean(logs: Floats) -> Floats:
    """ln of the mean of exp(logs) over the first axis: a mixture with equal weights. Overwrites `logs`.

    >>> np.round(log_mean(np.log(np.array([[1.0, 4.0], [3.0, 8.0]]))), 4)  # ln 2 and ln 6
    array([0.6931, 1.7918])
    """
    peak = logs.max(axis=0)
    logs -= peak
    np.exp(logs, out=logs)
    total = logs.sum(axis=0)
    np.log(total / logs.shape[0], out=total)
    total += peak
    mean: Floats = total
    return mean
