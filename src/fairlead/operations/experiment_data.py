"""A table of an experiment as arrays: one row a unit, its arm, its metrics, its segments."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.adapters.tables import as_table, read_table, to_columns
from fairlead.adapters.uuids import as_bytes, is_uuid
from fairlead.core.listing import counted
from fairlead.errors import TableError, UsageError
from fairlead.stats.columns import LARGEST, CategoricalColumn, Column
from fairlead.stats.experiment.compare import Metric
from fairlead.stats.experiment.units import Units, added, torn, units_of

if TYPE_CHECKING:
    import pyarrow as pa

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

_CONTROLS = ("control", "champion", "baseline", "0", "a", "false")
_MOST_ARMS, _MOST_PARTS = 20, 50
_HOW = re.compile(r"\s*(sum|mean|max)\s*\((.+)\)\s*")


class Experiment(Struct, frozen=True, eq=False):
    """Units in the order of their first row. `arms` are names, the control first; `codes` (units,) index them.

    `rows` (rows,) are the rows of the table that count, `units` groups them. `torn` units had rows in several arms and
    are left out of `codes`' counts by `inside` (units,).
    """

    table: pa.Table
    arms: tuple[str, ...]
    codes: Codes
    rows: Codes
    units: Units
    inside: NDArray[np.bool_]
    notes: tuple[str, ...]

    @property
    def torn_share(self) -> float:
        """The share of units that were seen in more than one arm."""
        return 1.0 - float(self.inside.mean()) if self.inside.size else 0.0

    def counts(self) -> tuple[int, ...]:
        """Units in each arm."""
        return tuple(np.bincount(self.codes[self.inside], minlength=len(self.arms)).tolist())

    def metric(self, text: str, covariate: str | None = None) -> Metric:
        """The metric that a text names: a column, `sum(x)`, `mean(x)`, `max(x)` of a unit's rows, or a ratio `x / y`.

        A plain column is the mean of a unit's rows; infinities, and values from 1e70 on, are none. Raises `TableError`
        for a column that is not there or not a number.
        """
        known = self.table.column_names
        above, slash, below = text.partition("/")
        if text in known or not slash:
            values, denominators = self._by_unit(text), None
        else:
            values, denominators = (self._by_unit(part.strip(), "sum") for part in (above, below))
        extra = None if covariate is None else self._by_unit(covariate)
        kept = (None if one is None else one[self.inside] for one in (denominators, extra))
        return Metric(values[self.inside], *kept)

    def segment(self, name: str) -> tuple[tuple[str, ...], Codes]:
        """The parts of a segment column and each unit's (by its first row; -1 is null). At most 50 parts."""
        column = self._column(name)
        labels, codes = labelled(column)
        if len(labels) > _MOST_PARTS:
            raise TableError(f"segment {name!r} has {len(labels):,} values: put them into at most {_MOST_PARTS} groups")
        return labels, codes[self.rows][self.units.first_row][self.inside]

    def _by_unit(self, text: str, how: str = "mean") -> Floats:
        match = None if text in self.table.column_names else _HOW.fullmatch(text)
        if match:
            how, text = match.group(1), match.group(2).strip()
        column = self._column(text)
        if isinstance(column, CategoricalColumn):
            raise TableError(f"column {text!r} holds text, not numbers: a metric is a number, as 0 and 1")
        values = column.values[self.rows]
        return added(np.where(np.abs(values) < LARGEST, values, np.nan), self.units, how)

    def _column(self, name: str) -> Column:
        return to_columns(self.table, [name])[0]


def load(data: Any, *, arm: str, unit: str | None, control: str | None, time: str | None) -> Experiment:
    """Reads the table. Raises `TableError` for one without rows, without two arms, or without a named column."""
    table = read_table(data) if isinstance(data, str | Path) else as_table(data)
    if table.num_rows == 0:
        raise TableError("the data have no rows: an experiment has at least two units in each arm")
    names, codes = labelled(to_columns(table, [arm])[0])
    if not 2 <= len(names) <= _MOST_ARMS:
        raise TableError(f"column {arm!r} holds {counted(len(names), 'value')}: an arm column has 2 to {_MOST_ARMS}")
    arms = _control_first(names, control, arm)
    codes = np.append(np.array([arms.index(name) for name in names]), -1)[codes]
    notes: list[str] = []
    known = codes >= 0
    keys = np.arange(table.num_rows)
    if unit is not None:
        keys = unit_keys(table, unit)
        known &= keys >= 0
    left_out = int((~known).sum())
    if left_out:
        notes.append(f"{counted(left_out, 'row')} without an arm{' or a unit' if unit else ''} left out")
    rows = _ordered(table, np.flatnonzero(known), time)
    units, many = units_of(keys[rows]), unit is not None
    if many and units.size < rows.size:
        notes.append(f"{counted(rows.size, 'row')} added up to {counted(units.size, 'unit')}")
    return grouped(table, arms, (rows, codes[rows]), units, notes)


