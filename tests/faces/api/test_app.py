"""The control API: what it answers, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import doctest
from typing import Any, get_args

import msgspec
import pytest

from fairlead.core.event import AnyFact
from fairlead.errors import FairleadError, NotFound, Refused, StateError, UsageError
from fairlead.faces.api import build_control_app, guard
from fairlead.operations.overview import Overview

MODEL = "hotel-cancellation"
HERE = "http://127.0.0.1:8081"


def build(story: Any, **more: Any) -> Any:
    """The control port in front of a story."""
    given = {"read": story.live.read, "entries": story.live.entries, "ask": story.ask, "version": "1.2.3"} | more
    return build_control_app(**given)


@pytest.fixture
def api(told: Any, call: Any) -> Any:
    """The whole story behind the API."""
    return call(build(told), HERE)


def refused(answer: Any, status: int, *words: str) -> None:
    """The answer is a problem of that status which says those words."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["status"] == status
    assert body["title"]
    for word in words:
        assert word in body["detail"], body["detail"]


def test_examples() -> None:
    """The examples in the docstrings hold."""
    assert doctest.testmod(guard).failed == 0


def test_overview_is_the_value_itself(api: Any, told: Any) -> None:
    """The JSON is the overview, and can be read back as one."""
    answer = api.get("/api/v1/overview")
    assert answer.headers["cache-control"] == "no-store"
    assert msgspec.json.decode(answer.content, type=Overview) == told.live.read()


def test_models_and_one_model(api: Any) -> None:
    """A model is found by its name."""
    assert [model["name"] for model in api.get("/api/v1/models").json()] == [MODEL]
    assert api.get(f"/api/v1/models/{MODEL}").json()["champion"] == 2


def test_rollouts_and_incidents(api: Any) -> None:
    """They are listed, for all models or one, and found by id."""
    keys = [each["id"] for each in api.get("/api/v1/rollouts").json()]
    assert keys == [f"{MODEL}-3-1", f"{MODEL}-2-1"]
    assert api.get("/api/v1/rollouts", params={"model": "other"}).json() == []
    assert api.get(f"/api/v1/rollouts/{keys[0]}").json()["phase"] == "rolled_back"
    assert [each["id"] for each in api.get("/api/v1/incidents", params={"model": MODEL}).json()] == ["INC-1"]
    assert api.get("/api/v1/incidents/INC-1").json()["state"] == "mitigated"


def test_journal_is_read_in_pages(api: Any, told: Any) -> None:
    """`after` goes on where the last page ended."""
    first = api.get("/api/v1/journal", params={"limit": 3}).json()
    second = api.get("/api/v1/journal", params={"after": first[-1]["seq"], "limit": 2}).json()
    assert [entry["seq"] for entry in first + second] == [1, 2, 3, 4, 5]
    assert first[0]["fact"]["kind"] == "worker_changed"
    assert len(api.get("/api/v1/journal").json()) == told.live.read().seq


@pytest.mark.parametrize(
    "query", [{"after": "x"}, {"after": "-1"}, {"limit": "0"}, {"limit": "1001"}, {"limit": ""}, {"after": "9" * 30}]
)
def test_journal_refuses_what_is_no_place(api: Any, query: dict[str, str]) -> None:
    """A parameter that is no whole number in its range is named, with the range."""
    refused(api.get("/api/v1/journal", params=query), 400, next(iter(query)), "whole number")


@pytest.mark.parametrize("verb", ["promote", "pause", "resume", "abort", "rollback"])
def test_operator_asks(api: Any, told: Any, verb: str) -> None:
    """Each verb reaches the journal with its reason and the actor."""
    answer = api.post(f"/api/v1/models/{MODEL}/{verb}", json={"reason": " too slow "})
    assert answer.status_code == 202
    assert answer.json() == {"model": MODEL, "verb": verb, "reason": "too slow"}
    assert told.asked == [(MODEL, verb, "too slow", "api")]


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/api/v1/models/none", "/api/v1/models"),
        ("/api/v1/rollouts/none", "/api/v1/rollouts"),
        ("/api/v1/incidents/none", "/api/v1/incidents"),
        ("/api/v1/nothing", "openapi.json"),
        ("/api/v1/", "openapi.json"),
    ],
)
def test_what_does_not_exist(api: Any, path: str, words: str) -> None:
    """404 says where to look."""
    refused(api.get(path), 404, words)


def test_method_that_is_not_offered(api: Any) -> None:
    """405 names what is allowed."""
    answer = api.request("DELETE", "/api/v1/overview")
    refused(answer, 405, "DELETE")
    assert "GET" in answer.headers["allow"]


def test_write_to_what_does_not_exist(api: Any, told: Any) -> None:
    """An unknown verb or model is 404, and nothing is asked."""
    refused(api.post(f"/api/v1/models/{MODEL}/explode", json={}), 404, "explode", "rollback")
    refused(api.post("/api/v1/models/none/pause", json={}), 404, "none")
    assert told.asked == []


