"""Tables as rows to be answered, in the order they lie in: parts that are read on their own, a chunk at a time.

Where `sources.parquet` reads columns as the statistics take them, this keeps what a contract looks at: that a 3 is no
3.5, no text and no true. A Parquet part reads its own rows and can be sent anywhere; the parts of a CSV or JSON lines
file, which have no middle to begin at, bring their rows along.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from fairlead.adapters.sources.files import SUFFIXES, File
from fairlead.adapters.sources.opening import open_source
from fairlead.adapters.sources.parquet import ParquetPart, ParquetSource
from fairlead.errors import TableError

if TYPE_CHECKING:
    import pyarrow as pa

CHUNK = 1 << 13  # rows that are answered together
PART = 1 << 18  # rows of a part: what a killed run may have to do again, for each worker
STREAMED = 1 << 16  # rows of a part that brings its rows along
_BLOCK = 1 << 22  # bytes of a CSV file that are parsed at once
_PAGE = 1 << 20
LINES = (".jsonl", ".ndjson", ".json")


class Chunk(Struct, frozen=True):
    """Rows that are read together, as a table or as lines.

    `table` has the columns that were asked for and that are there; `text`: its cells are texts, as in a CSV file, but
    for the columns `typed`. `lines` are JSON objects as bytes.
    """

    rows: int
    table: Any = None
    text: bool = False
    lines: tuple[bytes, ...] = ()
    typed: tuple[str, ...] = ()

    def is_text(self, name: str) -> bool:
        """Whether a column's cells are texts, whatever they mean."""
        return self.text and name not in self.typed


class ParquetRows(Struct, frozen=True):
    """`rows` rows of consecutive row groups, after the first `skip` of them. `first` is the first group's number."""

    file: File
    first: int
    groups: tuple[int, ...]
    skip: int
    rows: int

    @property
    def label(self) -> str:
        """The file."""
        return self.file.path

    def chunks(self, names: Sequence[str]) -> Iterator[Chunk]:
        """The rows. A column that the file lacks is its folder's value, or null. Raises `TableError`."""
        import pyarrow as pa

        try:
            for table in _whole(_cut(self._batches(names), self.skip, self.rows), CHUNK):
                yield Chunk(table.num_rows, self._complete(table, names))
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"{self.file.path} cannot be read: {_cause(error)}") from error

    def _batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        import pyarrow.parquet as pq

        with pq.ParquetFile(
            self.file.open(), buffer_size=_PAGE, pre_buffer=False, page_checksum_verification=True
        ) as file:
            wanted = range(self.first, self.first + len(self.groups))
            held = [file.metadata.row_group(at).num_rows for at in wanted if at < file.metadata.num_row_groups]
            if tuple(held) != self.groups:
                raise TableError(f"{self.file.path} changed while it was read: score data that nobody writes to")
            there = file.schema_arrow.names
            # Without any column Arrow does not tell how many rows there are.
            stored = [name for name in names if name in there] or there[:1]
            yield from file.iter_batches(CHUNK, row_groups=list(wanted), columns=stored, use_threads=False)

    def _complete(self, table: pa.Table, names: Sequence[str]) -> pa.Table:
        import pyarrow as pa

        given = dict(self.file.partition)
        for name in names:
            if name in table.column_names:
                continue
            value = given.get(name)
            column = pa.nulls(table.num_rows) if value is None else pa.repeat(pa.scalar(value), table.num_rows)
            table = table.append_column(name, column)
        return table


class HeldRows(Struct, frozen=True):
    """Rows that were read already, from a file that is read from its beginning only."""

    label: str
    rows: int
    table: Any = None
    lines: tuple[bytes, ...] = ()

    def chunks(self, names: Sequence[str]) -> Iterator[Chunk]:
        """The rows."""
        for start in range(0, self.rows, CHUNK):
            rows = min(CHUNK, self.rows - start)
            if self.table is None:
                yield Chunk(rows, lines=self.lines[start : start + rows])
            else:
                yield Chunk(rows, self.table.select(list(names)).slice(start, rows), text=True)


RowPart = ParquetRows | HeldRows


class RowInput(Struct, frozen=True):
    """A table to be answered. `rows` is None where nobody knows before the end; `schema` names Arrow types by column.

    `fingerprint` changes when a file of it does. `parts` gives the same parts each time.
    """

    location: str
    columns: tuple[str, ...]
    rows: int | None
    fingerprint: str
    parts: Callable[[], Iterator[RowPart]]
    types: dict[str, Any]


def open_rows(location: str) -> RowInput:
    """A Parquet file, a folder or pattern of them, a Delta table, a CSV or a JSON lines file.

    Raises `TableError` for what is not there, cannot be read, or has no rows.
    """
    path = Path(location)
    suffix = path.suffix.lower()
    if path.is_file() and suffix not in SUFFIXES:
        if suffix not in (".csv", *LINES):
            known = ", ".join((*SUFFIXES, ".csv", *LINES))
            raise TableError(f"{location} has no known suffix: use {known}, a folder or a Delta table")
        if path.stat().st_size == 0:
            raise TableError(f"{location} is empty: there is nothing to score")
        return _csv(path) if suffix == ".csv" else _lines(path)
    source = open_source(location)
    assert isinstance(source, ParquetSource)
    if not source.rows:
        raise TableError(f"{location} has no rows: there is nothing to score")
    parts = [part for part in source.parts() if isinstance(part, ParquetPart)]
    return RowInput(
        location,
        (*source.kinds, *source.unreadable),
        source.rows,
        _fingerprint([part.file for part in parts]),
        lambda: _slices(parts),
        _types([part.file for part in parts]),
    )


