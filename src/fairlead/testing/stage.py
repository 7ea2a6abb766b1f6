"""A stage in this process, slow or faulty on demand, and what every stage keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from time import monotonic, sleep, time
from types import TracebackType
from typing import Any, Self
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec
from msgspec import Raw

from fairlead.core.contract import Contract
from fairlead.core.decode import OutputReader, RowDecoder
from fairlead.core.record import Prediction
from fairlead.core.route import Arm, ModelRoute, RouteTable, choose
from fairlead.errors import ContractError, StateError
from fairlead.ports.bundles import BundleStore
from fairlead.ports.stage import OpenStage, Stage

FAILURE = "RuntimeError: the model was told to fail"


class LocalStage:
    """A small HTTP server in a thread that answers by the bundles' contracts and predictors.

    Attributes to set before entering make it faulty: `delay_seconds` a request, `lag_seconds` until a published table
    is taken, `statuses` (the error's part of a refused field, or "" for all -> a status in its place), `forgets` the
    log, `forgets_failures` only those, `tells` callers what failed, `clock_ms` is added to the logged latency,
    `record_bytes` a record takes, `peak_mb` and `resident_mb` are what it says of its memory, which grows by `leak_mb`
    a prediction; `most_at_once` requests are answered at a time, others get 503 as the gateway's do.
    """

    def __init__(self, bundles: BundleStore, table: RouteTable) -> None:
        """`table` is what it begins with."""
        self.delay_seconds = 0.0
        self.lag_seconds = 0.0
        self.peak_mb = 100.0
        self.resident_mb = 80.0
        self.leak_mb = 0.0
        self.record_bytes = 300
        self.clock_ms = 0.0
        self.most_at_once = 1000
        self.forgets = False
        self.forgets_failures = False
        self.tells = False
        self.statuses: dict[str, int] = {}
        self._bundles = bundles
        self._tables = [(0.0, table)]
        self._log: list[Prediction] = []
        self._written = 0
        self._answered = 0
        self._at_work = 0
        self._lock = Lock()
        self._failing: dict[str, Contract] = {}
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
        return max(self.peak_mb, self.memory_mb())

    def memory_mb(self) -> float:
        """What it was told to say, and what it leaked."""
        return self.resident_mb + self.leak_mb * self._answered

    def logged(self) -> tuple[Prediction, ...]:
        """What it answered since the last call."""
        found, self._log = tuple(self._log), []
        return () if self.forgets else found

    def log_bytes(self) -> int:
        """As many as it was told, for each record."""
        return self._written * self.record_bytes

    def put_failing(self, contract: Contract) -> str:
        """A digest whose every row fails."""
        digest = f"{len(self._failing):064x}"
        self._failing[digest] = contract
        return digest

    def answer(self, model: str, body: bytes) -> tuple[int, Mapping[str, Any]]:
        """The status and the body of an answer."""
        with self._lock:
            self._at_work += 1
        try:
            if self._at_work > self.most_at_once:
                return 503, {"error": "too many requests wait"}
            return self._answer(model, body)
        finally:
            with self._lock:
                self._at_work -= 1

    def _answer(self, model: str, body: bytes) -> tuple[int, Mapping[str, Any]]:
        began = monotonic()
        sleep(self.delay_seconds)
        route = self.table().models.get(model)
        if "" in self.statuses:
            return self.statuses[""], {"error": "out of order"}
        if route is None:
            return 404, {"error": f"no model {model!r} is served here"}
        try:
            return 200, self._predict(model, route, body, began)
        except _Failed as error:
            return 500, {"error": f"the model failed{f': {error}' if self.tells else ''}"}
        except ContractError as error:
            status = next((status for part, status in self.statuses.items() if part in str(error)), 422)
            return status, {"error": error.line, "path": error.path}
        except Exception as error:  # noqa: BLE001 - a model that fails is an answer, as behind the gateway
            return 500, {"error": f"the model failed: {type(error).__name__}"}

    def _predict(self, model: str, route: ModelRoute, body: bytes, began: float) -> Mapping[str, Any]:
        features, request_id = _parse(body)
        if isinstance(features, list):
            asked = [_parse(one) if _is_asking(one) else (one, f"{request_id}-{at}") for at, one in enumerate(features)]
            return {"predictions": [self._one(model, route, (raw, name), began) for raw, name in asked]}
        return self._one(model, route, (features, request_id), began)

    def _one(self, model: str, route: ModelRoute, asked: tuple[Any, str], began: float) -> Mapping[str, Any]:
        features, request_id = asked
        chosen = choose(route, request_id)
        digest = route.bundles[chosen.version]
        fails = digest in self._failing
        contract = self._failing[digest] if fails else self._bundles.manifest(digest).contract
        row, _ = RowDecoder(contract).decode(features)
        answer = None
        if not fails:
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
            prediction=answer.prediction if answer else None,
            score=answer.score if answer else None,
            latency_ms=(monotonic() - began) * 1000.0 + self.clock_ms,
            probabilities=answer.probabilities if answer else None,
            status=200 if answer else 500,
            error=None if answer else FAILURE,
        )
        self._keep(record)
        if answer is None:
            raise _Failed(FAILURE)
        fields = ("request_id", "arm", "prediction", "probabilities")
        given: dict[str, Any] = {name: getattr(record, name) for name in fields if getattr(record, name) is not None}
        return {**given, "model": model, "version": chosen.version}

    def _keep(self, record: Prediction) -> None:
        with self._lock:
            self._answered += 1
            if record.status == 200 or not self.forgets_failures:
                self._written += 1
                self._log.append(record)


class _Failed(Exception):
    """What a model that fails raises."""


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    features: Raw = Raw(b"")
    instances: list[Raw] | None = None
    request_id: str = "none"


def _is_asking(raw: Raw) -> bool:
    return bytes(raw).startswith(b'{"features"')


def _parse(body: bytes | Raw) -> tuple[Any, str]:
    """The features, or a list of instances, and the request's id."""
    body = bytes(body)
    try:
        given = msgspec.json.decode(body, type=_Body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        try:
            features = json.loads(body)["features"]  # NaN and 1e999 pass here: the contract's reader names the field
        except (ValueError, KeyError):
            raise ContractError("broken JSON") from None
        return Raw(json.dumps(features).encode()), "none"
    if given.instances is not None and not given.instances:
        raise ContractError("instances: the batch is empty", "instances")
    if given.instances is not None:
        return given.instances, given.request_id
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
        if status == 503:
            self.send_header("retry-after", "1")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def check_stage(
    open_stage: OpenStage,
    table: RouteTable,
    model: str,
    contract: Contract,
    features: Mapping[str, Any],
    patience_seconds: float = 60.0,
) -> None:
    """What every stage keeps. `table` routes `model` to versions that are all in its bundles and have this contract;
    `features` is a row."""
    body = json.dumps({"features": dict(features), "request_id": "check-stage"}).encode()
    with open_stage(table) as stage:
        assert stage.applied_generation() == table.generation, "an entered stage has its table"
        answer = _post(f"{stage.base_url}/v1/models/{model}/predict", body)
        assert answer["version"] in table.models[model].bundles, "a version of the table answers"
        assert 0.0 < stage.memory_mb() <= stage.peak_memory_mb() + 0.1, "it takes some memory, never more than its peak"
        _until(lambda: _has_logged(stage, "check-stage"), "the answer is logged", patience_seconds)
        assert stage.log_bytes() > 0, "what is logged takes some bytes"
        _publish(stage, table, patience_seconds)
        _fail(stage, (table, contract, model), body, patience_seconds)
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


def _fail(stage: Stage, routed: tuple[RouteTable, Contract, str], body: bytes, patience_seconds: float) -> None:
    table, contract, model = routed
    route = ModelRoute((Arm("champion", 99, 1.0),), {99: stage.put_failing(contract)})
    failing = RouteTable(table.generation + 2, {**table.models, model: route})
    stage.publish(failing)
    _until(lambda: stage.applied_generation() == failing.generation, "a failing version is loaded", patience_seconds)
    try:
        _post(f"{stage.base_url}/v1/models/{model}/predict", body.replace(b"check-stage", b"check-failure"))
    except HTTPError as error:
        status = error.code
    else:
        status = 200
    assert status == 500, "a failing version answers nothing"
    _until(lambda: _has_logged(stage, "check-failure"), "the failure is logged", patience_seconds)


def _until(holds: Callable[[], bool], what: str, patience_seconds: float) -> None:
    deadline = monotonic() + patience_seconds
    while not holds():
        assert monotonic() < deadline, f"{what}, but not within {patience_seconds:g} s"
        sleep(0.005)


def _post(url: str, body: bytes) -> dict[str, Any]:
    with urlopen(Request(url, body, {"content-type": "application/json"}), timeout=5.0) as response:  # noqa: S310 - http
        answer: dict[str, Any] = json.loads(response.read())
        return answer
