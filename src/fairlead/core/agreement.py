"""Whether two sets of answers are the same answers."""

from __future__ import annotations

from math import inf

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike


class Agreement(Struct, frozen=True):
    """How far answers to the golden rows lie from those recorded: the largest `|a - b| / max(1, |b|)`."""

    rows: int
    largest_difference: float
    tolerance: float
    detail: str = ""  # what it was measured on

    @property
    def holds(self) -> bool:
        """Whether all answers are reproduced; NaN is not."""
        return self.rows > 0 and self.largest_difference <= self.tolerance


def agreement(recorded: ArrayLike, answered: ArrayLike, tolerance: float, detail: str = "") -> Agreement:
    """Compares two (n, k) arrays of answers. Another shape, NaN and infinity never agree.

    >>> agreement([[0.2, 0.8]], [[0.2, 0.7]], 1e-5).holds
    False
    """
    want, got = np.asarray(recorded, np.float64), np.asarray(answered, np.float64)
    if want.shape != got.shape:
        return Agreement(len(want), inf, tolerance, f"the answers have shape {got.shape}, recorded was {want.shape}")
    if want.size == 0:
        return Agreement(0, 0.0, tolerance, detail)
    gaps = np.abs(got - want) / np.maximum(1.0, np.abs(want))
    largest = float(gaps.max()) if np.isfinite(gaps).all() else inf
    return Agreement(len(want), largest, tolerance, detail)
