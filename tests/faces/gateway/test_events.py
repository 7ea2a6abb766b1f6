"""Business events over a real socket."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.faces.gateway.events import read_events
from fairlead.faces.gateway.wire import Refusal

Running = Any  # the fixtures' value: see conftest
EVENT = {"model": "hotel", "unit_id": "u-1", "name": "complained", "value": 1, "at": 1_700_000_000}


def post(gateway: Running, body: Any) -> httpx.Response:
    """A request; bytes go as they are."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer: httpx.Response = gateway.http.post(
        "/v1/events", content=content, headers={"content-type": "application/json"}
    )
    return answer


def test_events_are_kept_before_the_answer(gateway: Running) -> None:
    """A list or one alone; units may be numbers, instants text, true is 1."""
    theirs = {"model": "price", "unit_id": 7, "name": "bought", "value": "a room", "event_id": "e-1"}
    assert post(gateway, [EVENT, theirs]).json() == {"accepted": 2}
    assert post(gateway, {**EVENT, "value": True, "at": "2023-11-14T22:13:20Z"}).json() == {"accepted": 1}
    first, second, third = gateway.facts.kept_events
    assert (first.model_name, first.unit_id, first.name, first.value, first.at) == tuple(EVENT.values())
    assert (second.event_id, second.unit_id, second.at) == ("e-1", "7", second.received_at)
    assert third == first.__class__(
        **{name: getattr(first, name) for name in first.__struct_fields__ if name != "received_at"},
        received_at=third.received_at,
    )
    assert gateway.serving.tally.events == 3


def test_the_same_fact_twice_is_one_fact(gateway: Running) -> None:
    """Another value or another instant is another fact; a caller's own id decides where there is one."""
    for event in (EVENT, EVENT, {**EVENT, "value": 2}, {**EVENT, "at": 1_700_000_001}, {**EVENT, "model": "price"}):
        post(gateway, [event])
    for value in (1, 2):
        post(gateway, [{**EVENT, "value": value, "event_id": "mine"}])
    found = [(event.model_name, event.value, event.at) for event in gateway.facts.events()]
    assert sorted(found) == [
        ("hotel", 1, 1_700_000_000.0),
        ("hotel", 1, 1_700_000_000.0),
        ("hotel", 1, 1_700_000_001.0),
        ("hotel", 2, 1_700_000_000.0),
        ("price", 1, 1_700_000_000.0),
    ]


def test_a_durable_gateway_waits_for_the_disk(start_gateway: Callable[..., Running]) -> None:
    """As for an outcome."""
    gateway = start_gateway(sync=True)
    assert post(gateway, [EVENT]).status_code == 200
    assert gateway.facts.synced == 1


def test_what_cannot_be_kept_is_not_accepted(gateway: Running) -> None:
    """503, counted, and it may be sent again."""
    gateway.facts.full = True
    answer = post(gateway, [EVENT])
    assert (answer.status_code, gateway.serving.tally.log_failures) == (503, 1)
    gateway.facts.full = False
    assert post(gateway, [EVENT]).status_code == 200


def test_before_the_first_route_nothing_is_known(gateway: Running) -> None:
    """The caller is asked to wait."""
    gateway.serving.live = None
    assert post(gateway, [EVENT]).status_code == 503


@pytest.mark.parametrize(
    ("change", "status", "path"),
    [
        ({"model": "no-such-model"}, 404, "[1].model"),
        ({"model": ""}, 400, "[1].model"),
        ({"model": 7}, 400, "[1].model"),
        ({"unit_id": None}, 400, "[1].unit_id"),
        ({"unit_id": 1.5}, 400, "[1].unit_id"),
        ({"unit_id": "u" * 257}, 400, "[1].unit_id"),
        ({"name": ""}, 400, "[1].name"),
        ({"name": "n" * 129}, 400, "[1].name"),
        ({"value": None}, 400, "[1].value"),
        ({"value": [1]}, 400, "[1].value"),
        ({"value": {"a": 1}}, 400, "[1].value"),
        ({"value": "v" * 1025}, 400, "[1].value"),
        ({"value": 10**400}, 400, "[1].value"),
        ({"at": "yesterday"}, 400, "[1].at"),
        ({"at": "2023-11-14T22:13:20"}, 400, "[1].at"),
        ({"at": -1}, 400, "[1].at"),
        ({"at": 1_700_000_000_000}, 400, "[1].at"),
        ({"at": 250_000_000_000}, 422, "[1].at"),
        ({"at": True}, 400, "[1].at"),
        ({"event_id": ""}, 400, "[1].event_id"),
        ({"event_id": 7}, 400, "[1].event_id"),
        ({"extra": 1}, 400, "[1]"),
    ],
)
def test_a_wrong_event_is_refused_with_its_path(
    gateway: Running, change: dict[str, Any], status: int, path: str
) -> None:
    """And nothing of the request is kept."""
    answer = post(gateway, [EVENT, {**EVENT, **change}])
    assert answer.status_code == status
    assert path in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert gateway.facts.kept_events == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b"null", 400),
        (b"7", 400),
        (b"[{", 400),
        (b'[{"model": "hotel"}]', 400),
        (b'[{"model":"hotel","unit_id":"u","name":"n","value":NaN}]', 400),
        (b'"' + b"[" * 100, 400),
        (b"[" * 100_000, 400),
        (b'[{"model":"hotel","unit_id":"u","name":"n","value":1e999}]', 400),
        (b"\xff", 400),
        (b"[" + b",".join([b"{}"] * 3) + b"]", 400),
    ],
)
def test_what_is_no_list_of_events_is_refused(gateway: Running, body: bytes, status: int) -> None:
    """In one line."""
    answer = post(gateway, body)
    assert (answer.status_code, set(answer.json())) in [(status, {"error"}), (status, {"error", "path"})]


def test_other_methods_and_types_are_refused(gateway: Running) -> None:
    """405 and 415."""
    assert gateway.http.get("/v1/events").status_code == 405
    assert gateway.http.post("/v1/events", content=b"[]", headers={"content-type": "text/csv"}).status_code == 415


def test_a_large_list_is_taken_whole(gateway: Running) -> None:
    """Off the event loop."""
    events = [{**EVENT, "unit_id": f"u-{number}"} for number in range(3000)]
    assert post(gateway, events).json() == {"accepted": 3000}
    assert len(list(gateway.facts.events())) == 3000


def test_too_many_events_at_once_are_refused() -> None:
    """Bodies of many small events would take far more memory than they are long."""
    one = json.dumps(EVENT).encode()
    with pytest.raises(Refusal) as told:
        read_events(b"[" + b",".join([one] * 100_001) + b"]", 1.8e9, {"hotel"})
    assert told.value.status == 413


values = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
)


@given(values, st.floats(0.0, 1.7e9), st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_an_identity_is_a_function_of_what_is_said(value: Any, at: float, unit: str) -> None:
    """Read twice, at whatever time, it is the same event."""
    body = json.dumps([{**EVENT, "value": value, "at": at, "unit_id": unit}]).encode()
    (first,), (second,) = read_events(body, 1.7e9, {"hotel"}), read_events(body, 1.8e9, {"hotel"})
    assert first.event_id == second.event_id
    assert (first.unit_id, first.at) == (unit, at)
    assert first.value == value or isinstance(value, int)
