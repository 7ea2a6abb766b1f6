"""`POST /v1/outcomes`: what really happened to requests, before or after their predictions are known."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from fairlead.core.asking import Id
from fairlead.core.decode import INT64
from fairlead.core.listing import counted
from fairlead.core.record import OutcomeRecord
from fairlead.faces.gateway.predict import event_time
from fairlead.faces.gateway.wire import Refusal, parse

AHEAD_SECONDS = 86_400.0
LONGEST = 1024  # characters of an outcome that is a text


class Given(Struct, forbid_unknown_fields=True):
    """One outcome. `observed_at` is when it became known: seconds since 1970 or RFC 3339; now when left out."""

    request_id: Id
    outcome: float | int | Annotated[str, Meta(max_length=LONGEST)]
    observed_at: float | int | str | None = None


_list = msgspec.json.Decoder(list[Given])
_one = msgspec.json.Decoder(Given)


def read_outcomes(body: bytes, now: float) -> list[OutcomeRecord]:
    """The outcomes of a request: a list, or a single object. Raises `Refusal` (400; 422 for an outcome that is said to
    become known more than a day from `now`: clocks differ, and a wrong unit or time zone is caught)."""
    single = body.lstrip()[:1] == b"{"
    given: list[Given] = [parse(_one, body)] if single else parse(_list, body)
    if not given:
        raise Refusal(400, "the list of outcomes is empty: send at least one")
    return [
        OutcomeRecord(
            one.request_id, _outcome(one, f"[{index}].outcome"), _observed_at(one, f"[{index}].observed_at", now), now
        )
        for index, one in enumerate(given)
    ]


def _outcome(one: Given, path: str) -> float | int | str:
    """JSON does not tell 1e30 from its digits: a whole number that 64 bits do not hold is a float."""
    if not isinstance(one.outcome, int) or INT64[0] <= one.outcome <= INT64[1]:
        return one.outcome
    try:
        return float(one.outcome)
    except OverflowError:
        raise Refusal(400, f"{path}: expected a number that 64 bits hold", path) from None


def _observed_at(one: Given, path: str, now: float) -> float:
    if one.observed_at is None:
        return now
    at = event_time(one.observed_at, path)
    if at > now + AHEAD_SECONDS:
        raise Refusal(
            422,
            f"{path}: {counted(round((at - now) / 86400.0), 'day')} in the future: send outcomes once they are known",
            path,
        )
    return at
