"""Tensors to rows."""

from __future__ import annotations

import json
import struct
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.faces.gateway.binary_tensors import DATATYPES, pack
from fairlead.faces.gateway.tensors import Tensor, rows_of
from fairlead.faces.gateway.wire import Refusal

ABC = Contract((Feature("a", Kind.NUMBER), Feature("b", Kind.INTEGER), Feature("c", Kind.NUMBER)), Task.REGRESSION, "y")
ONE = Contract((Feature("a", Kind.NUMBER),), Task.REGRESSION, "y")
MIXED = Contract((Feature("a", Kind.NUMBER), Feature("d", Kind.CATEGORY)), Task.REGRESSION, "y")
NUMBERS = st.one_of(st.none(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False))
NAMED = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), st.just(None), min_size=1, max_size=5)
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


def read(tensors: list[Tensor], contract: Contract = MIXED, data: bytes | None = None) -> list[dict[str, Any]]:
    """The rows, decoded."""
    return [json.loads(bytes(row)) for row in rows_of(tensors, contract, data)]


@given(NAMED, st.lists(NUMBERS, min_size=1, max_size=4))
def test_nested_is_flat(names: dict[str, None], values: list[float | None]) -> None:
    """[n] and [n, 1], flat and nested, are the same rows: the values as they came, by name."""
    count = len(values)
    nested = [[value] for value in values]
    forms: list[tuple[list[int], list[Any]]] = [
        ([count], values), ([count, 1], values), ([count, 1], nested), ([count], nested)
    ]  # fmt: skip
    for shape, data in forms:
        rows = read([Tensor(name, shape, "FP64", data) for name in names])
        assert rows == [dict.fromkeys(names, value) for value in values]


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=4))
def test_a_matrix_is_its_columns(rows: list[tuple[float | None, ...]]) -> None:
    """Flat, nested, or a tensor a feature: the same rows, in the contract's order."""
    shape = [len(rows), 3]
    flat = Tensor("input-0", shape, "FP64", [value for row in rows for value in row])
    nested = Tensor("x", shape, "FP64", [list(row) for row in rows])
    columns = [Tensor(name, [len(rows)], "FP64", [row[at] for row in rows]) for at, name in enumerate("abc")]
    expected = [dict(zip("abc", row, strict=True)) for row in rows]
    assert read([flat], ABC) == read([nested], ABC) == read(columns, ABC) == expected


@pytest.mark.parametrize("datatype", sorted(set(DATATYPES) - {"BF16"}))
@given(data=st.data())
def test_bytes_are_json(datatype: str, data: st.DataObject) -> None:
    """A tensor means the same either way, whatever its datatype."""
    spec = DATATYPES[datatype]
    elements: st.SearchStrategy[Any]
    if datatype.startswith("FP"):
        elements = st.floats(allow_nan=False, allow_infinity=False, width=int(datatype[2:]))  # type: ignore[arg-type]
    elif spec.is_bounded:
        elements = st.integers(int(spec.low), int(spec.high))
    else:
        elements = st.booleans() if datatype == "BOOL" else st.text(st.characters(exclude_categories=["Cs"]))
    values = data.draw(st.lists(elements, min_size=1, max_size=5))
    raw = pack(datatype, values)
    as_bytes = Tensor("d", [len(values)], datatype, None, {"binary_data_size": len(raw)})
    beside = Tensor("a", [len(values)], "INT8", [1] * len(values))
    as_json = Tensor("d", [len(values)], datatype, values)
    assert read([as_bytes, beside], data=raw) == read([as_json, beside])


def test_several_tensors_share_the_bytes() -> None:
    """In the order of the tensors; those with data have none."""
    raw = struct.pack("<2f", 0.5, 1.5) + pack("BYTES", ["x", "yz"])
    tensors = [
        Tensor("a", [2], "FP32", None, {"binary_data_size": 8}),
        Tensor("e", [2], "INT8", [1, 2]),
        Tensor("d", [2, 1], "BYTES", None, {"binary_data_size": len(raw) - 8}),
    ]
    assert read(tensors, data=raw) == [{"a": 0.5, "e": 1, "d": "x"}, {"a": 1.5, "e": 2, "d": "yz"}]


