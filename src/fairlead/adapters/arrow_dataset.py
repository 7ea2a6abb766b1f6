"""Labelled rows in an Arrow table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead.adapters.tables import read_table, to_columns
from fairlead.core.contract import Kind
from fairlead.core.inference import Observed
from fairlead.errors import StateError, TableError
from fairlead.stats.columns import CategoricalColumn, Column

if TYPE_CHECKING:
    import pyarrow as pa


class ArrowDataset:
    """A table as `ports.Dataset`. NaN counts as null."""

    def __init__(self, table: pa.Table, source: str) -> None:
        """`source` names the table in errors."""
        self._table = _without_views(table)
        self._source = source

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(self._table.column_names)

    @property
    def rows(self) -> int:
        """How many rows."""
        return int(self._table.num_rows)

    @property
    def table(self) -> pa.Table:
        """The table itself."""
        return self._table

    def observe(self, name: str) -> Observed:
        """A column's range, categories and nulls. Infinities are in no range."""
        kind = self._kind(name)
        (column,) = to_columns(self._table, [name])
        if isinstance(column, CategoricalColumn):
            counts: dict[str, int] = {}
            for text, count in zip(column.categories, _counted(column), strict=True):
                if count:
                    counts[text] = counts.get(text, 0) + count
            return Observed(name, kind, int((column.codes < 0).sum()), counts=counts)
        nulls = int(np.isnan(column.values).sum())
        values = column.values[np.isfinite(column.values)]
        if kind is Kind.BOOLEAN:
            yes = int(values.sum())
            tally = {"false": values.size - yes, "true": yes}
            return Observed(name, kind, nulls, counts={text: count for text, count in tally.items() if count})
        if not values.size:
            return Observed(name, kind, nulls)
        return Observed(name, kind, nulls, float(values.min()), float(values.max()), float(np.median(values)))

    def _kind(self, name: str) -> Kind:
        import pyarrow.types as t

        held = self._column(name).type
        inner = held.value_type if t.is_dictionary(held) else held
        if t.is_boolean(inner):
            return Kind.BOOLEAN
        if t.is_integer(inner):
            return Kind.INTEGER
        if t.is_floating(inner) or t.is_decimal(inner):
            return Kind.NUMBER
        if t.is_string(inner) or t.is_large_string(inner) or t.is_string_view(inner):
            return Kind.CATEGORY
        what = "nothing but nulls" if t.is_null(inner) else f"{held} values, which no model can take"
        raise TableError(f"the feature {name!r} of {self._source} holds {what}: derive a number or a text from it")

    def columns(self, names: Sequence[str]) -> tuple[Column, ...]:
        """The columns as the statistics take them."""
        return to_columns(self._table, names)

    def tuples(self, names: Sequence[str], indices: Sequence[int] | slice) -> list[tuple[Any, ...]]:
        """Some rows as tuples over the named columns, in the order of the indices."""
        for name in names:
            self._column(name)
        table = self._table.select(list(names))
        if isinstance(indices, slice):
            start, stop, _ = indices.indices(self.rows)
            picked = table.slice(start, max(0, stop - start))
        else:
            picked = table.take(list(indices))
        chosen = ArrowDataset(picked, self._source)
        return list(zip(*(chosen._cells(name) for name in names), strict=True))

    def _cells(self, name: str) -> list[Any]:
        """A column as Python values, NaN as None."""
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.types as t

        column = self._column(name)
        if t.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if t.is_decimal(column.type):
            column = column.cast(pa.float64())
        if t.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), None, column)
        cells: list[Any] = column.to_pylist()
        return cells

    def write(self, path: Path, names: Sequence[str]) -> None:
        """Writes the named columns as Parquet. Raises `StateError` when the disk does not take it."""
        import pyarrow.parquet as pq

        try:
            pq.write_table(self._table.select(list(names)), path, compression="zstd")
        except OSError as error:
            raise StateError(f"cannot write {path}: {error.strerror or error}") from error

    def _column(self, name: str) -> pa.ChunkedArray:
        if name not in self._table.column_names:
            raise TableError(f"{self._source} has no column {name!r}: it has {', '.join(self._table.column_names)}")
        return self._table.column(name)

    def with_columns(self, columns: Mapping[str, pa.Array]) -> ArrowDataset:
        """The table with more columns; one of a name that it has takes that one's place."""
        table = self._table
        for name, column in columns.items():
            at = table.schema.get_field_index(name)
            table = table.append_column(name, column) if at < 0 else table.set_column(at, name, column)
        return ArrowDataset(table, self._source)

    def by_time(self, column: str) -> ArrowDataset:
        """The same rows, oldest first; equal times keep their order, rows without a time come last."""
        self._column(column)
        return ArrowDataset(self._table.sort_by([(column, "ascending")]), self._source)

    def labelled(self, target: str) -> ArrowDataset:
        """The rows whose target is known."""
        import pyarrow.compute as pc

        known = pc.invert(pc.is_null(self._column(target), nan_is_null=True))
        return ArrowDataset(self._table.filter(known), self._source)

    def split(self, share: float) -> tuple[ArrowDataset, ArrowDataset]:
        """The first rows, and the last `share` of them (at least one)."""
        cut = self.rows - max(1, round(self.rows * share))
        return (
            ArrowDataset(self._table.slice(0, cut), self._source),
            ArrowDataset(self._table.slice(cut), self._source),
        )

    def span(self, column: str) -> tuple[str, str]:
        """The first and the last value of a column, as text."""
        import pyarrow.compute as pc

        ends = pc.min_max(self._column(column)).as_py()
        return str(ends["min"]), str(ends["max"])


def open_dataset(path: Path) -> ArrowDataset:
    """Reads a table file. Raises `TableError`."""
    return ArrowDataset(read_table(path), str(path))


def _without_views(table: pa.Table) -> pa.Table:
    """Arrow's functions do not know string views yet."""
    import pyarrow as pa
    import pyarrow.types as t

    for place, field in enumerate(table.schema):
        if t.is_string_view(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.large_string()))
    return table


def _counted(column: CategoricalColumn) -> list[int]:
    known = column.codes[column.codes >= 0]
    counts: list[int] = np.bincount(known, minlength=len(column.categories)).tolist()
    return counts
