"""Columns of numbers counted abreast: of few rows, calling a column's own counting costs more than the counting.

What comes out is what `profile_column` finds of each column by itself, to the last bit: counts and sums are whole
numbers. Columns whose values lie far beyond the reference's range, or are infinite, go that way.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ldexp
from typing import cast

import numpy as np
from numpy.typing import NDArray

from fairlead.stats.columns import NumericColumn
from fairlead.stats.exact import LIMB, LIMB_MASK, SINGLE, SQUARE_LIMB, Floats
from fairlead.stats.grid import NumericGrid
from fairlead.stats.profile import NumericProfile, profile_column
from fairlead.stats.tally import TABLE_PAYS, Counts, Scratch

MOST_ROWS = TABLE_PAYS  # from here on a table of a column's own pays
_LOW = (1 << SQUARE_LIMB) - 1


class Abreast:
    """Grids of equally many cells made ready for counting: (columns,) arrays of origins and units."""

    def __init__(self, grids: Sequence[NumericGrid]) -> None:
        self.grids = tuple(grids)
        self.cells = len(grids[0].cuts) + 1
        self._edges = [grid.edges for grid in grids]
        self._origins = np.array([[grid.origin] for grid in grids])
        self._units = np.array([[ldexp(1.0, grid.exponent)] for grid in grids])

    def profiles(self, values: Floats, scratch: Scratch) -> list[NumericProfile]:
        """The profile of each column of `values` (columns, rows), of fewer than 4,096 rows; NaN is null."""
        if not values.shape[1]:
            return [self._alone(place, row, scratch) for place, row in enumerate(values)]
        values = np.sort(values, axis=1)  # which cell a value lies in is found twice as fast
        with np.errstate(over="ignore", invalid="ignore"):
            at = np.rint((values - self._origins) * self._units)
            ends = np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)
            far = np.maximum(*(np.abs(end - self._origins[:, 0]) for end in ends)) * self._units[:, 0] + 1.0
            easy = far <= SINGLE
        if easy.all():
            return self._counted(np.arange(len(values)), values, at, ends)
        near = np.flatnonzero(easy)
        known = self._counted(near, values[near], at[near], (ends[0][near], ends[1][near])) if near.size else []
        found = dict(zip(near.tolist(), known, strict=True))
        return [
            found[place] if place in found else self._alone(place, row, scratch) for place, row in enumerate(values)
        ]

    def _alone(self, place: int, values: Floats, scratch: Scratch) -> NumericProfile:
        grid = self.grids[place]
        return cast("NumericProfile", profile_column(NumericColumn(grid.name, values), grid, scratch))

    def _counted(
        self, columns: NDArray[np.intp], values: Floats, at: Floats, ends: tuple[Floats, Floats]
    ) -> list[NumericProfile]:
        """Of columns all of whose values are near: a place is below 2^37, and 4,096 of them add up exactly."""
        chosen, size = columns.tolist(), self.cells
        codes = np.empty(values.shape, np.intp)
        for row, (place, numbers) in enumerate(zip(chosen, values, strict=True)):
            codes[row] = self._edges[place].searchsorted(numbers)
        codes += (np.arange(len(chosen)) * size)[:, None]
        null = np.isnan(values)
        nulls = null.sum(axis=1).tolist()
        flat, where = codes.ravel(), at.ravel()
        if any(nulls):
            at[null] = 0.0
            flat, where = codes[~null], at[~null]
        table = _table(flat, where, (len(chosen), size))
        table.flags.writeable = False
        totals = table[:, 1:].sum(axis=2).tolist()
        squares = _squares(at.astype(np.int64))
        least, most = (end.tolist() for end in ends)
        rows, found = values.shape[1], []
        for row, place in enumerate(chosen):
            grid, cells = self.grids[place], table[row].tobytes()
            one = NumericProfile(grid, nulls[row], cells, squares[row], least[row], most[row])
            high, low = totals[row]
            # What it would add up again, and where its table lies beside those of the others.
            one.__dict__.update(present=rows - nulls[row], _total=(high << LIMB) + low, _block=table, _row=row)
            found.append(one)
        return found


def _table(flat: NDArray[np.intp], places: Floats, shape: tuple[int, int]) -> Counts:
    """Rows and both limbs of the sums of places by column and cell, (columns, 3, cells)."""
    size = shape[0] * shape[1]
    sums = np.bincount(flat, weights=places, minlength=size).astype(np.int64).reshape(shape)
    table = np.empty((shape[0], 3, shape[1]), "<i8")
    table[:, 0] = np.bincount(flat, minlength=size).reshape(shape)
    np.right_shift(sums, LIMB, out=table[:, 1])
    np.bitwise_and(sums, LIMB_MASK, out=table[:, 2])
    return table


def _squares(places: Counts) -> list[int]:
    """The exact sum of squared places of each column."""
    high, low = places >> SQUARE_LIMB, places & _LOW
    parts = ((high * high).sum(axis=1), (high * low).sum(axis=1), (low * low).sum(axis=1))
    return [
        (upper << (2 * SQUARE_LIMB)) + (mixed << (SQUARE_LIMB + 1)) + lower
        for upper, mixed, lower in zip(*(part.tolist() for part in parts), strict=True)
    ]
