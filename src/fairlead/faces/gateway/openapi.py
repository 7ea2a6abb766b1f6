"""`GET /openapi.json`: everything that the data plane answers, with the contracts of the models that it serves now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from fairlead.core.asking import Answered
from fairlead.faces.gateway.mlflow_scoring import PING, VERSION, ScoringProblem
from fairlead.faces.gateway.openapi_facts import event, facts
from fairlead.faces.gateway.openapi_model import ModelPaths
from fairlead.faces.gateway.openapi_operation import (
    SCORING,
    TEXT,
    TO_BODIES,
    Operation,
    operation,
    probe,
    ref,
    refusals,
    said,
    taken,
)
from fairlead.faces.gateway.openapi_schemas import ID, INSTANT, Schema, a_list, an_object, or_null
from fairlead.faces.gateway.otlp_json import OtlpRequest
from fairlead.faces.gateway.outcomes import LONGEST
from fairlead.faces.gateway.tensor_outputs import InferAnswer
from fairlead.faces.gateway.wire import Problem
from fairlead.flows.serve import Serving
from fairlead.flows.warm import Live

OUTCOME = an_object(
    {
        "request_id": ID,
        "outcome": {"type": ["number", "string"], "maxLength": LONGEST, "description": "The class or the value"},
        "observed_at": {**or_null(INSTANT), "description": "When it became known: at most a day ahead"},
    },
    ("request_id", "outcome"),
)
_STRING: Schema = {"type": "string"}
_OBJECT: Schema = {"type": "object"}
_SHARED = (Answered, InferAnswer, OtlpRequest, Problem, ScoringProblem)

Described = Iterator[tuple[str, str, Operation]]


class OpenApi:
    """The document, made anew when what is served has changed."""

    def __init__(self, serving: Serving, server_version: str) -> None:
        self._serving = serving
        self._version = server_version
        self._made_for: Live | None = None
        self._made = b""

    def body(self) -> bytes:
        """OpenAPI 3.1, as JSON."""
        live = self._serving.live
        if not self._made or live is not self._made_for:
            self._made, self._made_for = msgspec.json.encode(document(live, self._version)), live
        return self._made


def document(live: Live | None, server_version: str) -> dict[str, Any]:
    """The data plane's description. Without a route table it has no model."""
    _, shared = msgspec.json.schema_components(_SHARED, ref_template="#/components/schemas/{name}")
    models = _models(live) if live is not None else []
    components: dict[str, Schema] = {**shared, "Outcome": OUTCOME, "Event": event(live)}
    described = [*_fixed(), *facts(live)]
    for model in models:
        components |= model.components()
        described += model.paths()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fairlead data plane",
            "version": server_version,
            "description": "Predictions, outcomes, health and metrics; the contracts are those of what is served now.",
        },
        "paths": _paths(described),
        "components": {"schemas": components, "responses": refusals()},
    }


def _models(live: Live) -> list[ModelPaths]:
    is_only = len({*live.models, *live.errors, *live.waiting}) == 1
    return [ModelPaths(model, is_only=is_only) for _, model in sorted(live.models.items())]


def _paths(described: Iterable[tuple[str, str, Operation]]) -> dict[str, dict[str, Operation]]:
    """By path and method, each operation with an id of its own for client generators."""
    paths: dict[str, dict[str, Operation]] = {}
    taken_ids: set[str] = set()
    for path, method, made in described:
        name = f"{method}_{re.sub(r'[^A-Za-z0-9]+', '_', path).strip('_')}"
        while name in taken_ids:
            name += "_"
        taken_ids.add(name)
        paths.setdefault(path, {})[method] = {"operationId": name, **made}
    return paths


def _fixed() -> Described:
    yield "/openapi.json", "get", operation("This document", said("OpenAPI 3.1", _OBJECT))
    yield "/health", "get", probe("What each model serves", _OBJECT)
    yield "/metrics", "get", operation("Counters of all workers", said("Prometheus text", _STRING, TEXT))
    yield PING, "get", operation("Whether anything can be answered", said("Yes", _STRING, TEXT), (503,), shape=SCORING)
    yield VERSION, "get", operation("The version of fairlead", said("The version", _STRING, TEXT))
    outcomes = {"anyOf": [a_list(ref("Outcome")), ref("Outcome")]}
    example = [{"request_id": "r-1", "outcome": 1, "observed_at": "2024-01-31T12:00:00Z"}]
    accepted = an_object({"accepted": {"type": "integer", "minimum": 1}}, ("accepted",))
    yield (
        "/v1/outcomes",
        "post",
        operation(
            "What really happened: the same outcome twice is one outcome",
            said("How many were kept", accepted),
            (*TO_BODIES, 422, 503),
            body=taken(outcomes, example),
        ),
    )
    yield from _protocol()


def _protocol() -> Described:
    """The Open Inference Protocol, as far as it names no model."""
    yield "/v2", "get", operation("The server and its extensions", said("Metadata", _OBJECT))
    yield "/v2/models", "get", operation("The models' names", said("The names", _OBJECT))
    yield "/v2/health/live", "get", operation("Whether the server lives", said("Yes", _OBJECT))
    yield "/v2/health/ready", "get", probe("Whether it can answer", _OBJECT)
    texts = dict.fromkeys(("name", "version", "state", "reason"), _STRING)
    listed: Schema = {"type": "array", "items": an_object(texts, tuple(texts))}
    ready = {"type": "object", "properties": {"ready": {"type": ["boolean", "null"]}}}  # others are left alone
    wanted = taken(ready, {}, required=False)
    yield (
        "/v2/repository/index",
        "post",
        operation("Every version that can be asked", said("The versions", listed), (*TO_BODIES, 503), body=wanted),
    )
