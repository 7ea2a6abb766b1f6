"""A feature function over a whole table, as training sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from fairlead.adapters.arrow_dataset import ArrowDataset
from fairlead.adapters.features.code import PackagedFeatures, Watched, as_cell
from fairlead.errors import UsageError
from fairlead.ports.dataset import Dataset
from fairlead.ports.features import Fields

if TYPE_CHECKING:
    import pyarrow as pa


class Computed(Struct, frozen=True):
    """What a function made of a table: its columns, row by row in the table's order, and the fields that it read."""

    columns: dict[str, list[Any]]
    read: frozenset[str]


def computed(source: PackagedFeatures, data: Dataset, fields: Sequence[str], what: str) -> Computed:
    """The function over the rows of a table, of which it is given `fields`; `what` names the table in errors.

    Raises `UsageError` naming the row at which it fails, or computes other features than at the first.
    """
    if not data.rows:
        raise UsageError(f"{what} has no rows to compute features of")
    known = [name for name in source.inputs if name not in fields]
    if known:
        raise UsageError(f"{_said(source)} reads {', '.join(known)}, which {what} does not have")
    read: set[str] = set(source.inputs)
    fields = source.inputs or fields
    columns: dict[str, list[Any]] = {}
    for index, cells in enumerate(data.tuples(fields, slice(None))):
        values = dict(zip(fields, cells, strict=True))
        made = _at(source, values if source.inputs else Watched(values, read), f"row {index} of {what}")
        if not index:
            columns = {name: [] for name in made}
        if made.keys() != columns.keys():
            odd = ", ".join(sorted(made.keys() ^ columns.keys()))
            raise UsageError(f"{_said(source)} does not compute {odd} for every row (see row {index} of {what})")
        for name, column in columns.items():
            column.append(as_cell(made[name]))
    return Computed(columns, frozenset(read))


def with_columns(data: ArrowDataset, columns: dict[str, list[Any]], source: PackagedFeatures) -> ArrowDataset:
    """The table and what was computed of it. Raises `UsageError` for a column that mixes kinds."""
    return data.with_columns({name: as_column(name, cells, source) for name, cells in columns.items()})


def as_column(name: str, cells: Sequence[Any], source: PackagedFeatures) -> pa.Array:
    """One computed column. Raises `UsageError` for one that mixes kinds, or holds what no model can take."""
    import pyarrow as pa

    try:
        return pa.array(cells)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
        text = str(error).strip().partition("\n")[0]
        raise UsageError(
            f"{_said(source)} computes {name!r} of several kinds ({text}): return numbers, or texts, or true and false"
        ) from error


def _at(source: PackagedFeatures, row: Fields, where: str) -> Fields:
    try:
        (made,) = source.features([row])
    except Exception as error:  # the code is somebody's own: it may fail in any way
        text = str(error).strip().partition("\n")[0]
        hint = "" if source.inputs else " (a row has the table's columns without the target, the unit and the time)"
        raise UsageError(f"{_said(source)} fails on {where} ({type(error).__name__}: {text}){hint}") from error
    return made


def _said(source: PackagedFeatures) -> str:
    return f"the feature code {source.path.name}:{source.call}"
