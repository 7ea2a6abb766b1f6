"""Two profiles that were made apart, brought onto one grid, so that they can be compared without their rows.

A category is counted by its name, so its profile moves as it is. Numbers move cell by cell: an atom (a value that has a
cell of its own) stands where it stood, the rows of any other cell at their mean. Of a profile on the grid that it fixed
itself no such cell holds more than about a thousandth of the rows, so its distribution function moves by no more than
that at any point: far below what any distance is judged by.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from fairlead.stats.exact import FARTHEST, LIMB, LIMB_MASK, Floats, places
from fairlead.stats.grid import CategoryGrid, NumericGrid
from fairlead.stats.profile import (
    CategoryProfile,
    ColumnProfile,
    NumericProfile,
    category_profile,
    into_buckets,
)
from fairlead.stats.tally import Counts


def on_one_grid(one: ColumnProfile, two: ColumnProfile) -> tuple[ColumnProfile, ColumnProfile]:
    """Both profiles on the grid of the first: exactly as they are where they share it already, or are of two kinds.

    Where either vocabulary is open, both are counted in its buckets.
    """
    if one.grid == two.grid:
        return one, two
    if isinstance(one, NumericProfile) and isinstance(two, NumericProfile):
        return one, _numbers(two, one.grid)
    if isinstance(one, CategoryProfile) and isinstance(two, CategoryProfile):
        if one.grid.hashed or two.grid.hashed:
            grid = CategoryGrid(one.grid.name, (), hashed=True)
            return _hashed(one, grid), _hashed(two, grid)
        return one, _categories(two, one.grid)
    return one, two


def _hashed(own: CategoryProfile, grid: CategoryGrid) -> CategoryProfile:
    named = dict(zip(own.grid.categories, own.counts, strict=True))
    return CategoryProfile(grid, own.nulls, (), {}, into_buckets(own.unseen, into_buckets(named, own.buckets)))


def _categories(own: CategoryProfile, grid: CategoryGrid) -> CategoryProfile:
    listed = dict(zip(own.grid.categories, own.counts, strict=True))
    named = {name: listed.get(name, 0) + own.unseen.get(name, 0) for name in {*listed, *own.unseen}}
    counts = tuple(named.pop(name, 0) for name in grid.categories)
    rest = {name: count for name, count in named.items() if count}
    return category_profile(grid, own.nulls, counts, rest, own.buckets)


def _numbers(own: NumericProfile, grid: NumericGrid) -> NumericProfile:
    counts = own.counts.copy()
    counts[0] -= own.low_infinite
    counts[-1] -= own.high_infinite
    filled = np.flatnonzero(counts)
    rows, values = counts[filled], _stand(own, filled, counts[filled])
    at = [int(place) for place in places(values, grid.origin, grid.exponent)]
    cells = np.searchsorted(grid.edges, values, side="left")
    found = np.zeros((3, len(grid.cuts) + 1), np.int64)
    np.add.at(found[0], cells, rows)
    totals = [place * int(count) for place, count in zip(at, rows, strict=True)]
    for cell, total in zip(cells.tolist(), totals, strict=True):
        carried = (int(found[1, cell]) << LIMB) + int(found[2, cell]) + total
        found[1, cell], found[2, cell] = carried >> LIMB, carried & LIMB_MASK
    found[0, 0] += own.low_infinite
    found[0, -1] += own.high_infinite
    return NumericProfile(
        grid=grid,
        nulls=own.nulls,
        cells=found.astype("<i8", copy=False).tobytes(),
        squares=sum(place * total for place, total in zip(at, totals, strict=True)) + _within(own, values, rows, grid),
        minimum=own.minimum,
        maximum=own.maximum,
        low_infinite=own.low_infinite,
        high_infinite=own.high_infinite,
    )


def _stand(own: NumericProfile, filled: Counts, rows: Counts) -> Floats:
    """Where the finite rows of each filled cell stand: an atom at itself, others at the cell's mean."""
    lower = np.concatenate(([-np.inf], own.grid.edges))[filled]
    upper = np.concatenate((own.grid.edges, [np.inf]))[filled]
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.clip(own.sums[filled] / rows, np.nextafter(lower, np.inf), upper)
        found: Floats = np.where(np.nextafter(upper, -np.inf) == lower, upper, means)
    return found


def _within(own: NumericProfile, values: Floats, rows: Counts, grid: NumericGrid) -> int:
    """The squares that are lost by putting rows at their cell's mean, in the grid's units."""
    lost = own.m2 - float((rows * (values - own.mean) ** 2).sum()) if rows.size else 0.0
    if not (np.isfinite(lost) and lost > 0):
        return 0
    farthest = int(FARTHEST) ** 2 * int(rows.sum())  # where places stop, squares do
    return min(farthest, int(Fraction(lost) * Fraction(2) ** (2 * grid.exponent)))
