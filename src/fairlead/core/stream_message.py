"""What travels on a stream: a request in, its answer or a dead letter out. All are JSON documents in UTF-8."""

from __future__ import annotations

import re
from base64 import b64encode
from datetime import datetime
from hashlib import sha256
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct

from fairlead.core.decode import broken
from fairlead.core.record import Prediction
from fairlead.errors import ContractError

LARGEST = 256 * 2**10  # bytes of a message; one row has no use for more
KEPT = 384 * 2**10  # bytes of a message that its dead letter holds
LATEST = 253_402_300_800.0  # the year 10000: a time stamp above it is in milliseconds

Id = Annotated[str, Meta(min_length=1, max_length=256)]
_ABSENT = Raw(b"")
_AT = re.compile(r"(.*) - at `\$\.?(.*)`")


class _Body(Struct, forbid_unknown_fields=True):
    features: Raw = _ABSENT
    request_id: Id | None = None
    unit_id: Id | int | None = None
    timestamp: float | int | str | None = None


class Request(NamedTuple):
    """A message that was read. `features` is the sender's JSON, byte for byte; `timestamp` seconds since 1970."""

    features: Raw
    request_id: str | None
    unit_id: str | None
    timestamp: float | None


class Answered(Struct, omit_defaults=True):
    """The answer, as the gateway's native protocol has it."""

    request_id: str
    model: str
    version: int
    arm: str
    prediction: float | int | str | None
    probabilities: tuple[float, ...] | None = None


class DeadLetter(Struct, omit_defaults=True):
    """A message that has no answer. `path` is the field, `id` the broker's own identity of the message, `at` seconds
    since 1970; `version` and `arm` name who failed on it, and a contract's refusal has neither. The message is in
    `body` where it is UTF-8, else in `body_base64`; of one that is too long for a letter both leave the end out, and
    `sha256` tells the whole."""

    reason: str
    path: str
    status: int
    model: str
    id: str
    at: float
    size: int
    request_id: str | None = None
    version: int | None = None
    arm: str | None = None
    body: str | None = None
    body_base64: str | None = None
    sha256: str | None = None


_decode = msgspec.json.Decoder(_Body).decode
_encode = msgspec.json.Encoder().encode


def read_message(body: bytes) -> Request:
    """One request. Raises `ContractError` with the path of the field.

    >>> read_message(b'{"features": {"age": 3}, "request_id": "q-1", "timestamp": "1970-01-01T00:01:00Z"}')[1:]
    ('q-1', None, 60.0)
    """
    if len(body) > LARGEST:
        raise ContractError(f"the message has {len(body)} bytes: at most {LARGEST} are read")
    try:
        given = _decode(body)
    except msgspec.ValidationError as error:
        found = _AT.match(str(error))
        said, path = found.groups() if found else (str(error), "")
        said = said.replace("got", "came").replace("`", "")
        hint = "" if b'"features"' in body else ' (features go under "features": {"features": {...}})'
        raise ContractError(f"{path}: {said}{hint}" if path else f"{said}{hint}", path) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if not body:
            raise ContractError("the message is empty: send a JSON document") from None
        raise broken(body) from None
    if given.features is _ABSENT:
        raise ContractError("features: expected an object by feature name, came nothing", "features")
    at = None if given.timestamp is None else event_time(given.timestamp)
    return Request(given.features, given.request_id, None if given.unit_id is None else str(given.unit_id), at)


def event_time(value: float | int | str, path: str = "timestamp") -> float:
    """Seconds since 1970 from a number or an RFC 3339 text. Raises `ContractError`."""
    if isinstance(value, str):
        try:
            said = msgspec.convert(value, datetime)
        except msgspec.ValidationError:
            said = None
        if said is None or said.tzinfo is None:
            wanted = "seconds since 1970 or RFC 3339 with an offset, such as 2026-01-31T12:00:00Z"
            raise ContractError(f"{path}: expected {wanted}", path)
        return said.timestamp()
    if not 0.0 <= value < LATEST:
        raise ContractError(f"{path}: expected seconds since 1970, came {value:g} (is it in milliseconds?)", path)
    return float(value)


def write_answer(record: Prediction) -> bytes:
    """The answer to a request, from its record."""
    return _encode(
        Answered(
            record.request_id,
            record.model_name,
            record.model_version,
            record.arm,
            record.prediction,
            record.probabilities,
        )
    )


def write_letter(letter: DeadLetter, body: bytes, most: int = KEPT) -> bytes:
    """A dead letter, with at most `most` bytes of the message."""
    kept = body[:most]
    held = _legible(kept) or {"body_base64": b64encode(kept).decode()}
    if len(kept) < len(body):
        held["sha256"] = sha256(body).hexdigest()
    return _encode(msgspec.structs.replace(letter, size=len(body), **held))


def _legible(kept: bytes) -> dict[str, str]:
    """The bytes as text; nothing where they are none, or are control characters: those take six bytes each in JSON."""
    try:
        held = {"body": kept.decode()}
    except UnicodeDecodeError:
        return {}
    return held if len(_encode(held)) <= 2 * len(kept) + 100 else {}
