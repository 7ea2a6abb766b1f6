from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fairlead.adapters.sources.files import File, find_files
from fairlead.adapters.sources.parquet import ParquetPart, ParquetSource, open_parquet
from fairlead.errors import TableError
from fairlead.ports.engine import NULL, NUMBER, SLAB, TEXT
from fairlead.stats.columns import NumericColumn
from fairlead.testing.engine import check_source, read_all


def source_of(folder: Path, *tables: pa.Table, **options: Any) -> ParquetSource:
    """A source of files in a folder, in order."""
    for place, table in enumerate(tables):
        pq.write_table(table, folder / f"{place}.parquet", **options)
    return open_parquet(find_files(str(folder)))


def test_keeps_the_port(tmp_path: Path, table: pa.Table) -> None:
    """One row group or several, one file or several."""
    ways: list[dict[str, Any]] = [{}, {"row_group_size": 2}, {"use_dictionary": False}, {"row_group_size": 1}]
    for place, options in enumerate(ways):
        folder = tmp_path / str(place)
        folder.mkdir()
        check_source(source_of(folder, table, **options))
    folder = tmp_path / "files"
    folder.mkdir()
    check_source(source_of(folder, table.slice(0, 1), table.slice(1, 0), table.slice(1)))


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
)
def test_text_of_every_kind_is_text(tmp_path: Path, kind: pa.DataType) -> None:
    """However a file spells it."""
    table = pa.table({"x": pa.array(["a", None, "b"] * 3).cast(kind)})
    source = source_of(tmp_path, table, row_group_size=4)
    assert source.kinds == {"x": TEXT}
    assert read_all(source, "x") == ["a", None, "b"] * 3


@pytest.mark.parametrize("store_schema", [True, False])
@pytest.mark.parametrize("use_dictionary", [True, False])
def test_uuids_are_text_as_they_are_written(tmp_path: Path, *, store_schema: bool, use_dictionary: bool) -> None:
    """Whether Arrow's own schema is in the file, or Parquet's logical type alone; 16 bytes that are none stay bytes."""
    ids = [UUID(int=3), None, UUID(int=2**127 + 1)] * 3
    plain = pa.array([None if one is None else one.bytes for one in ids], pa.binary(16))
    table = pa.table({"x": pa.array(ids, pa.uuid()), "raw": plain})
    source = source_of(tmp_path, table, row_group_size=4, store_schema=store_schema, use_dictionary=use_dictionary)
    assert source.kinds == {"x": TEXT}
    assert source.unreadable == {"raw": "holds fixed_size_binary[16], which is no single value a row"}
    assert read_all(source, "x") == [None if one is None else str(one) for one in ids]


