"""The bodies that MLflow's scoring server takes, to rows: four forms of JSON, and CSV.

What a body holds is a `Table`. Which contract reads a row is known only once its version has been drawn, so a table
gives, for a contract, the function that makes a JSON object by feature name of a row. No cell of JSON is decoded here:
the caller's own bytes go into the object.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Raw, Struct

from fairlead.core.asking import ABSENT, Id
from fairlead.core.contract import Contract
from fairlead.core.decode import loads, shown
from fairlead.faces.gateway.wire import Refusal, check_count, parse

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
PREDICT_PROBA = "predict_proba"
NAMED = 5  # features or columns that an error lists

ReadRow = Callable[[Any, str], Raw]
_HINT = f" (send an object with exactly one of {', '.join(FORMS)}, and params if you like)"
_PARAMS_HINT = " (known are request_id, unit_id, timestamp, pyfunc_predict_fn)"


class Table(NamedTuple):
    """The rows of a request. Row `i` is called `path[i]` in errors; `reader` makes objects of rows for a contract."""

    rows: Sequence[Any]
    path: str
    reader: Callable[[Contract], ReadRow]


class Split(Struct, forbid_unknown_fields=True):
    """`DataFrame.to_dict(orient="split")`. Without columns, or with 0, 1, …, cells stand in the contract's order."""

    data: list[list[Raw]]
    columns: list[str | int] | None = None
    index: Raw = ABSENT


class Params(Struct, forbid_unknown_fields=True):
    """The parameters that fairlead knows. Those of identity hold for all rows, or are lists with a value for each."""

    request_id: Id | list[Id] | None = None
    unit_id: Id | int | list[Id | int] | None = None
    timestamp: float | int | str | list[float | int | str] | None = None
    pyfunc_predict_fn: Literal["predict", "predict_proba"] = "predict"


class ScoringBody(Struct, forbid_unknown_fields=True):
    """The request. Exactly one of the four forms."""

    dataframe_split: Split | None = None
    dataframe_records: list[Raw] | None = None
    instances: Raw = ABSENT
    inputs: Raw = ABSENT
    params: Params | None = None


_body = msgspec.json.Decoder(ScoringBody)
_rows = msgspec.json.Decoder(list[Raw])
_columns = msgspec.json.Decoder(dict[str, Raw])
_encode = msgspec.json.Encoder().encode
_LIST, _OBJECT = b"[{"


def read_table(body: bytes) -> tuple[Table, Params]:
    """The rows of a JSON body and its parameters. Raises `Refusal` (400, 413) and `ContractError` for broken JSON."""
    given = _decode(body)
    forms = [name for name in FORMS if getattr(given, name) is not None and getattr(given, name) is not ABSENT]
    if len(forms) != 1:
        came = " and ".join(forms) or "none"
        raise Refusal(400, f"the body must have exactly one of {', '.join(FORMS)}: came {came}")
    if given.dataframe_split is not None:
        table = _split(given.dataframe_split)
    elif given.dataframe_records is not None:
        table = Table(given.dataframe_records, forms[0], _object_reader)
    else:
        table = _either(getattr(given, forms[0]), forms[0])
    if not table.rows:
        raise Refusal(400, f"{table.path}: the batch is empty: send at least one row", table.path)
    check_count(table.rows, table.path)
    return table, given.params or Params()


def check_columns(columns: Sequence[str], path: str) -> None:
    """Raises `Refusal` (400) for a name that stands twice."""
    seen: set[str] = set()
    for name in columns:
        if name in seen:
            raise Refusal(400, f"{path}: the column {shown(name)} is given twice", path)
        seen.add(name)


def check_width(cells: Sequence[Any], names: Sequence[str], path: str) -> None:
    """Raises `Refusal` (400) for a row with more or fewer cells than columns."""
    if len(cells) != len(names):
        listed = ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
        raise Refusal(400, f"{path}: expected {len(names)} values ({listed}), came {len(cells)}", path)


