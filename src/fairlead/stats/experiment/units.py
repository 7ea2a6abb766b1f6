"""The unit of randomisation is the unit of analysis: rows of one unit become one row before anything is compared.

Rows of a user resemble each other, so counting them singly overstates n by the design effect. What remains after this
is as many independent values as there were independent assignments.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


class Units(Struct, frozen=True, eq=False):
    """Which unit each row belongs to, as 0, 1, … in the order of first appearance.

    `of_row` (rows,), `first_row` (units,) the first row of each.
    """

    of_row: Codes
    first_row: Codes

    @property
    def size(self) -> int:
        """How many units."""
        return int(self.first_row.size)


def units_of(keys: ArrayLike) -> Units:
    """Units by their keys (rows,), which must be comparable to each other.

    >>> found = units_of([7, 3, 7, 9])
    >>> found.of_row.tolist(), found.first_row.tolist()
    ([0, 1, 0, 2], [0, 1, 3])
    """
    _, first, inverse = np.unique(np.asarray(keys), return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return Units(rank[inverse.ravel()], first[order])


def added(values: ArrayLike, units: Units, how: str = "mean") -> Floats:
    """One value a unit (units,): the `mean`, `sum` or `max` of its known values; NaN where it has none.

    Raises `ValueError` for another `how`.

    >>> added([1.0, 5.0, 3.0, np.nan], units_of(["a", "b", "a", "c"])).tolist()
    [2.0, 5.0, nan]
    """
    held = np.asarray(values, np.float64)
    known = ~np.isnan(held)
    places = units.of_row[known]
    counts = np.bincount(places, minlength=units.size)
    if how == "max":
        top = np.full(units.size, -np.inf)
        np.maximum.at(top, places, held[known])
        return np.where(counts > 0, top, np.nan)
    if how not in ("mean", "sum"):
        raise ValueError(f"rows cannot be added up by {how!r}: use mean, sum or max")
    sums = np.bincount(places, weights=held[known], minlength=units.size)
    return np.where(counts > 0, sums / (np.maximum(counts, 1) if how == "mean" else 1.0), np.nan)


def torn(codes: ArrayLike, units: Units) -> NDArray[np.bool_]:
    """Which units (units,) have rows with different `codes` (rows,): a unit seen in two arms was in neither.

    >>> torn([0, 1, 1], units_of(["a", "b", "a"])).tolist()
    [True, False]
    """
    held = np.asarray(codes)
    differs = held != held[units.first_row][units.of_row]
    return np.bincount(units.of_row, weights=differs, minlength=units.size) > 0
