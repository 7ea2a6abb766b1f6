"""Profiles without their grids and their empty cells: what is kept of a window of few rows.

A window of 200 rows fills at most 200 of a grid's thousand cells, and the grid itself is the reference's. `sparse` and
`dense` are each other's inverse, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.errors import TableError
from fairlead.stats.grid import CategoryGrid, Grid, NumericGrid
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile, TableProfile, alike, tables_of

_WIDTHS = ("<u1", "<u2", "<u4", "<i8")


class NumericCounts(Struct, frozen=True, tag="n", array_like=True):
    """What a `NumericProfile` holds beside its grid. `cells` are the numbers of the filled cells, `counts`, `high` and
    `low` their rows of the profile's table; each is packed whole numbers: one digit for their width, then the numbers.
    """

    nulls: int
    cells: bytes
    counts: bytes
    high: bytes
    low: bytes
    squares: str = "0"  # a whole number of any size
    minimum: float | None = None
    maximum: float | None = None
    low_infinite: int = 0
    high_infinite: int = 0


class CategoryCounts(Struct, frozen=True, tag="c", array_like=True):
    """What a `CategoryProfile` holds beside its grid; `cells` and `counts` as of numbers."""

    nulls: int
    cells: bytes
    counts: bytes
    unseen: dict[str, int] = {}
    buckets: bytes = b""


class TableCounts(Struct, frozen=True, array_like=True):
    """The counts of a table's columns, in the order of its grids."""

    rows: int
    columns: tuple[NumericCounts | CategoryCounts, ...]


def sparse(profile: TableProfile) -> TableCounts:
    """A profile without its grids. Columns of equally many cells are packed together."""
    numbers = (column for column in profile.columns if isinstance(column, NumericProfile) and column.present)
    known = {column.grid.name: one for columns in alike(numbers) for column, one in _sparse_numbers(columns)}
    return TableCounts(
        profile.rows, tuple(known.get(column.grid.name) or _sparse(column) for column in profile.columns)
    )


def _sparse_numbers(columns: Sequence[NumericProfile]) -> Iterator[tuple[NumericProfile, NumericCounts]]:
    """Columns that hold rows, of equally many cells."""
    tables = tables_of(columns)
    owner, cell = np.nonzero(tables.any(axis=1))
    parts = np.stack([cell, *np.moveaxis(tables, 1, 0)[:, owner, cell]])  # cells, counts, and both limbs: (4, filled)
    starts = np.searchsorted(owner, np.arange(len(columns)))
    widths = _widths(np.minimum.reduceat(parts, starts, axis=1), np.maximum.reduceat(parts, starts, axis=1))
    ends = [*starts[1:].tolist(), owner.size]
    for column, start, end, width in zip(columns, starts.tolist(), ends, widths.T.tolist(), strict=True):
        packed = (
            b"%d" % wide + part[start:end].astype(_WIDTHS[wide]).tobytes()
            for wide, part in zip(width, parts, strict=True)
        )
        yield column, _numeric(column, *packed)


def _widths(least: NDArray[np.int64], most: NDArray[np.int64]) -> NDArray[np.intp]:
    """The places among `_WIDTHS` of the least that hold numbers between these."""
    found = np.searchsorted([2**8, 2**16, 2**32], most, side="right")
    return np.where(least < 0, len(_WIDTHS) - 1, found)


def dense(counts: TableCounts, grids: Sequence[Grid]) -> TableProfile:
    """The profile that `sparse` was given, on the same grids. Raises `TableError` for grids of others.

    >>> from fairlead.stats.columns import NumericColumn
    >>> from fairlead.stats.profile import profile
    >>> known = profile([NumericColumn("age", np.array([30.0, 40.0, np.nan]))])
    >>> dense(sparse(known), known.grids) == known
    True
    """
    if len(counts.columns) != len(grids):
        raise TableError(f"counts of {len(counts.columns):,} columns, and {len(grids):,} grids: they belong to others")
    return TableProfile(counts.rows, tuple(_dense(one, grid) for one, grid in zip(counts.columns, grids, strict=True)))


def _sparse(column: ColumnProfile) -> NumericCounts | CategoryCounts:
    if isinstance(column, CategoryProfile):
        listed = np.array(column.counts, np.int64)
        filled = np.flatnonzero(listed)
        buckets = _packed(np.array(column.buckets, np.int64)) if column.buckets else b""
        return CategoryCounts(column.nulls, _packed(filled), _packed(listed[filled]), column.unseen, buckets)
    table = column.table
    filled = np.flatnonzero(table.any(axis=0))
    return _numeric(column, _packed(filled), *(_packed(part) for part in table[:, filled]))


def _numeric(column: NumericProfile, cells: bytes, counts: bytes, high: bytes, low: bytes) -> NumericCounts:
    return NumericCounts(
        column.nulls,
        cells,
        counts,
        high,
        low,
        str(column.squares),
        column.minimum,
        column.maximum,
        column.low_infinite,
        column.high_infinite,
    )


def _dense(one: NumericCounts | CategoryCounts, grid: Grid) -> ColumnProfile:
    if isinstance(one, NumericCounts) and isinstance(grid, NumericGrid):
        table = np.zeros((3, len(grid.cuts) + 1), "<i8")
        filled = _placed(one.cells, table.shape[1], grid.name)
        for row, packed in zip(table, (one.counts, one.high, one.low), strict=True):
            row[filled] = _unpacked(packed)
        ends = (one.minimum, one.maximum, one.low_infinite, one.high_infinite)
        return NumericProfile(grid, one.nulls, table.tobytes(), int(one.squares), *ends)
    if isinstance(one, CategoryCounts) and isinstance(grid, CategoryGrid):
        counts = np.zeros(len(grid.categories), np.int64)
        counts[_placed(one.cells, counts.size, grid.name)] = _unpacked(one.counts)
        buckets = tuple(_unpacked(one.buckets).tolist()) if one.buckets else ()
        return CategoryProfile(grid, one.nulls, tuple(counts.tolist()), one.unseen, buckets)
    raise TableError(f"the counts of column {grid.name!r} are of another kind than its grid: they belong to another")


def _placed(cells: bytes, size: int, name: str) -> NDArray[Any]:
    filled = _unpacked(cells)
    if filled.size and int(filled.max()) >= size:
        raise TableError(f"the counts of column {name!r} are on another grid: it has {size:,} cells")
    return filled


def _packed(numbers: NDArray[Any]) -> bytes:
    """Whole numbers in the least width that holds them all."""
    least, most = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, 0)
    width = 3 if least < 0 else next(place for place, top in enumerate((2**8, 2**16, 2**32, 2**63)) if most < top)
    return b"%d" % width + numbers.astype(_WIDTHS[width]).tobytes()


def _unpacked(packed: bytes) -> NDArray[Any]:
    try:
        return np.frombuffer(packed, _WIDTHS[int(packed[:1])], offset=1)
    except (ValueError, IndexError):
        raise TableError("the counts are no packed numbers: another program wrote them") from None