def test_one_feature_may_have_any_name_in_a_matrix() -> None:
    """[n, 1] for a model of one number; [n] goes by name, so the contract can say what is wrong."""
    assert read([Tensor("input-0", [2, 1], "FP32", [1, 2])], ONE) == [{"a": 1}, {"a": 2}]
    assert read([Tensor("input-0", [2], "FP32", [1, 2])], ONE) == [{"input-0": 1}, {"input-0": 2}]
    assert read([Tensor("a", [1, 1], "FP32", [[1]])], ONE) == [{"a": 1}]


@pytest.mark.parametrize(
    ("tensor", "contract", "said"),
    [
        (Tensor("x", [1, 2], "FP64", [1, 2]), ABC, r"inputs.x: expected shape \[n, 3\].*came \[1, 2\]"),
        (Tensor("x", [1, 2], "FP64", [1, 2]), MIXED, "d is a category"),
        (Tensor("x", [2, 3], "FP64", [1, 2, 3]), ABC, r"shape \[2, 3\] holds 6 values, data holds 3"),
        (Tensor("x", [2, 3], "FP64", [[1, 2], [3, 4], [5, 6]]), ABC, r"inputs.x.data\[0\]: expected an array of 3"),
        (Tensor("x", [0, 3], "FP64", []), ABC, "the batch is empty"),
        (Tensor("x", [1, 3, 1], "FP64", [1, 2, 3]), ABC, "expected shape"),
        (Tensor("x", [2**63, 3], "FP64", [1, 2, 3]), ABC, "data holds 3"),
        (Tensor("x", [1, 3], "FP64", [1, 2, "3"]), ABC, r"inputs.x\[2\]: expected FP64 values, came \"3\""),
        (Tensor("x", [1, 3], "UINT64", [1, 2, 2**64]), ABC, r"inputs.x\[2\]: expected UINT64 values from 0"),
        (Tensor("x" * 9000, [1, 2], "FP64", [1, 2]), ABC, "inputs.x{80}:"),
    ],
)
def test_a_wrong_matrix_is_refused(tensor: Tensor, contract: Contract, said: str) -> None:
    """400 with the path."""
    with pytest.raises(Refusal, match=said):
        rows_of([tensor], contract)


def test_text_may_be_encoded() -> None:
    """MLServer's `base64` and `pd_json`, also behind the JSON; what was missing stays so."""
    coded = [b64encode("Grüße".encode()).decode(), None]
    assert read([Tensor("d", [2], "BYTES", coded, {"content_type": "base64"})]) == [{"d": "Grüße"}, {"d": None}]
    objects = ['"x"', "null", "3.5", None]
    rows = read([Tensor("d", [4], "BYTES", objects, {"content_type": "pd_json"})])
    assert [row["d"] for row in rows] == ["x", None, 3.5, None]
    raw = pack("BYTES", ["eA=="])
    told = Tensor("d", [1], "BYTES", None, {"content_type": "base64", "binary_data_size": len(raw)})
    assert read([told], data=raw) == [{"d": "x"}]
    with pytest.raises(Refusal, match=r"inputs.d\[0\]: expected text in base64"):
        rows_of([Tensor("d", [1], "BYTES", ["/w=="], {"content_type": "base64"})], MIXED)


def attempt(tensor: Tensor, contract: Contract) -> list[dict[str, Any]] | int:
    """The rows, or the status of the refusal."""
    try:
        return read([tensor], contract)
    except Refusal as refusal:
        return refusal.status


@given(
    st.sampled_from([*DATATYPES, "FP8"]), st.lists(st.integers(-1, 4), max_size=3), st.lists(JSON_VALUES, max_size=4)
)
def test_any_tensor_is_read_or_refused(datatype: str, shape: list[int], values: list[Any]) -> None:
    """Never another error, and a row has a value for each feature that was sent."""
    for contract in (ABC, ONE, MIXED):
        rows = attempt(Tensor("a", shape, datatype, values), contract)
        assert rows == 400 or (isinstance(rows, list) and len(rows) == shape[0])
        assert rows == 400 or (isinstance(rows, list) and all(row.keys() <= {"a", "b", "c"} for row in rows))
