"""`POST /v1/outcomes`: what really happened to requests, before or after their predictions are known."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from fairlead.core.record import OutcomeRecord
from fairlead.faces.gateway.predict import Id, event_time
from fairlead.faces.gateway.wire import Refusal, parse


class Given(Struct, forbid_unknown_fields=True):
    """One outcome. `observed_at` is when it became known: seconds since 1970 or RFC 3339; now when left out."""

    request_id: Id
    outcome: float | int | str
    observed_at: float | int | str | None = None


_list = msgspec.json.Decoder(list[Given])
_one = msgspec.json.Decoder(Given)


def read_outcomes(body: bytes, now: float) -> list[OutcomeRecord]:
    """The outcomes of a request: a list, or a single object. Raises `Refusal` (400)."""
    single = body.lstrip()[:1] == b"{"
    given: list[Given] = [parse(_one, body)] if single else parse(_list, body)
    if not given:
        raise Refusal(400, "the list of outcomes is empty: send at least one")
    return [
        OutcomeRecord(
            one.request_id,
            one.outcome,
            now if one.observed_at is None else event_time(one.observed_at, f"[{index}].observed_at"),
            now,
        )
        for index, one in enumerate(given)
    ]
