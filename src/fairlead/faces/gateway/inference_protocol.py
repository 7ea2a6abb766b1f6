"""The Open Inference Protocol, version 2, over HTTP: health, metadata, `infer` and the repository index."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from fairlead.core.bundle import PORTABLE
from fairlead.core.contract import Contract
from fairlead.core.decode import INT64
from fairlead.core.record import Prediction
from fairlead.core.route import Route
from fairlead.errors import NotFound
from fairlead.faces.gateway.health import is_ready
from fairlead.faces.gateway.predict import event_time
from fairlead.faces.gateway.refusals import version_number
from fairlead.faces.gateway.tensor_body import BINARY, LENGTH, TensorBody
from fairlead.faces.gateway.tensor_outputs import (
    Choice,
    InferAnswer,
    choose_outputs,
    fallbacks_of,
    flag,
    metadata,
    outputs_of,
)
from fairlead.faces.gateway.tensors import InferBody, check_content_type, rows_of
from fairlead.faces.gateway.wire import JSON, Header, Refusal, parse
from fairlead.flows.dealing import dealt, value_of
from fairlead.flows.serve import Arrival, Ask, NotReady, Serving, pin
from fairlead.flows.warm import LiveModel

ID_LENGTH = 256
NOTHING = Raw(b"{}")
EXTENSIONS = ("binary_tensor_data", "classification", "model_repository", "parameters")


class IndexBody(Struct):
    """The request of the repository index. `ready`: only what can be asked."""

    ready: bool | None = None


class Asked(NamedTuple):
    """A request to infer that was read: its rows and their routes, and what its answer needs."""

    asks: list[Ask]
    routes: list[Route]
    request_id: str
    contract: Contract
    outputs: list[Choice]


_infer = msgspec.json.Decoder(InferBody)
_index = msgspec.json.Decoder(IndexBody)
_encode = msgspec.json.Encoder().encode


class InferenceProtocol:
    """Answers the paths below `/v2`."""

    def __init__(self, serving: Serving, server_version: str, new_id: Callable[[], str]) -> None:
        self._serving = serving
        self._server_version = server_version
        self._new_id = new_id

    def get(self, parts: list[str], *, is_post: bool = False) -> tuple[int, bytes]:
        """`parts`: the path below `/v2`. Raises `NotFound`, `NotReady` and `Refusal` (405, 501)."""
        match parts:
            case ["health", "live"]:
                return 200, _encode({"live": True})
            case ["health", "ready"]:
                ready = is_ready(self._serving)
                return (200 if ready else 503), _encode({"ready": ready})
            case ["models", name] | ["models", name, "versions", _]:
                return 200, _encode(self._metadata(name, parts[3:]))
            case ["models", name, "ready"] | ["models", name, "versions", _, "ready"]:
                return self._ready(name, parts[3:-1])
        return 200, _encode(self._whole(parts, is_post))

    def _whole(self, parts: list[str], is_post: bool) -> dict[str, Any]:
        """What is said of the server, or why there is nothing to be said."""
        match parts:
            case []:
                return {"name": "fairlead", "version": self._server_version, "extensions": EXTENSIONS}
            case ["models"]:
                live = self._serving.live
                return {"models": sorted(live.models) if live else []}
            case ["repository", "models", _, "load" | "unload"] if is_post:
                raise Refusal(501, "what is loaded follows the route table: deploy or retire a version instead")
            case (
                ["models", _, "infer"]
                | ["models", _, "versions", _, "infer"]
                | ["repository", "index"]
                | ["repository", "models", _, "load" | "unload"]
            ):
                raise Refusal(405, "this path takes POST only", header=(b"allow", b"POST"))
        raise NotFound(f"no such path: /v2/{'/'.join(parts)[:200]}")

    def index(self, body: bytes) -> bytes:
        """Every warm version of every model, and the models that cannot be asked. `body` may be empty."""
        wanted: IndexBody = parse(_index, body) if body else IndexBody()
        live = self._serving.live
        if live is None:
            return b"[]"
        listed = [
            _listed(model.name, str(version), "READY")
            for model in live.models.values()
            for version in sorted(model.versions)
        ]
        if not wanted.ready:
            said = "it cannot be loaded here: see the worker's error in the overview"
            failed = [_listed(name, "", "UNAVAILABLE", said) for name in live.errors if name not in live.models]
            loading = [name for name in live.waiting if name not in live.models and name not in live.errors]
            listed += failed + [_listed(name, "", "LOADING", "it is being loaded") for name in loading]
        return _encode(listed)

    def read(self, model: LiveModel, version: str | None, body: TensorBody, arrival: Arrival) -> Asked:
        """Reads tensors. One request is one unit: all its rows go to one version. Raises `Refusal` (400)."""
        given: InferBody = parse(_infer, body.json)
        request_id = given.id or self._new_id()
        parameters = given.parameters or {}
        unit, at = _identity(parameters, request_id, arrival)
        if parameters:
            check_content_type(parameters, "parameters")
        if version is None:
            seen = _alike(model, given, body) if model.route.split.feature else NOTHING
            route = dealt(model, Ask(request_id, unit, at, seen, "inputs"), arrival)
        else:
            route = pin(model, version_number(version))
        contract = model.versions[route.version].asked
        binary = flag(parameters, "binary_data_output", False, "parameters")
        outputs = choose_outputs(contract, given.outputs, binary)
        rows = rows_of(given.inputs, contract, body.binary)
        single = len(rows) == 1
        asks = [
            Ask(
                request_id if single else f"{request_id}:{index}",
                unit,
                at,
                row,
                "inputs" if single else f"inputs[{index}]",
            )
            for index, row in enumerate(rows)
        ]
        return Asked(asks, [route] * len(asks), request_id, contract, outputs)

    def write(
        self, model: LiveModel, asked: Asked, records: Sequence[Prediction]
    ) -> tuple[bytes, bytes, Header | None]:
        """The answer: its body, the body's content type, and the header that goes with it."""
        route = asked.routes[0]
        outputs, parts = outputs_of(records, asked.contract, asked.outputs)
        told = {"arm": route.arm} | fallbacks_of(records)
        version = route.version if told["arm"] == route.arm else records[0].model_version
        answer = _encode(InferAnswer(model.name, str(version), asked.request_id, outputs, told))
        if not parts:
            return answer, JSON, None
        return b"".join((answer, *parts)), BINARY, (LENGTH, b"%d" % len(answer))

    def _metadata(self, name: str, rest: list[str]) -> dict[str, Any]:
        model = self._serving.model(name)
        number = version_number(rest[0]) if rest else model.route.arms[-1].version
        live = model.version(number)
        platform = "onnx_onnxruntime" if live.manifest.served == PORTABLE else f"fairlead_{live.manifest.model_format}"
        return metadata(name, list(model.versions), live.asked, platform)

    def _ready(self, name: str, rest: list[str]) -> tuple[int, bytes]:
        try:
            model = self._serving.model(name)
        except NotReady:
            return 503, _encode({"name": name, "ready": False})
        if rest:
            model.version(version_number(rest[0]))
        return 200, _encode({"name": name, "ready": True})


