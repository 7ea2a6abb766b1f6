"""Profiles: the one mergeable summary. Every distance is a function of two of them; merging is addition.

A batch on a reference's grid is a vector of counts, and for numbers also of sums, with the sum of squares and the ends
of the finite values. Counts are whole numbers, and so are the sums, in units of a power of two (see `exact`): merging
is exact, associative and commutative to the last bit. A window is the sum of its slots and a cluster's result is one
machine's, however the rows were cut into parts.

Unseen categories are kept by name while there are at most 10,000; beyond that the names give way to 1,024 buckets. The
union of names only grows, so which of the two holds at the end does not depend on the order of merging.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from math import ldexp, sqrt
from typing import cast

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from fairlead.errors import TableError
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.exact import LIMB, Floats, as_float, carried, whole_sum, within_range
from fairlead.stats.grid import (
    BUCKETS,
    CATEGORIES,
    CategoryGrid,
    Grid,
    NumericGrid,
    bucket,
    category_grid,
    numeric_grid,
    with_scale,
)
from fairlead.stats.tally import Counts, Scratch, Tally, count_values

BINS = 10  # of the population stability index


class NumericProfile(Struct, frozen=True, tag="numeric", dict=True):
    """A batch of numbers on a grid.

    `cells` holds three rows of int64, one number for each cell: how many, and the high and low limbs of the sum of
    places. `squares` is the sum of squared places. Sums are of finite values, as are `minimum` and `maximum`, None
    without any; `low_infinite` and `high_infinite` are counted in the first and the last cell too.
    """

    grid: NumericGrid
    nulls: int
    cells: bytes
    squares: int = 0
    minimum: float | None = None
    maximum: float | None = None
    low_infinite: int = 0
    high_infinite: int = 0

    @cached_property
    def table(self) -> Counts:
        """`cells` as an array, (3, cells)."""
        table: Counts = np.frombuffer(self.cells, dtype="<i8").reshape(3, -1)
        return table

    @cached_property
    def counts(self) -> Counts:
        """Rows in each cell."""
        counts: Counts = self.table[0]
        return counts

    @cached_property
    def sums(self) -> Floats:
        """The sum of the finite values in each cell."""
        counts = self.counts.astype(np.float64)
        counts[0] -= self.low_infinite
        counts[-1] -= self.high_infinite
        with np.errstate(over="ignore", invalid="ignore"):
            found = self.place_sums * ldexp(1.0, -self.grid.exponent) + counts * self.grid.origin
        return found if np.isfinite(found).all() else np.nan_to_num(found, nan=0.0)

    @cached_property
    def place_sums(self) -> Floats:
        """The sum of the places in each cell: of value minus the grid's origin, in its units."""
        found: Floats = self.table[1] * 2.0**LIMB + self.table[2]
        return found

    @cached_property
    def present(self) -> int:
        """Rows that are not null."""
        return int(self.counts.sum())

    @property
    def finite(self) -> int:
        """Rows that are neither null nor infinite."""
        return self.present - self.low_infinite - self.high_infinite

    @property
    def rows(self) -> int:
        """All rows."""
        return self.present + self.nulls

    @cached_property
    def mean(self) -> float:
        """The mean of the finite values, 0 without any."""
        if not self.finite:
            return 0.0
        return within_range(self.grid.origin + as_float(self._total, self.finite, self.grid.exponent))

    @cached_property
    def m2(self) -> float:
        """The sum of squared deviations of the finite values from their mean."""
        if not self.finite:
            return 0.0
        return as_float(self.squares * self.finite - self._total**2, self.finite, 2 * self.grid.exponent)

    @cached_property
    def filled(self) -> int:
        """How many cells hold a row."""
        return int(np.count_nonzero(self.counts))

    @cached_property
    def tenths(self) -> tuple[NDArray[np.intp], Floats]:
        """The cells at which ten bins begin, and their rows: about a tenth, and a cell of so many is its own bin."""
        counts, n = self.counts, self.present
        decile = np.minimum((2 * np.cumsum(counts) - counts) * BINS // (2 * n), BINS - 1)
        heavy = counts * BINS >= n
        parted = (decile[1:] != decile[:-1]) | heavy[1:] | heavy[:-1]
        starts = np.concatenate(([0], np.flatnonzero(parted) + 1))
        return starts, np.add.reduceat(counts, starts).astype(np.float64)

    @property
    def deviation(self) -> float:
        """The standard deviation of the finite values."""
        return within_range(ldexp(sqrt(self.place_variance), -self.grid.exponent))

    @property
    def place_variance(self) -> float:
        """The variance of the finite values in units of the grid, 0 without any."""
        rows = self.finite
        return (self.squares * rows - self._total**2) / (rows * rows) if rows else 0.0

    @cached_property
    def _total(self) -> int:
        return whole_sum(self.table[1], self.table[2])

    def __add__(self, other: NumericProfile) -> NumericProfile:
        """The profile of both batches together. Raises `TableError` on different grids."""
        _same_grid(self.grid, other.grid)
        both = self.table + other.table
        both[1], both[2] = carried(both[1], both[2])
        return NumericProfile(
            grid=self.grid,
            nulls=self.nulls + other.nulls,
            cells=both.tobytes(),
            squares=self.squares + other.squares,
            minimum=min((x for x in (self.minimum, other.minimum) if x is not None), default=None),
            maximum=max((x for x in (self.maximum, other.maximum) if x is not None), default=None),
            low_infinite=self.low_infinite + other.low_infinite,
            high_infinite=self.high_infinite + other.high_infinite,
        )


def tables_of(columns: Sequence[NumericProfile]) -> Counts:
    """The tables of columns of equally many cells, (columns, 3, cells). Not to be changed."""
    block: Counts | None = columns[0].__dict__.get("_block")
    if block is not None and len(block) == len(columns):
        rows = (column.__dict__ for column in columns)
        if all(one.get("_block") is block and one["_row"] == place for place, one in enumerate(rows)):
            return block
    return np.stack([column.table for column in columns])


def alike(columns: Iterable[NumericProfile]) -> list[list[NumericProfile]]:
    """Columns of equally many cells together, in their order: `tables_of` stacks those."""
    found: dict[int, list[NumericProfile]] = {}
    for column in columns:
        found.setdefault(column.counts.size, []).append(column)
    return list(found.values())


class CategoryProfile(Struct, frozen=True, tag="category", dict=True):
    """A batch of categories on a grid: `counts` in the grid's order, then what the grid does not list.

    That is `unseen` by name, or, in an open vocabulary, `buckets` (1,024 counts, else empty).
    """

    grid: CategoryGrid
    nulls: int
    counts: tuple[int, ...]
    unseen: dict[str, int] = {}
    buckets: tuple[int, ...] = ()

    def seen(self, times: int) -> int:
        """How many of the grid's categories were seen exactly so many times."""
        return self.counts.count(times)

    @cached_property
    def unlisted(self) -> int:
        """Rows whose category the grid does not list."""
        return sum(self.unseen.values()) + sum(self.buckets)

    @cached_property
    def present(self) -> int:
        """Rows that are not null."""
        return sum(self.counts) + self.unlisted

    @property
    def rows(self) -> int:
        """All rows."""
        return self.present + self.nulls

    def __add__(self, other: CategoryProfile) -> CategoryProfile:
        """The profile of both batches together. Raises `TableError` on different grids."""
        _same_grid(self.grid, other.grid)
        unseen = dict(self.unseen)
        for name, count in other.unseen.items():
            unseen[name] = unseen.get(name, 0) + count
        none = (0,) * BUCKETS
        buckets = tuple(a + b for a, b in zip(self.buckets or none, other.buckets or none, strict=True))
        return category_profile(
            self.grid,
            nulls=self.nulls + other.nulls,
            counts=tuple(a + b for a, b in zip(self.counts, other.counts, strict=True)),
            unseen=unseen,
            buckets=buckets if self.buckets or other.buckets else (),
        )


ColumnProfile = NumericProfile | CategoryProfile


class TableProfile(Struct, frozen=True):
    """The profile of a batch of rows: one profile for each column, in order."""

    rows: int
    columns: tuple[ColumnProfile, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.grid.name for column in self.columns)

    @property
    def grids(self) -> tuple[Grid, ...]:
        """The columns' grids: what a later batch is profiled on."""
        return tuple(column.grid for column in self.columns)

    def __add__(self, other: TableProfile) -> TableProfile:
        """The profile of both batches together. Raises `TableError` where columns or grids differ."""
        if self.names != other.names:
            raise TableError("profiles of different columns cannot be added: profile both on one reference's grids")
        merged = tuple(_add(one, two) for one, two in zip(self.columns, other.columns, strict=True))
        return TableProfile(self.rows + other.rows, merged)


def profile(columns: Sequence[Column], grids: Sequence[Grid] | None = None) -> TableProfile:
    """Profiles columns of equal length on a reference's grids, or on the grids they fix themselves.

    With grids, exactly their columns are profiled, in their order. Raises `TableError` for a grid without a column, and
    for a column of another kind than its grid (unless it is all null).

    >>> reference = profile([NumericColumn("age", np.array([30.0, 40.0, np.nan]))])
    >>> [(p.present, p.nulls) for p in (reference + reference).columns]
    [(4, 2)]
    """
    if grids is None:
        parts = tuple(profile_column(column) for column in columns)
    else:
        named = {column.name: column for column in columns}
        missing = [grid.name for grid in grids if grid.name not in named]
        if missing:
            raise TableError(f"column {missing[0]!r} is missing: the reference has it, so every batch must")
        parts = tuple(profile_column(named[grid.name], grid) for grid in grids)
    return TableProfile(columns[0].rows if columns else 0, parts)


def profile_column(column: Column, grid: Grid | None = None, scratch: Scratch | None = None) -> ColumnProfile:
    """Profiles one column, on a grid or on the one it fixes. Raises `TableError` as `profile`.

    Who profiles many columns hands in one `scratch` a thread.
    """
    if isinstance(column, NumericColumn) and not isinstance(grid, CategoryGrid):
        return _profile_numbers(column, grid, scratch)
    if isinstance(column, CategoricalColumn) and not isinstance(grid, NumericGrid):
        return _profile_categories(column, grid)
    if not column.empty:
        holds, wants = ("numbers", "categories") if isinstance(column, NumericColumn) else ("categories", "numbers")
        raise TableError(f"column {column.name!r} holds {holds}, its reference holds {wants}: make both sides one kind")
    return empty_profile(cast("Grid", grid), column.rows)


def build_grid(column: Column) -> Grid:
    """The grid that this column, as a reference, fixes.

    >>> build_grid(NumericColumn("age", np.array([30.0, 40.0, 40.0]))).cuts
    (29.999999999999996, 30.0, 39.99999999999999, 40.0)
    """
    return profile_column(column).grid


def empty_profile(grid: Grid, nulls: int = 0) -> ColumnProfile:
    """The profile of no rows, or of nulls only: the zero of addition."""
    if isinstance(grid, NumericGrid):
        return NumericProfile(grid, nulls, bytes(3 * 8 * (len(grid.cuts) + 1)))
    return CategoryProfile(grid, nulls, (0,) * len(grid.categories))


def _profile_numbers(column: NumericColumn, grid: NumericGrid | None, scratch: Scratch | None) -> NumericProfile:
    chosen = grid or numeric_grid(column.name, column.values)
    found = numeric_profile(
        chosen, count_values(column.values, chosen.lookup(column.rows), scratch=scratch), 0, column.rows
    )
    if grid is None and not chosen.scale:
        found = replace(found, grid=with_scale(chosen, found.deviation))
    return found


def numeric_profile(grid: NumericGrid, tally: Tally, batch: int, rows: int) -> NumericProfile:
    """One batch of a tally, of `rows` rows with the nulls."""
    least, most = tally.ends[batch].tolist()
    low, high = tally.infinite[batch].tolist()
    table = np.concatenate((tally.counts[batch], tally.high[batch], tally.low[batch]))
    return NumericProfile(
        grid=grid,
        nulls=rows - int(tally.present[batch]),
        cells=table.astype("<i8", copy=False).tobytes(),
        squares=tally.squares[batch],
        minimum=least if least <= most else None,
        maximum=most if least <= most else None,
        low_infinite=low,
        high_infinite=high,
    )


def _profile_categories(column: CategoricalColumn, grid: CategoryGrid | None) -> CategoryProfile:
    found = np.bincount(column.codes + 1, minlength=len(column.categories) + 1)
    nulls, found = int(found[0]), found[1:]
    unseen: dict[str, int] = {}
    for code in np.flatnonzero(found).tolist():
        name = column.categories[code]
        unseen[name] = unseen.get(name, 0) + int(found[code])
    if grid is None:
        grid = category_grid(column.name, unseen)
    counts = tuple(unseen.pop(name, 0) for name in grid.categories)
    return category_profile(grid, nulls, counts, unseen, ())


def category_profile(
    grid: CategoryGrid, nulls: int, counts: tuple[int, ...], unseen: dict[str, int], buckets: tuple[int, ...]
) -> CategoryProfile:
    """Gives names up for buckets where there are too many, or where some were given up already."""
    if not (grid.hashed or buckets or len(unseen) > CATEGORIES):
        return CategoryProfile(grid, nulls, counts, dict(sorted(unseen.items())))  # equal profiles are equal bytes
    return CategoryProfile(grid, nulls, counts, {}, into_buckets(unseen, buckets))


def into_buckets(names: dict[str, int], start: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Adds named counts to buckets."""
    totals = list(start) if start else [0] * BUCKETS
    for name, count in names.items():
        totals[bucket(name)] += count
    return tuple(totals)


def _add(one: ColumnProfile, two: ColumnProfile) -> ColumnProfile:
    if isinstance(one, NumericProfile) and isinstance(two, NumericProfile):
        return one + two
    if isinstance(one, CategoryProfile) and isinstance(two, CategoryProfile):
        return one + two
    raise TableError(f"profiles of column {one.grid.name!r} hold numbers and categories: they cannot be added")


def _same_grid(one: Grid, two: Grid) -> None:
    if one is not two and one != two:
        raise TableError(f"profiles of column {one.name!r} are on different grids: profile both on one reference's")
