"""The Open Inference Protocol, version 2, over HTTP: health, metadata, `infer` and the repository index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from fairlead.core.bundle import PORTABLE
from fairlead.core.record import Prediction
from fairlead.core.route import Route
from fairlead.errors import NotFound
from fairlead.faces.gateway.predict import event_time
from fairlead.faces.gateway.tensors import InferAnswer, InferBody, check_wanted, metadata, outputs_of, rows_of
from fairlead.faces.gateway.wire import Refusal, parse
from fairlead.flows.serve import Arrival, Ask, NotReady, Serving, draw, pin
from fairlead.flows.warm import LiveModel

_infer = msgspec.json.Decoder(InferBody)
_encode = msgspec.json.Encoder().encode


class InferenceProtocol:
    """Answers the paths below `/v2`."""

    def __init__(self, serving: Serving, server_version: str, new_id: Callable[[], str]) -> None:
        self._serving = serving
        self._server_version = server_version
        self._new_id = new_id

    def get(self, parts: list[str]) -> tuple[int, bytes]:
        """`parts`: the path below `/v2`. Raises `NotFound`, `NotReady` and `Refusal` (405)."""
        match parts:
            case []:
                return 200, _encode({"name": "fairlead", "version": self._server_version, "extensions": []})
            case ["health", "live"]:
                return 200, _encode({"live": True})
            case ["health", "ready"]:
                ready = self._serving.live is not None
                return (200 if ready else 503), _encode({"ready": ready})
            case ["models", name] | ["models", name, "versions", _]:
                return 200, _encode(self._metadata(name, parts[3:]))
            case ["models", name, "ready"] | ["models", name, "versions", _, "ready"]:
                return self._ready(name, parts[3:-1])
            case ["models", _, "infer"] | ["models", _, "versions", _, "infer"] | ["repository", "index"]:
                raise Refusal(405, "this path takes POST only", header=(b"allow", b"POST"))
        raise NotFound(f"no such path: /v2/{'/'.join(parts)}")

    def index(self) -> bytes:
        """Every warm version of every model."""
        live = self._serving.live
        models = live.models.values() if live else ()
        return _encode(
            [
                {"name": model.name, "version": str(version), "state": "READY", "reason": ""}
                for model in models
                for version in sorted(model.versions)
            ]
        )

    def infer(
        self, model: LiveModel, version: str | None, body: bytes, arrival: Arrival
    ) -> tuple[bytes, list[Prediction], list[Route]]:
        """Answers tensors. One request is one unit: all its rows go to one version."""
        given: InferBody = parse(_infer, body)
        request_id = given.id or self._new_id()
        unit, at = _identity(given.parameters, request_id, arrival)
        route = draw(model, unit) if version is None else pin(model, _number(version))
        contract = model.versions[route.version].manifest.contract
        check_wanted(contract, given.outputs)
        rows = rows_of(given.inputs)
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
        routes = [route] * len(asks)
        records = self._serving.answer(model, asks, arrival, routes)
        outputs = outputs_of(records, contract, given.outputs)
        answer = InferAnswer(model.name, str(route.version), request_id, outputs, {"arm": route.arm})
        return _encode(answer), records, routes

    def _metadata(self, name: str, rest: list[str]) -> dict[str, Any]:
        model = self._serving.model(name)
        number = _number(rest[0]) if rest else model.route.arms[-1].version
        live = model.version(number)
        platform = "onnx_onnxruntime" if live.manifest.served == PORTABLE else f"fairlead_{live.manifest.model_format}"
        return metadata(name, list(model.versions), live.manifest.contract, platform)

    def _ready(self, name: str, rest: list[str]) -> tuple[int, bytes]:
        try:
            model = self._serving.model(name)
        except NotReady:
            return 503, _encode({"name": name, "ready": False})
        if rest:
            model.version(_number(rest[0]))
        return 200, _encode({"name": name, "ready": True})


def _number(version: str) -> int:
    if not version.isascii() or not version.isdigit() or len(version) > 9:
        raise NotFound(f"no version {version[:40]!r}: versions are whole numbers")
    return int(version)


def _identity(parameters: dict[str, Any], request_id: str, arrival: Arrival) -> tuple[str, float]:
    unit = parameters.get("unit_id", request_id)
    if isinstance(unit, bool) or not isinstance(unit, str | int) or unit == "":
        raise Refusal(400, "parameters.unit_id: expected a string or an integer", "parameters.unit_id")
    at = parameters.get("timestamp", arrival.at)
    if isinstance(at, bool) or not isinstance(at, str | int | float):
        raise Refusal(400, "parameters.timestamp: expected seconds since 1970 or RFC 3339", "parameters.timestamp")
    return str(unit), event_time(at, "parameters.timestamp")