def _listed(name: str, version: str, state: str, reason: str = "") -> dict[str, str]:
    return {"name": name, "version": version, "state": state, "reason": reason}


def _alike(model: LiveModel, given: InferBody, body: TensorBody) -> Raw:
    """A row that stands for all, as the champion's contract has it, where they agree on what the route's split looks
    at: one request has one route."""
    champion = model.versions[model.route.arms[-1].version]
    rows = rows_of(given.inputs, champion.asked, body.binary)
    values = {value_of(row, model.route.split.feature) for row in rows}
    return rows[0] if len(values) == 1 else NOTHING


def _identity(parameters: dict[str, Any], request_id: str, arrival: Arrival) -> tuple[str, float]:
    unit = parameters.get("unit_id", request_id)
    if not (isinstance(unit, str) and 0 < len(unit) <= ID_LENGTH) and not _is_integer(unit):
        raise Refusal(400, "parameters.unit_id: expected a string or an integer", "parameters.unit_id")
    at = parameters.get("timestamp", arrival.at)
    if not isinstance(at, str | float) and not _is_integer(at):
        raise Refusal(400, "parameters.timestamp: expected seconds since 1970 or RFC 3339", "parameters.timestamp")
    return str(unit), event_time(at, "parameters.timestamp")


def _is_integer(value: object) -> bool:
    """Of 64 bits, as elsewhere: JSON's may be of any length."""
    return isinstance(value, int) and not isinstance(value, bool) and INT64[0] <= value <= INT64[1]
