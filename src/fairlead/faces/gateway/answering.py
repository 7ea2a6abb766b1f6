"""How every protocol of the gateway has its rows answered: at once where that is quick, else while others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from fairlead.core.decode import FallsBack
from fairlead.core.record import Prediction
from fairlead.core.route import Route
from fairlead.faces.gateway.wire import Gone, Receive
from fairlead.flows.fallback import recovered
from fairlead.flows.features import with_features
from fairlead.flows.serve import Arrival, Ask, ModelFailed, Overloaded, Serving, is_prompt
from fairlead.flows.warm import LiveModel


async def answered(
    serving: Serving,
    receive: Receive,
    model: LiveModel,
    asks: Sequence[Ask],
    arrival: Arrival,
    routes: Sequence[Route],
) -> list[Prediction]:
    """The logged answers, in order. Raises what `Serving.answer` and `Serving.answer_later` do, and `Gone`.

    What a model's features are looked up for is done first: the rows are then as if the caller had sent them all.
    """
    try:
        if model.lookups is not None:
            asks = await with_features(serving, model, asks, arrival, routes)
        if is_prompt(model, routes):
            return serving.answer(model, asks, arrival, routes)
        return await _later(serving.answer_later(model, asks, arrival, routes), receive)
    except (FallsBack, ModelFailed, Overloaded) as fault:
        return await _later(recovered(serving, model, asks, arrival, routes, fault), receive)


async def _later(work: Coroutine[Any, Any, list[Prediction]], receive: Receive) -> list[Prediction]:
    """What is not prompt, unless the caller hangs up meanwhile: then what has not begun is not begun."""
    working, leaving = asyncio.ensure_future(work), asyncio.ensure_future(_until_gone(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone("the caller hung up")
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        del working, leaving  # what failed holds this frame, and must not be held by it: no one waits for the collector


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
