"""docs/protocols.md, played against real processes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from math import isclose
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import onnx
import pytest
from onnx import helper

from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.route_file import RouteFile
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.adapters.system_clock import SystemClock
from fairlead.app.compose import open_context
from fairlead.app.console import build as build_control
from fairlead.app.supervisor import Supervisor
from fairlead.core.event import DeployAsked
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.faces.gateway.app import Gateway
from fairlead.flows.serve import Serving
from fairlead.flows.tally import Tally
from fairlead.testing.candidate import Parts, formula_onnx, write_candidate
from fairlead.testing.log import MemoryLog

PROTOCOLS = (Path(__file__).parents[1] / "docs" / "protocols.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    """A request, and the answer that a page promises."""

    request: str
    body: str
    status: int
    answer: str
    headers: Mapping[str, str] = {}


def transcripts(text: str) -> Iterator[Example]:
    """The `http` blocks: a request line, its headers and its body; a status and its body."""
    for block in blocks(text, "http"):
        asked, answered = block.strip().split("\n\n")
        request, _, body = asked.partition("\n")
        headers: dict[str, str] = {}
        while found := re.match(r"([a-z-]+): (.*)\n", body):
            headers[found[1]] = found[2]
            body = body[found.end() :]
        status, _, answer = answered.partition("\n")
        yield Example(request, body, int(status), answer, headers)


def refusals(text: str) -> Iterator[Example]:
    """The rows of the tables of refusals. The head names the request, a row what is sent with it."""
    request = ""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("|") and cells[1:] == ["status", "answer"]:
            request = cells[0].strip("`")
        elif line.startswith("|") and request and len(cells) == 3 and cells[1].isdigit():
            yield Example(request, cells[0], int(cells[1]), cells[2].strip("`"))
        elif not line.startswith("|"):
            request = ""


EXAMPLES = [*transcripts(PROTOCOLS), *refusals(PROTOCOLS)]


class Plane(NamedTuple):
    """A worker that serves the page's model, and its home."""

    home: Path
    port: int
    http: httpx.Client


def rooted() -> bytes:
    """The formula by way of a square root: the same for an age, nothing for a negative one."""
    model = onnx.load_model_from_string(formula_onnx())
    del model.graph.node[0]
    model.graph.node.insert(0, helper.make_node("Mul", ["root", "root"], ["years"]))
    model.graph.node.insert(0, helper.make_node("Sqrt", ["age"], ["root"]))
    data: bytes = model.SerializeToString()
    return data


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """Two versions of `stay` behind a supervised worker."""
    home = tmp_path_factory.mktemp("home")
    store = BundleFolder(home / "bundles")
    bundles = {
        number: store.put(
            home / f"draft-{number}", write_candidate(home / f"draft-{number}", Parts(portable=rooted(), seed=number))
        )
        for number in (1, 2)
    }
    route = ModelRoute((Arm("canary", 2, 0.05), Arm("champion", 1, 0.95)), bundles, salt="stay-2-1")
    RouteFile(home / "routes").publish(RouteTable(7, {"stay": route}))
    supervisor = Supervisor(home, "127.0.0.1", 0, 1, "batch", lambda *_: None)
    supervisor.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{supervisor.port}", timeout=120.0) as http:
            assert http.get("/v2/health/ready").status_code == 200
            yield Plane(home, supervisor.port, http)
    finally:
        supervisor.stop()


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str, str], httpx.Response]:
    """The control port's application over a home in which `stay` is being deployed."""
    context = open_context(tmp_path_factory.mktemp("control"))
    plan = context.settings.rollout.plan(None)
    context.journal.append([DeployAsked("stay", "stay-2-1", 2, "b" * 64, plan)], actor="test", at=1.0)
    app = build_control(context)

    def ask(method: str, path: str, body: str) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8081") as http:
                return await http.request(method, path, content=body, headers={"content-type": "application/json"})

        return asyncio.run(send())

    return ask


def before_the_first_table() -> tuple[int, bytes]:
    """A prediction from a gateway that has no route table yet."""
    serving = Serving(MemoryLog(), SystemClock(), Tally())
    gateway: Any = Gateway(serving, list)

    async def send() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://gateway") as http:
            return await http.post("/v1/models/stay/predict", json={"features": {}})

    answer = asyncio.run(send())
    return answer.status_code, answer.content


