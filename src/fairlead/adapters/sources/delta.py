"""A Delta table, as it is now or was at a version: the Parquet files that its log names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from fairlead.adapters.sources.files import File, arrow_system
from fairlead.adapters.sources.parquet import ParquetSource, open_parquet
from fairlead.adapters.tables import to_columns
from fairlead.errors import MissingExtra, TableError
from fairlead.stats.columns import NumericColumn

if TYPE_CHECKING:
    import pyarrow as pa

# What a reader must know of; the rest changes what the files mean: deletion vectors and column mapping above all.
_KNOWN_FEATURES = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck", "typeWidening"}


def is_delta(location: str) -> bool:
    """Whether a local folder is a Delta table."""
    return (Path(location) / "_delta_log").is_dir()


def open_delta(location: str, version: int | None = None) -> ParquetSource:
    """The table at a version, by default the newest; its files in the order of their paths.

    Raises `TableError` for a table or version that is not there, and for one whose files alone do not tell its rows;
    `MissingExtra` without deltalake.
    """
    table = _opened(location, version)
    _refuse_what_files_do_not_tell(table, location)
    import pyarrow as pa

    schema = pa.schema(table.schema())
    actions = pa.table(table.get_add_actions(flatten=True))
    return open_parquet(sorted(_files(table, actions), key=lambda file: file.path), schema.names)


def open_version(location: str, version: int | None = None) -> tuple[pa.Table, int, list[Path]]:
    """A local table's rows at a version, by default the newest, with that and its files. Raises as `open_delta`."""
    table = _opened(location, version)
    _refuse_what_files_do_not_tell(table, location)
    import pyarrow as pa

    files = _files(table, pa.table(table.get_add_actions(flatten=True)))
    return _rows(table, location), int(table.version()), [Path(file.path) for file in files]


def _rows(table: Any, location: str) -> pa.Table:
    import pyarrow as pa

    try:
        held = table.to_pyarrow_table()
    except (OSError, pa.ArrowException) as error:
        raise TableError(f"the Delta table {location} cannot be read: {str(error).splitlines()[0]}") from error
    return held


def _opened(location: str, version: int | None) -> Any:
    try:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError
    except ImportError as error:
        raise MissingExtra("deltalake", "delta", f"reading the Delta table {location}") from error
    try:
        return DeltaTable(location, version=version)
    except (DeltaError, OSError, ValueError) as error:
        what = (
            f"version {version} of the Delta table {location}" if version is not None else f"the Delta table {location}"
        )
        raise TableError(f"{what} cannot be read: {str(error).splitlines()[0]}") from error


def _refuse_what_files_do_not_tell(table: Any, location: str) -> None:
    protocol, settings = table.protocol(), table.metadata().configuration
    strange = sorted(set(protocol.reader_features or ()) - _KNOWN_FEATURES)
    mapping = settings.get("delta.columnMapping.mode", "none")
    if "deletionVectors" in strange and settings.get("delta.enableDeletionVectors", "false") != "true":
        strange.remove("deletionVectors")
    if mapping != "none":
        strange.append("columnMapping")
    if strange:
        raise TableError(
            f"the Delta table {location} uses {', '.join(dict.fromkeys(strange))}, so its Parquet files alone do not "
            "tell its rows: pass its batches, as in a query engine's Arrow reader"
        )


def _files(table: Any, actions: pa.Table) -> list[File]:
    system, root = arrow_system(table.table_uri)
    columns = [
        (name, name.removeprefix("partition.")) for name in actions.column_names if name.startswith("partition.")
    ]
    values = {name: _values(actions, column) for column, name in columns}
    files = []
    for row, relative in enumerate(actions.column("path").to_pylist()):
        partition = tuple((name, held[row]) for name, held in values.items())
        if "://" in relative:
            elsewhere, path = arrow_system(relative)
            files.append(File(path, partition, elsewhere))
        else:
            files.append(File(f"{root.rstrip('/')}/{unquote(relative)}", partition, system))
    return files


def _values(actions: pa.Table, column: str) -> list[float | str | None]:
    """A partition column's value in each file, as the statistics read it."""
    (found,) = to_columns(actions, [column])
    if isinstance(found, NumericColumn):
        return [None if np.isnan(value) else value for value in found.values.tolist()]
    return [None if code < 0 else found.categories[code] for code in found.codes.tolist()]
