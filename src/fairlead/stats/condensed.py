"""Profiles as they are kept by the hour: rows by cell, and what a column adds up to.

Of 200 rows in a thousand cells most of what a profile holds is where in its cell each row stands. Kept of it are the
filled cells with their rows, the ends, and, exactly, the sums of all rows and of the outer cells: about a tenth.
Adding up is exact, associative and commutative, and condensing a sum gives the sum of what was condensed.

`expanded` gives a profile again. Its counts, nulls, ends, mean and deviation are those of the rows, to the last bit. A
row stands at its value where a value has a cell of its own, and near the middle of its cell otherwise: all cells'
rows are moved by the same share of their width, so that they add up. Of distances, only Wasserstein's feels it, by
less than a cell's width times the rows in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.errors import TableError
from fairlead.stats.exact import LIMB, places, whole_sum
from fairlead.stats.grid import CategoryGrid, Grid, NumericGrid
from fairlead.stats.profile import (
    CategoryProfile,
    ColumnProfile,
    NumericProfile,
    TableProfile,
    alike,
    category_profile,
    tables_of,
)

Whole = NDArray[np.int64]
_WIDTHS = ("<u1", "<u2", "<u4", "<i8")


class NumericSums(Struct, frozen=True, tag="n", array_like=True):
    """A column of numbers. `cells` are the gaps between the numbers of the filled cells, `counts` their rows, both
    packed; `total`, `first` and `last` the sums of places of all finite rows, and of those in the outer cells, and
    `squares` that of squared places: whole numbers of any size."""

    nulls: int
    cells: bytes
    counts: bytes
    total: str = "0"
    first: str = "0"
    last: str = "0"
    squares: str = "0"
    minimum: float | None = None
    maximum: float | None = None
    low_infinite: int = 0
    high_infinite: int = 0


class CategorySums(Struct, frozen=True, tag="c", array_like=True):
    """A column of categories; `cells` and `counts` as of numbers, `buckets` packed, or empty."""

    nulls: int
    cells: bytes
    counts: bytes
    unseen: dict[str, int] = {}
    buckets: bytes = b""


class TableSums(Struct, frozen=True, array_like=True):
    """A table's columns, in the order of its grids."""

    rows: int
    columns: tuple[NumericSums | CategorySums, ...]


def condensed(profile: TableProfile) -> TableSums:
    """What is kept of a profile. Columns of equally many cells are condensed together."""
    numbers = (column for column in profile.columns if isinstance(column, NumericProfile) and column.present)
    known = {column.grid.name: one for columns in alike(numbers) for column, one in _condensed_numbers(columns)}
    return TableSums(
        profile.rows, tuple(known.get(column.grid.name) or _condensed(column) for column in profile.columns)
    )


def added(parts: Iterable[TableSums], grids: Sequence[Grid]) -> TableSums:
    """The sum of what was condensed on these grids; of nothing, no rows. Raises `TableError` for those of others.

    >>> from fairlead.stats.columns import NumericColumn
    >>> from fairlead.stats.profile import profile
    >>> known = profile([NumericColumn("age", np.array([30.0, 40.0, np.nan]))])
    >>> added([condensed(known)] * 2, known.grids) == condensed(known + known)
    True
    """
    totals: list[_Numbers | _Categories] = [
        _Numbers(grid) if isinstance(grid, NumericGrid) else _Categories(grid) for grid in grids
    ]
    rows = 0
    for part in parts:
        if len(part.columns) != len(totals):
            raise TableError(
                f"counts of {len(part.columns):,} columns, and {len(totals):,} grids: they belong to others"
            )
        rows += part.rows
        for total, column in zip(totals, part.columns, strict=True):
            total.add(column)
    return TableSums(rows, tuple(total.sums() for total in totals))


def expanded(sums: TableSums, grids: Sequence[Grid]) -> TableProfile:
    """The profile on its grids. Raises `TableError` for grids of others.

    >>> from fairlead.stats.columns import NumericColumn
    >>> from fairlead.stats.profile import profile
    >>> known = profile([NumericColumn("age", np.array([30.0, 40.0, np.nan]))])
    >>> expanded(condensed(known), known.grids) == known
    True
    """
    if len(sums.columns) != len(grids):
        raise TableError(f"counts of {len(sums.columns):,} columns, and {len(grids):,} grids: they belong to others")
    return TableProfile(sums.rows, tuple(_expanded(one, grid) for one, grid in zip(sums.columns, grids, strict=True)))


# -- condensing ----------------------------------------------------------------------------------------------------


