"""Many windows of one column, profiled in one pass: rows sorted by time, cut at bounds."""

from __future__ import annotations

import numpy as np

from fairlead.errors import TableError
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.grid import CategoryGrid, Grid, NumericGrid
from fairlead.stats.profile import CategoryProfile, ColumnProfile, category_profile, empty_profile, numeric_profile
from fairlead.stats.tally import Counts, Scratch, count_values


def profile_slots(column: Column, grid: Grid, edges: Counts, scratch: Scratch | None = None) -> list[ColumnProfile]:
    """The profile of each slot; slot i holds the rows `edges[i]` up to, not including, `edges[i + 1]`.

    Each is what `profile_column` gives for those rows, to the last bit. Raises `TableError` for a column of another
    kind than its grid, unless it is all null.

    >>> from fairlead.stats.profile import build_grid
    >>> column = NumericColumn("age", np.array([30.0, 40.0, np.nan]))
    >>> [(one.present, one.nulls) for one in profile_slots(column, build_grid(column), np.array([0, 1, 3]))]
    [(1, 0), (1, 1)]
    """
    if isinstance(column, NumericColumn) and isinstance(grid, NumericGrid):
        sizes = np.diff(edges).tolist()
        tally = count_values(
            column.values[edges[0] : edges[-1]], grid.lookup(column.rows), edges[:-1] - edges[0], scratch
        )
        return [numeric_profile(grid, tally, slot, rows) for slot, rows in enumerate(sizes)]
    if isinstance(column, CategoricalColumn) and isinstance(grid, CategoryGrid):
        return _categories(column, grid, edges)
    if column.empty:
        return [empty_profile(grid, rows) for rows in np.diff(edges).tolist()]
    raise TableError(f"column {column.name!r} is of another kind than its reference: make both sides numbers or text")


def _categories(column: CategoricalColumn, grid: CategoryGrid, edges: Counts) -> list[ColumnProfile]:
    slots, wide = edges.size - 1, len(column.categories) + 1
    where = np.repeat(np.arange(slots) * wide, np.diff(edges)) + column.codes[edges[0] : edges[-1]] + 1
    table = np.bincount(where, minlength=slots * wide).reshape(slots, wide)
    cells = {name: cell for cell, name in enumerate(grid.categories)}
    listed = np.zeros((slots, len(grid.categories)), dtype=np.int64)
    news: list[tuple[str, Counts]] = []
    for code, name in enumerate(column.categories, start=1):
        cell = cells.get(name)
        if cell is None:
            news.append((name, table[:, code]))
        else:
            listed[:, cell] += table[:, code]
    return [_profile(grid, slot, int(table[slot, 0]), listed[slot], news) for slot in range(slots)]


def _profile(
    grid: CategoryGrid, slot: int, nulls: int, counts: Counts, news: list[tuple[str, Counts]]
) -> CategoryProfile:
    unseen: dict[str, int] = {}
    for name, rows in news:
        if rows[slot]:
            unseen[name] = unseen.get(name, 0) + int(rows[slot])
    return category_profile(grid, nulls, tuple(counts.tolist()), unseen, ())