def test_short_row_groups_are_read_together_and_long_ones_in_slabs(tmp_path: Path) -> None:
    """A part has about a slab of rows; a longer row group is one part, and comes in slabs."""
    table = pa.table({"x": np.arange(SLAB + 10, dtype=np.float64)})
    many = source_of(tmp_path, table, row_group_size=SLAB // 4)
    assert [part.rows for part in many.parts()] == [SLAB, 10]
    pq.write_table(table, tmp_path / "0.parquet", row_group_size=2 * SLAB)
    (part,) = open_parquet([File(str(tmp_path / "0.parquet"))]).parts()
    slabs = list(part.read(["x"]))
    assert [one.rows for one in slabs] == [SLAB, 10]
    assert isinstance(slabs[1], NumericColumn)
    assert slabs[1].values[-1] == SLAB + 9


def test_a_column_that_a_file_lacks_is_null_there(tmp_path: Path) -> None:
    """Columns are added in the life of a table; older rows have no value."""
    source = source_of(tmp_path, pa.table({"a": [1, 2]}), pa.table({"a": [3], "b": ["x"]}))
    assert source.kinds == {"a": NUMBER, "b": TEXT}
    assert read_all(source, "b") == [None, None, "x"]


def test_columns_keep_the_order_in_which_they_appear(tmp_path: Path) -> None:
    """Of the first file, then what later ones add, however often schemas alternate."""
    one, two = pa.table({"b": [1], "a": [1]}), pa.table({"c": [1], "a": [1]})
    assert list(source_of(tmp_path, one, two, one, two).kinds) == ["b", "a", "c"]


def test_numbers_of_all_kinds_are_one(tmp_path: Path) -> None:
    """Integers in one file, floats and booleans in others."""
    source = source_of(tmp_path, pa.table({"a": [1]}), pa.table({"a": [2.5]}), pa.table({"a": [True]}))
    assert read_all(source, "a") == [1.0, 2.5, 1.0]


def test_a_dictionary_in_one_file_is_text_in_all(tmp_path: Path) -> None:
    """As pandas' categories are written."""
    text = pa.array(["x", "y"])
    source = source_of(tmp_path, pa.table({"a": text}), pa.table({"a": text.dictionary_encode()}))
    assert read_all(source, "a") == ["x", "y", "x", "y"]


def test_nulls_have_no_kind(tmp_path: Path) -> None:
    """A file with nothing but nulls, typed or not, fits text and numbers; a column of nulls everywhere is null."""
    untyped, numbers = pa.table({"a": pa.nulls(2), "b": pa.nulls(2)}), pa.table({"a": pa.nulls(2, pa.float64())})
    source = source_of(tmp_path, untyped, numbers, pa.table({"a": ["x"]}))
    assert source.kinds == {"a": TEXT, "b": NULL}
    assert read_all(source, "a") == [None] * 4 + ["x"]
    assert read_all(source, "b") == [None] * 5
    assert [source.all_null(name) for name in ("a", "b")] == [False, True]


def test_text_in_one_file_and_numbers_in_another_cannot_be_compared(tmp_path: Path) -> None:
    """The reason names both files; the other columns are none the worse."""
    day = pa.array([0], pa.date32())
    source = source_of(tmp_path, pa.table({"a": ["x"], "b": [1], "c": [1]}), pa.table({"a": [1], "b": [2], "c": day}))
    assert source.kinds == {"b": NUMBER}
    assert "holds text in " in source.unreadable["a"]
    assert "0.parquet, numbers in " in source.unreadable["a"]
    assert "holds numbers in " in source.unreadable["c"]
    assert "1.parquet" in source.unreadable["c"]


def test_nested_columns_cannot_be_compared(tmp_path: Path) -> None:
    """They hold no single value a row."""
    source = source_of(tmp_path, pa.table({"a": [[1]], "b": [1]}), pa.table({"a": [2], "b": [1]}))
    assert source.kinds == {"b": NUMBER}
    assert "which is no single value a row" in source.unreadable["a"]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    """Nobody could tell which is meant."""
    pq.write_table(pa.table([[1], [2]], names=["a", "a"]), tmp_path / "twice.parquet")
    with pytest.raises(TableError, match=r"twice\.parquet: two columns are called 'a'"):
        open_parquet(find_files(str(tmp_path)))


def test_a_dotted_name_is_a_name(tmp_path: Path) -> None:
    """`a` does not take `a.b` along."""
    source = source_of(tmp_path, pa.table({"a.b": [1], "a": [2]}))
    assert (read_all(source, "a"), read_all(source, "a.b")) == ([2.0], [1.0])


def test_files_and_tables_without_a_row_have_no_part(tmp_path: Path, table: pa.Table) -> None:
    """A file without row groups, and one with an empty row group."""
    source = source_of(tmp_path, table.slice(0, 0), table.slice(0, 0))
    pq.ParquetWriter(tmp_path / "none.parquet", table.schema).close()
    source = open_parquet(find_files(str(tmp_path)))
    assert source.rows == 0
    assert list(source.parts()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (b"PAR1 is not enough", "cannot be read as Parquet"),
        (b"a,b\n1,2\n", "cannot be read as Parquet"),
    ],
)
def test_what_is_no_parquet_is_refused_by_name(tmp_path: Path, table: pa.Table, content: bytes, message: str) -> None:
    """Before anything is counted."""
    pq.write_table(table, tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(content)
    with pytest.raises(TableError, match=rf"b\.parquet.*{message}") as caught:
        open_parquet(find_files(str(tmp_path)))
    assert "\n" not in caught.value.line


def damaged(path: Path, group: int, column: int) -> None:
    """Overwrites the pages of one column of one row group."""
    chunk = pq.read_metadata(path).row_group(group).column(column)
    start = chunk.dictionary_page_offset or chunk.data_page_offset
    raw = bytearray(path.read_bytes())
    raw[start : start + chunk.total_compressed_size] = b"\xff" * chunk.total_compressed_size
    path.write_bytes(bytes(raw))


def test_a_damaged_row_group_is_named(tmp_path: Path) -> None:
    """File, row group and column; and only reading that column finds it."""
    table = pa.table({"a": np.random.default_rng(0).normal(size=3_000), "b": np.arange(3_000)})
    source = source_of(tmp_path, table, row_group_size=1_000)
    damaged(tmp_path / "0.parquet", 1, 0)
    (part,) = source.parts()
    assert sum(one.rows for one in part.read(["b"])) == 3_000
    with pytest.raises(TableError, match=r"column 'a' of .*0\.parquet, row group 1 cannot be read: ") as caught:
        list(part.read(["a"]))
    assert "\n" not in caught.value.line


def test_a_flipped_bit_is_found_where_the_file_has_checksums(tmp_path: Path) -> None:
    """Uncompressed numbers have no other witness."""
    table = pa.table({"a": np.random.default_rng(0).normal(size=1_000)})
    source = source_of(tmp_path, table, compression="none", use_dictionary=False, write_page_checksum=True)
    path = tmp_path / "0.parquet"
    raw = bytearray(path.read_bytes())
    raw[500] ^= 1
    path.write_bytes(bytes(raw))
    (part,) = source.parts()
    with pytest.raises(TableError, match=r"row group 0 cannot be read: .*"):
        list(part.read(["a"]))


def test_a_file_that_vanishes_or_changes_is_noticed(tmp_path: Path, table: pa.Table) -> None:
    """Between the listing and the reading."""
    source = source_of(tmp_path, table)
    (part,) = source.parts()
    pq.write_table(table.slice(0, 3), tmp_path / "0.parquet")
    with pytest.raises(TableError, match=r"0\.parquet changed while it was read"):
        list(part.read(["price"]))
    (tmp_path / "0.parquet").unlink()
    with pytest.raises(TableError, match=r"0\.parquet cannot be read as Parquet: it is not there any more"):
        list(part.read(["price"]))


def test_a_part_says_where_it_lies(tmp_path: Path) -> None:
    """One row group, or several; here or elsewhere."""
    one = ParquetPart(File("a.parquet"), 3, (5,))
    two = ParquetPart(File("a.parquet"), 3, (5, 6))
    assert (one.label, two.label) == ("a.parquet, row group 3", "a.parquet, row groups 3 to 4")
    assert pickle.loads(pickle.dumps(two)) == two


def test_the_tables_columns_may_be_fixed_elsewhere(tmp_path: Path) -> None:
    """A column that no file has is null, one that is not named is left out."""
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "a.parquet")
    source = open_parquet(find_files(str(tmp_path)), ["c", "a"])
    assert source.kinds == {"c": NULL, "a": NUMBER}
    assert read_all(source, "c") == [None]
