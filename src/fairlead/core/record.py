"""What the gateway writes: a prediction, an outcome (the two meet by request id, whichever comes first), a business
event, and a span of an application's own trace."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Raw, Struct


class Prediction(Struct, frozen=True, omit_defaults=True):
    """One answered (or failed) request, as it stands in the log. Instants are seconds since 1970, UTC.

    `features` is the caller's own JSON object, byte for byte. `timestamp` is event time (what the caller said, or
    `received_at`). `propensity` is the probability with which this unit was given this arm. `shadow_of` names the
    version whose answer the caller got, when this record is a shadow's. `score` is the probability of the last
    class (binary), of the predicted class (multiclass), or the predicted value (regression). `rollout` is the salt of
    the route that was followed (the id of the rollout that runs); empty when there is none, and for a pinned request.
    """

    request_id: str
    model_name: str
    model_version: int
    arm: str
    unit_id: str
    propensity: float
    timestamp: float
    received_at: float
    features: Raw
    prediction: float | int | str | None
    score: float | None
    latency_ms: float
    probabilities: tuple[float, ...] | None = None
    status: int = 200
    error: str | None = None
    shadow_of: int | None = None
    trace_id: str | None = None
    rollout: str = ""


class OutcomeRecord(Struct, frozen=True):
    """What really happened to a request. `observed_at` is when it became known, `received_at` when we were told."""

    request_id: str
    outcome: float | int | str
    observed_at: float
    received_at: float


class EventRecord(Struct, frozen=True):
    """Something that happened to a unit of a model's: a purchase, a complaint, a conversion. `at` is when it happened.

    The same fact twice is one fact: `event_id` is the caller's, or made of the rest by `event_id_of`.
    """

    event_id: str
    model_name: str
    unit_id: str
    name: str
    value: float | int | str
    at: float
    received_at: float


class SpanRecord(Struct, frozen=True, omit_defaults=True):
    """A span that an application sent of its own work, such as a call of a language model. `attributes` are as they
    were sent, without those that hold prompts and answers unless they are kept; `dropped` counts what was left out.

    `kind` and `status` are OpenTelemetry's numbers. `service` is the sender's `service.name`.
    """

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    started_at: float
    ended_at: float
    received_at: float
    kind: int = 0
    status: int = 0
    attributes: dict[str, Any] = {}
    events: tuple[str, ...] = ()  # their names
    dropped: int = 0


def event_id_of(model: str, unit: str, name: str, value: float | int | str, at: float) -> str:
    """The identity of an event whose caller gave it none: everything that it says, so that another value or another
    instant is another event.

    >>> event_id_of("shop", "u1", "bought", 20, 1.7e9) == event_id_of("shop", "u1", "bought", 20, 1.7e9)
    True
    >>> event_id_of("shop", "u1", "bought", 20, 1.7e9) == event_id_of("shop", "u1", "bought", 21, 1.7e9)
    False
    """
    return blake2b(msgspec.json.encode((model, unit, name, value, at)), digest_size=16).hexdigest()
