"""A request of one row as JSON, and its answer: what is read and written alike wherever requests come from."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta, Raw, Struct

from fairlead.core.decode import broken
from fairlead.core.fallback import note_of
from fairlead.core.record import Prediction
from fairlead.errors import ContractError

LATEST = 253_402_300_800.0  # the year 10000: a time stamp above it is in milliseconds
ABSENT = Raw(b"")
_HUGE = 1e300
_AT = re.compile(r"^(.*?)(?: - at `\$\.?(.*)`)?$", re.DOTALL)

Id = Annotated[str, Meta(min_length=1, max_length=256)]
Instant = float | int | str


class Asking(Struct, forbid_unknown_fields=True):
    """A row with its identity. `features` is the sender's JSON, byte for byte."""

    features: Raw = ABSENT
    request_id: Id | None = None
    unit_id: Id | int | None = None
    timestamp: Instant | None = None


class Answered(Struct, omit_defaults=True):
    """The answer to one row. `probabilities` stand in the order of the contract's classes."""

    request_id: str
    model: str
    version: int
    arm: str
    prediction: float | int | str | None
    probabilities: tuple[float, ...] | None = None


def answered(record: Prediction) -> Answered:
    """The answer that a record stands for."""
    return Answered(
        record.request_id,
        record.model_name,
        record.model_version,
        record.arm,
        record.prediction,
        record.probabilities,
    )


class FellBack(Answered, omit_defaults=True):
    """The answer to a row that its version may not or could not answer (`arm` is fallback): `fallback` says who
    answered, the champion or nobody (default); `reason` and `path` why. A default has the dealt version's number."""

    fallback: str = ""
    reason: str = ""
    path: str = ""


def answer_of(record: Prediction) -> Answered:
    """The same, and where the answer is a fallback, why."""
    given = answered(record)
    note = None if record.error is None else note_of(record)
    if note is None:
        return given
    said = msgspec.structs.asdict(given)
    return FellBack(**said, fallback=note.fallback, reason=note.reason, path=note.path)


def misplaced(body: bytes) -> str:
    """A hint for a document that names no features."""
    return "" if b'"features"' in body else ' (features go under "features": {"features": {...}})'


def unreadable(error: Exception, body: bytes, hint: str = "") -> ContractError:
    """Why a decoder refused a document, with the field's path and without what the library calls it by."""
    if not isinstance(error, msgspec.ValidationError):
        return broken(body) if body else ContractError("the body is empty: send a JSON document")
    found = _AT.match(str(error))
    said, path = found.groups() if found else (str(error), "")
    said = said.replace("got", "came").replace("`", "")
    return ContractError(f"{path}: {said}{hint}" if path else f"{said}{hint}", path or "")


def event_time(value: Instant, path: str) -> float:
    """Seconds since 1970 from a number or an RFC 3339 text. Raises `ContractError`.

    >>> event_time("1970-01-01T00:01:00Z", "timestamp")
    60.0
    """
    if isinstance(value, str):
        return _written(value, path)
    if not 0.0 <= value < LATEST:
        came = f"{value:g}" if abs(value) < _HUGE else "a number that 64 bits do not hold"  # an integer may be endless
        raise ContractError(f"{path}: expected seconds since 1970, came {came} (is it in milliseconds?)", path)
    return float(value)


def _written(value: str, path: str) -> float:
    try:
        said = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        said = None
    if said is None or said.tzinfo is None:
        wanted = "seconds since 1970 or RFC 3339 with an offset, such as 2026-01-31T12:00:00Z"
        raise ContractError(f"{path}: expected {wanted}", path)
    if said.timestamp() < 0.0:
        raise ContractError(f"{path}: expected an instant from 1970 on, came {value}", path)
    return said.timestamp()