def grouped(
    table: pa.Table, arms: tuple[str, ...], rows: tuple[Codes, Codes], units: Units, notes: Sequence[str]
) -> Experiment:
    """The experiment of a table's `rows` (their places, and the arm of each), which belong to `units`."""
    places, codes = rows
    inside = ~torn(codes, units)
    said = [f"{counted(int((~inside).sum()), 'unit')} seen in more than one arm left out"] if not inside.all() else []
    return Experiment(table, arms, codes[units.first_row], places, units, inside, (*notes, *said))


def unit_keys(table: pa.Table, name: str) -> Codes:
    """Each row's unit as 0, 1, … (-1 is null), exact whatever the type: numbers beyond 2^53 do not become one.

    Raises `TableError` for a column that the table lacks or that holds no single value a row.
    """
    import pyarrow as pa
    import pyarrow.types as t

    to_columns(table.slice(0, 0), [name])  # is there, and holds a value a row
    column = table.column(name)
    if is_uuid(column.type):
        column = as_bytes(column)
    if t.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if t.is_floating(column.type):
        column = pa.chunked_array([pa.array(column.to_numpy(), from_pandas=True)])  # NaN is null
    encoded = column.combine_chunks().dictionary_encode()
    whole = encoded.unify_dictionaries().combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    return np.asarray(whole.indices.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.intp)


def labelled(column: Column) -> tuple[tuple[str, ...], Codes]:
    """A column's values as labels that occur, in order, and each row's label (-1 is null)."""
    if isinstance(column, CategoricalColumn):
        used = np.unique(column.codes[column.codes >= 0])
        labels = sorted({column.categories[place] for place in used.tolist()})
        place = {label: at for at, label in enumerate(labels)}
        lookup = np.array([place.get(name, -1) for name in column.categories] + [-1], dtype=np.intp)
        return tuple(labels), lookup[column.codes]
    known = ~np.isnan(column.values)
    values, inverse = np.unique(column.values[known], return_inverse=True)
    codes = np.full(column.rows, -1, dtype=np.intp)
    codes[known] = inverse
    return tuple(f"{value:g}" for value in values.tolist()), codes


def shares_of(arms: Sequence[str], expected: Mapping[Any, float] | None, ratio: float | None) -> tuple[float, ...]:
    """The planned share of each arm: as said, by the plan's ratio, or equal ones.

    Raises `UsageError` where the shares name other arms than the data have, or are not above 0.
    """
    if expected is None:
        weights = [1.0, *[1.0 if ratio is None else ratio] * (len(arms) - 1)]
    else:
        given = {_label(name): share for name, share in expected.items()}
        if set(given) != set(arms):
            raise UsageError(f"expected_shares names {', '.join(map(str, given))}; the arms are {', '.join(arms)}")
        weights = [float(given[name]) for name in arms]
    if not all(0.0 < one < float("inf") for one in weights):
        raise UsageError(f"expected_shares of {weights}: each arm's share is above 0")
    return tuple(one / sum(weights) for one in weights)


def needed_units(arms: Sequence[str], planned: int | Mapping[Any, int]) -> tuple[int, ...]:
    """The planned units of each arm. Raises `UsageError` for other arms than the data have, or fewer than two units."""
    if isinstance(planned, Mapping):
        given = {_label(name): int(units) for name, units in planned.items()}
        if set(given) != set(arms):
            raise UsageError(f"planned names {', '.join(map(str, given))}; the arms are {', '.join(arms)}")
        units = tuple(given[name] for name in arms)
    else:
        units = (int(planned),) * len(arms)
    if min(units) < 2:
        raise UsageError(f"planned units of {min(units)}: each arm needs two at least")
    return units


def _label(name: Any) -> str:
    if isinstance(name, bool):
        return str(int(name))
    return f"{name:g}" if isinstance(name, int | float) else str(name)


def _control_first(names: tuple[str, ...], control: str | None, arm: str) -> tuple[str, ...]:
    if control is None:
        found = [name for name in names if name.lower() in _CONTROLS]
        if len(found) != 1:
            raise UsageError(f"which arm is the control? Name it: column {arm!r} holds {', '.join(names)}")
        chosen = found[0]
    else:
        chosen = _label(control)
        if chosen not in names:
            raise UsageError(f"there is no arm {chosen!r}: column {arm!r} holds {', '.join(names)}")
    return (chosen, *(name for name in names if name != chosen))


def _ordered(table: pa.Table, rows: Codes, time: str | None) -> Codes:
    if time is None:
        return rows
    column = to_columns(table, [time])[0]
    if isinstance(column, CategoricalColumn):
        raise TableError(f"column {time!r} holds text, not instants: units cannot be put in its order")
    return rows[np.argsort(column.values[rows], kind="stable")]
