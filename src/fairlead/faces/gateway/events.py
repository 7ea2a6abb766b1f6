"""`POST /v1/events`: what happened to a model's units, for the product and business layers of the watch."""

from __future__ import annotations

from collections.abc import Container
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from fairlead.core.asking import Id
from fairlead.core.decode import INT64
from fairlead.core.listing import counted
from fairlead.core.record import EventRecord, event_id_of
from fairlead.errors import NotFound
from fairlead.faces.gateway.outcomes import AHEAD_SECONDS
from fairlead.faces.gateway.predict import event_time
from fairlead.faces.gateway.wire import Refusal, check_count, parse

LONGEST = 1024  # characters of a value that is a text
LONGEST_NAME = 128


class GivenEvent(Struct, forbid_unknown_fields=True):
    """One event. `at` is when it happened: seconds since 1970 or RFC 3339; now when left out. `event_id`: the caller's
    own identity for it."""

    model: Id
    unit_id: Id | int
    name: Annotated[str, Meta(min_length=1, max_length=LONGEST_NAME)]
    value: float | int | bool | Annotated[str, Meta(max_length=LONGEST)]
    at: float | int | str | None = None
    event_id: Id | None = None


_list = msgspec.json.Decoder(list[GivenEvent])
_one = msgspec.json.Decoder(GivenEvent)


def read_events(body: bytes, now: float, models: Container[str]) -> list[EventRecord]:
    """The events of a request: a list, or a single object. `models`: those that are known here.

    Raises `Refusal` (400; 413; 422 for an event more than a day ahead of `now`), and `NotFound` for a model that is
    not known: a name that is mistyped would be kept where nobody looks.
    """
    single = body.lstrip()[:1] == b"{"
    given: list[GivenEvent] = [parse(_one, body)] if single else parse(_list, body)
    if not given:
        raise Refusal(400, "the list of events is empty: send at least one")
    check_count(given, "events")
    return [_record(one, "" if single else f"[{index}].", now, models) for index, one in enumerate(given)]


def _record(one: GivenEvent, path: str, now: float, models: Container[str]) -> EventRecord:
    if one.model not in models:
        raise NotFound(f"{path}model: no model {one.model[:80]!r} is served here: events are kept by model")
    at = now if one.at is None else event_time(one.at, f"{path}at")
    if at > now + AHEAD_SECONDS:
        days = (at - now) / 86400.0
        raise Refusal(
            422, f"{path}at: {counted(round(days), 'day')} in the future: send events once they happened", f"{path}at"
        )
    value, unit = _value(one.value, f"{path}value"), str(one.unit_id)
    identity = one.event_id or event_id_of(one.model, unit, one.name, value, at)
    return EventRecord(identity, one.model, unit, one.name, value, at, now)


def _value(value: float | int | bool | str, path: str) -> float | int | str:
    """True is 1. JSON does not tell 1e30 from its digits: a whole number that 64 bits do not hold is a float."""
    if isinstance(value, bool):
        return int(value)
    if not isinstance(value, int) or INT64[0] <= value <= INT64[1]:
        return value
    try:
        return float(value)
    except OverflowError:
        raise Refusal(400, f"{path}: expected a number that 64 bits hold", path) from None
