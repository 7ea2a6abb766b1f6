from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from fairlead.adapters.sources.memory import StreamSource, TableSource
from fairlead.adapters.sources.opening import open_source
from fairlead.adapters.sources.parquet import ParquetSource
from fairlead.errors import TableError
from fairlead.testing.engine import check_source, read_all

WAYS: dict[str, tuple[Callable[[pa.Table], Any], type]] = {
    "table": (lambda table: table, TableSource),
    "batch": (lambda table: table.combine_chunks().to_batches()[0], TableSource),
    "dict": (lambda table: table.to_pydict(), TableSource),
    "pandas": (lambda table: table.to_pandas(), TableSource),
    "polars": (pl.from_arrow, TableSource),
    "reader": (lambda table: table.to_reader(2), StreamSource),
    "scanner": (lambda table: ds.dataset(table).scanner(), StreamSource),
    "iterator": (lambda table: iter(table.to_batches(2)), StreamSource),
    "list": (lambda table: table.to_batches(2), StreamSource),
}


@pytest.mark.parametrize("way", WAYS)
def test_data_of_every_kind_are_a_source(way: str, table: pa.Table) -> None:
    """Whatever holds a table in Python."""
    make, kind = WAYS[way]
    source = open_source(make(table))
    assert isinstance(source, kind)
    check_source(source)


def test_paths_of_every_kind_are_a_source(tmp_path: Path, table: pa.Table) -> None:
    """A file, a folder, a pattern; a CSV file is read whole."""
    pq.write_table(table, tmp_path / "a.parquet")
    for path in (tmp_path, tmp_path / "a.parquet", str(tmp_path / "*.parquet")):
        source = open_source(path)
        assert isinstance(source, ParquetSource)
        check_source(source)
    pa_csv.write_csv(pa.table({"x": [1, 2]}), tmp_path / "b.csv")
    assert read_all(open_source(tmp_path / "b.csv"), "x") == [1.0, 2.0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "a int is not a table"),
        (b"bytes", "a bytes is not a table"),
        ("orders?version=last", "a version is a whole number"),
        ("nothing.parquet", "nothing.parquet does not exist"),
        ([1, 2], "the table gave a int"),
        (pl.LazyFrame({"x": [1]}), "a LazyFrame is not a table"),
        (pd.Series([1]), "a Series is not a table"),
        (pa.array([1]), "the table gave a Int64Scalar"),
        (pa.chunked_array([[1]]), "a ChunkedArray is not a table"),
    ],
)
def test_what_is_no_table_is_refused(data: Any, message: str) -> None:
    """With what to pass instead."""
    with pytest.raises(TableError, match=message):
        open_source(data)
