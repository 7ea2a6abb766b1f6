"""A reference's grids made ready for the records of its windows: JSON -> a sheet of numbers -> profiles, in few steps.

A window of 200 records and 50 features is 50 columns of 200 numbers: read one by one, a column costs more than its
numbers. So records are decoded into a type of their own, whose numbers become one array, and are counted abreast. A
record that is not of that type (a text where numbers are due, a truth value, no object at all) sends its batch the
plain way, `profile_rows`, which gives the same profile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import nan
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
import numpy as np
from msgspec import Raw
from msgspec.structs import astuple

from fairlead.core.report import SCORE
from fairlead.flows.watching.features import on_grid, profile_rows
from fairlead.stats.abreast import MOST_ROWS, Abreast
from fairlead.stats.columns import Column, NumericColumn
from fairlead.stats.grid import NumericGrid
from fairlead.stats.performance import Floats
from fairlead.stats.profile import ColumnProfile, TableProfile, profile_column
from fairlead.stats.tally import Scratch

T = TypeVar("T")


class Frame:
    """Of the grids of one reference. Not thread-safe."""

    def __init__(self, reference: TableProfile) -> None:
        self._reference = reference
        numbers = [grid for grid in reference.grids if isinstance(grid, NumericGrid)]
        by_size: dict[int, list[NumericGrid]] = {}
        for grid in numbers:
            by_size.setdefault(len(grid.cuts), []).append(grid)
        self._groups = [Abreast(grids) for grids in by_size.values()]
        self._numbers = [grid for group in self._groups for grid in group.grids]
        self._others = [grid for grid in reference.grids if not isinstance(grid, NumericGrid)]
        self._asked = [place for place, grid in enumerate(self._numbers) if grid.name != SCORE]
        self._scored = [place for place, grid in enumerate(self._numbers) if grid.name == SCORE]
        self._rows = _decoder([self._numbers[place].name for place in self._asked], [one.name for one in self._others])

    def profile(
        self, features: Sequence[Raw], score: Floats, look: Callable[[Sequence[Column]], None] | None = None
    ) -> TableProfile:
        """What `profile_rows` says of the records on this reference's grids; `look` sees the columns, in order."""
        rows = self._decoded(features)
        if not rows:
            return profile_rows(features, score, self._reference, look)
        sheet = self._sheet(rows, score)
        others = [
            on_grid(grid, list(map(itemgetter(place), rows)))
            for place, grid in enumerate(self._others, len(self._asked))
        ]
        if look is not None:
            look(self._in_order({one.name: one for one in (*self._columns(sheet), *others)}))
        found = self._numeric(sheet, Scratch() if len(rows) >= MOST_ROWS else _SCRATCH)
        found.update({one.name: profile_column(one, grid) for one, grid in zip(others, self._others, strict=True)})
        return TableProfile(len(rows), self._in_order(found))

    def _in_order(self, named: dict[str, T]) -> tuple[T, ...]:
        return tuple(named[grid.name] for grid in self._reference.grids)

    def _columns(self, sheet: Floats) -> list[NumericColumn]:
        return [NumericColumn(grid.name, values) for grid, values in zip(self._numbers, sheet, strict=True)]

    def _decoded(self, features: Sequence[Raw]) -> list[tuple[Any, ...]]:
        """The records as tuples, numbers first; none where one of them is of another type, or the names forbid one."""
        if self._rows is None:
            return []
        try:
            rows = self._rows.decode(b"[" + b",".join(features) + b"]")
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return []
        return [astuple(row) for row in rows] if len(rows) == len(features) else []

    def _sheet(self, rows: list[tuple[Any, ...]], score: Floats) -> Floats:
        """The columns of numbers, (columns, rows), in the order of their groups."""
        many = len(self._asked)
        told = np.array([row[:many] for row in rows] if self._others else rows, np.float64)
        sheet = np.full((len(self._numbers), len(rows)), nan)
        sheet[self._asked] = told.reshape(len(rows), many).T
        sheet[self._scored] = score
        return sheet

    def _numeric(self, sheet: Floats, scratch: Scratch) -> dict[str, ColumnProfile]:
        if sheet.shape[1] >= MOST_ROWS:
            columns = zip(self._columns(sheet), self._numbers, strict=True)
            return {grid.name: profile_column(column, grid, scratch) for column, grid in columns}
        found: dict[str, ColumnProfile] = {}
        start = 0
        for group in self._groups:
            end = start + len(group.grids)
            known = group.profiles(sheet[start:end], scratch)
            found.update({grid.name: one for grid, one in zip(group.grids, known, strict=True)})
            start = end
        return found


_SCRATCH = Scratch()


def _decoder(numbers: Sequence[str], others: Sequence[str]) -> msgspec.json.Decoder[Any] | None:
    """Reads records of these features; None where a name is none that a type can have."""
    names = [*numbers, *others]
    kinds = [float | None] * len(numbers) + [Any] * len(others)
    fields = [(f"c{place}", kind, None) for place, kind in enumerate(kinds)]
    rename = {f"c{place}": name for place, name in enumerate(names)}
    try:
        return msgspec.json.Decoder(list[msgspec.defstruct("Row", fields, rename=rename, gc=False)])  # type: ignore[misc]
    except ValueError:
        return None
