"""A request's rows with the features that are looked up for them, before anything else is done with the rows."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.route import Route
from fairlead.errors import ContractError
from fairlead.flows.lookups import Found, Lookups, Unanswered, Wanted
from fairlead.flows.serve import Arrival, Ask, Overloaded, Serving
from fairlead.flows.warm import LiveModel

RETRY_SECONDS = 1


async def with_features(
    serving: Serving, model: LiveModel, asks: Sequence[Ask], arrival: Arrival, routes: Sequence[Route]
) -> list[Ask]:
    """The rows as each one's version takes them: one look-up for all of them. It is these that are answered and logged.

    Raises `ContractError` for a row that may not be answered without what is not known (counted, and kept where
    refused rows are), and `Overloaded` where the store does not answer and the model is not to answer without it.
    """
    lookups = model.lookups
    assert lookups is not None, "decided when the model was loaded"
    wanted: list[Wanted | None] = []
    for ask, route in zip(asks, routes, strict=True):
        try:
            wanted.append(_read(lookups, model, ask, route))
        except ContractError as error:
            serving.refuse(model, ask, route, arrival.refusal, error)
            raise
    found = await _find(serving, model, wanted, routes)
    filled: list[Ask] = []
    for ask, route, one in zip(asks, routes, wanted, strict=True):
        try:
            filled.append(_write(lookups, model, ask, route, one, found))
        except ContractError as error:
            serving.refuse(model, ask, route, arrival.refusal, error)
            raise
    return filled


async def each_with_features(
    serving: Serving, model: LiveModel, asks: Sequence[Ask], arrival: Arrival, routes: Sequence[Route]
) -> list[Ask | ContractError]:
    """The same for rows that stand each by itself: what is wrong with one is told in its place, and keeps no other.
    Raises `Overloaded`."""
    lookups = model.lookups
    assert lookups is not None, "decided when the model was loaded"
    rows = list(zip(asks, routes, strict=True))
    wrong: dict[int, ContractError] = {}
    wanted: list[Wanted | None] = []
    for at, (ask, route) in enumerate(rows):
        try:
            wanted.append(_read(lookups, model, ask, route))
        except ContractError as error:
            wrong[at] = error
            wanted.append(None)
    found = await _find(serving, model, wanted, routes)
    filled: list[Ask | ContractError] = []
    for at, (ask, route) in enumerate(rows):
        try:
            filled.append(wrong.get(at) or _write(lookups, model, ask, route, wanted[at], found))
        except ContractError as error:
            wrong[at] = error
            filled.append(error)
    for at, fault in wrong.items():
        serving.refuse(model, *rows[at], arrival.refusal, fault)
    return filled


async def _find(serving: Serving, model: LiveModel, wanted: Sequence[Wanted | None], routes: Sequence[Route]) -> Found:
    """What is known of the rows' entities. Raises `Overloaded`."""
    assert model.lookups is not None, "decided when the model was loaded"
    try:
        return await model.lookups.find([one.key for one in wanted if one is not None and one.key is not None])
    except Unanswered as fault:
        for route in routes:
            serving.tally.refused(model.name, route.version, route.arm, 503)
        raise Overloaded(f"model {model.name!r}: {fault}; try again in {RETRY_SECONDS} s", RETRY_SECONDS) from None


def _write(lookups: Lookups, model: LiveModel, ask: Ask, route: Route, wanted: Wanted | None, found: Found) -> Ask:
    """A row with what was found for it. Raises `ContractError`."""
    part = model.versions[route.version].features
    if wanted is None or part is None:
        return ask
    return ask._replace(features=lookups.write(part, wanted, found))


def _read(lookups: Lookups, model: LiveModel, ask: Ask, route: Route) -> Wanted | None:
    live = model.versions[route.version]
    if live.features is None:
        return None
    is_unit = lookups.rules.entity == (live.manifest.contract.unit,)
    return lookups.read(live.features, ask.features, _unit(ask) if is_unit else None, ask.path)


def _unit(ask: Ask) -> str | None:
    """The unit that the caller named: a request without one has its id for one, and rows are numbered after it."""
    own, _, place = ask.request_id.rpartition(":")
    is_made = ask.unit_id == ask.request_id or (ask.unit_id == own and place.isdigit())
    return None if is_made else ask.unit_id
