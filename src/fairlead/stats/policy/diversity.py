"""How varied decisions are: a policy that always says the same learns nothing, and may have broken.

Entropy of k possible decisions from n of them is biased by -(k' - 1) / (2 n), k' the decisions that occurred; Miller
and Madow's (1955) estimate adds that back. Its variance is (sum p ln^2 p - H^2) / n, plus (k' - 1) / (2 n^2), which is
all that is left where decisions are even.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.special import ndtri

from fairlead.stats.experiment.rates import Counts, pooled_z, ratio_interval
from fairlead.stats.fdr import benjamini_hochberg
from fairlead.stats.intervals import wilson


class Entropy(Struct, frozen=True):
    """In bits, with its interval within [0, log2 of the possible decisions]; `effective` = 2^bits, as in "like 3.2
    equally likely ones"."""

    bits: float
    low: float
    high: float
    decisions: int

    @property
    def effective(self) -> float:
        """So many equally likely decisions would be as varied."""
        return float(2.0**self.bits)


class ApprovalShift(Struct, frozen=True):
    """A slice's share of approvals against the reference's: the ratio with its interval; the q-value is over slices."""

    name: str
    share: float
    reference: float
    ratio: float | None
    low: float
    high: float
    p_value: float
    q_value: float


def entropy(counts: Sequence[int], alpha: float = 0.05) -> Entropy:
    """The entropy of decisions from the counts of every possible one. Raises `ValueError` for negative or no counts.

    >>> found = entropy([400, 300, 200, 100])
    >>> round(found.bits, 3), round(found.low, 3), round(found.high, 3), round(found.effective, 2)
    (1.849, 1.81, 1.887, 3.6)
    """
    held = np.asarray(counts, np.float64)
    total = float(held.sum())
    if held.size == 0 or not (held >= 0.0).all() or total < 1.0:
        raise ValueError(f"counts {list(counts)}: each decision's number, 0 or more, and one decision at least")
    shares = held[held > 0.0] / total
    logs = np.log(shares)
    plain = -float(shares @ logs)
    spare = (shares.size - 1) / 2.0
    variance = max(float(shares @ logs**2) - plain**2, 0.0) / total + spare / total**2
    half = -float(ndtri(alpha / 2.0)) * sqrt(variance)
    most = log(held.size)
    middle = min(plain + spare / total, most)
    bits, low, high = (min(max(at, 0.0), most) / log(2.0) for at in (middle, middle - half, middle + half))
    return Entropy(bits, low, high, int(total))


def entropy_by_slot(slots: ArrayLike, decisions: ArrayLike, alpha: float = 0.05) -> dict[object, Entropy]:
    """The entropy of the decisions (rows,) within each slot (rows,), over the decisions that occur anywhere.

    >>> found = entropy_by_slot(["am", "am", "pm", "pm"], ["a", "b", "a", "a"])
    >>> found["am"].low < found["am"].bits, found["pm"].bits
    (True, 0.0)
    """
    names, rows = np.unique(np.asarray(slots), return_inverse=True)
    possible, codes = np.unique(np.asarray(decisions), return_inverse=True)
    table = np.bincount(rows.ravel() * possible.size + codes.ravel(), minlength=names.size * possible.size)
    by_slot = table.reshape(names.size, possible.size).tolist()
    return {name: entropy(counts, alpha) for name, counts in zip(names.tolist(), by_slot, strict=True)}


def exploration(explored: int, decisions: int, alpha: float = 0.05) -> tuple[float, float, float]:
    """The share of decisions that explored, with Wilson's interval: (share, low, high).

    >>> [round(x, 3) for x in exploration(50, 1_000)]
    [0.05, 0.038, 0.065]
    """
    low, high = wilson(explored, decisions, alpha)
    return (explored / decisions if decisions else 0.0), low, high


def approval_shifts(
    names: Sequence[str], now: Sequence[Counts], reference: Sequence[Counts], alpha: float = 0.05
) -> tuple[ApprovalShift, ...]:
    """Each slice's share of approvals against its reference, most evident first; q-values by Benjamini-Hochberg.

    Raises `ValueError` for lists of unequal length.

    >>> shifts = approval_shifts(["north", "south"], [Counts(60, 100), Counts(30, 100)], [Counts(600, 1000)] * 2)
    >>> [(one.name, round(one.ratio or 0, 2), one.q_value < 0.05) for one in shifts]
    [('south', 0.5, True), ('north', 1.0, False)]
    """
    tests = [pooled_z(one, two)[1] for one, two in zip(now, reference, strict=True)]
    found = [
        ApprovalShift(
            name,
            one.rate,
            two.rate,
            one.rate / two.rate if two.events else None,
            *ratio_interval(one, two, alpha),
            p,
            q,
        )
        for name, one, two, p, q in zip(names, now, reference, tests, benjamini_hochberg(tests), strict=True)
    ]
    return tuple(sorted(found, key=lambda one: one.p_value))
