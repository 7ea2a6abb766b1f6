from __future__ import annotations

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from fairlead.adapters.tables import as_table, read_table, to_columns, unreadable
from fairlead.errors import TableError
from fairlead.stats.columns import CategoricalColumn, NumericColumn

TABLE = pa.table({"age": [30, 40, None], "city": ["Oslo", None, "Rome"]})


def numbers(data: Any) -> list[float]:
    """The one column of a table, read as numbers."""
    (column,) = to_columns(as_table({"x": data}) if not isinstance(data, pa.Array) else pa.table({"x": data}))
    assert isinstance(column, NumericColumn)
    return [float(value) for value in column.values]


def words(data: Any) -> list[str | None]:
    """The one column of a table, read as categories."""
    (column,) = to_columns(as_table({"x": data}) if not isinstance(data, pa.Array) else pa.table({"x": data}))
    assert isinstance(column, CategoricalColumn)
    assert column.codes.dtype == np.int32
    return [None if code < 0 else column.categories[code] for code in column.codes.tolist()]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl", ".ndjson", ".json", ".PARQUET"])
def test_the_same_table_is_read_from_every_format(tmp_path: Path, suffix: str) -> None:
    """Parquet, CSV and JSON lines give the same columns, nulls included."""
    path = tmp_path / f"data{suffix}"
    if suffix.lower() == ".parquet":
        pq.write_table(TABLE, path)
    elif suffix == ".csv":
        pa_csv.write_csv(TABLE, path)
    else:
        path.write_text('{"age": 30, "city": "Oslo"}\n{"age": 40, "city": null}\n{"age": null, "city": "Rome"}\n')
    age, city = to_columns(read_table(str(path)))
    assert isinstance(age, NumericColumn)
    assert isinstance(city, CategoricalColumn)
    assert np.array_equal(age.values, [30, 40, np.nan], equal_nan=True)
    assert [code >= 0 for code in city.codes.tolist()] == [True, False, True]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "does not exist: check the path"),
        ("data.xlsx", b"x", "has no known suffix: use .parquet"),
        ("empty.csv", b"", "is empty"),
        ("head.csv", b"a,b\n", "has no rows"),
        ("torn.csv", b"a,b\n1\n2,3\n", "cannot be read as csv"),
        ("broken.parquet", b"PAR1 is not enough", "cannot be read as parquet"),
        ("broken.jsonl", b'{"a": 1}\n{"a": \n', "cannot be read as jsonl"),
        ("latin.csv", b"a\nfa\xe7ade\n", "cannot be compared|cannot be read as csv"),
        ("twice.csv", b"a,a\n1,2\n", "two columns are called 'a'"),
    ],
)
def test_an_unusable_file_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    """Every way a file can be wrong is a TableError that names the file and what to do."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TableError, match=message) as caught:
        to_columns(read_table(path), ["a"])
    assert "\n" not in caught.value.line


def test_a_folder_is_not_a_table(tmp_path: Path) -> None:
    """A folder is refused, even one with a data file's suffix."""
    folder = tmp_path / "day.parquet"
    folder.mkdir()
    with pytest.raises(TableError, match="is a folder: name one data file in it"):
        read_table(folder)


def test_every_kind_of_frame_is_the_same_table() -> None:
    """pandas, polars, Arrow tables, batches and readers, and dicts of columns give the same columns."""
    frames: list[Any] = [
        TABLE,
        TABLE.to_batches()[0],
        pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches()),
        pl.from_arrow(TABLE),
        TABLE.to_pandas(),
        {"age": [30, 40, None], "city": ["Oslo", None, "Rome"]},
        {"age": np.array([30, 40, np.nan]), "city": pd.Series(["Oslo", None, "Rome"], dtype=object)},
    ]
    for frame in frames:
        age, city = to_columns(as_table(frame))
        assert isinstance(age, NumericColumn)
        assert isinstance(city, CategoricalColumn)
        assert np.array_equal(age.values, [30, 40, np.nan], equal_nan=True)
        assert sorted(city.categories) == ["Oslo", "Rome"]