def _slices(parts: Sequence[ParquetPart]) -> Iterator[RowPart]:
    """Row groups in order, short ones together, long ones cut."""
    for part in parts:
        first = 0
        while first < len(part.groups):
            last = first + 1
            while last < len(part.groups) and sum(part.groups[first : last + 1]) <= PART:
                last += 1
            groups = part.groups[first:last]
            for skip in range(0, sum(groups), PART):
                yield ParquetRows(part.file, part.first + first, groups, skip, min(PART, sum(groups) - skip))
            first = last


def _types(files: Sequence[File]) -> dict[str, Any]:
    """The Arrow type of each column, by the first file that has it."""
    import pyarrow.parquet as pq

    types: dict[str, Any] = {}
    for file in {one.path: one for one in files}.values():
        for field in pq.read_schema(file.open()):
            types.setdefault(field.name, field.type)
    return types


def _fingerprint(files: Iterable[File]) -> str:
    said = []
    for file in {one.path: one for one in files}.values():
        if file.system is None:
            held = Path(file.path).stat()
            said.append(f"{os.path.realpath(file.path)} {held.st_size} {held.st_mtime_ns}")
        else:
            info = file.system.get_file_info(file.path)
            said.append(f"{file.path} {info.size} {info.mtime_ns}")
    return sha256("\n".join(said).encode()).hexdigest()


# -- files that are read from their beginning ----------------------------------------------------------------------


def _csv(path: Path) -> RowInput:
    names = _header(path)
    if next(_csv_tables(path, names), None) is None:
        raise TableError(f"{path} has no rows: there is nothing to score")

    def parts() -> Iterator[RowPart]:
        for table in _whole(_csv_tables(path, names), STREAMED):
            yield HeldRows(str(path), table.num_rows, table)

    return RowInput(str(path), names, None, _fingerprint([File(str(path))]), parts, {})


def _header(path: Path) -> tuple[str, ...]:
    import pyarrow as pa
    from pyarrow import csv

    try:
        with csv.open_csv(path) as reader:
            names = tuple(reader.schema.names)
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise TableError(f"{path} cannot be read as csv: {_cause(error)}") from error
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TableError(f"two columns of {path} are called {twice!r}: rename one")
    return names


def _csv_tables(path: Path, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Every cell as text: what a column holds is the contract's to say, not that of its first rows."""
    import pyarrow as pa
    from pyarrow import csv

    options = csv.ConvertOptions(strings_can_be_null=True, column_types=dict.fromkeys(names, pa.string()))
    try:
        with csv.open_csv(path, csv.ReadOptions(block_size=_BLOCK), convert_options=options) as reader:
            for batch in reader:
                if batch.num_rows:
                    yield batch
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise TableError(f"{path} cannot be read as csv: {_cause(error)}") from error


def _lines(path: Path) -> RowInput:
    first = next(_line_parts(path, CHUNK), None)
    if first is None:
        raise TableError(f"{path} has no rows: there is nothing to score")
    fields: dict[str, None] = {}
    for line in first.lines:
        try:
            found = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        if isinstance(found, dict):
            fields.update(dict.fromkeys(found))
    if not fields:
        raise TableError(f"{path} cannot be read as JSON lines: none of its first rows is an object by column")
    return RowInput(
        str(path), tuple(fields), None, _fingerprint([File(str(path))]), lambda: _line_parts(path, STREAMED), {}
    )


def _line_parts(path: Path, size: int) -> Iterator[HeldRows]:
    held: list[bytes] = []
    try:
        with path.open("rb") as file:
            for line in file:
                if line.strip():
                    held.append(line.strip())
                if len(held) == size:
                    yield HeldRows(str(path), size, lines=tuple(held))
                    held = []
    except OSError as error:
        raise TableError(f"{path} cannot be read: {error.strerror}") from error
    if held:
        yield HeldRows(str(path), len(held), lines=tuple(held))


# -- cutting -------------------------------------------------------------------------------------------------------


def _cut(batches: Iterable[pa.RecordBatch], skip: int, rows: int) -> Iterator[pa.RecordBatch]:
    """`rows` rows after the first `skip`."""
    for batch in batches:
        if skip >= batch.num_rows:
            skip -= batch.num_rows
            continue
        piece = batch.slice(skip, rows)
        skip = 0
        rows -= piece.num_rows
        yield piece
        if not rows:
            return


def _whole(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """The same rows in tables of `size`; the last one may be shorter."""
    import pyarrow as pa

    held: list[Any] = []
    rows = 0
    for batch in batches:
        held.append(batch)
        rows += batch.num_rows
        while rows >= size:
            table = pa.Table.from_batches(held)
            yield table.slice(0, size)
            held = table.slice(size).to_batches()
            rows -= size
    if rows:
        yield pa.Table.from_batches(held)


def _cause(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is not there any more"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
