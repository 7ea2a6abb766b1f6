"""The Python client against a real gateway worker."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

import fairlead
from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.adapters.worker_stage import WorkerStage
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import ContractError, NotFound, StateError
from fairlead.faces.client import Client
from fairlead.testing.candidate import Parts, StayPredictor, draw, formula_onnx, write_candidate
from fairlead.testing.loopback import own_port

ROW = {"age": 44.0, "nights": 3, "city": "berlin"}
CHANCE = float(StayPredictor().predict([(44.0, 3, "berlin")])[0, 1])


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerStage]:
    """A worker that serves one model."""
    place = tmp_path_factory.mktemp("client")
    (place / "draft").mkdir()
    manifest = write_candidate(place / "draft", Parts(portable=formula_onnx()))
    digest = BundleFolder(place / "bundles").put(place / "draft", manifest)
    table = RouteTable(1, {"stay": ModelRoute((Arm("champion", 1, 1.0),), {1: digest})})
    with WorkerStage(place / "bundles", table) as running:
        yield running


@pytest.fixture
def client(stage: WorkerStage) -> Iterator[Client]:
    """A client of it."""
    with Client(stage.base_url) as opened:
        yield opened


def test_it_is_what_the_package_offers() -> None:
    """`fl.Client` is this client."""
    assert fairlead.Client is Client


def test_one_prediction(client: Client, stage: WorkerStage) -> None:
    """Model, version and probabilities; the caller's identity is the log's."""
    stage.logged()
    answer = client.predict("stay", ROW, request_id="r-1", unit_id="guest-7", timestamp=1_700_000_000.0)
    assert (answer["request_id"], answer["model"], answer["version"]) == ("r-1", "stay", 1)
    assert answer["probabilities"] == pytest.approx([1.0 - CHANCE, CHANCE], abs=1e-5)
    (record,) = stage.logged()
    assert (record.request_id, record.unit_id, record.timestamp) == ("r-1", "guest-7", 1_700_000_000.0)


def test_a_caller_without_an_identity_is_given_one(client: Client) -> None:
    """Each request has its own."""
    ids = {client.predict("stay", ROW)["request_id"] for _ in range(3)}
    assert len(ids) == 3


def test_a_batch_is_answered_in_order(client: Client) -> None:
    """One answer a row, each that of its row."""
    rows = draw(50, seed=9)[0]
    answers = client.predict_many("stay", [dict(zip(("age", "nights", "city"), row, strict=True)) for row in rows])
    chances = StayPredictor().predict(rows)[:, 1]
    assert [answer["probabilities"][1] for answer in answers] == pytest.approx(chances.tolist(), abs=1e-5)


def test_outcomes_are_logged(client: Client, stage: WorkerStage) -> None:
    """One or many, with or without an instant."""
    client.outcomes([{"request_id": "o-1", "outcome": 1}, {"request_id": "o-2", "outcome": "0", "observed_at": 5.0}])
    reader = SegmentReader(Path(stage._home) / "log")
    told = {}
    while polled := reader.poll()[1]:
        told.update({record.request_id: record for record in polled})
    assert (told["o-1"].outcome, told["o-2"].outcome, told["o-2"].observed_at) == (1, "0", 5.0)


def test_health_says_what_is_served(client: Client) -> None:
    """The version of each model."""
    health = client.health()
    assert health["status"] == "ok"
    assert health["models"]["stay"]["version"] == 1


@pytest.mark.parametrize(
    ("features", "field"),
    [
        ({"age": "old", "nights": 3, "city": "berlin"}, "features.age"),
        ({"nights": 3, "city": "berlin"}, "features.age"),
        ({"age": None, "nights": 3, "city": "berlin"}, "features.age"),
    ],
)
def test_a_row_that_breaks_the_contract_is_told(client: Client, features: dict[str, Any], field: str) -> None:
    """The error names the field, in its message and as its path."""
    with pytest.raises(ContractError, match=field.replace(".", r"\.")) as caught:
        client.predict("stay", features)
    assert caught.value.path == field


def test_a_model_that_is_not_served_is_not_found(client: Client) -> None:
    """By name."""
    with pytest.raises(NotFound, match="nobody"):
        client.predict("nobody", ROW)
    with pytest.raises(NotFound, match="nobody"):
        client.predict_many("nobody", [ROW])


def test_a_body_that_cannot_be_read_is_a_contract_error(client: Client) -> None:
    """Not a fault of the gateway."""
    with pytest.raises(ContractError, match="surname"):
        client.predict("stay", ROW, surname="Doe")
    with pytest.raises(ContractError, match="empty"):
        client.predict_many("stay", [])
    with pytest.raises(ContractError, match="empty"):
        client.outcomes([])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_has_no_word_for_is_told(client: Client, value: float) -> None:
    """As an error of ours that says what to do, whoever notices it."""
    with pytest.raises(ContractError):
        client.predict("stay", ROW | {"age": value})


@pytest.mark.parametrize("model", ["../health", "a b", "stay?x=1", "stay#x", "ü"])
def test_a_name_is_one_part_of_the_address(client: Client, model: str) -> None:
    """A name with other signs names no model; it reaches no other address."""
    with pytest.raises(NotFound):
        client.predict(model, ROW)


def test_a_gateway_that_is_away_is_told() -> None:
    """With the address and what to start."""
    port = own_port()
    with Client(f"http://127.0.0.1:{port}") as client, pytest.raises(StateError, match="is `fairlead up` running") as e:
        client.health()
    assert str(port) in e.value.line


def test_a_closed_client_answers_no_more(stage: WorkerStage) -> None:
    """Leaving the block closes the connections."""
    with Client(stage.base_url) as client:
        client.health()
    with pytest.raises(Exception, match="closed"):
        client.health()


class _Other(BaseHTTPRequestHandler):
    """Something that is no gateway: answers with the status that the path names, and no JSON."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(int(self.path.split("/")[3]))
        self.end_headers()
        self.wfile.write(b"<html>out of order</html>")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize(
    ("status", "error"),
    [(500, StateError), (502, StateError), (503, StateError), (400, ContractError), (413, ContractError)],
)
def test_what_stands_before_a_gateway_may_answer_without_json(status: int, error: type[Exception]) -> None:
    """A proxy's page becomes the error that its status calls for."""
    server = HTTPServer(("127.0.0.1", 0), _Other)
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        with Client(f"http://127.0.0.1:{server.server_address[1]}") as client, pytest.raises(error):
            client.predict(str(status), ROW)
    finally:
        server.shutdown()
        server.server_close()
