"""Many small groups of rows condensed in one pass: the hours of a window and its segments, most of a few rows each.

What comes out is what `condensed` gives of the profile of a group's rows, to the last bit. Rows are sorted by group and
cell once a column; a group costs what its own rows cost, not a pass over a thousand cells.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.condensed import CategorySums, NumericSums, TableSums, condensed
from fairlead.stats.exact import LIMB, LIMB_MASK, SQUARE_LIMB, Floats, places
from fairlead.stats.grid import CATEGORIES, CategoryGrid, Grid, NumericGrid
from fairlead.stats.profile import TableProfile, profile_column

Rows = NDArray[np.intp]
Whole = NDArray[np.int64]
_NEAR = 2.0**37
_WIDTHS = ((2**8, "<u1"), (2**16, "<u2"), (2**32, "<u4"), (2**63, "<i8"))


def grouped(columns: Sequence[Column], grids: Sequence[Grid], groups: Sequence[Rows]) -> list[TableSums]:
    """What is kept of each group of rows; a row may be in several. Columns come in the order of their grids, and as
    `profile_column` takes them.

    >>> from fairlead.stats.profile import profile
    >>> column = NumericColumn("age", np.array([30.0, 40.0, np.nan]))
    >>> known = profile([column])
    >>> grouped([column], known.grids, [np.arange(3)]) == [condensed(known)]
    True
    """
    sizes = np.array([group.size for group in groups], np.intp)
    rows = np.concatenate([*groups, np.empty(0, np.intp)])
    group = np.repeat(np.arange(len(groups)), sizes)
    parts = [_column(column, grid, rows, group, len(groups)) for column, grid in zip(columns, grids, strict=True)]
    return [TableSums(int(size), tuple(part[place] for part in parts)) for place, size in enumerate(sizes)]


def _column(column: Column, grid: Grid, rows: Rows, group: Rows, many: int) -> Sequence[NumericSums | CategorySums]:
    if isinstance(column, NumericColumn) and isinstance(grid, NumericGrid):
        return _numbers(column.values[rows], grid, group, many)
    if isinstance(column, CategoricalColumn) and isinstance(grid, CategoryGrid):
        unlisted = set(column.categories) - set(grid.categories)
        if not grid.hashed and len(unlisted) <= CATEGORIES:
            return _categories(column, grid, rows, group, many)
    return [_alone(column, grid, rows[group == place]) for place in range(many)]


def _alone(column: Column, grid: Grid, rows: Rows) -> NumericSums | CategorySums:
    """The plain way."""
    some: Column
    if isinstance(column, NumericColumn):
        some = NumericColumn(column.name, column.values[rows])
    else:
        some = CategoricalColumn(column.name, column.codes[rows], column.categories)
    return condensed(TableProfile(rows.size, (profile_column(some, grid),))).columns[0]


# -- numbers -------------------------------------------------------------------------------------------------------


def _numbers(values: Floats, grid: NumericGrid, group: Rows, many: int) -> list[NumericSums]:
    null = np.isnan(values)
    there, owner = values[~null], group[~null]
    codes = grid.edges.searchsorted(there, side="left")
    filled = _Filled(codes, owner, many)
    finite = np.isfinite(there)
    at = np.zeros(there.size)
    at[finite] = places(there[finite], grid.origin, grid.exponent)
    last = len(grid.cuts)
    total = _sums(at, owner, many)
    first = _sums(np.where(codes == 0, at, 0.0), owner, many)
    end = _sums(np.where(codes == last, at, 0.0), owner, many) if last else [0] * many
    squares = _squares(at, owner, many)
    nulls = np.bincount(group[null], minlength=many).tolist()
    least, most = np.full(many, np.inf), np.full(many, -np.inf)
    np.minimum.at(least, owner[finite], there[finite])
    np.maximum.at(most, owner[finite], there[finite])
    low, high = (np.bincount(owner[there == side], minlength=many).tolist() for side in (-np.inf, np.inf))
    ends = [(one, two) if one <= two else (None, None) for one, two in zip(least.tolist(), most.tolist(), strict=True)]
    return [
        NumericSums(
            nulls[place],
            *filled.of(place),
            str(total[place]),
            str(first[place]),
            str(end[place]),
            str(squares[place]),
            ends[place][0],
            ends[place][1],
            low[place],
            high[place],
        )
        for place in range(many)
    ]


def _sums(at: Floats, owner: Rows, many: int) -> list[int]:
    """The exact sum of whole numbers of at most 2^61, by group."""
    whole = at.astype(np.int64)
    high, low = np.zeros(many, np.int64), np.zeros(many, np.int64)
    np.add.at(high, owner, whole >> LIMB)
    np.add.at(low, owner, whole & LIMB_MASK)
    return [(one << LIMB) + two for one, two in zip(high.tolist(), low.tolist(), strict=True)]


def _squares(at: Floats, owner: Rows, many: int) -> list[int]:
    """The exact sum of squares of whole numbers, by group: those that are far out one by one."""
    far = np.abs(at) > _NEAR
    whole = np.where(far, 0.0, at).astype(np.int64)
    high, low = whole >> SQUARE_LIMB, whole & ((1 << SQUARE_LIMB) - 1)
    parts = np.zeros((3, many), np.int64)
    for part, numbers in zip(parts, (high * high, high * low, low * low), strict=True):
        np.add.at(part, owner, numbers)
    found = [
        (one << (2 * SQUARE_LIMB)) + (two << (SQUARE_LIMB + 1)) + three
        for one, two, three in zip(*parts.tolist(), strict=True)
    ]
    for place in np.flatnonzero(far).tolist():
        found[int(owner[place])] += int(at[place]) ** 2
    return found


# -- categories ----------------------------------------------------------------------------------------------------


def _categories(
    column: CategoricalColumn, grid: CategoryGrid, rows: Rows, group: Rows, many: int
) -> list[CategorySums]:
    cells = {name: cell for cell, name in enumerate(grid.categories)}
    place_of = np.array([*(cells.get(name, -2) for name in column.categories), -1])
    codes = column.codes[rows]
    where = place_of[codes]  # -1, a null, is the last
    listed = where >= 0
    filled = _Filled(where[listed], group[listed], many)
    nulls = np.bincount(group[where == -1], minlength=many).tolist()
    unseen: dict[int, dict[str, int]] = {}
    for place in np.flatnonzero(where == -2).tolist():
        names, name = unseen.setdefault(int(group[place]), {}), column.categories[codes[place]]
        names[name] = names.get(name, 0) + 1
    return [
        CategorySums(nulls[place], *filled.of(place), dict(sorted(unseen.get(place, {}).items())))
        for place in range(many)
    ]


# -- cells ---------------------------------------------------------------------------------------------------------


class _Filled:
    """The filled cells of each group with their rows, ready to be cut out of one text."""

    def __init__(self, codes: NDArray[np.integer], owner: Rows, many: int) -> None:
        order = np.lexsort((codes, owner))
        cell, mine = codes[order].astype(np.int64), owner[order]
        begins = np.flatnonzero(np.r_[True, (np.diff(cell) != 0) | (np.diff(mine) != 0)]) if cell.size else order
        cell, mine = cell[begins], mine[begins]
        counts = np.diff(np.r_[begins, order.size])
        gaps = np.diff(cell, prepend=0)
        fresh = np.r_[True, np.diff(mine) != 0] if mine.size else np.empty(0, bool)
        gaps[fresh] = cell[fresh]
        self._bounds = np.searchsorted(mine, np.arange(many + 1)).tolist()
        self._sides = (_Cut(gaps, mine, many), _Cut(counts, mine, many))

    def of(self, place: int) -> tuple[bytes, bytes]:
        """A group's cells, as gaps, and their rows: packed as `condensed` packs them."""
        start, end = self._bounds[place], self._bounds[place + 1]
        cells, counts = self._sides
        return cells.of(place, start, end), counts.of(place, start, end)


class _Cut:
    """Whole numbers of all groups, each group's in the least width that holds them."""

    def __init__(self, numbers: Whole, mine: Rows, many: int) -> None:
        most = np.zeros(many, np.int64)
        np.maximum.at(most, mine, numbers)
        tops = np.array([top for top, _ in _WIDTHS[:-1]])
        self._widths = np.searchsorted(tops, most, side="right").tolist()
        self._texts = {width: numbers.astype(_WIDTHS[width][1]).tobytes() for width in set(self._widths)}

    def of(self, place: int, start: int, end: int) -> bytes:
        width = self._widths[place]
        size = 1 << width
        return b"%d" % width + self._texts[width][start * size : end * size]
