"""An Arrow dataset: of Parquet files it is their row groups, any other is a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fairlead.adapters.sources.files import File
from fairlead.adapters.sources.memory import StreamSource
from fairlead.adapters.sources.parquet import open_parquet
from fairlead.ports.engine import Source

if TYPE_CHECKING:
    import pyarrow.dataset as ds


def open_dataset(dataset: ds.Dataset) -> Source:
    """The files of a Parquet dataset, with its partitions' values and its columns; else its batches, read once.

    A filtered dataset is a stream: its files do not tell its rows.
    """
    fragments = _whole_files(dataset)
    if fragments is None:
        return StreamSource(dataset.to_batches(), "the dataset")
    return open_parquet(fragments, dataset.schema.names)


def _whole_files(dataset: ds.Dataset) -> list[File] | None:
    import pyarrow.dataset as ds
    from pyarrow.fs import LocalFileSystem

    if not isinstance(dataset, ds.FileSystemDataset) or not isinstance(dataset.format, ds.ParquetFileFormat):
        return None
    try:
        fragments = list(dataset.get_fragments())
    except ValueError:  # a filter or a projection is set
        return None
    files = []
    for one in fragments:
        system = None if isinstance(one.filesystem, LocalFileSystem) else one.filesystem
        keys = ds.get_partition_keys(one.partition_expression)
        files.append(File(one.path, tuple((name, _value(value)) for name, value in keys.items()), system))
    return files


def _value(value: Any) -> float | str | None:
    return value if value is None or isinstance(value, str) else float(value)
