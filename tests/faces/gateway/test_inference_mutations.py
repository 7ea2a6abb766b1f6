"""Requests to infer in which one thing is wrong, or merely odd: whatever it is, the gateway has an answer."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

Gateway = Any  # the fixture's value: see conftest
RIGHT: dict[str, Any] = {
    "id": "q",
    "parameters": {"unit_id": "u", "timestamp": 12.5, "binary_data_output": False, "content_type": "pd"},
    "inputs": [
        {
            "name": "lead_time",
            "shape": [2],
            "datatype": "FP32",
            "data": [100, 600.5],
            "parameters": {"content_type": "np"},
        },
        {"name": "nights", "shape": [2, 1], "datatype": "INT64", "parameters": {"binary_data_size": 16}},
        {"name": "segment", "shape": [2, 1], "datatype": "BYTES", "data": [["Direct"], ["Groups"]]},
        {"name": "repeated", "shape": [2], "datatype": "BOOL", "parameters": {"binary_data_size": 2}},
    ],
    "outputs": [
        {"name": "probabilities", "parameters": {"classification": 1, "binary_data": True}},
        {"name": "predict", "parameters": {"binary_data": False}},
    ],
}
BYTES = (1).to_bytes(8, "little") + (2).to_bytes(8, "little") + b"\x01\x00"
ODD: list[Any] = [
    None, True, 0, -1, 1, 2, 3.0, 0.5, 1e308, 10**400, 2**63, -(2**63) - 1, "", "x", "Direct", "1" * 300, "FP64",
    "BF16", [], [1], [[1], [2]], [[[]]], ["x", "y"], [True, False], [2], [2, 1], [1, 2], [2**62, 4], [None, None],
    {}, {"a": 1},
]  # fmt: skip


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all that is in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at] * bool(at) + [path for key, one in inner for path in places(one, (*at, key))]


def changed(place: tuple[Any, ...], odd: Any) -> dict[str, Any]:
    """The request with something else in one place."""
    made: Any = deepcopy(RIGHT)
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = odd
    assert isinstance(made, dict)
    return made


def post(gateway: Gateway, head: bytes, rest: bytes = BYTES) -> Any:
    """The answer."""
    length = {"inference-header-content-length": str(len(head))}
    return gateway.http.post("/v2/models/hotel/infer", content=head + rest, headers=length)


def test_the_request_is_right(gateway: Gateway) -> None:
    """Before anything is changed."""
    answer = post(gateway, json.dumps(RIGHT).encode())
    assert answer.status_code == 200, answer.text
    assert answer.content.endswith(b"\n\x00\x00\x000.600000:1:1") or answer.content.endswith(b"0.600500:1:1")


@pytest.mark.parametrize("place", places(RIGHT), ids=lambda place: ".".join(map(str, place)))
def test_one_odd_thing_is_taken_or_refused(gateway: Gateway, place: tuple[Any, ...]) -> None:
    """200 with all rows, or 400 with one line: never 500, unless this model fails on so large a number."""
    for odd in ODD:
        answer = post(gateway, json.dumps(changed(place, odd)).encode())
        if answer.status_code == 200:
            continue
        problem = msgspec.json.decode(answer.content)
        is_models_fault = answer.status_code == 500 and "failed to answer" in problem["error"] and "data" in place
        assert answer.status_code == 400 or is_models_fault, (odd, answer.text)
        assert problem["error"]
        assert "\n" not in problem["error"]


@given(st.data())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=200, deadline=None
)
def test_one_wrong_byte_is_taken_or_refused(gateway: Gateway, data: st.DataObject) -> None:
    """In the JSON or behind it."""
    head = json.dumps(RIGHT).encode()
    whole = bytearray(head + BYTES)
    whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    answer = post(gateway, bytes(whole[: len(head)]), bytes(whole[len(head) :]))
    assert answer.status_code in (200, 400) or "failed to answer" in answer.text
