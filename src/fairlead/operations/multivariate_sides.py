"""Two sides of a multivariate comparison, read and made to fit: what both have, and why the rest is left out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.adapters.tables import to_columns, unreadable
from fairlead.core.listing import counted, first_of
from fairlead.errors import TableError
from fairlead.operations.drift import named_columns, table_of
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
Rows = list[slice | NDArray[np.intp]]

MOST_SLOTS = 500


class Sides(Struct, frozen=True, eq=False):
    """Columns of one kind each, in one order. `arrays` are the complete rows where arrays were given.

    `lost` are columns of the reference that could not be compared, `left_out` whatever else was not, each with the
    reason; `slots` are the columns that name the slots.
    """

    reference: tuple[Column, ...]
    current: tuple[Column, ...]
    rows: tuple[int, int]
    lost: dict[str, str]
    left_out: dict[str, str]
    arrays: tuple[Floats, Floats] | None = None
    slots: tuple[Column | None, Column | None] = (None, None)

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names."""
        return tuple(column.name for column in self.reference)

    def few(self, least: int) -> str:
        """Why these rows are too few; empty where they are not, or where nothing is there at all."""
        one, two = self.rows
        return f"{one:,} against {counted(two, 'row')}: {least} of both is the least" if min(self.rows) < least else ""


def read_sides(
    reference: Any, current: Any, columns: Sequence[str] | None, *, slot: str | None, numbers_only: bool, complete: bool
) -> Sides:
    """Reads both sides; of arrays only the complete rows, where asked. Raises `TableError` as `multivariate_drift`."""
    given = [isinstance(side, np.ndarray) for side in (reference, current)]
    if all(given):
        return _arrays(reference, current, columns, slot, complete=complete)
    if any(given):
        raise TableError("one side is an array and the other a table: pass two of a kind")
    left, right = table_of(reference, "reference"), table_of(current, "current data")
    names = [name for name in named_columns(left, right, columns) if name != slot]
    return _Reading(left, right, named=columns is not None, numbers_only=numbers_only).sides(names, slot)


