"""Any table in, columns out: Parquet, CSV and JSON lines; pandas, polars and Arrow; a dict of sequences.

How a column is read: numbers, booleans (0 and 1) and decimals are numbers, as float64 (integers beyond 2^53 are
rounded); dates and timestamps are seconds since 1970 UTC, times and durations are seconds; text and dictionaries of
text are categories, and so are UUIDs, as they are written; a Python column that mixes kinds is read as text. Lists,
structs, maps and bytes hold no single value a row: named, they are refused; otherwise they are left out, and
`unreadable` says why. Names are text; what is no Unicode in names or values is spelt out, as in `\\xff`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from decimal import Decimal
from functools import cache
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fairlead.adapters.uuids import as_bytes, is_uuid, written
from fairlead.core.listing import first_of
from fairlead.errors import TableError
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn

if TYPE_CHECKING:
    import pyarrow as pa

_WANTED = "pass a pandas, polars or Arrow table, or a dict of columns"
_POLARS_ONLY = ("Object", "Int128", "UInt128")
_WHOLE_UNITS = {"Y": "D", "M": "D", "W": "D", "h": "s", "m": "s"}  # numpy's instants that Arrow lacks
_WHOLE_SPANS = {"W": "s", "D": "s", "h": "s", "m": "s"}


def read_table(path: str | Path) -> pa.Table:
    """Reads a data file by its suffix. Raises `TableError` for a file that is missing, empty, broken, or of no rows."""
    source = Path(path)
    readers = {
        ".parquet": _parquet,
        ".pq": _parquet,
        ".csv": _csv,
        ".jsonl": _json_lines,
        ".ndjson": _json_lines,
        ".json": _json_lines,
    }
    reader = readers.get(source.suffix.lower())
    if source.is_dir():
        raise TableError(f"{path} is a folder: name one data file in it")
    if not source.is_file():
        raise TableError(f"{path} does not exist: check the path")
    if reader is None:
        raise TableError(f"{path} has no known suffix: use {', '.join(readers)}")
    if source.stat().st_size == 0:
        raise TableError(f"{path} is empty: it needs a header and at least one row")
    table = _read(reader, source)
    if table.num_rows == 0:
        raise TableError(f"{path} has no rows: a comparison needs at least one")
    return table


def as_table(data: Any) -> pa.Table:
    """An Arrow table of a pandas or polars frame, an Arrow table, batch or reader, or a dict of equally long sequences.

    Raises `TableError` for anything else, for columns of unequal length, and for columns that share a name.
    """
    import pyarrow as pa

    if isinstance(data, pa.Table):
        return _unique(data)
    if isinstance(data, pa.RecordBatch):
        return _unique(pa.Table.from_batches([data]))
    if isinstance(data, Mapping):
        return _from_mapping(data)
    library = type(data).__module__.partition(".")[0]
    if library == "pandas" and hasattr(data, "columns"):
        return _from_pandas(data)
    if library == "polars" and hasattr(data, "get_columns"):
        return _from_polars(data)
    if hasattr(data, "__arrow_c_stream__"):
        return _stream(data)
    first = "collect it first, or " if hasattr(data, "collect") else ""
    raise TableError(f"a {type(data).__name__} is not a table: {first}{_WANTED}")


def to_columns(table: pa.Table, names: Sequence[str] | None = None) -> tuple[Column, ...]:
    """The columns by name, in the order named, or all readable ones.

    Raises `TableError` for a named column that the table lacks or that holds no single value a row.
    """
    if names is None:
        reasons = unreadable(table)
        names = [name for name in table.column_names if name not in reasons]
    return tuple(_named(table, name) for name in names)


def unreadable(table: pa.Table) -> dict[str, str]:
    """The columns that hold no single value a row, each with what it holds."""
    return {field.name: f"holds {field.type}" for field in table.schema if not _kind(field.type)}


def _named(table: pa.Table, name: str) -> Column:
    place = table.schema.get_field_index(name)
    if place < 0:
        raise TableError(f"there is no column {name!r}: the table has {first_of(table.column_names)}")
    values = table.column(place)
    if not _kind(values.type):
        raise TableError(f"column {name!r} cannot be compared: it holds {values.type}, not one value a row")
    return _column(name, values)


@cache
def _kind(held: pa.DataType) -> str:
    import pyarrow.types as t

    if t.is_dictionary(held):
        held = held.value_type
    if t.is_null(held) or t.is_boolean(held) or t.is_integer(held) or t.is_floating(held) or t.is_decimal(held):
        return "number"
    if t.is_timestamp(held) or t.is_date(held) or t.is_time(held) or t.is_duration(held):
        return "instant"
    return "text" if t.is_string(held) or t.is_large_string(held) or t.is_string_view(held) or is_uuid(held) else ""


def _column(name: str, values: pa.ChunkedArray) -> Column:
    import pyarrow.types as t

    kind = _kind(values.type)
    if kind == "text":
        return _categories(name, values)
    if t.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return NumericColumn(name, _seconds(values) if kind == "instant" else _numbers(values))


def _numbers(values: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_boolean(values.type):
        values = values.cast(pa.uint8())
    elif t.is_decimal(values.type) or t.is_null(values.type):
        values = values.cast(pa.float64())
    return np.asarray(values.to_numpy(), dtype=np.float64)  # nulls become NaN, integers are rounded to float64


def _seconds(values: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    import pyarrow as pa
    import pyarrow.types as t

    held = values.type
    if t.is_date32(held):
        return np.asarray(_numbers(values.cast(pa.int32())) * 86_400.0)
    if t.is_date64(held):
        return np.asarray(_numbers(values.cast(pa.int64())) / 1e3)
    ticks = values.cast(pa.int32() if t.is_time32(held) else pa.int64())
    return np.asarray(_numbers(ticks) / {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}[held.unit])


def _categories(name: str, values: pa.ChunkedArray) -> CategoricalColumn:
    import pyarrow as pa
    import pyarrow.types as t

    if is_uuid(values.type):
        values = as_bytes(values)
    elif _holds_views(values.type):
        values = _without_views(values)
    elif t.is_string_view(values.type):
        values = values.cast(pa.large_string())
    listed = values if t.is_dictionary(values.type) else values.dictionary_encode()
    whole = listed.combine_chunks() if listed.num_chunks != 1 else listed.chunk(0)
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.unify_dictionaries().combine_chunks()
    names = _texts(whole.dictionary)
    codes = whole.indices
    if codes.null_count:
        codes = codes.cast(pa.int32()).fill_null(-1)  # polars numbers without a sign
    numbered = np.asarray(codes.to_numpy(zero_copy_only=False), dtype=np.int32)
    return _without_null_category(name, numbered, names)


def _holds_views(held: pa.DataType) -> bool:
    import pyarrow.types as t

    return bool(t.is_dictionary(held) and t.is_string_view(held.value_type))


def _without_views(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """A dictionary of string views, as polars gives its categoricals: Arrow can neither cast nor unify those."""
    import pyarrow as pa

    plain = [pa.DictionaryArray.from_arrays(one.indices, one.dictionary.cast(pa.string())) for one in values.chunks]
    return pa.chunked_array(plain, pa.dictionary(values.type.index_type, pa.string()))


def _texts(dictionary: pa.Array) -> list[str | None]:
    """Its entries. Bytes that are no UTF-8, which Parquet lets through, are spelt out."""
    import pyarrow as pa
    import pyarrow.types as t

    if t.is_fixed_size_binary(dictionary.type):
        return written(dictionary)
    try:
        return list(dictionary.to_pylist())
    except UnicodeDecodeError:
        raw = dictionary.cast(pa.large_binary()).to_pylist()
        return [None if one is None else one.decode("utf-8", "backslashreplace") for one in raw]


def _without_null_category(
    name: str, codes: np.ndarray[Any, np.dtype[np.int32]], listed: list[Any]
) -> CategoricalColumn:
    if None in listed:
        nulls = [place for place, category in enumerate(listed) if category is None]
        codes = np.where(np.isin(codes, nulls), np.int32(-1), codes)
    return CategoricalColumn(name, codes, tuple("" if category is None else category for category in listed))


def _read(reader: Callable[[Path], Any], source: Path) -> pa.Table:
    import pyarrow as pa

    try:
        return _unique(reader(source))
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        cause = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise TableError(f"{source} cannot be read as {source.suffix[1:].lower()}: {cause}") from error


def _parquet(source: Path) -> Any:
    import pyarrow.parquet as pq

    return pq.read_table(source)


def _csv(source: Path) -> Any:
    from pyarrow import csv

    return csv.read_csv(source, convert_options=csv.ConvertOptions(strings_can_be_null=True))


def _json_lines(source: Path) -> Any:
    from pyarrow import json

    return json.read_json(source)


def _from_mapping(data: Mapping[Any, Any]) -> pa.Table:
    import pyarrow as pa

    names = _names(data)
    arrays = {name: _array(name, values) for name, values in zip(names, data.values(), strict=True)}
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise TableError(f"columns differ in length: {first_of([f'{name} has {n:,}' for name, n in lengths.items()])}")
    return pa.table(arrays)


def _names(given: Iterable[Any]) -> list[str]:
    """The names as text. Raises `TableError` where two are then alike, as 1 and "1"."""
    names = [_text(str(name)) for name in given]
    _refuse_twice(names)
    return names


def _text(given: str) -> str:
    return given.encode("utf-8", "backslashreplace").decode()


def _array(name: str, values: Any) -> Any:
    import pyarrow as pa

    if isinstance(values, str | bytes | Mapping | Set) or not hasattr(values, "__len__"):
        raise TableError(f"column {name!r} is a {type(values).__name__}: pass a list or an array")
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    if isinstance(values, np.ndarray):
        values = _native(name, values)
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.array(_plain(name, list(values)))


def _native(name: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array in a type that Arrow knows: this machine's byte order, at most 64 bits, days or seconds."""
    if values.ndim != 1:
        raise TableError(f"column {name!r} has the shape {values.shape}: pass one value a row")
    kind, held = values.dtype.kind, values.dtype
    if kind == "f" and held.itemsize > 8:
        return values.astype(np.float64)
    if kind in "Mm":
        unit = (_WHOLE_UNITS if kind == "M" else _WHOLE_SPANS).get(np.datetime_data(held)[0])
        return values.astype(f"{kind}8[{unit}]") if unit else values.astype(held.newbyteorder("="), copy=False)
    return values if held.isnative else values.astype(held.newbyteorder("="))


