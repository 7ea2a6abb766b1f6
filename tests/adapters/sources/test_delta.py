from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from fairlead.adapters.sources.delta import is_delta, open_delta
from fairlead.adapters.sources.opening import open_source
from fairlead.errors import MissingExtra, TableError
from fairlead.ports.engine import INSTANT, NUMBER, TEXT
from fairlead.testing.engine import check_source, read_all


def test_keeps_the_port(tmp_path: Path, table: pa.Table) -> None:
    """A Delta table is a source; it is known by its log."""
    where = str(tmp_path / "orders")
    write_deltalake(where, table.set_column(2, "void", pa.nulls(6, pa.float64())))
    assert is_delta(where)
    assert not is_delta(str(tmp_path))
    check_source(open_delta(where))


def test_a_version_is_what_the_table_was(tmp_path: Path) -> None:
    """By argument or in the path; the newest by default; files that a later version dropped are not read."""
    where = str(tmp_path / "orders")
    write_deltalake(where, pa.table({"x": [1.0]}))
    write_deltalake(where, pa.table({"x": [2.0, 3.0]}), mode="append")
    write_deltalake(where, pa.table({"x": [9.0]}), mode="overwrite")
    assert read_all(open_delta(where, 0), "x") == [1.0]
    assert sorted(read_all(open_source(f"{where}?version=1"), "x")) == [1.0, 2.0, 3.0]  # type: ignore[type-var]
    assert read_all(open_source(Path(where)), "x") == [9.0]


def test_partitions_have_the_tables_types(tmp_path: Path) -> None:
    """Text, whole numbers and dates; names that need quoting; nulls."""
    where = str(tmp_path / "orders")
    days = [dt.date(1970, 1, 2), dt.date(1970, 1, 3), None]
    data = pa.table({"x": [1.0, 2.0, 3.0], "city": ["a", "b c/=", None], "n": [1, 2, 2], "day": days})
    write_deltalake(where, data, partition_by=["city", "n", "day"])
    source = open_delta(where)
    assert source.kinds == {"x": NUMBER, "city": TEXT, "n": NUMBER, "day": NUMBER}
    order = read_all(source, "x")
    assert sorted(zip(order, read_all(source, "city"), strict=True)) == [(1.0, "a"), (2.0, "b c/="), (3.0, None)]
    assert sorted(zip(order, read_all(source, "n"), strict=True)) == [(1.0, 1.0), (2.0, 2.0), (3.0, 2.0)]
    assert dict(zip(order, read_all(source, "day"), strict=True)) == {1.0: 86_400.0, 2.0: 172_800.0, 3.0: None}


def test_a_column_that_came_later_is_null_before(tmp_path: Path) -> None:
    """The table's schema says which columns there are."""
    where = str(tmp_path / "orders")
    write_deltalake(where, pa.table({"x": [1.0]}))
    write_deltalake(
        where, pa.table({"x": [2.0], "at": pa.array([0], pa.timestamp("us"))}), mode="append", schema_mode="merge"
    )
    source = open_delta(where)
    assert source.kinds == {"x": NUMBER, "at": INSTANT}
    assert sorted(read_all(source, "at"), key=str) == [0.0, None]


@pytest.mark.parametrize(
    ("where", "version", "message"),
    [("nothing", None, "the Delta table .*nothing cannot be read"), ("orders", 7, "version 7 of the Delta table")],
)
def test_a_table_or_version_that_is_not_there_is_refused(
    tmp_path: Path, where: str, version: int | None, message: str
) -> None:
    """In one line."""
    write_deltalake(str(tmp_path / "orders"), pa.table({"x": [1.0]}))
    with pytest.raises(TableError, match=message) as caught:
        open_delta(str(tmp_path / where), version)
    assert "\n" not in caught.value.line


@pytest.mark.parametrize(
    ("protocol", "settings", "named"),
    [
        ({"readerFeatures": ["deletionVectors"]}, {"delta.enableDeletionVectors": "true"}, "deletionVectors"),
        ({"readerFeatures": ["columnMapping"]}, {"delta.columnMapping.mode": "name"}, "columnMapping"),
    ],
)
def test_a_table_whose_files_do_not_tell_its_rows_is_refused(
    tmp_path: Path, protocol: dict[str, list[str]], settings: dict[str, str], named: str
) -> None:
    """Deleted rows are still in the files, renamed columns have other names there: wrong counts would follow."""
    where = tmp_path / "orders"
    write_deltalake(str(where), pa.table({"x": [1.0]}))
    versions = {"minReaderVersion": 3, "minWriterVersion": 7, "writerFeatures": protocol["readerFeatures"], **protocol}
    lines = map(json.loads, (where / "_delta_log" / f"{0:020}.json").read_text().splitlines())
    metadata = next(line["metaData"] for line in lines if "metaData" in line)
    metadata["configuration"] = settings
    mapped = {"delta.columnMapping.id": 1, "delta.columnMapping.physicalName": "col-1"}
    metadata["schemaString"] = metadata["schemaString"].replace('"metadata":{}', f'"metadata":{json.dumps(mapped)}')
    log = where / "_delta_log" / f"{1:020}.json"
    log.write_text(json.dumps({"protocol": versions}) + "\n" + json.dumps({"metaData": metadata}) + "\n")
    assert DeltaTable(str(where)).version() == 1
    with pytest.raises(TableError, match=f"uses {named}"):
        open_delta(str(where))


def test_without_deltalake_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What to install."""
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(MissingExtra, match=r"fairlead\[delta\]"):
        open_delta(str(tmp_path))
