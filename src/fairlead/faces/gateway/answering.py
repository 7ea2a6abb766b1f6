"""How every protocol of the gateway has its rows answered: at once where that is quick, else while others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fairlead.core.record import Prediction
from fairlead.core.route import Route
from fairlead.faces.gateway.wire import Gone, Receive
from fairlead.flows.answering import Work
from fairlead.flows.answering import answered as rows_answered
from fairlead.flows.serve import Arrival, Ask, Serving
from fairlead.flows.warm import LiveModel


def answered(
    serving: Serving,
    receive: Receive,
    model: LiveModel,
    asks: Sequence[Ask],
    arrival: Arrival,
    routes: Sequence[Route],
) -> Work:
    """To be awaited: the logged answers, in order. Raises what `flows.answering.answered` does, and `Gone`."""
    return rows_answered(serving, model, asks, arrival, routes, lambda work: _later(work, receive))


async def _later(work: Work, receive: Receive) -> list[Prediction]:
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
