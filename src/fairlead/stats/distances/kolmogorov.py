"""The law of the two-sample Kolmogorov-Smirnov distance under no change: exact for small samples, else its limit."""

from __future__ import annotations

from functools import lru_cache
from math import comb, gcd

import numpy as np
from scipy.special import kolmogorov

from fairlead.stats.exact import Floats

EXACT_ROWS = 100  # up to so many rows on both sides, the exact law


def p_values(distance: Floats, n: Floats, m: Floats) -> Floats:
    """P(D >= distance) for arrays (pairs,) of distances and sample sizes.

    >>> p_values(np.array([0.5, 0.5]), np.array([4.0, 4e6]), np.array([4.0, 4e6])).round(4)
    array([0.7714, 0.    ])
    """
    found = np.asarray(kolmogorov(distance / np.sqrt(1.0 / n + 1.0 / m)), dtype=np.float64)
    for place in np.flatnonzero(np.maximum(n, m) <= EXACT_ROWS).tolist():
        rows, others = int(n[place]), int(m[place])
        lattice = rows * others // gcd(rows, others)
        found[place] = exact_p_value(round(float(distance[place]) * lattice), rows, others)
    return found


@lru_cache(maxsize=4096)
def exact_p_value(steps: int, n: int, m: int) -> float:
    """P(D >= steps / lcm(n, m)) for two samples of n and m rows without ties (Hodges 1958).

    A path from (0, 0) to (n, m) takes one step for each row in rising order, and every path is as likely; the p-value
    is the share of paths on which |i / n - j / m| reaches the distance. Paths that do not are counted row by row: those
    at (i, j) come from (i - 1, j) or (i, j - 1), so a row is a running sum of the row before, over the columns inside.
    Raises `ValueError` beyond 500 rows a side, where the number of paths is no float.

    >>> round(exact_p_value(2, 4, 4), 4)
    0.7714
    """
    if max(n, m) > 500:
        raise ValueError(f"{n} and {m} rows have too many paths to count: use the limit law")
    if steps <= 0:
        return 1.0
    common = gcd(n, m)
    by_row, by_other = m // common, n // common  # |i / n - j / m| in lattice units is |i by_row - j by_other|
    paths = np.zeros(m + 1)
    paths[: min(m, (steps - 1) // by_other) + 1] = 1.0
    for i in range(1, n + 1):
        first = max(0, -((steps - 1 - i * by_row) // by_other))
        last = min(m, (i * by_row + steps - 1) // by_other)
        np.cumsum(paths[first : last + 1], out=paths[first : last + 1])
        paths[:first] = 0.0
        paths[last + 1 :] = 0.0
    return float(min(1.0, max(0.0, 1.0 - paths[m] / comb(n + m, n))))