def _plain(name: str, values: list[Any]) -> list[Any]:
    """Numbers that Arrow has no one type for, as floats; any other mixture as text.

    Raises `TableError` for objects that print nothing but their address, which is another in every run.
    """
    there = [None if _absent(value) else value for value in values]
    if all(value is None or isinstance(value, Real | Decimal | np.bool_) for value in there):
        return [None if value is None else _as_float(value) for value in there]
    for value in there:
        if all(getattr(type(value), one) is getattr(object, one) for one in ("__str__", "__repr__")):
            raise TableError(f"column {name!r} holds {type(value).__name__} objects: pass numbers or text")
    return [None if value is None else _text(str(value)) for value in there]


def _absent(value: Any) -> bool:
    """None, NaN, NaT and pandas' NA, which says neither yes nor no to a comparison."""
    try:
        return value is None or bool(value != value)  # noqa: PLR0124 - what differs from itself is no value
    except ValueError:  # an array, which compares value by value
        return False
    except (TypeError, ArithmeticError):
        return True


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond float64 is an overflow, which the grid counts
        return float("inf") if value > 0 else float("-inf")


def _from_pandas(data: Any) -> pa.Table:
    import pyarrow as pa

    names = _names(data.columns)
    return pa.table({name: _series(name, series) for name, (_, series) in zip(names, data.items(), strict=True)})


