"""Profiles: the one mergeable summary. Every distance is a function of two of them; merging is addition.

A batch on a reference's grid is a vector of counts, for numbers also a vector of sums, and the moments of the finite
values (Chan, Golub, LeVeque 1979). Counts merge exactly, associatively and commutatively, so a window is the sum of its
slots and a cluster's result is one machine's; the moments do so up to rounding.

Unseen categories are kept by name while there are at most 10,000; beyond that the names give way to 1,024 buckets. The
union of names only grows, so which of the two holds at the end does not depend on the order of merging.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
from msgspec import Struct

from fairlead.errors import TableError
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.grid import (
    BUCKETS,
    CATEGORIES,
    CategoryGrid,
    Grid,
    NumericGrid,
    bucket,
    category_grid,
    moments,
    numeric_grid,
    within_range,
)
from fairlead.stats.tally import Floats, arranged


class NumericProfile(Struct, frozen=True, tag="numeric"):
    """A batch of numbers on a grid. `counts` and `sums` have one entry per cell; sums and moments are of finite values.

    `minimum` and `maximum` are of finite values, None without any; `low_infinite` and `high_infinite` are counted in
    the first and the last cell too.
    """

    grid: NumericGrid
    nulls: int
    counts: tuple[int, ...]
    sums: tuple[float, ...]
    mean: float = 0.0
    m2: float = 0.0
    minimum: float | None = None
    maximum: float | None = None
    low_infinite: int = 0
    high_infinite: int = 0

    @property
    def present(self) -> int:
        """Rows that are not null."""
        return sum(self.counts)

    @property
    def finite(self) -> int:
        """Rows that are neither null nor infinite."""
        return self.present - self.low_infinite - self.high_infinite

    @property
    def rows(self) -> int:
        """All rows."""
        return self.present + self.nulls

    def __add__(self, other: NumericProfile) -> NumericProfile:
        """The profile of both batches together. Raises `TableError` on different grids."""
        _same_grid(self.grid, other.grid)
        mean, m2 = _merge_moments(self, other)
        return NumericProfile(
            grid=self.grid,
            nulls=self.nulls + other.nulls,
            counts=tuple((np.asarray(self.counts) + np.asarray(other.counts)).tolist()),
            sums=tuple(_in_range(np.asarray(self.sums) + np.asarray(other.sums)).tolist()),
            mean=mean,
            m2=m2,
            minimum=min((x for x in (self.minimum, other.minimum) if x is not None), default=None),
            maximum=max((x for x in (self.maximum, other.maximum) if x is not None), default=None),
            low_infinite=self.low_infinite + other.low_infinite,
            high_infinite=self.high_infinite + other.high_infinite,
        )


class CategoryProfile(Struct, frozen=True, tag="category"):
    """A batch of categories on a grid: `counts` in the grid's order, then what the grid does not list.

    That is `unseen` by name, or, in an open vocabulary, `buckets` (1,024 counts, else empty).
    """

    grid: CategoryGrid
    nulls: int
    counts: tuple[int, ...]
    unseen: dict[str, int] = {}
    buckets: tuple[int, ...] = ()

    @property
    def unlisted(self) -> int:
        """Rows whose category the grid does not list."""
        return sum(self.unseen.values()) + sum(self.buckets)

    @property
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
        return _category_profile(
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


def profile_column(column: Column, grid: Grid | None = None) -> ColumnProfile:
    """Profiles one column, on a grid or on the one it fixes. Raises `TableError` as `profile`."""
    if isinstance(column, NumericColumn) and not isinstance(grid, CategoryGrid):
        return _profile_numbers(column, grid)
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
        cells = len(grid.cuts) + 1
        return NumericProfile(grid, nulls, (0,) * cells, (0.0,) * cells)
    return CategoryProfile(grid, nulls, (0,) * len(grid.categories))


def _profile_numbers(column: NumericColumn, grid: NumericGrid | None) -> NumericProfile:
    values = column.values
    known = np.isfinite(values)
    finite = values if known.all() else values[known]
    low, high = (int(np.count_nonzero(values == end)) if finite is not values else 0 for end in (-np.inf, np.inf))
    found = moments(finite, fourth=grid is None)
    ready = arranged(finite, None if grid is None else np.asarray(grid.cuts))
    grid = grid or numeric_grid(column.name, ready, found)
    with np.errstate(over="ignore", invalid="ignore"):
        counts, sums = ready.count(np.asarray(grid.cuts))
    counts[0] += low
    counts[-1] += high
    return NumericProfile(
        grid=grid,
        nulls=column.rows - finite.size - low - high,
        counts=tuple(counts.tolist()),
        sums=tuple(_in_range(sums).tolist()),
        mean=found.mean,
        m2=found.m2,
        minimum=found.minimum if found.count else None,
        maximum=found.maximum if found.count else None,
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
    return _category_profile(grid, nulls, counts, unseen, ())


def _category_profile(
    grid: CategoryGrid, nulls: int, counts: tuple[int, ...], unseen: dict[str, int], buckets: tuple[int, ...]
) -> CategoryProfile:
    """Gives names up for buckets where there are too many, or where some were given up already."""
    if not (grid.hashed or buckets or len(unseen) > CATEGORIES):
        return CategoryProfile(grid, nulls, counts, unseen)
    return CategoryProfile(grid, nulls, counts, {}, into_buckets(unseen, buckets))


def into_buckets(names: dict[str, int], start: tuple[int, ...] = ()) -> tuple[int, ...]:
    """Adds named counts to buckets."""
    totals = list(start) if start else [0] * BUCKETS
    for name, count in names.items():
        totals[bucket(name)] += count
    return tuple(totals)


def _merge_moments(one: NumericProfile, two: NumericProfile) -> tuple[float, float]:
    total = one.finite + two.finite
    if total == 0:
        return 0.0, 0.0
    if one.finite == 0 or two.finite == 0:
        return (two.mean, two.m2) if one.finite == 0 else (one.mean, one.m2)
    gap = within_range(two.mean - one.mean)
    mean = within_range(one.mean + gap * (two.finite / total))
    return mean, within_range(one.m2 + two.m2 + gap * gap * one.finite * (two.finite / total))


def _in_range(sums: Floats) -> Floats:
    return sums if np.isfinite(sums).all() else np.nan_to_num(sums, nan=0.0)


def _add(one: ColumnProfile, two: ColumnProfile) -> ColumnProfile:
    if isinstance(one, NumericProfile) and isinstance(two, NumericProfile):
        return one + two
    if isinstance(one, CategoryProfile) and isinstance(two, CategoryProfile):
        return one + two
    raise TableError(f"profiles of column {one.grid.name!r} hold numbers and categories: they cannot be added")


def _same_grid(one: Grid, two: Grid) -> None:
    if one is not two and one != two:
        raise TableError(f"profiles of column {one.name!r} are on different grids: profile both on one reference's")
