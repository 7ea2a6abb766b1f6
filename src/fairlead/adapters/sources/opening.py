"""Whatever a person calls a table, as a source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fairlead.adapters.sources.dataset import open_dataset
from fairlead.adapters.sources.delta import is_delta, open_delta
from fairlead.adapters.sources.files import SUFFIXES, find_files
from fairlead.adapters.sources.memory import StreamSource, TableSource
from fairlead.adapters.sources.parquet import open_parquet
from fairlead.adapters.tables import as_table, read_table
from fairlead.errors import TableError
from fairlead.ports.engine import Source

_VERSION = "?version="


def open_source(data: Any, role: str = "the table") -> Source:
    """A path, or data as Python holds them; `role` names the latter in errors.

    A path is a Parquet file, a folder or a pattern of them (`year=2024/` folders are columns), a Delta table
    (`orders?version=3` for how it was), or a CSV or JSON lines file, which is read whole. Other data are a pandas,
    polars or Arrow table, a dict of columns, an Arrow dataset, anything that streams Arrow batches
    (`__arrow_c_stream__`), or an iterable of record batches. Raises `TableError` for what cannot be read,
    `MissingExtra` for a Delta table without deltalake.
    """
    if isinstance(data, str | Path):
        return _path(str(data))
    import pyarrow.dataset as ds

    if isinstance(data, ds.Dataset):
        return open_dataset(data)
    batches = None if _in_memory(data) else _batches(data)
    return TableSource(as_table(data), role) if batches is None else StreamSource(batches, role)


def _batches(data: Any) -> Iterable[Any] | None:
    import pyarrow as pa
    import pyarrow.dataset as ds

    batches: Iterable[Any]
    if isinstance(data, ds.Scanner):
        batches = data.to_batches()
        return batches
    if hasattr(data, "__arrow_c_stream__"):
        try:
            batches = pa.RecordBatchReader.from_stream(data)
        except (pa.ArrowException, TypeError) as error:
            raise TableError(f"a {type(data).__name__} is not a table: {error}") from error
        return batches
    return data if isinstance(data, Iterable) and not isinstance(data, bytes) else None


def _path(location: str) -> Source:
    location, _, version = location.partition(_VERSION)
    if version and not version.isdecimal():
        raise TableError(f"{location}{_VERSION}{version}: a version is a whole number, as in {_VERSION}3")
    if version or is_delta(location):
        return open_delta(location, int(version) if version else None)
    path = Path(location)
    if path.suffix.lower() not in SUFFIXES and path.is_file():
        return TableSource(read_table(path), location)
    return open_parquet(find_files(location))


def _in_memory(data: Any) -> bool:
    import pyarrow as pa

    if isinstance(data, Mapping | pa.Table | pa.RecordBatch):
        return True
    return type(data).__module__.partition(".")[0] in ("pandas", "polars")