def test_numbers_of_every_kind_are_floats() -> None:
    """Integers, booleans, decimals and half floats are numbers; nulls are NaN."""
    assert numbers([True, False]) == [1.0, 0.0]
    assert numbers([Decimal("1.50"), Decimal(2)]) == [1.5, 2.0]
    assert numbers(pa.array([2**64 - 1, 0], pa.uint64())) == [2.0**64, 0.0]
    assert numbers(pa.array([1.5, 2.0], pa.float16())) == [1.5, 2.0]
    assert numbers(pa.array([3, 4]).dictionary_encode()) == [3.0, 4.0]
    assert np.isnan(numbers(pa.nulls(2))).all()
    assert np.isnan(numbers(pa.array([True, None]))[1])


def test_huge_integers_are_rounded_and_beyond_floats_infinite() -> None:
    """An integer beyond 64 bits is its nearest float; beyond float64 it is an infinity, which the grid counts."""
    assert numbers([2**70, 1]) == [2.0**70, 1.0]
    assert numbers([10**400, -(10**400), None])[:2] == [float("inf"), float("-inf")]


def test_instants_and_durations_are_seconds() -> None:
    """Dates and timestamps count from 1970 UTC, whatever their unit and zone; times and durations are lengths."""
    day = dt.date(1970, 1, 2)
    assert numbers([day]) == [86_400.0]
    assert numbers(pa.array([day], pa.date64())) == [86_400.0]
    noon = dt.datetime(1970, 1, 1, 12, tzinfo=dt.UTC)
    for unit in ("s", "ms", "us", "ns"):
        assert numbers(pa.array([noon], pa.timestamp(unit, "Europe/Oslo"))) == [43_200.0]
        assert numbers(pa.array([dt.timedelta(minutes=1)], pa.duration(unit))) == [60.0]
    assert numbers(pa.array([dt.time(0, 1)], pa.time32("ms"))) == [60.0]
    assert numbers(pa.array([dt.time(0, 1)], pa.time64("us"))) == [60.0]
    assert np.isnan(numbers(pa.array([noon, None], pa.timestamp("us")))[1])


def test_text_of_every_kind_is_categorical() -> None:
    """Strings, large strings, string views and dictionaries, in one chunk or several, none too."""
    for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())):
        assert words(pa.array(["a", None, "b", "a"], pa.string()).cast(kind)) == ["a", None, "b", "a"]
    chunks = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "a"]).dictionary_encode()])
    (column,) = to_columns(pa.table({"x": chunks}))
    assert isinstance(column, CategoricalColumn)
    assert [column.categories[code] for code in column.codes] == ["a", "b", "c", "a"]
    (void,) = to_columns(pa.table({"x": pa.chunked_array([], pa.string())}))
    assert void.rows == 0
    assert words(pd.Categorical(["x", None, "y"])) == ["x", None, "y"]
    nulls = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int8()), pa.array(["a", None]))
    assert words(nulls) == ["a", None, "a"]


def test_uuids_of_every_kind_are_text_as_they_are_written() -> None:
    """Python's, whether a list, an array or a frame of pandas or polars holds them; Arrow's, in dictionaries too."""
    ids = [UUID(int=2**128 - 1), None, UUID(int=7), UUID(int=2**128 - 1)]
    texts = [None if one is None else str(one) for one in ids]
    arrow = pa.array(ids, pa.uuid())
    bag = pa.DictionaryArray.from_arrays(pa.array([0, None, 1, 0], pa.int8()), pa.array([ids[0], ids[2]], pa.uuid()))
    holders = (
        ids,
        np.array(ids, object),
        pd.Series(ids),
        arrow,
        arrow.slice(0),
        pa.chunked_array([arrow, arrow[:0]]),
        bag,
    )
    for held in holders:
        assert words(held) == texts
    assert words(pa.chunked_array([bag, bag])) == texts * 2
    for frame in (pd.DataFrame({"x": ids}), pl.DataFrame({"x": pl.Series(ids, dtype=pl.Object)})):
        (column,) = to_columns(as_table(frame))
        assert isinstance(column, CategoricalColumn)
        assert [None if code < 0 else column.categories[code] for code in column.codes] == texts
    assert words([ids[0], "a"]) == [texts[0], "a"]


