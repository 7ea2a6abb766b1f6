"""What callers tell beside predictions and outcomes: `POST /v1/events` and `POST /v1/traces`.

It is on the log before the answer leaves, exactly as an outcome is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
from msgspec import Struct

from fairlead.errors import StateError
from fairlead.faces.gateway.events import read_events
from fairlead.faces.gateway.refusals import only
from fairlead.faces.gateway.wire import Receive, Scope, Send, read_json, reply
from fairlead.flows.serve import NotReady, Serving
from fairlead.ports.facts import FactLog

EVENTS, TRACES = "/v1/events", "/v1/traces"
BULK_BYTES = 2**17  # a body that is larger is read in a thread


class Keeps(Struct, frozen=True):
    """What is kept of an application's own traces."""

    prompts: bool = False
    responses: bool = False


class Intake:
    """One worker's. `sync`: the log is on the disk before an answer leaves."""

    def __init__(self, serving: Serving, facts: FactLog, keeps: Keeps, *, sync: bool, limit: int) -> None:
        self._serving = serving
        self._facts = facts
        self._keeps = keeps
        self._sync = sync
        self._limit = limit

    def takes(self, path: str) -> bool:
        """Whether a path is for it."""
        return path == EVENTS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request. Raises what the gateway answers: `Refusal`, `NotFound`, `NotReady`, `StateError`."""
        only(scope, "POST")
        await self._events(scope, receive, send)

    async def _events(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, _ = await read_json(scope, receive, self._limit)
        live = self._serving.live
        if live is None:
            raise NotReady("the gateway has no route table yet: wait until /v2/health/ready answers 200")
        models, now = {*live.models, *live.errors, *live.waiting}, self._serving.clock.now()
        if len(body) <= BULK_BYTES:
            records = read_events(body, now, models)
        else:
            records = await asyncio.to_thread(read_events, body, now, models)
        await self._keep(lambda: self._facts.add_events(records))
        self._serving.tally.events += len(records)
        await reply(send, 200, msgspec.json.encode({"accepted": len(records)}))

    async def _keep(self, write: Callable[[], None]) -> None:
        try:
            write()
            if self._sync:
                await self._facts.durable()
        except StateError:
            self._serving.tally.log_failures += 1
            raise