@pytest.mark.parametrize(
    ("body", "kind", "status", "words"),
    [
        (b"{}", "text/plain", 415, "application/json"),
        (b"reason=x", "application/x-www-form-urlencoded", 415, "application/json"),
        (b"{}", "", 415, "without a type"),
        (b"", "application/json", 400, "send"),
        (b"{", "application/json", 400, "send"),
        (b"[]", "application/json", 400, "object"),
        (b'{"reason": 5}', "application/json", 400, "$.reason"),
        (b'{"why": "x"}', "application/json", 400, "why"),
        (b'{"reason": "\xff"}', "application/json", 400, "cannot be read"),
        (b'{"reason": "' + b"x" * 10_001 + b'"}', "application/json", 413, "10,000"),
    ],
)
def test_bodies_that_cannot_be_taken(api: Any, told: Any, body: bytes, kind: str, status: int, words: str) -> None:
    """Each wrong body gets its own answer, and nothing is asked."""
    answer = api.post(f"/api/v1/models/{MODEL}/pause", content=body, headers={"content-type": kind})
    refused(answer, status, words)
    assert told.asked == []


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotFound("no rollout"), 404), (Refused("not now"), 409), (UsageError("wrong"), 400), (StateError("disk"), 503)],
)
def test_errors_of_the_system(told: Any, call: Any, error: FairleadError, status: int) -> None:
    """What fairlead says of an error is the problem's detail, with the status that fits."""

    def ask(model: str, verb: str, reason: str, *, actor: str) -> None:
        raise error

    answer = call(build(told, ask=ask)).post(f"/api/v1/models/{MODEL}/pause", json={})
    refused(answer, status, str(error))


def test_unexpected_error_shows_no_traceback(told: Any, call: Any) -> None:
    """A defect is a 500 without its inside."""

    def read() -> Overview:
        raise RuntimeError("secret")

    answer = call(build(told, read=read)).get("/api/v1/overview")
    refused(answer, 500, "log")
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8081", "localhost", "LOCALHOST:9", "[::1]:8081", "127.8.9.1", "fairlead.internal:8081"]
)
def test_hosts_that_are_this_machine(told: Any, call: Any, host: str) -> None:
    """Loopback in any spelling, and the names that were allowed."""
    api = call(build(told, allowed_hosts=("Fairlead.internal",)))
    assert api.get("/api/v1/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost@evil.example", "10.0.0.1:8081", "", "a:b:c", "[::1"]
)
@pytest.mark.parametrize("path", ["/", "/api/v1/overview", "/assets/console.css"])
def test_hosts_that_are_not(api: Any, host: str, path: str) -> None:
    """A name that a hostile name server could point here is refused, for pages too."""
    refused(api.get(path, headers={"host": host}), 403, "not this machine")


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://127.0.0.1:8081.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_writes_from_elsewhere(api: Any, told: Any, headers: dict[str, str]) -> None:
    """Another site's page cannot write, neither to the API nor through the console's form."""
    refused(api.post(f"/api/v1/models/{MODEL}/rollback", json={}, headers=headers), 403, "refused")
    refused(api.post(f"/models/{MODEL}/rollback", data={"reason": "x"}, headers=headers), 403, "refused")
    assert told.asked == []


def test_writes_from_here(api: Any, told: Any) -> None:
    """The port's own pages may write, and so may a program that is no browser."""
    own = {"origin": HERE, "sec-fetch-site": "same-origin"}
    assert api.post(f"/api/v1/models/{MODEL}/pause", json={}, headers=own).status_code == 202
    assert len(told.asked) == 1


def test_websockets_are_closed(told: Any) -> None:
    """The port speaks no websocket, whoever asks."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(build(told)({"type": "websocket", "path": "/", "headers": [(b"host", b"localhost")]}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_document_describes_every_address(api: Any) -> None:
    """The OpenAPI document has every address, and every reference in it leads somewhere."""
    document = api.get("/api/v1/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "1.2.3"
    assert set(document["paths"]) == {
        "/api/v1/alerts",
        "/api/v1/overview",
        "/api/v1/models",
        "/api/v1/models/{name}",
        "/api/v1/models/{name}/{verb}",
        "/api/v1/models/{name}/diff",
        "/api/v1/models/{name}/drift",
        "/api/v1/models/{name}/versions/{version}/gate",
        "/api/v1/models/{name}/versions/{version}/checklist",
        "/api/v1/experiments",
        "/api/v1/experiments/{id}",
        "/api/v1/rollouts",
        "/api/v1/rollouts/{id}",
        "/api/v1/incidents",
        "/api/v1/incidents/{id}",
        "/api/v1/journal",
    }
    known = set(document["components"]["schemas"])
    assert {"Overview", "ModelView", "RolloutView", "IncidentView", "Problem", "Reason"} <= known
    assert {fact.__name__ for fact in get_args(AnyFact)} <= known
    assert {each.rpartition("/")[2] for each in references(document)} <= known
    operate = document["paths"]["/api/v1/models/{name}/{verb}"]["post"]
    assert operate["parameters"][1]["schema"]["enum"] == ["promote", "pause", "resume", "abort", "rollback"]
    assert set(operate["responses"]) == {"202", "400", "403", "404", "409", "413", "415", "503"}


def references(value: Any) -> list[str]:
    """All `$ref` in a document."""
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [each for inner in value.values() for each in references(inner)]
    return [each for inner in value for each in references(inner)] if isinstance(value, list) else []
