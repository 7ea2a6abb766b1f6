"""What the gateway writes: a prediction, an outcome. The two meet by request id, whichever comes first."""

from __future__ import annotations

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
