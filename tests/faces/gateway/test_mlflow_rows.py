"""Every form of a body of MLflow's protocol holds the same rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.errors import ContractError
from fairlead.faces.gateway.mlflow_rows import Table, read_table
from fairlead.faces.gateway.wire import Refusal

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
CELL = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_infinity=False) | TEXT
Frame = tuple[list[str], list[list[Any]]]

FORMS: dict[str, Callable[[list[str], list[list[Any]]], Any]] = {
    "split": lambda names, rows: {"dataframe_split": {"columns": names, "data": rows}},
    "bare split": lambda _, rows: {"dataframe_split": {"data": rows, "index": list(range(len(rows)))}},
    "numbered split": lambda names, rows: {"dataframe_split": {"columns": list(range(len(names))), "data": rows}},
    "records": lambda names, rows: {"dataframe_records": [dict(zip(names, row, strict=True)) for row in rows]},
    "objects": lambda names, rows: {"inputs": [dict(zip(names, row, strict=True)) for row in rows]},
    "lists": lambda _, rows: {"instances": rows},
    "columns": lambda names, rows: {"inputs": {name: [row[at] for row in rows] for at, name in enumerate(names)}},
    "column vectors": lambda names, rows: {
        "instances": {name: [[row[at]] for row in rows] for at, name in enumerate(names)}
    },
}


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Names of columns, and rows."""
    names = draw(st.lists(TEXT, min_size=1, max_size=4, unique=True))
    rows = draw(st.lists(st.lists(CELL, min_size=len(names), max_size=len(names)), min_size=1, max_size=4))
    return names, rows


def contract(names: list[str]) -> Contract:
    """A contract of these features."""
    return Contract(tuple(Feature(name, Kind.NUMBER) for name in names), Task.REGRESSION, "y")


def objects(table: Table, names: list[str]) -> list[Any]:
    """The rows as they go on to the contract."""
    read = table.reader(contract(names))
    return [msgspec.json.decode(read(row, "row")) for row in table.rows]


def without_nan(value: Any) -> Any:
    """NaN is what a data frame calls a missing value."""
    return None if isinstance(value, float) and value != value else value  # noqa: PLR0124 - NaN alone differs from itself


@given(frames())
@example((["0"], [[1.0]]))
@example((["a", "b"], [[float("nan"), "NaN"], [None, "x"]]))
def test_every_form_holds_the_same_rows(frame: Frame) -> None:
    """Whatever the names and the cells: by name and in the contract's order, null where NaN was."""
    names, rows = frame
    expected = [{name: without_nan(cell) for name, cell in zip(names, row, strict=True)} for row in rows]
    for form, made in FORMS.items():
        table, params = read_table(json.dumps(made(names, rows)).encode())
        assert objects(table, names) == expected, form
        assert params.pyfunc_predict_fn == "predict"


def test_a_row_of_objects_keeps_the_callers_bytes() -> None:
    """Spaces and digits as they were sent: they are what the log holds."""
    table, _ = read_table(b'{"dataframe_records": [{"a":  1.50, "b":[ 1 ]}, {"a":1e2}]}')
    read = table.reader(contract(["a"]))
    assert [bytes(read(row, "row")) for row in table.rows] == [b'{"a":  1.50, "b":[ 1 ]}', b'{"a":1e2}']
    table, _ = read_table(b'{"instances": [[1.50, 3.0]]}')
    read = table.reader(contract(["a", "b"]))
    assert [bytes(read(row, "row")) for row in table.rows] == [b'{"a":1.50,"b":3.0}']


@given(
    st.binary(max_size=60)
    | TEXT.map(lambda text: text.encode())
    | st.recursive(CELL, st.lists).map(json.dumps).map(str.encode)
)
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """With an error of fairlead's own, and never another."""
    for wrapped in (body, b'{"inputs": ' + body + b"}", b'{"dataframe_split": {"data": ' + body + b"}}"):
        with suppress(Refusal, ContractError):
            table, _ = read_table(wrapped)
            read = table.reader(contract(["a", "b"]))
            for row in table.rows:
                assert bytes(read(row, "row"))[:1] == b"{"


@pytest.mark.parametrize("columns", [["a", "b", "a"], ["1", 1]])
def test_a_name_stands_once(columns: list[Any]) -> None:
    """Also where a number and a text say the same."""
    body = json.dumps({"dataframe_split": {"columns": columns, "data": [[1] * len(columns)]}}).encode()
    with pytest.raises(Refusal, match="is given twice"):
        read_table(body)
