"""`POST /v1/models/{name}/predict`: one row under `features`, or a batch under `instances`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from fairlead.core import asking
from fairlead.core.asking import ABSENT, Answered, Asking, Instant, answer_of, answered, misplaced
from fairlead.core.record import Prediction
from fairlead.errors import ContractError
from fairlead.faces.gateway.wire import Refusal, check_count, parse
from fairlead.flows.serve import Arrival, Ask


class PredictBody(Asking, forbid_unknown_fields=True):
    """The request. Either `features` or `instances`. `version` is an operator's pin, see `check_operator`."""

    instances: list[Raw] | None = None
    version: Annotated[int, Meta(ge=1)] | None = None


class _Probe(Struct):
    """Tells an instance with an identity from a bare object of features."""

    features: Raw = ABSENT


class AnsweredBatch(Struct):
    """The answers to a batch, in its order."""

    predictions: list[Answered]


_body = msgspec.json.Decoder(PredictBody)
_instance = msgspec.json.Decoder(Asking)
_probe = msgspec.json.Decoder(_Probe)
_encode = msgspec.json.Encoder().encode


def read_asks(body: bytes, arrival: Arrival, new_id: Callable[[], str]) -> tuple[list[Ask], bool, int | None]:
    """The rows of a request, whether it was a batch, and the version it asks for. Raises `Refusal` (400)."""
    given: PredictBody = parse(_body, body, misplaced(body))
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
    return _encode(answered(record))


def write_answers(records: Sequence[Prediction], batch: bool) -> bytes:
    """The response body."""
    answers = [answered(record) if record.error is None else answer_of(record) for record in records]
    return _encode(AnsweredBatch(answers) if batch else answers[0])


def event_time(value: Instant, path: str) -> float:
    """Seconds since 1970 from a number or an RFC 3339 text. Raises `Refusal` (400)."""
    try:
        return asking.event_time(value, path)
    except ContractError as error:
        raise Refusal(400, error.line, error.path) from None


def _ask_of(raw: Raw, batch: PredictBody, arrival: Arrival, path: str, default_id: str) -> Ask:
    """An instance: an object with `features` and its identity, or the bare features."""
    try:
        probe = _probe.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError):
        probe = _Probe()
    if probe.features is ABSENT or bytes(probe.features)[:1] != b"{":
        own = Asking(raw, None, batch.unit_id, batch.timestamp)
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


def _ask(own: Asking, request_id: str, arrival: Arrival, path: str) -> Ask:
    at = arrival.at if own.timestamp is None else event_time(own.timestamp, _beside(path))
    unit = request_id if own.unit_id is None else str(own.unit_id)
    return Ask(request_id, unit, at, own.features, path)


def _beside(path: str) -> str:
    return path.removesuffix("features") + "timestamp" if path.endswith("features") else f"{path}.timestamp"
