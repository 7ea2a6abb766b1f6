"""What travels on a stream: a request in, its answer or a dead letter out. All are JSON documents in UTF-8."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct

from fairlead.core.asking import ABSENT, Asking, answer_of, event_time, misplaced, unreadable
from fairlead.core.record import Prediction
from fairlead.errors import ContractError

LARGEST = 256 * 2**10  # bytes of a message; one row has no use for more
KEPT = 384 * 2**10  # bytes of a message that its dead letter holds


class Request(NamedTuple):
    """A message that was read. `features` is the sender's JSON, byte for byte; `timestamp` seconds since 1970."""

    features: Raw
    request_id: str | None
    unit_id: str | None
    timestamp: float | None


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


_decode = msgspec.json.Decoder(Asking).decode
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
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise unreadable(error, body, misplaced(body)) from None
    if given.features is ABSENT:
        raise ContractError("features: expected an object by feature name, came nothing", "features")
    at = None if given.timestamp is None else event_time(given.timestamp, "timestamp")
    return Request(given.features, given.request_id, None if given.unit_id is None else str(given.unit_id), at)


def write_answer(record: Prediction) -> bytes:
    """The answer to a request, from its record. It is the gateway's, byte for byte."""
    return _encode(answer_of(record))


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
