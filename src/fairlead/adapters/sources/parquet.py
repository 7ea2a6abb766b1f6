"""Parquet files as parts: consecutive row groups, read one column at a time.

No column is held longer than it is counted: a row group of a million rows costs 8 MB a column, however many columns the
file has, and a longer one is read page by page. Row groups that are shorter are read together. Dictionaries are read as
such: text is never spelt out row by row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from msgspec import Struct

from fairlead.adapters.sources.files import File
from fairlead.adapters.sources.schema import Described, Kinds, join_kinds, kinds_of
from fairlead.adapters.tables import to_columns
from fairlead.adapters.uuids import parquet_schema
from fairlead.errors import TableError
from fairlead.ports.engine import NULL, NUMBER, SLAB, TEXT, Part
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn

_TEXT_SLAB = SLAB // 4  # names cost more than numbers
_PAGE = 1 << 20  # bytes of a column that are fetched at once
_FOOTERS = 8  # files whose footers are read at once


class Footer(Struct, frozen=True):
    """What a file says of itself: the rows of each row group, and its columns."""

    file: File
    groups: tuple[int, ...]
    kinds: Kinds


class ParquetPart(Struct, frozen=True):
    """Consecutive row groups of a file. `first` is the first one's number, `groups` are the rows of each."""

    file: File
    first: int
    groups: tuple[int, ...]

    @property
    def label(self) -> str:
        """The file and the row groups."""
        return f"{self.file.path}, {_said(range(self.first, self.first + len(self.groups)))}"

    @property
    def rows(self) -> int:
        """How many rows."""
        return sum(self.groups)

    def read(self, names: Sequence[str]) -> Iterator[Column]:
        """As `ports.engine.Part`. A file that vanished or changed since it was listed is a `TableError`."""
        with _Reader(self) as reader:
            for name in names:
                yield from reader.column(name)


class ParquetSource(Described):
    """Parquet files as one table, in the order given."""

    def __init__(self, footers: Sequence[Footer], names: Sequence[str] | None = None) -> None:
        """`names` are the table's columns, where something else than the files says which they are."""
        self._files = {one.file.path: one.file for one in footers}
        kinds = join_kinds([(one.file.path, one.kinds) for one in footers], self._nothing_but_nulls)
        self._footers = tuple(footers)
        super().__init__(kinds if names is None else _restricted(kinds, names))

    @property
    def rows(self) -> int:
        """How many rows, by the files' footers."""
        return sum(sum(one.groups) for one in self._footers)

    def all_null(self, name: str) -> bool:
        """By the files' statistics; a file that lacks the column has no value of it."""
        held = [(one.file.path, one.kinds.readable.get(name, NULL)) for one in self._footers]
        return all(kind == NULL or self._nothing_but_nulls(path, name) for path, kind in held)

    def _nothing_but_nulls(self, path: str, name: str) -> bool:
        """Whether a file says that one of its columns holds only nulls."""
        metadata = _metadata(self._files[path])
        groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
        chunks = [group.column(place) for group in groups for place in range(group.num_columns)]
        found = [chunk.statistics for chunk in chunks if chunk.path_in_schema == name]
        nulls = [one.null_count for one in found if one is not None and one.has_null_count]
        return len(found) == len(groups) and sum(nulls) == metadata.num_rows

    def parts(self) -> Iterator[Part]:
        """Row groups in order; short ones together, up to a slab."""
        for footer in self._footers:
            first = taken = 0
            for place, rows in enumerate(footer.groups):
                if taken and taken + rows > SLAB:
                    yield ParquetPart(footer.file, first, footer.groups[first:place])
                    first, taken = place, 0
                taken += rows
            if taken:
                yield ParquetPart(footer.file, first, footer.groups[first:])


def open_parquet(files: Sequence[File], names: Sequence[str] | None = None) -> ParquetSource:
    """Reads the footers. Raises `TableError`, naming the file, for one that is not there, or no Parquet."""
    known: dict[Any, Kinds] = {}
    with ThreadPoolExecutor(max_workers=min(_FOOTERS, len(files) or 1)) as pool:
        return ParquetSource(list(pool.map(lambda file: _footer(file, known), files)), names)


