from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from fairlead.adapters.sources.dataset import open_dataset
from fairlead.ports.engine import NUMBER, TEXT
from fairlead.testing.engine import check_source, read_all


def test_a_dataset_of_any_format_keeps_the_port(tmp_path: Path, table: pa.Table) -> None:
    """Parquet by its files, what is in memory or in another format by its batches."""
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2)
    parquet = open_dataset(ds.dataset(tmp_path / "a.parquet"))
    assert parquet.rows == 6
    check_source(parquet)
    check_source(open_dataset(ds.dataset(table)))
    ds.write_dataset(table, tmp_path / "ipc", format="ipc")
    check_source(open_dataset(ds.dataset(tmp_path / "ipc", format="ipc")))


def test_partitions_and_the_datasets_schema_count(tmp_path: Path) -> None:
    """Folders' values are columns, whatever the flavour; columns that the dataset does not name are left out."""
    for year, city in (("2023", "Oslo"), ("2024", "Rome")):
        (tmp_path / year / city).mkdir(parents=True)
        pq.write_table(pa.table({"x": [1.0], "y": [2.0]}), tmp_path / year / city / "a.parquet")
    flavour = ds.partitioning(pa.schema([("year", pa.int16()), ("city", pa.string())]))
    schema = pa.schema([("x", pa.float64()), ("year", pa.int16()), ("city", pa.string())])
    source = open_dataset(ds.dataset(tmp_path, partitioning=flavour, schema=schema))
    assert source.kinds == {"x": NUMBER, "year": NUMBER, "city": TEXT}
    assert (read_all(source, "year"), read_all(source, "city")) == ([2023.0, 2024.0], ["Oslo", "Rome"])


def test_a_filtered_dataset_holds_what_the_filter_leaves(tmp_path: Path) -> None:
    """Its files hold more."""
    pq.write_table(pa.table({"x": [1.0, 2.0, 3.0]}), tmp_path / "a.parquet")
    source = open_dataset(ds.dataset(tmp_path).filter(ds.field("x") > 1.5))
    assert source.rows is None
    assert read_all(source, "x") == [2.0, 3.0]
