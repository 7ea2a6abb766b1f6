"""A request's rows with the features that are looked up for them, before anything else is done with the rows."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.route import Route
from fairlead.errors import ContractError
from fairlead.flows.lookups import Lookups, Unanswered, Wanted
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
    try:
        found = await lookups.find([one.key for one in wanted if one is not None and one.key is not None])
    except Unanswered as fault:
        for route in routes:
            serving.tally.refused(model.name, route.version, route.arm, 503)
        raise Overloaded(f"model {model.name!r}: {fault}; try again in {RETRY_SECONDS} s", RETRY_SECONDS) from None
    filled: list[Ask] = []
    for ask, route, one in zip(asks, routes, wanted, strict=True):
        part = model.versions[route.version].features
        if one is None or part is None:
            filled.append(ask)
            continue
        try:
            filled.append(ask._replace(features=lookups.write(part, one, found)))
        except ContractError as error:
            serving.refuse(model, ask, route, arrival.refusal, error)
            raise
    return filled


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