def ask(plane: Plane, request: str, body: bytes | str, headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """The gateway's answer."""
    method, path = request.split()
    answer = plane.http.request(
        method, path, content=body, headers={"content-type": "application/json", **(headers or {})}
    )
    return answer.status_code, answer.content


IN_WORDS = {
    "an empty body": b"",
    "a body that is not UTF-8": b"\xff",
    "a body of more than 8 MiB": b" " * (8 * 2**20 + 1),
}


def send(plane: Plane, example: Example) -> tuple[int, bytes]:
    """Sends what a row says: something put in words, a request of its own, a header, or a body."""
    sent = example.body.strip("`")
    if sent == "a prediction before the first route table":
        return before_the_first_table()
    if sent in IN_WORDS:
        return ask(plane, example.request, IN_WORDS[sent])
    if re.match(r"[A-Z]+ /", sent):
        return ask(plane, sent, b"{}" if sent.startswith("POST") else b"")
    if re.match(r"[a-z-]+: ", sent):
        name, _, value = sent.partition(": ")
        return ask(plane, example.request, b"{}", {name: value})
    return ask(plane, example.request, sent, example.headers)


def same(found: Any, said: Any) -> bool:
    """Whether two JSON values are equal, numbers to the sixth decimal."""
    if isinstance(said, dict) and isinstance(found, dict):
        return found.keys() == said.keys() and all(same(found[key], said[key]) for key in said)
    if isinstance(said, list) and isinstance(found, list):
        return len(found) == len(said) and all(map(same, found, said))
    if isinstance(said, float) and isinstance(found, float | int):
        return isclose(found, said, abs_tol=1e-6)
    return bool(type(found) is type(said) and found == said)


def test_there_are_examples() -> None:
    """The page is read as it is meant: transcripts and refusals."""
    assert len(list(transcripts(PROTOCOLS))) >= 15
    assert len(list(refusals(PROTOCOLS))) >= 50


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: f"{one.request} {one.body}"[:60].replace("\n", " "))
def test_every_example_is_answered_as_written(
    example: Example, plane: Plane, control: Callable[..., httpx.Response]
) -> None:
    """Status and body of every example on the protocols page are what a running system answers."""
    if "/api/" in example.request:
        answer = control(*example.request.split(), example.body)
        status, body = answer.status_code, answer.content
    else:
        status, body = send(plane, example)
    assert status == example.status, body
    assert same(msgspec.json.decode(body), msgspec.json.decode(example.answer)), body


def test_the_metrics_are_those_of_the_page(plane: Plane) -> None:
    """Names, types and labels, after a strange row and a refused one, an outcome and a batch that is answered off the
    event loop."""
    ask(plane, "POST /v1/models/stay/predict", '{"features": {"age": 99.0, "city": "berlin"}}')
    ask(plane, "POST /v1/models/stay/predict", '{"features": {"age": "old", "city": "berlin"}}')
    row = '{"age": 41.5, "city": "berlin"}'
    ask(plane, "POST /v1/models/stay/predict", '{"version": 1, "instances": [' + ",".join([row] * 300) + "]}")
    ask(plane, "POST /v1/outcomes", '[{"request_id": "x", "outcome": 1}]')
    text = plane.http.get("/metrics").text
    rows = re.findall(r"^\| `(fairlead_\w+)` \| (\w+) \| (.*) \|$", PROTOCOLS, re.MULTILINE)
    assert dict(re.findall(r"^# TYPE (fairlead_\w+) (\w+)$", text, re.MULTILINE)) == {
        name: kind for name, kind, _ in rows
    }
    for name, _, said in rows:
        samples = re.findall(rf"^{name}(?:_bucket)?{{(.*)}}", text, re.MULTILINE)
        labels = {label for sample in samples for label in re.findall(r'(\w+)="', sample)}
        assert labels == set(re.findall(r"`(\w+)`", said)), name


def test_the_record_in_the_log_is_that_of_the_page(plane: Plane) -> None:
    """The first example's record, and every field of a record, are on the page."""
    first = EXAMPLES[0]
    ask(plane, first.request, first.body)
    kept = next(one for one in SegmentReader(plane.home / "log").poll()[0] if one.request_id == "r-1")
    found, said = msgspec.json.decode(msgspec.json.encode(kept)), msgspec.json.decode(blocks(PROTOCOLS, "json")[0])
    for changing in ("received_at", "latency_ms"):
        assert found.pop(changing) > 0
        assert said.pop(changing) > 0
    assert same(found, said), found
    table = PROTOCOLS.split("## What is logged")[1].split("## ")[0]
    named = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert named == set(Prediction.__struct_fields__)


def test_the_routes_of_the_control_api_are_those_of_the_page(control: Callable[..., httpx.Response]) -> None:
    """As its own OpenAPI document lists them."""
    paths = control("GET", "/api/v1/openapi.json", "").json()["paths"]
    found = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert set(re.findall(r"^\| `((?:GET|POST) /api/\S+)` \|", PROTOCOLS, re.MULTILINE)) == found
