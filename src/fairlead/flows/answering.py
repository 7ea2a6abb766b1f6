"""A request's rows from their look-ups to their stand-ins: what whoever answers rows does with them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from fairlead.core.decode import FallsBack
from fairlead.core.record import Prediction
from fairlead.core.route import Route
from fairlead.errors import ContractError
from fairlead.flows.fallback import recovered
from fairlead.flows.features import with_features
from fairlead.flows.serve import Arrival, Ask, ModelFailed, Overloaded, Serving, is_prompt
from fairlead.flows.warm import LiveModel

Work = Coroutine[Any, Any, list[Prediction]]
Wait = Callable[[Work], Awaitable[list[Prediction]]]


def _simply(work: Work) -> Work:
    return work


async def answered(
    serving: Serving,
    model: LiveModel,
    asks: Sequence[Ask],
    arrival: Arrival,
    routes: Sequence[Route],
    wait: Wait = _simply,
) -> list[Prediction]:
    """The logged answers, in order. Raises what `Serving.answer` and `Serving.answer_later` do, but for what fell back.

    What a model's features are looked up for is done first: the rows are then as if the caller had sent them all. What
    is not prompt is awaited by `wait`, which may give it up: then what has not begun is not begun.
    """
    try:
        try:
            if model.lookups is not None:
                asks = await with_features(serving, model, asks, arrival, routes)
            if is_prompt(model, routes):
                return serving.answer(model, asks, arrival, routes)
            return await wait(serving.answer_later(model, asks, arrival, routes))
        except (FallsBack, ModelFailed, Overloaded) as fault:
            return await wait(recovered(serving, model, asks, arrival, routes, fault))
    except ContractError:
        # One row was counted where it was refused; with it the batch is refused whole.
        for route in routes[1:]:
            serving.tally.refused(model.name, route.version, route.arm, arrival.refusal)
        raise