def _footer(file: File, known: dict[Any, Kinds]) -> Footer:
    """Files of one schema share what is known of it."""
    metadata = _metadata(file)
    schema = parquet_schema(metadata)
    given = tuple((name, _kind(value)) for name, value in file.partition if name not in schema.names)
    if (schema, given) not in known:
        try:
            kinds = kinds_of(schema)
        except TableError as error:
            raise TableError(f"{file.path}: {error}") from error
        known[schema, given] = Kinds({**kinds.readable, **dict(given)}, kinds.unreadable)
    rows = tuple(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
    return Footer(file, rows, known[schema, given])


def _metadata(file: File) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_metadata(file.open())
    except (pa.ArrowException, OSError) as error:
        raise TableError(f"{file.path} cannot be read as Parquet: {_cause(error)}") from error


def _kind(value: float | str | None) -> str:
    return NULL if value is None else TEXT if isinstance(value, str) else NUMBER


def _restricted(kinds: Kinds, names: Sequence[str]) -> Kinds:
    return Kinds(
        {name: kinds.readable.get(name, NULL) for name in names if name not in kinds.unreadable},
        {name: kinds.unreadable[name] for name in names if name in kinds.unreadable},
    )


class _Reader:
    """An open file, for as long as a part of it is read."""

    def __init__(self, part: ParquetPart) -> None:
        self._part = part
        self._partition = dict(part.file.partition)

    def __enter__(self) -> _Reader:
        import pyarrow as pa
        import pyarrow.parquet as pq

        part, metadata = self._part, _metadata(self._part.file)
        groups = range(part.first, part.first + len(part.groups))
        held = [metadata.row_group(group).num_rows for group in groups if group < metadata.num_row_groups]
        if tuple(held) != part.groups:
            raise TableError(f"{part.file.path} changed while it was read: compare data that nobody writes to")
        self._schema = parquet_schema(metadata)
        text = [name for name, kind in kinds_of(self._schema).readable.items() if kind == TEXT]
        try:
            self._file = pq.ParquetFile(
                part.file.open(),
                metadata=metadata,
                read_dictionary=text,
                buffer_size=_PAGE,
                pre_buffer=False,
                page_checksum_verification=True,
            )
        except (pa.ArrowException, OSError) as error:
            raise TableError(f"{part.label} cannot be read: {_cause(error)}") from error
        self._text, self._groups = frozenset(text), groups
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def column(self, name: str) -> Iterator[Column]:
        if name in self._schema.names:
            return self._stored(name)
        return _constant(name, self._partition.get(name), self._part.rows)

    def _stored(self, name: str) -> Iterator[Column]:
        import pyarrow as pa

        batches = self._file.iter_batches(
            batch_size=_TEXT_SLAB if name in self._text else SLAB,
            row_groups=list(self._groups),
            columns=[name],
            use_threads=False,
        )
        try:
            for batch in batches:
                yield from to_columns(pa.Table.from_batches([batch]), [name])
        except (pa.ArrowException, OSError) as error:
            where = f"{self._part.file.path}, {_said(self._culprits(name))}"
            raise TableError(f"column {name!r} of {where} cannot be read: {_cause(error)}") from error

    def _culprits(self, name: str) -> Sequence[int]:
        """The row groups that cannot be read on their own; all of them if each can."""
        import pyarrow as pa

        found = []
        for group in self._groups:
            try:
                for _ in self._file.iter_batches(row_groups=[group], columns=[name], use_threads=False):
                    pass
            except (pa.ArrowException, OSError):
                found.append(group)
        return found or self._groups


def _constant(name: str, value: float | str | None, rows: int) -> Iterator[Column]:
    """A column that the file does not hold: a partition's value, or null."""
    for start in range(0, rows, SLAB):
        size = min(SLAB, rows - start)
        if isinstance(value, str):
            yield CategoricalColumn(name, np.zeros(size, dtype=np.int32), (value,))
        else:
            yield NumericColumn(name, np.full(size, np.nan if value is None else value))


def _said(groups: Sequence[int]) -> str:
    """Row groups in words."""
    return f"row group {groups[0]}" if len(groups) == 1 else f"row groups {groups[0]} to {groups[-1]}"


def _cause(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "it is not there any more"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
