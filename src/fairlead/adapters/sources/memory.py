"""A table that is in memory already, and a stream whose batches come one by one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from msgspec import Struct

from fairlead.adapters.sources.files import File
from fairlead.adapters.sources.parquet import ParquetSource, open_parquet
from fairlead.adapters.sources.schema import Described, Kinds, kinds_of
from fairlead.adapters.tables import to_columns
from fairlead.errors import StateError, TableError
from fairlead.ports.engine import NULL, SLAB, Part
from fairlead.stats.columns import Column, NumericColumn

if TYPE_CHECKING:
    import pyarrow as pa

STREAMED = SLAB // 8  # rows of a stream that are held together, in all columns


class TablePart(Struct, frozen=True):
    """Rows of an Arrow table."""

    label: str
    table: Any

    @property
    def rows(self) -> int:
        """How many rows."""
        return int(self.table.num_rows)

    def read(self, names: Sequence[str]) -> Iterator[Column]:
        """As `ports.engine.Part`."""
        for name in names:
            if name in self.table.column_names:
                yield from to_columns(self.table, [name])
            else:
                yield NumericColumn(name, np.full(self.rows, np.nan))


class TableSource(Described):
    """An Arrow table, as slices."""

    def __init__(self, table: pa.Table, label: str) -> None:
        """`label` names the table in errors."""
        super().__init__(kinds_of(table.schema))
        self._table, self._label = table, label

    @property
    def rows(self) -> int:
        """How many rows."""
        return int(self._table.num_rows)

    def all_null(self, name: str) -> bool:
        """Arrow counts nulls; a NaN among them is not looked for."""
        return bool(self._table.column(name).null_count == self.rows)

    def parts(self) -> Iterator[Part]:
        """Slices of a slab each; nothing is copied."""
        for start in range(0, self.rows, SLAB):
            rows = min(SLAB, self.rows - start)
            yield TablePart(f"{self._label}, rows {start:,} to {start + rows - 1:,}", self._table.slice(start, rows))


class StreamSource(Described):
    """Record batches that come one by one, once. The first one fixes the columns."""

    def __init__(self, batches: Iterable[Any], label: str) -> None:
        """`label` names the stream in errors. Raises `TableError` where there is no batch."""
        self._label = label
        self._tables = _tables(batches, label)
        first = next(self._tables, None)
        if first is None:
            raise TableError(f"{label} has no rows: a comparison needs at least one")
        self._first = first
        super().__init__(kinds_of(first.schema))

    @property
    def rows(self) -> None:
        """Nobody knows before the end."""
        return

    def all_null(self, name: str) -> bool:  # noqa: ARG002 - nothing is known yet
        """Nobody knows before the end."""
        return False

    def parts(self) -> Iterator[Part]:
        """The batches, short ones together. Raises `TableError` for a batch whose columns hold another kind."""
        known = dict(self.kinds)
        start = 0
        for table in self._whole():
            part = TablePart(f"{self._label}, rows {start:,} to {start + table.num_rows - 1:,}", table)
            _check(part, known)
            start += table.num_rows
            yield part

    def _whole(self) -> Iterator[pa.Table]:
        yield self._first
        yield from self._tables


def spool(stream: StreamSource, folder: Path) -> ParquetSource:
    """Writes a stream into Parquet files, so that it can be read twice. Raises `StateError` when the disk is full."""
    import pyarrow.parquet as pq

    files: list[File] = []
    writer: pq.ParquetWriter | None = None
    try:
        for part in stream.parts():
            table = part.table if isinstance(part, TablePart) else None
            if table is None:
                continue
            if writer is None or writer.schema != table.schema:
                if writer is not None:
                    writer.close()
                files.append(File(str(folder / f"{len(files):06d}.parquet")))
                writer = pq.ParquetWriter(files[-1].path, table.schema, compression="lz4")
            writer.write_table(table)
    except OSError as error:
        raise StateError(f"a stream cannot be kept in {folder}: {error.strerror or error}") from error
    finally:
        if writer is not None:
            writer.close()
    return open_parquet(files)


def _tables(batches: Iterable[Any], label: str) -> Iterator[pa.Table]:
    """Batches of one schema together, up to `STREAMED` rows; longer ones in slices."""
    import pyarrow as pa

    held: list[pa.Table] = []
    for batch in batches:
        if not isinstance(batch, pa.RecordBatch | pa.Table):
            raise TableError(f"{label} gave a {type(batch).__name__}: each item must be an Arrow record batch")
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        if held and (held[0].schema != table.schema or sum(map(len, held)) + len(table) > STREAMED):
            yield pa.concat_tables(held)
            held = []
        while len(table) > STREAMED:
            yield table.slice(0, STREAMED)
            table = table.slice(STREAMED)
        if len(table):
            held.append(table)
    if held:
        yield pa.concat_tables(held)


def _check(part: TablePart, known: dict[str, str]) -> None:
    """Against what came before; a column of nulls only learns its kind later."""
    for name, kind in _kinds_with_nulls(part.table).readable.items():
        before = known.get(name)
        if before == NULL:
            known[name] = kind
        elif before is not None and kind not in (before, NULL):
            raise TableError(
                f"{part.label}: column {name!r} holds {kind}, earlier batches hold {before}: make them one kind"
            )


def _kinds_with_nulls(table: pa.Table) -> Kinds:
    kinds = kinds_of(table.schema)
    readable = {
        name: NULL if table.column(name).null_count == table.num_rows else kind for name, kind in kinds.readable.items()
    }
    return Kinds(readable, kinds.unreadable)
