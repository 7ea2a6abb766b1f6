"""`POST /v1/models/{name}/predict`: one row under `features`, or a batch under `instances`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from fairlead.core.fallback import note_of
from fairlead.core.record import Prediction
from fairlead.faces.gateway.wire import Refusal, check_count, parse
from fairlead.flows.serve import Arrival, Ask

Id = Annotated[str, Meta(min_length=1, max_length=256)]
ABSENT = Raw(b"")
HUGE = 1e300
LATEST = 253_402_300_800.0  # the year 10000: a time stamp above it is in milliseconds

_MISPLACED = ' (features go under "features": {"features": {...}})'


class PredictBody(Struct, forbid_unknown_fields=True):
    """The request. Either `features` or `instances`. `version` is an operator's pin, see `check_operator`."""

    features: Raw = ABSENT
    instances: list[Raw] | None = None
    request_id: Id | None = None
    unit_id: Id | int | None = None
    timestamp: float | int | str | None = None
    version: Annotated[int, Meta(ge=1)] | None = None


class Instance(Struct, forbid_unknown_fields=True):
    """A row of a batch with its own identity."""

    features: Raw
    request_id: Id | None = None
    unit_id: Id | int | None = None
    timestamp: float | int | str | None = None


class _Probe(Struct):
    """Tells an instance with an identity from a bare object of features."""

    features: Raw = ABSENT


class Answered(Struct, omit_defaults=True):
    """The answer to one row. `probabilities` stand in the order of the contract's classes."""

    request_id: str
    model: str
    version: int
    arm: str
    prediction: float | int | str | None
    probabilities: tuple[float, ...] | None = None


class FellBack(Answered, omit_defaults=True):
    """The answer to a row that its version may not or could not answer (`arm` is fallback): `fallback` says who
    answered, the champion or nobody (default); `reason` and `path` why. A default has the dealt version's number."""

    fallback: str = ""
    reason: str = ""
    path: str = ""


class AnsweredBatch(Struct):
    """The answers to a batch, in its order."""

    predictions: list[Answered]


_body = msgspec.json.Decoder(PredictBody)
_instance = msgspec.json.Decoder(Instance)
_probe = msgspec.json.Decoder(_Probe)
_encode = msgspec.json.Encoder().encode


def read_asks(body: bytes, arrival: Arrival, new_id: Callable[[], str]) -> tuple[list[Ask], bool, int | None]:
    """The rows of a request, whether it was a batch, and the version it asks for. Raises `Refusal` (400)."""
    given: PredictBody = parse(_body, body, _MISPLACED if b'"features"' not in body else "")
    if given.instances is None:
        if given.features is ABSENT:
            raise Refusal(400, "features: expected an object by feature name, came nothing (the field is missing)")
        return [_ask(given, given.request_id or new_id(), arrival, "features")], False, given.version
    if given.features is not ABSENT:
        raise Refusal(400, "the body has both features and instances: send one of them")
    if not given.instances:
        raise Refusal(400, "instances: the batch is empty: send at least one instance", "instances")
    check_count(given.instances, "instances")
    return (
        [
            _ask_of(
                raw,
                given,
                arrival,
                f"instances[{index}]",
                f"{given.request_id}:{index}" if given.request_id else new_id(),
            )
            for index, raw in enumerate(given.instances)
        ],
        True,
        given.version,
    )


def read_single(body: bytes, arrival: Arrival, new_id: Callable[[], str]) -> Ask | None:
    """The row of a request of one row; None for a batch, a pin, or no row. Raises `msgspec.DecodeError` and its kin
    for what `read_asks` explains, and `Refusal`."""
    given: PredictBody = _body.decode(body)
    if given.instances is not None or given.version is not None or given.features is ABSENT:
        return None
    return _ask(given, given.request_id or new_id(), arrival, "features")


def write_answer(record: Prediction) -> bytes:
    """The response body of one row."""
    return _encode(_answered(record))


def write_answers(records: Sequence[Prediction], batch: bool) -> bytes:
    """The response body."""
    answers = [_answered(record) if record.error is None else _fell_back(record) for record in records]
    return _encode(AnsweredBatch(answers) if batch else answers[0])


def _answered(record: Prediction) -> Answered:
    return Answered(
        record.request_id,
        record.model_name,
        record.model_version,
        record.arm,
        record.prediction,
        record.probabilities,
    )


def _fell_back(record: Prediction) -> Answered:
    answered, note = _answered(record), note_of(record)
    if note is None:
        return answered
    said = msgspec.structs.asdict(answered)
    return FellBack(**said, fallback=note.fallback, reason=note.reason, path=note.path)


def event_time(value: float | int | str, path: str) -> float:
    """Seconds since 1970 from a number or an RFC 3339 text. Raises `Refusal` (400)."""
    if isinstance(value, str):
        try:
            said = msgspec.convert(value, datetime)
        except msgspec.ValidationError:
            said = None
        if said is None or said.tzinfo is None:
            raise Refusal(
                400,
                f"{path}: expected seconds since 1970 or RFC 3339 with an offset, such as 2026-01-31T12:00:00Z",
                path,
            )
        if said.timestamp() < 0.0:
            raise Refusal(400, f"{path}: expected an instant from 1970 on, came {value}", path)
        return said.timestamp()
    if not 0.0 <= value < LATEST:
        came = f"{value:g}" if abs(value) < HUGE else "a number that 64 bits do not hold"  # an integer may be endless
        raise Refusal(400, f"{path}: expected seconds since 1970, came {came} (is it in milliseconds?)", path)
    return float(value)


def _ask_of(raw: Raw, batch: PredictBody, arrival: Arrival, path: str, default_id: str) -> Ask:
    """An instance: an object with `features` and its identity, or the bare features."""
    try:
        probe = _probe.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        probe = _Probe()
    if probe.features is ABSENT or bytes(probe.features)[:1] != b"{":
        own = Instance(raw, None, batch.unit_id, batch.timestamp)
        return _ask(own, default_id, arrival, path)
    try:
        own = parse(_instance, bytes(raw))
    except Refusal as refusal:
        where = f"{path}.{refusal.path}" if refusal.path else path
        raise Refusal(400, f"{path}: {refusal}", where) from None
    if own.unit_id is None:
        own.unit_id = batch.unit_id
    if own.timestamp is None:
        own.timestamp = batch.timestamp
    return _ask(own, own.request_id or default_id, arrival, f"{path}.features")


def _ask(own: PredictBody | Instance, request_id: str, arrival: Arrival, path: str) -> Ask:
    at = arrival.at if own.timestamp is None else event_time(own.timestamp, _beside(path))
    unit = request_id if own.unit_id is None else str(own.unit_id)
    return Ask(request_id, unit, at, own.features, path)


def _beside(path: str) -> str:
    return path.removesuffix("features") + "timestamp" if path.endswith("features") else f"{path}.timestamp"