def slot_rows(
    rows: tuple[int, int], slots: int | str, columns: tuple[Column | None, Column | None]
) -> tuple[Rows, Rows]:
    """The rows of each slot, for both sides: by the column's values, nulls together, or cut in order.

    Cut, the smaller side has as many slots as asked for, of 2 rows at least, and the larger one slots of that size:
    slots of other sizes would not be exchangeable. Of more than 500 every so many-th is used.
    """
    one, two = columns
    if one is not None and two is not None:
        return _by_value(one), _by_value(two)
    size = max(2, min(rows) // int(slots))
    return _cut(rows[0], size), _cut(rows[1], size)


def _cut(rows: int, size: int) -> Rows:
    edges = np.linspace(0, rows, rows // size + 1).astype(int).tolist()
    found: Rows = [slice(low, high) for low, high in pairwise(edges)]
    return found if len(found) <= MOST_SLOTS else [found[at * len(found) // MOST_SLOTS] for at in range(MOST_SLOTS)]


def _by_value(column: Column) -> Rows:
    values = column.codes if isinstance(column, CategoricalColumn) else column.values
    _, places = np.unique(values, return_inverse=True)
    order = np.argsort(places, kind="stable")
    return list(np.split(order, np.cumsum(np.bincount(places))[:-1]))


class _Reading(Struct, frozen=True, eq=False):
    left: Any
    right: Any
    named: bool
    numbers_only: bool

    def sides(self, names: Sequence[str], slot: str | None) -> Sides:
        pairs, lost, left_out = [], {}, {}
        for name in names:
            found = self._pair(name)
            if isinstance(found, tuple):
                pairs.append(found)
            elif found == _TEXT or name not in self.left.column_names:
                left_out[name] = found
            else:
                lost[name] = found
        if not pairs and not any(self._met(name) for name in lost):
            what = "column of numbers" if self.numbers_only else "column that can be compared"
            raise TableError(
                f"the two tables share no {what}: the reference has {first_of(self.left.column_names)}; "
                f"the current data has {first_of(self.right.column_names)}"
            )
        return Sides(
            reference=tuple(one for one, _ in pairs),
            current=tuple(two for _, two in pairs),
            rows=(self.left.num_rows, self.right.num_rows),
            lost=lost,
            left_out=left_out,
            slots=(_slot(self.left, slot, "reference"), _slot(self.right, slot, "current data")),
        )

    def _met(self, name: str) -> bool:
        """Whether both tables have the column, with one value a row."""
        return all(name in table.column_names and name not in unreadable(table) for table in (self.left, self.right))

    def _pair(self, name: str) -> tuple[Column, Column] | str:
        """The column of both sides, or why there is none."""
        for table, role in ((self.right, "current data"), (self.left, "reference")):
            if name not in table.column_names:
                return f"missing from the {role}"
            if name in unreadable(table):
                return f"{unreadable(table)[name]}, which is no single value a row"
        (one,), (two,) = to_columns(self.left, [name]), to_columns(self.right, [name])
        return self._empty(one, two) or self._kinds(one, two) or (one, two)

    def _empty(self, one: Column, two: Column) -> str:
        column, role = (one, "reference") if one.empty else (two, "current")
        return f"all {column.rows:,} {role} values are null" if column.empty else ""

    def _kinds(self, one: Column, two: Column) -> str:
        if type(one) is not type(two):
            return f"{_holds(one)} in the reference, {_holds(two)} in the current data"
        if not self.numbers_only or isinstance(one, NumericColumn):
            return ""
        if self.named:
            raise TableError(f"column {one.name!r} holds text: this method compares numbers")
        return _TEXT


_TEXT = "holds text, and this method compares numbers"


def _arrays(reference: NDArray[Any], current: NDArray[Any], columns: Any, slot: str | None, *, complete: bool) -> Sides:
    if columns is not None or slot is not None:
        raise TableError("arrays have no named columns: slice the array, or pass a table")
    left, right = _floats(reference, "reference"), _floats(current, "current data")
    if left.shape[1] != right.shape[1]:
        raise TableError(
            f"rows of {counted(left.shape[1], 'number')} against rows of {right.shape[1]:,}: dimensions must agree"
        )
    whole = [side[np.isfinite(side).all(axis=1)] for side in (left, right)] if complete else [left, right]
    gone = [len(side) - len(kept) for side, kept in zip((left, right), whole, strict=True)]
    left_out = {}
    if any(gone):
        left_out["rows"] = (
            f"a missing or infinite value in {counted(gone[0], 'reference row')} and {counted(gone[1], 'current row')}"
        )
    lost = {}
    for kept, role in zip(whole, ("reference", "current"), strict=True):
        if not len(kept):
            lost["rows"] = f"every {role} row holds a missing or infinite value"
    named = [f"{place}" for place in range(left.shape[1])] if not lost else []
    one, two = ([NumericColumn(name, side[:, at]) for at, name in enumerate(named)] for side in whole)
    if not complete:
        empty = {a.name: _nulls(a, b) for a, b in zip(one, two, strict=True) if a.empty or b.empty}
        lost |= empty
        one, two = ([column for column in side if column.name not in empty] for side in (one, two))
    return Sides(
        reference=tuple(one),
        current=tuple(two),
        rows=(len(whole[0]), len(whole[1])),
        lost=lost,
        left_out={} if lost else left_out,
        arrays=(whole[0], whole[1]) if complete else None,
    )


def _nulls(one: NumericColumn, two: NumericColumn) -> str:
    column, role = (one, "reference") if one.empty else (two, "current")
    return f"all {column.rows:,} {role} values are null"


def _floats(side: NDArray[Any], role: str) -> Floats:
    if side.ndim != 2:
        raise TableError(f"the {role} is an array of {side.ndim} dimensions: pass one of 2, (rows, numbers a row)")
    if not side.size:
        raise TableError(
            f"the {role} is an array of shape {side.shape}: a comparison needs a row and a number at least"
        )
    try:
        return np.asarray(side, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TableError(f"the {role} is an array of {side.dtype}, not of numbers: {error}") from error


def _slot(table: pa.Table, name: str | None, role: str) -> Column | None:
    if name is None:
        return None
    if name not in table.column_names:
        raise TableError(f"the {role} has no column {name!r} to tell slots by: it has {first_of(table.column_names)}")
    (column,) = to_columns(table, [name])
    return column


def _holds(column: Column) -> str:
    return "numbers" if isinstance(column, NumericColumn) else "text"
