"""Do the decisions that were taken decide which labels exist? The test that a log was shaped by its own model.

Rows are counted by what was decided and whether their label came. If labels come whatever was decided, labelled and
decision are independent, and Pearson's statistic sum (n - e)^2 / e is chi-squared with k - 1 degrees of freedom for k
decisions (Cochran: each expected count is 5 at least). Dependence alone may be tiny in a long log: what matters is by
how much the shares of labelled rows differ.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from scipy.special import chdtrc

LEAST_EXPECTED = 5.0


class Shaped(Struct, frozen=True):
    """The shares of labelled rows by decision, their largest difference, and its p-value; None where too few rows say
    anything. `seen` and `asked` are each decision's share among labelled rows, and among all."""

    labelled: dict[str, float]
    asked: dict[str, float]
    seen: dict[str, float]
    gap: float
    p_value: float | None
    rows: int


def shaped(counts: Mapping[str, tuple[int, int]]) -> Shaped:
    """From (labelled rows, all rows) by decision. Decisions without a row are left out. Raises `ValueError` for more
    labelled rows than there are.

    >>> found = shaped({"granted": (800, 800), "refused": (0, 200)})
    >>> found.gap, found.p_value < 1e-6, found.seen["granted"], found.asked["granted"]
    (1.0, True, 1.0, 0.8)
    >>> shaped({"granted": (400, 800), "refused": (100, 200)}).p_value
    1.0
    """
    kept = {name: pair for name, pair in counts.items() if pair[1] > 0}
    if any(not 0 <= known <= rows for known, rows in kept.values()):
        raise ValueError("more labelled rows than rows: count each row once")
    rows = sum(total for _, total in kept.values())
    known = sum(count for count, _ in kept.values())
    labelled = {name: count / total for name, (count, total) in kept.items()}
    asked = {name: total / rows for name, (_, total) in kept.items()}
    seen = {name: count / known for name, (count, _) in kept.items()} if known else {}
    tested = {name: pair for name, pair in kept.items() if _enough(pair[1], known, rows)}
    shares = [count / total for count, total in tested.values()]
    gap = max(shares) - min(shares) if len(shares) > 1 else 0.0
    return Shaped(labelled, asked, seen, gap, _p_value(list(tested.values())), rows)


def _enough(total: int, known: int, rows: int) -> bool:
    return min(total * known, total * (rows - known)) >= LEAST_EXPECTED * rows


def _p_value(pairs: list[tuple[int, int]]) -> float | None:
    if len(pairs) < 2:
        return None
    table = np.array([(known, total - known) for known, total in pairs], np.float64)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    if (expected <= 0.0).any():
        return None
    return float(chdtrc(len(pairs) - 1, float(((table - expected) ** 2 / expected).sum())))