def _series(name: str, series: Any) -> Any:
    """Plain numbers are shared, not copied: a NaN need not become an Arrow null to become a NaN again."""
    import pyarrow as pa

    if isinstance(series.dtype, np.dtype) and series.dtype.kind in "fiu":
        return pa.array(_native(name, series.to_numpy()), from_pandas=False)
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return _array(name, series.tolist())


def _from_polars(data: Any) -> pa.Table:
    """Through Arrow, but for what polars alone has: Python objects, and integers of 128 bits."""
    import pyarrow as pa

    if not any(str(one) in _POLARS_ONLY for one in data.dtypes):
        return _stream(data)
    columns = {
        one.name: _array(one.name, one.to_list())
        if str(one.dtype) in _POLARS_ONLY
        else _stream(one.to_frame()).column(0)
        for one in data.get_columns()
    }
    return pa.table(columns)


def _stream(data: Any) -> pa.Table:
    import pyarrow as pa

    try:
        return _unique(pa.table(data))
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise TableError(f"a {type(data).__name__} is not a table: {_WANTED} ({error})") from error


def _unique(table: pa.Table) -> pa.Table:
    _refuse_twice(table.column_names)
    for place, field in enumerate(table.schema):
        if _holds_views(field.type):
            table = table.set_column(place, field.name, _without_views(table.column(place)))
    return table


def _refuse_twice(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise TableError(f"two columns are called {twice!r}: rename one")
