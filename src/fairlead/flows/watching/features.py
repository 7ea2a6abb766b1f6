"""From the raw JSON of logged features to columns on a reference's grids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw

from fairlead.core.inference import label_text
from fairlead.core.report import SCORE
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.grid import Grid, NumericGrid
from fairlead.stats.performance import Floats
from fairlead.stats.profile import TableProfile, profile_column
from fairlead.stats.tally import Scratch

_ROW = msgspec.json.Decoder(dict[str, Any])
_ROWS = msgspec.json.Decoder(list[dict[str, Any]])


def profile_rows(
    features: Sequence[Raw],
    score: Floats,
    reference: TableProfile,
    look: Callable[[Sequence[Column]], None] | None = None,
) -> TableProfile:
    """The profile of some records on the reference's grids. A feature that a record lacks, or that is of another type
    than its reference, counts as null: the record was served, so its other features count all the same. `look` sees
    the columns as they were counted."""
    rows, scratch = decoded(features), Scratch()
    columns = [_column(grid, rows, score) for grid in reference.grids]
    if look is not None:
        look(columns)
    found = (profile_column(column, grid, scratch) for column, grid in zip(columns, reference.grids, strict=True))
    return TableProfile(len(rows), tuple(found))


def decoded(features: Sequence[Raw]) -> list[dict[str, Any]]:
    """All at once, which is fast; one by one where a record is no object, or more than one."""
    try:
        rows = _ROWS.decode(b"[" + b",".join(bytes(raw) for raw in features) + b"]")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        rows = []
    return rows if len(rows) == len(features) else [_one(raw) for raw in features]


def _one(raw: Raw) -> dict[str, Any]:
    try:
        return _ROW.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def _column(grid: Grid, rows: list[dict[str, Any]], score: Floats) -> Column:
    if grid.name == SCORE and isinstance(grid, NumericGrid):
        return NumericColumn(SCORE, score)
    return on_grid(grid, [row.get(grid.name) for row in rows])


def on_grid(grid: Grid, values: Sequence[Any]) -> Column:
    """Values as a column of the grid's kind; null where a value is none, or no number on a grid of numbers.

    >>> on_grid(NumericGrid("x", np.array([0.0, 1.0])), [True, 2, "3", None]).values.tolist()
    [1.0, 2.0, nan, nan]
    """
    if isinstance(grid, NumericGrid):
        return NumericColumn(grid.name, _numbers(values))
    codes: dict[str, int] = {}
    places = [-1 if value is None else codes.setdefault(label_text(value), len(codes)) for value in values]
    return CategoricalColumn(grid.name, np.array(places, np.int32), tuple(codes))


def _numbers(values: Sequence[Any]) -> Floats:
    try:
        found = np.array(values)
    except (OverflowError, ValueError):
        found = np.empty(0, object)
    if found.dtype.kind in "fiub" and found.ndim == 1:
        return found.astype(np.float64)
    return np.array([_number(value) for value in values])


def _number(value: Any) -> float:
    try:
        return nan if isinstance(value, str) else float(value)
    except (OverflowError, TypeError):
        return nan
