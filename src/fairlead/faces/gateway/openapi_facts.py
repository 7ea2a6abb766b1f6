"""What the OpenAPI document says of business events and of applications' own traces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fairlead.faces.gateway.events import LONGEST, LONGEST_NAME
from fairlead.faces.gateway.openapi_operation import TO_BODIES, Operation, operation, ref, said, taken
from fairlead.faces.gateway.openapi_schemas import ID, INSTANT, UNIT, Schema, a_list, an_object, or_null
from fairlead.flows.warm import Live

PROTOBUF = "application/x-protobuf"
EVENT_EXAMPLE = {"model": "churn", "unit_id": "c-42", "name": "renewed", "value": 1, "at": "2024-01-31T12:00:00Z"}


def event(live: Live | None) -> Schema:
    """One event, of a model that is known here."""
    known = sorted({*live.models, *live.errors, *live.waiting}) if live is not None else []
    model: Schema = {"type": "string", "enum": known} if known else ID
    said_of = {"description": "The caller's identity for it; made of the rest where it is left out"}
    return an_object(
        {
            "model": model,
            "unit_id": UNIT,
            "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME},
            "value": {"type": ["number", "string", "boolean"], "maxLength": LONGEST, "description": "true counts as 1"},
            "at": {
                **or_null(INSTANT),
                "description": "When it happened: at most a day ahead; now where it is left out",
            },
            "event_id": {**or_null(ID), **said_of},
        },
        ("model", "unit_id", "name", "value"),
    )


def facts(live: Live | None) -> Iterator[tuple[str, str, Operation]]:
    """The paths."""
    accepted = an_object({"accepted": {"type": "integer", "minimum": 1}}, ("accepted",))
    models = sorted(live.models) if live is not None else []
    example: list[dict[str, Any]] = [{**EVENT_EXAMPLE, **({"model": models[0]} if models else {})}]
    yield (
        "/v1/events",
        "post",
        operation(
            "What happened to a model's units: the same event twice is one event",
            said("How many were kept", accepted),
            (*TO_BODIES, 404, 422, 503),
            body=taken({"anyOf": [a_list(ref("Event")), ref("Event")]}, example),
        ),
    )
    yield "/v1/traces", "post", _traces()


def _traces() -> Operation:
    """As OpenTelemetry's protocol has it, whose errors are a `google.rpc.Status`."""
    made = operation(
        "An application's own spans (OTLP over HTTP)",
        said("ExportTraceServiceResponse", {"type": "object"}),
        body=taken(ref("OtlpRequest"), {"resourceSpans": []}),
    )
    made["requestBody"]["content"][PROTOBUF] = {"schema": {"description": "ExportTraceServiceRequest"}}
    made["responses"]["200"]["content"][PROTOBUF] = {"schema": {"description": "ExportTraceServiceResponse"}}
    status = {"type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}
    words = {400: "It cannot be read", 413: "It is too large", 415: "It is of another type", 501: "No protobuf here"}
    for number, word in {**words, 503: "The log takes nothing now: send it again"}.items():
        made["responses"][str(number)] = said(word, status)
        made["responses"][str(number)]["content"][PROTOBUF] = {"schema": {"description": "google.rpc.Status"}}
    return made