def _condensed_numbers(columns: Sequence[NumericProfile]) -> Iterator[tuple[NumericProfile, NumericSums]]:
    """Columns that hold rows, of equally many cells."""
    tables = tables_of(columns)
    owner, cell = np.nonzero(tables[:, 0])
    starts = np.searchsorted(owner, np.arange(len(columns)))
    gaps = np.diff(cell, prepend=0)
    gaps[starts] = cell[starts]
    parts = np.stack([gaps, tables[owner, 0, cell]])
    widths = np.searchsorted([2**8, 2**16, 2**32], np.maximum.reduceat(parts, starts, axis=1), side="right")
    limbs = tables[:, 1:]
    sums = np.stack([limbs.sum(axis=2), limbs[..., 0], limbs[..., -1]], axis=1).tolist()
    spans = zip(starts.tolist(), [*starts[1:].tolist(), owner.size], widths.T.tolist(), strict=True)
    for column, (start, end, width), each in zip(columns, spans, sums, strict=True):
        cells, counts = (
            b"%d" % wide + part[start:end].astype(_WIDTHS[wide]).tobytes()
            for wide, part in zip(width, parts, strict=True)
        )
        total, first, last = (str((high << LIMB) + low) for high, low in each)
        yield column, _sums_of(column, cells, counts, total, first, "0" if tables.shape[2] == 1 else last)


def _sums_of(column: NumericProfile, cells: bytes, counts: bytes, total: str, first: str, last: str) -> NumericSums:
    return NumericSums(
        column.nulls,
        cells,
        counts,
        total,
        first,
        last,
        str(column.squares),
        column.minimum,
        column.maximum,
        column.low_infinite,
        column.high_infinite,
    )


def _condensed(column: ColumnProfile) -> NumericSums | CategorySums:
    if isinstance(column, CategoryProfile):
        listed = np.array(column.counts, np.int64)
        buckets = _packed(np.array(column.buckets, np.int64)) if column.buckets else b""
        return CategorySums(column.nulls, *_filled(listed), column.unseen, buckets)
    high, low = column.table[1], column.table[2]
    first, last = ((int(high[at]) << LIMB) + int(low[at]) for at in (0, -1))
    total, last_one = str(whole_sum(high, low)), "0" if high.size == 1 else str(last)
    return _sums_of(column, *_filled(column.counts), total, str(first), last_one)


def _filled(counts: Whole) -> tuple[bytes, bytes]:
    filled = np.flatnonzero(counts)
    return _packed(np.diff(filled, prepend=0)), _packed(counts[filled])


# -- adding --------------------------------------------------------------------------------------------------------


class _Numbers:
    def __init__(self, grid: NumericGrid) -> None:
        self._grid = grid
        self._counts = np.zeros(len(grid.cuts) + 1, np.int64)
        self._nulls = self._low_infinite = self._high_infinite = 0
        self._sums = [0, 0, 0, 0]
        self._ends: list[float] = []

    def add(self, one: NumericSums | CategorySums) -> None:
        if not isinstance(one, NumericSums):
            raise _strange(self._grid.name)
        cells, counts = _unfilled(one, self._counts.size, self._grid.name)
        self._counts[cells] += counts
        self._nulls += one.nulls
        self._low_infinite += one.low_infinite
        self._high_infinite += one.high_infinite
        sums = (one.total, one.first, one.last, one.squares)
        self._sums = [known + _whole(text, self._grid.name) for known, text in zip(self._sums, sums, strict=True)]
        self._ends += [end for end in (one.minimum, one.maximum) if end is not None]

    def sums(self) -> NumericSums:
        return NumericSums(
            self._nulls,
            *_filled(self._counts),
            *_written(self._sums),
            min(self._ends, default=None),
            max(self._ends, default=None),
            self._low_infinite,
            self._high_infinite,
        )


def _written(sums: Sequence[int]) -> tuple[str, str, str, str]:
    total, first, last, squares = map(str, sums)
    return total, first, last, squares


class _Categories:
    def __init__(self, grid: CategoryGrid) -> None:
        self._grid = grid
        self._counts = np.zeros(len(grid.categories), np.int64)
        self._buckets: Whole | None = None
        self._unseen: dict[str, int] = {}
        self._nulls = 0

    def add(self, one: NumericSums | CategorySums) -> None:
        if not isinstance(one, CategorySums):
            raise _strange(self._grid.name)
        cells, counts = _unfilled(one, self._counts.size, self._grid.name)
        self._counts[cells] += counts
        self._nulls += one.nulls
        for name, rows in one.unseen.items():
            self._unseen[name] = self._unseen.get(name, 0) + rows
        if one.buckets:
            found = _unpacked(one.buckets)
            self._buckets = found if self._buckets is None else self._buckets + found

    def sums(self) -> CategorySums:
        buckets = () if self._buckets is None else tuple(self._buckets.tolist())
        found = category_profile(self._grid, self._nulls, tuple(self._counts.tolist()), self._unseen, buckets)
        known = _condensed(found)
        assert isinstance(known, CategorySums)
        return known


