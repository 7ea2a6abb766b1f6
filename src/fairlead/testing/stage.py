"""A stage in this process, slow or faulty on demand, and what every stage keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic, sleep, time
from types import TracebackType
from typing import Any, Self
from urllib.request import Request, urlopen

import msgspec
from msgspec import Raw

from fairlead.core.decode import OutputReader, RowDecoder
from fairlead.core.record import Prediction
from fairlead.core.route import ModelRoute, RouteTable, choose
from fairlead.errors import ContractError, StateError
from fairlead.ports.bundles import BundleStore
from fairlead.ports.stage import OpenStage, Stage


class LocalStage:
    """A small HTTP server in a thread that answers by the bundles' contracts and predictors.

    Attributes to set before entering make it faulty: `delay_seconds` a request, `lag_seconds` until a published table
    is taken, `statuses` (the error's part of a refused field, or "" for all -> a status in its place), `forgets` the
    log, `memory_mb` what it says of its memory.
    """

    def __init__(self, bundles: BundleStore, table: RouteTable) -> None:
        """`table` is what it begins with."""
        self.delay_seconds = 0.0
        self.lag_seconds = 0.0
        self.memory_mb = 100.0
        self.forgets = False
        self.statuses: dict[str, int] = {}
        self._bundles = bundles
        self._tables = [(0.0, table)]
        self._log: list[Prediction] = []
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        """Listens."""
        handler = type("Handler", (_Handler,), {"stage": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stops listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    @property
    def base_url(self) -> str:
        """Where it answers."""
        assert self._server is not None, "enter the stage first"
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def publish(self, table: RouteTable) -> None:
        """Takes another table, after the lag."""
        if table.generation <= self._tables[-1][1].generation:
            raise StateError(f"generation {table.generation} is not higher")
        self._tables.append((monotonic() + self.lag_seconds, table))

    def applied_generation(self) -> int:
        """The generation that it answers by."""
        return self.table().generation

    def table(self) -> RouteTable:
        """The latest table whose lag has passed."""
        return next(table for at, table in reversed(self._tables) if at <= monotonic())

    def peak_memory_mb(self) -> float:
        """What it was told to say."""
        return self.memory_mb

    def logged(self) -> tuple[Prediction, ...]:
        """What it answered since the last call."""
        found, self._log = tuple(self._log), []
        return () if self.forgets else found

    def answer(self, model: str, body: bytes) -> tuple[int, Mapping[str, Any]]:
        """The status and the body of an answer."""
        sleep(self.delay_seconds)
        route = self.table().models.get(model)
        if "" in self.statuses:
            return self.statuses[""], {"error": "out of order"}
        if route is None:
            return 404, {"error": f"no model {model!r} is served here"}
        try:
            return 200, self._predict(model, route, body)
        except ContractError as error:
            status = next((status for part, status in self.statuses.items() if part in str(error)), 422)
            return status, {"error": error.line, "path": error.path}
        except Exception as error:  # noqa: BLE001 - a model that fails is an answer, as behind the gateway
            return 500, {"error": f"the model failed: {type(error).__name__}"}

    def _predict(self, model: str, route: ModelRoute, body: bytes) -> Mapping[str, Any]:
        features, request_id = _parse(body)
        chosen = choose(route, request_id)
        digest = route.bundles[chosen.version]
        contract = self._bundles.manifest(digest).contract
        row, _ = RowDecoder(contract).decode(features)
        (answer,) = OutputReader(contract).read(self._bundles.load(digest).predict([row]), 1)
        now = time()
        record = Prediction(
            request_id=request_id,
            model_name=model,
            model_version=chosen.version,
            arm=chosen.arm,
            unit_id=request_id,
            propensity=chosen.propensity,
            timestamp=now,
            received_at=now,
            features=features,
            prediction=answer.prediction,
            score=answer.score,
            latency_ms=0.0,
            probabilities=answer.probabilities,
        )
        self._log.append(record)
        fields = ("request_id", "arm", "prediction", "probabilities")
        given: dict[str, Any] = {name: getattr(record, name) for name in fields if getattr(record, name) is not None}
        return {**given, "model": model, "version": chosen.version}


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    features: Raw = Raw(b"")
    instances: list[Raw] | None = None
    request_id: str = "none"


def _parse(body: bytes) -> tuple[Raw, str]:
    try:
        given = msgspec.json.decode(body, type=_Body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        try:
            features = json.loads(body)["features"]  # NaN and 1e999 pass here: the contract's reader names the field
        except (ValueError, KeyError):
            raise ContractError("broken JSON") from None
        return Raw(json.dumps(features).encode()), "none"
    if given.instances is not None:
        raise ContractError("instances: the batch is empty", "instances")
    return given.features, given.request_id


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    stage: LocalStage

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-type"] != "application/json":
            status, said = 415, {"error": "send application/json"}
        elif len(body) > 2**20:
            status, said = 413, {"error": "the body is too large"}
        else:
            status, said = self.stage.answer(self.path.split("/")[3], body)  # type: ignore[assignment]  # a mapping
        content = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def check_stage(
    open_stage: OpenStage, table: RouteTable, model: str, features: Mapping[str, Any], patience_seconds: float = 10.0
) -> None:
    """What every stage keeps. `table` routes `model` to versions that are all in its bundles; `features` is a row."""
    body = json.dumps({"features": dict(features), "request_id": "check-stage"}).encode()
    with open_stage(table) as stage:
        assert stage.applied_generation() == table.generation, "an entered stage has its table"
        answer = _post(f"{stage.base_url}/v1/models/{model}/predict", body)
        assert answer["version"] in table.models[model].bundles, "a version of the table answers"
        assert stage.peak_memory_mb() > 0.0, "it takes some memory"
        _until(lambda: _has_logged(stage, "check-stage"), "the answer is logged", patience_seconds)
        _publish(stage, table, patience_seconds)
    try:
        _post(f"{stage.base_url}/v1/models/{model}/predict", body)
    except (OSError, AssertionError):
        return
    raise AssertionError("a stage that was left answers no more")


def _has_logged(stage: Stage, request_id: str) -> bool:
    return any(record.request_id == request_id for record in stage.logged())


def _publish(stage: Stage, table: RouteTable, patience_seconds: float) -> None:
    following = msgspec.structs.replace(table, generation=table.generation + 1)
    stage.publish(following)
    _until(lambda: stage.applied_generation() == following.generation, "a published table is taken", patience_seconds)
    try:
        stage.publish(table)
    except StateError:
        return
    raise AssertionError("an older table must be refused")


def _until(holds: Callable[[], bool], what: str, patience_seconds: float) -> None:
    deadline = monotonic() + patience_seconds
    while not holds():
        assert monotonic() < deadline, f"{what}, but not within {patience_seconds:g} s"
        sleep(0.005)


def _post(url: str, body: bytes) -> dict[str, Any]:
    with urlopen(Request(url, body, {"content-type": "application/json"}), timeout=5.0) as response:  # noqa: S310 - http
        answer: dict[str, Any] = json.loads(response.read())
        return answer