def _decode(body: bytes) -> ScoringBody:
    """MLflow's clients write a missing number as NaN, which no JSON knows: here it is null."""
    hint = ""
    try:
        given: ScoringBody = _body.decode(body)
    except msgspec.ValidationError as error:
        at = str(error).partition(" - at ")[2]
        hint = _HINT if not at else _PARAMS_HINT if at == "`$.params`" else ""
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if b"NaN" in body:
            body = _nulled(body)
    else:
        return given
    decoded: ScoringBody = parse(_body, body, hint)
    return decoded


def _nulled(body: bytes) -> bytes:
    try:
        return json.dumps(_without_nan(loads(body))).encode()
    except RecursionError:
        raise Refusal(400, "JSON nested too deep: send flat rows") from None


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _without_nan(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN alone differs from itself


def _split(split: Split) -> Table:
    path = "dataframe_split.data"
    columns = split.columns
    if columns is None or columns == list(range(len(columns))):
        return Table(split.data, path, lambda contract: _named_reader(contract.names))
    names = [str(name) for name in columns]
    check_columns(names, "dataframe_split.columns")
    return Table(split.data, path, lambda _: _named_reader(names))


def _named_reader(names: Sequence[str]) -> ReadRow:
    def read(cells: Sequence[Raw], path: str) -> Raw:
        check_width(cells, names, path)
        return Raw(_encode(dict(zip(names, cells, strict=True))))

    return read


def _object_reader(_: Contract) -> ReadRow:
    def read(row: Raw, path: str) -> Raw:
        if _first(row) != _OBJECT:
            raise Refusal(400, f"{path}: expected an object by feature name, came {_said(row)}", path)
        return row

    return read


def _either(given: Raw, path: str) -> Table:
    """A list of rows, or an object of columns."""
    first = _first(given)
    if first == _LIST:
        return Table(_rows.decode(given), path, _row_reader)
    if first == _OBJECT:
        return _by_column(parse(_columns, bytes(given)), path)
    raise Refusal(400, f"{path}: expected a list of rows or an object of columns, came {_said(given)}", path)


def _row_reader(contract: Contract) -> ReadRow:
    """A row is an object by name, a list in the contract's order, or the one value of a model with one feature."""
    names = contract.names
    named = _named_reader(names)

    def read(row: Raw, path: str) -> Raw:
        first = _first(row)
        if first == _OBJECT:
            return row
        if first == _LIST:
            return named(_rows.decode(row), path)
        if len(names) != 1:
            raise Refusal(400, f"{path}: expected a list of {len(names)} values or an object, came {_said(row)}", path)
        return named([row], path)

    return read


def _by_column(columns: dict[str, Raw], path: str) -> Table:
    if not columns:
        raise Refusal(400, f"{path}: there is no column: send one for each feature", path)
    names = list(columns)
    listed = {name: _first(values) == _LIST for name, values in columns.items()}
    if not any(listed.values()):
        return Table([list(columns.values())], path, lambda _: _named_reader(names))
    lone = next((name for name in names if not listed[name]), None)
    if lone is not None:
        where = f"{path}.{lone}"
        raise Refusal(400, f"{where}: expected a list, as the other columns are, came {_said(columns[lone])}", where)
    cells = [[_flat(cell) for cell in _rows.decode(values)] for values in columns.values()]
    if len({len(column) for column in cells}) > 1:
        sizes = ", ".join(f"{name} {len(column)}" for name, column in list(zip(names, cells, strict=True))[:NAMED])
        raise Refusal(400, f"{path}: the columns differ in length: {sizes}", path)
    return Table(list(zip(*cells, strict=True)), path, lambda _: _named_reader(names))


def _flat(cell: Raw) -> Raw:
    """A cell of a column of shape (n, 1), as NumPy writes it. Any other list stays, for the contract to refuse."""
    if _first(cell) != _LIST:
        return cell
    inner = _rows.decode(cell)
    return inner[0] if len(inner) == 1 else cell


def _first(raw: Raw) -> int:
    return memoryview(raw)[0]


def _said(raw: Raw) -> str:
    text = bytes(raw).decode("ascii", "replace")
    return text if len(text) <= 60 else text[:57] + "..."
