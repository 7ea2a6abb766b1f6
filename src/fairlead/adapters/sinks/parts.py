"""The files of a part's answers, and the output that they become."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from fairlead.adapters.folder_sync import sync_folder
from fairlead.adapters.sinks.opening import Form, Output
from fairlead.errors import StateError, TableError

if TYPE_CHECKING:
    import pyarrow as pa

_GROUP = 1 << 16  # rows of a row group


class PartWriter(Protocol):
    """Takes a part's answers, chunk by chunk."""

    def write(self, table: pa.Table) -> None:
        """Appends rows."""
        ...

    def close(self) -> None:
        """Writes what is held, and ends the file."""
        ...


class _Parquet:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self._held: list[Any] = []
        self._rows = 0

    def write(self, table: pa.Table) -> None:
        self._held.append(table)
        self._rows += table.num_rows
        if self._rows >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._held:
            self._writer.write_table(pa.concat_tables(self._held), _GROUP)
        self._held, self._rows = [], 0

    def close(self) -> None:
        self._flush()
        self._writer.close()


class _Csv:
    """Without a header: the output has one."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")

    def write(self, table: pa.Table) -> None:
        from pyarrow import csv

        csv.write_csv(table, self._file, csv.WriteOptions(include_header=False))

    def close(self) -> None:
        self._file.close()


@contextmanager
def part_writer(output: Output, path: Path, schema: pa.Schema) -> Iterator[PartWriter]:
    """Writes a part under a temporary name, and gives it its own when it is whole and on the disk.

    Raises `StateError` when the disk does not take it; no trace of it is left then.
    """
    import pyarrow as pa

    unfinished = path.parent.with_name(f"{path.name}.{os.getpid()}")  # beside the folder, which is the output one day
    try:
        writer: PartWriter = _Csv(unfinished) if output.form is Form.CSV else _Parquet(unfinished, schema)
        try:
            yield writer
        finally:
            writer.close()
        _sync(unfinished)
        unfinished.rename(path)
        sync_folder(path.parent)
    except pa.ArrowInvalid as error:
        raise TableError(f"the answers cannot be written as {output.form}: {str(error).splitlines()[0]}") from error
    except OSError as error:
        raise StateError(no_space(output, error)) from error
    finally:
        unfinished.unlink(missing_ok=True)


def no_space(output: Output, error: OSError) -> str:
    """What a disk that does not take it is told as."""
    cause = error.strerror or str(error).splitlines()[0]
    return f"{output.path} cannot be written ({cause}): free space, and run the same again: it goes on where it was"


def join(output: Output, parts: Sequence[Path], target: Path, schema: pa.Schema) -> None:
    """The parts in order as one file. Raises `StateError`."""
    try:
        if output.form is Form.CSV:
            _join_csv(parts, target, schema)
        else:
            _join_parquet(parts, target, schema)
        _sync(target)
    except OSError as error:
        target.unlink(missing_ok=True)
        raise StateError(no_space(output, error)) from error


def _join_csv(parts: Sequence[Path], target: Path, schema: pa.Schema) -> None:
    from pyarrow import csv

    with target.open("wb") as file:
        csv.write_csv(schema.empty_table(), file)
        for part in parts:
            with part.open("rb") as held:
                shutil.copyfileobj(held, file, 1 << 20)


def _join_parquet(parts: Sequence[Path], target: Path, schema: pa.Schema) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for batch in _batches(parts):
            writer.write_batch(batch, _GROUP)


def _batches(parts: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet as pq

    for part in parts:
        with pq.ParquetFile(part, pre_buffer=False) as file:
            yield from file.iter_batches(_GROUP, use_threads=False)


def commit_delta(output: Output, at: Path, parts: Sequence[Path], schema: pa.Schema, batch: str) -> None:
    """The parts as one commit of the Delta table `at` a path, once: a commit of this batch is not made again.

    Raises `StateError`.
    """
    import pyarrow as pa
    from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
    from deltalake.exceptions import DeltaError

    location = str(at)
    try:
        if DeltaTable.is_deltatable(location) and DeltaTable(location).transaction_version(batch) is not None:
            return
        write_deltalake(
            location,
            pa.RecordBatchReader.from_batches(schema, _batches(parts)),
            mode="overwrite",
            schema_mode="overwrite",
            commit_properties=CommitProperties(app_transactions=[Transaction(batch, 1)]),
        )
    except OSError as error:
        raise StateError(no_space(output, error)) from error
    except DeltaError as error:
        raise StateError(f"{output.path} cannot be written as a Delta table: {str(error).splitlines()[0]}") from error


def put(made: Path, output: Output, aside: Path) -> None:
    """Gives what was made the output's name. What had it before is moved `aside`. Raises `StateError`."""
    try:
        if made.is_dir() and output.path.exists():
            output.path.rename(aside)
        made.replace(output.path)
        sync_folder(output.path.parent)
    except OSError as error:
        raise StateError(f"{output.path} cannot be written: {error.strerror}") from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