def test_a_column_that_mixes_kinds_is_text() -> None:
    """Python objects of several kinds are compared as they print; a NaN among them is null."""
    assert words([1, "a", None, 2.5]) == ["1", "a", None, "2.5"]
    frame = pd.DataFrame({"x": pd.Series([1, "a", float("nan")], dtype=object)})
    (column,) = to_columns(as_table(frame))
    assert isinstance(column, CategoricalColumn)
    assert sorted(column.categories) == ["1", "a"]
    assert numbers([1, 2.5, True]) == [1.0, 2.5, 1.0]


def test_nested_columns_are_left_out_with_a_reason_or_refused_by_name() -> None:
    """Lists, structs and bytes hold no single value a row."""
    table = pa.table({"x": [1], "tags": [["a"]], "raw": [b"a"], "point": [{"x": 1}]})
    assert [column.name for column in to_columns(table)] == ["x"]
    assert set(unreadable(table)) == {"tags", "raw", "point"}
    with pytest.raises(TableError, match=r"column 'tags' cannot be compared: it holds list<.*string>"):
        to_columns(table, ["x", "tags"])
    with pytest.raises(TableError, match="there is no column 'y': the table has x, tags"):
        to_columns(table, ["y"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "a int is not a table"),
        ([1, 2], "a list is not a table"),
        ({"a": [1], "b": [1, 2]}, "columns differ in length: a has 1, b has 2"),
        ({"a": 3}, "column 'a' is a int: pass a list or an array"),
        ({"a": "text"}, "column 'a' is a str"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "two columns are called 'a'"),
        (pa.table([[1], [2]], names=["a", "a"]), "two columns are called 'a'"),
        (pl.Series("a", [1, 2]), "a Series is not a table"),
        (np.zeros((2, 2)), "a ndarray is not a table"),
    ],
)
def test_what_is_no_table_is_refused(data: Any, message: str) -> None:
    """Anything else than a table is a TableError that says what to pass."""
    with pytest.raises(TableError, match=message):
        as_table(data)


NAMES: dict[str, tuple[Any, str]] = {
    "twice": (pd.DataFrame(np.ones((9, 2)), columns=["x", "x"]), "two columns are called 'x'"),
    "a number and its text": ({1: [1.0], "1": [2.0]}, "two columns are called '1'"),
    "a number and its text, in pandas": (pd.DataFrame([[1, 2]], columns=[1, "1"]), "two columns are called '1'"),
    "numbers": (pd.DataFrame(np.ones((9, 2))), "0 1"),
    "pairs": (pd.DataFrame(np.ones((9, 1)), columns=pd.MultiIndex.from_tuples([("a", 1)])), "('a', 1)"),
    "none, nothing and NUL": ({None: [1.0], "": [1.0], "a\0b": [1.0]}, "None  a\0b"),
    "half a letter": ({"\ud800": [1.0]}, "\\ud800"),
    "two numbers a row": ({"x": np.ones((9, 2))}, r"column 'x' has the shape (9, 2): pass one value a row"),
    "objects that print nothing": ({"x": [object()]}, "column 'x' holds object objects: pass numbers or text"),
    "a set": ({"x": {1, 2}}, "column 'x' is a set: pass a list or an array"),
    "a frame not yet read": (pl.LazyFrame({"x": [1]}), "collect it first"),
    "one column": (pd.Series([1.0]), "a Series is not a table: pass a pandas, polars or Arrow table"),
}


@pytest.mark.parametrize("case", NAMES)
def test_names_are_text_and_what_is_no_table_is_refused(case: str) -> None:
    """Names are made text; where two are then alike, or a column holds no value a row, one line says so."""
    given, said = NAMES[case]
    try:
        found = " ".join(as_table(given).column_names)
    except TableError as error:
        found = str(error)
    assert said in found