# -- expanding -----------------------------------------------------------------------------------------------------


def _expanded(one: NumericSums | CategorySums, grid: Grid) -> ColumnProfile:
    if isinstance(one, NumericSums) and isinstance(grid, NumericGrid):
        counts = np.zeros(len(grid.cuts) + 1, np.int64)
        cells, rows = _unfilled(one, counts.size, grid.name)
        counts[cells] = rows
        table = np.stack([counts, *_limbs(_sums(one, counts, grid))]).astype("<i8", copy=False)
        ends = (one.minimum, one.maximum, one.low_infinite, one.high_infinite)
        return NumericProfile(grid, one.nulls, table.tobytes(), _whole(one.squares, grid.name), *ends)
    if isinstance(one, CategorySums) and isinstance(grid, CategoryGrid):
        counts = np.zeros(len(grid.categories), np.int64)
        cells, rows = _unfilled(one, counts.size, grid.name)
        counts[cells] = rows
        buckets = tuple(_unpacked(one.buckets).tolist()) if one.buckets else ()
        return CategoryProfile(grid, one.nulls, tuple(counts.tolist()), one.unseen, buckets)
    raise _strange(grid.name)


def _sums(one: NumericSums, counts: Whole, grid: NumericGrid) -> list[int]:
    """The sum of places of each cell: whole numbers that add up to the total."""
    total, first, last = (_whole(text, grid.name) for text in (one.total, one.first, one.last))
    sums = [0] * counts.size
    inner = np.flatnonzero(counts[1:-1]) + 1
    sums[0] += first
    sums[-1] += last
    if not inner.size:
        return sums
    rows = counts[inner].tolist()
    middle, width = _cells_of(grid, inner)
    stand = [count * at for count, at in zip(rows, middle, strict=True)]
    room = [count * wide for count, wide in zip(rows, width, strict=True)]
    left, every = total - first - last - sum(stand), sum(room)
    if every:
        moved = [left * wide // every for wide in room]
        widest = max(range(len(room)), key=room.__getitem__)
        moved[widest] += left - sum(moved)
        stand = [at + by for at, by in zip(stand, moved, strict=True)]
    else:
        stand[-1] += left
    for cell, value in zip(inner.tolist(), stand, strict=True):
        sums[cell] = value
    return sums


def _cells_of(grid: NumericGrid, inner: NDArray[np.intp]) -> tuple[list[int], list[int]]:
    """Where rows stand in these inner cells, and how wide the cells are, in places; an own value's cell is 0 wide."""
    edges = grid.edges
    lower, upper = edges[inner - 1], edges[inner]
    own = np.nextafter(upper, -np.inf) == lower
    low, high = (places(side, grid.origin, grid.exponent) for side in (lower, upper))
    width = np.where(own, 0.0, high - low)
    return [int(at) for at in np.where(own, high, np.rint((low + high) / 2))], [int(wide) for wide in width]


def _limbs(sums: Sequence[int]) -> tuple[Whole, Whole]:
    mask = (1 << LIMB) - 1
    return np.array([one >> LIMB for one in sums], np.int64), np.array([one & mask for one in sums], np.int64)


# -- packing -------------------------------------------------------------------------------------------------------


def _packed(numbers: NDArray[Any]) -> bytes:
    """Whole numbers, not negative, in the least width that holds them all: one digit for it, then the numbers."""
    most = int(numbers.max()) if numbers.size else 0
    width = next(place for place, top in enumerate((2**8, 2**16, 2**32, 2**63)) if most < top)
    return b"%d" % width + numbers.astype(_WIDTHS[width]).tobytes()


def _unpacked(packed: bytes) -> Whole:
    try:
        return np.frombuffer(packed, _WIDTHS[int(packed[:1])], offset=1).astype(np.int64)
    except (ValueError, IndexError):
        raise TableError("the counts are no packed numbers: another program wrote them") from None


def _unfilled(one: NumericSums | CategorySums, size: int, name: str) -> tuple[Whole, Whole]:
    cells, counts = np.cumsum(_unpacked(one.cells)), _unpacked(one.counts)
    if cells.size != counts.size or (cells.size and int(cells[-1]) >= size):
        raise TableError(f"the counts of column {name!r} are on another grid: this one has {size:,} cells")
    return cells, counts


def _whole(text: str, name: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise TableError(
            f"a sum of column {name!r} is {text[:20]!r}, no whole number: another program wrote it"
        ) from None


def _strange(name: str) -> TableError:
    return TableError(f"the counts of column {name!r} are of another kind than its grid: they belong to another")
