"""Which arm a request is dealt: by its unit alone, or by what the route's split looks at."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from fairlead.core.exploring import EXPLORED, Drawn, Draws
from fairlead.core.route import Route, choose, deal, place
from fairlead.core.split import PLAIN, Dealt
from fairlead.flows.serve import Arrival, Ask
from fairlead.flows.warm import LiveModel


def dealt(model: LiveModel, ask: Ask, arrival: Arrival) -> Route:
    """The arm of a row. Time is that of arrival: a caller's own time stamp does not choose a version."""
    route = model.route
    split = route.split
    if split == PLAIN:
        return choose(route, ask.unit_id)
    if route.draws is not UNSET:
        return _drawn(model, ask, route.draws)
    value = value_of(ask.features, split.feature) if split.feature else None
    return deal(route, Dealt(ask.request_id, ask.unit_id, arrival.at, value))


def _drawn(model: LiveModel, ask: Ask, draws: Draws) -> Route:
    """The champion, with the decision that chance takes for one request of many; each class has the same chance."""
    arm = model.route.arms[-1]
    labels = model.versions[arm.version].outputs.labels
    if len(labels) < 2:  # a value has no other side
        return choose(model.route, ask.unit_id)
    at = place(f"{draws.tag}/{model.name}", ask.request_id)
    if at >= draws.share:
        return Route(arm.version, arm.name, 1.0 - draws.share, rollout=draws.tag)
    decision = labels[int(at / draws.share * len(labels))]
    return Route(arm.version, EXPLORED, draws.share, rollout=draws.tag, drawn=Drawn(draws, decision, arm.name))


def value_of(features: Raw | bytes, name: str) -> str | None:
    """A feature's value as text, as JSON spells it: `NZ`, `3`, `true`. None where it is null, absent or no single
    value: what a row may hold is the contract's to say, so nothing is refused here.

    >>> value_of(b'{"country": "NZ", "age": 3}', "country"), value_of(b'{"age": 3}', "age"), value_of(b"{}", "age")
    ('NZ', '3', None)
    """
    try:
        value = _reader(name)(features).value
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(value, str) or value is None:
        return value
    return msgspec.json.encode(value).decode() if isinstance(value, bool | int | float) else None


@lru_cache(maxsize=64)
def _reader(name: str) -> Callable[[Raw | bytes], Any]:
    """Reads one member of an object, and skips the others."""
    only = msgspec.defstruct("Only", [("value", Any, None)], rename={"value": name})
    return msgspec.json.Decoder(only).decode
