"""Where harm sits: the cells of a few features, row by row, and the smallest segment that explains a fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Raw

from fairlead.core.report import SCORE
from fairlead.flows.watching.features import decoded, on_grid
from fairlead.flows.watching.harms import Informed
from fairlead.flows.watching.reference import Reference
from fairlead.stats.attribution import CellLosses
from fairlead.stats.columns import CategoricalColumn, Column
from fairlead.stats.grid import CategoryGrid
from fairlead.stats.performance import Floats
from fairlead.stats.pinpoint import Cells, smallest
from fairlead.stats.profile import TableProfile

MOST = 6  # features whose cells are kept: one byte a row each
CATEGORIES = 50
NULL, OTHER = 254, 255


def columns_of(profile: TableProfile) -> tuple[str, ...]:
    """The features by which harm is looked for: those of few categories, the first six of them."""
    names = [
        column.grid.name
        for column in profile.columns
        if isinstance(column.grid, CategoryGrid) and 2 <= len(column.grid.categories) <= CATEGORIES
    ]
    return tuple(name for name in names if name != SCORE)[:MOST]


def cells_of(features: Sequence[Raw], profile: TableProfile) -> Cells:
    """The cell of each record in each of these features, (features, rows): its place in the grid's list, or null, or
    another."""
    wanted = columns_of(profile)
    if not wanted:
        return np.empty((0, len(features)), np.uint8)
    rows, grids = decoded(features), {grid.name: grid for grid in profile.grids}
    return cells_in(
        {name: on_grid(grids[name], [row.get(name) for row in rows]) for name in wanted}, profile, len(rows)
    )


def cells_in(columns: Mapping[str, Column], profile: TableProfile, rows: int) -> Cells:
    """The same of columns by name; one that is not there is null."""
    grids = {grid.name: grid for grid in profile.grids}
    found = [
        _cells(columns[name], grids[name]) if name in columns else np.full(rows, NULL, np.uint8)
        for name in columns_of(profile)
    ]
    return np.stack(found) if found else np.empty((0, rows), np.uint8)


def segment_of(known_of: Reference, cells: Cells, truth: Floats, decided: Floats) -> str:
    """The smallest segment that explains why labelled rows lost more than the held-out rows; empty for none, and where
    losses by cell are not known. `cells` is (features, rows), `truth` (nan where unknown) and `decided` are (rows,)."""
    reference = known_of.informed()
    known = ~(np.isnan(truth) | np.isnan(decided))
    names = columns_of(reference.profile)
    if not isinstance(reference, Informed) or not names or cells.shape != (len(names), known.size) or not known.any():
        return ""
    bases = [reference.bases.get(name) for name in names]
    if any(basis is None for basis in bases):
        return ""
    losses = reference.losses(truth[known], decided[known])
    expected = np.stack([_expected(basis.loss, row[known]) for basis, row in zip(bases, cells, strict=True) if basis])
    found = smallest(cells[:, known], losses, expected)
    if found is None:
        return ""
    grids = {grid.name: grid for grid in reference.profile.grids}
    parts = zip(found.features, found.cells, strict=True)
    return " and ".join(f"{names[feature]} = {_word(grids[names[feature]], cell)}" for feature, cell in parts)


def _cells(column: Column, grid: object) -> Cells:
    if not isinstance(column, CategoricalColumn) or not isinstance(grid, CategoryGrid):
        return np.full(column.rows, NULL, np.uint8)
    places = {name: place for place, name in enumerate(grid.categories)}
    codes = np.array([*(places.get(name, OTHER) for name in column.categories), NULL], np.uint8)
    return codes[column.codes]  # -1, a null, is the last


def _expected(held: CellLosses, cells: Cells) -> Floats:
    """The held-out mean of each row's cell; the overall mean where no held-out row lies."""
    last = held.groups.size - 1  # what is unlisted; before it, nulls
    place = np.minimum(np.where(cells == NULL, last - 1, np.where(cells == OTHER, last, cells)), last)
    group = held.groups[place]
    return np.where(held.counts[group] > 0, held.means[group], held.mean)


def _word(grid: object, cell: int) -> str:
    if cell == NULL:
        return "null"
    return "another" if cell == OTHER or not isinstance(grid, CategoryGrid) else grid.categories[cell]
