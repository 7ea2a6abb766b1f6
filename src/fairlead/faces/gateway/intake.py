"""What callers tell beside predictions and outcomes: `POST /v1/events` and `POST /v1/traces`.

It is on the log before the answer leaves, exactly as an outcome is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from fairlead.errors import FairleadError, StateError
from fairlead.faces.gateway.events import read_events
from fairlead.faces.gateway.otlp import Keeps, answer, media_of, read_spans, refusal
from fairlead.faces.gateway.refusals import header_of, only, status_of
from fairlead.faces.gateway.wire import JSON, Gone, Receive, Scope, Send, read_json, read_rest, reply
from fairlead.flows.serve import NotReady, Serving
from fairlead.ports.facts import FactLog

EVENTS, TRACES = "/v1/events", "/v1/traces"
BULK_BYTES = 2**17  # a body that is larger is read in a thread


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
        return path in (EVENTS, TRACES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request. Raises what the gateway answers: `Refusal`, `NotFound`, `NotReady`, `StateError`."""
        if scope["path"] == TRACES:
            await self._traces(scope, receive, send)
        else:
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

    async def _traces(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = JSON
        try:
            only(scope, "POST")
            kind, encoding = media_of(scope["headers"], self._limit)
            body = await read_rest(await receive(), receive, self._limit)
            wanted = (body, (kind, encoding), self._limit, self._serving.clock.now(), self._keeps)
            if len(body) <= BULK_BYTES and encoding is None:
                taken = read_spans(*wanted)
            else:
                taken = await asyncio.to_thread(read_spans, *wanted)
            await self._keep(lambda: self._facts.add_spans(taken.records))
        except Gone:
            raise
        except FairleadError as error:
            status = status_of(error, 400)
            await reply(send, status, refusal(kind, error.line), kind, header_of(error))
            return
        self._serving.tally.spans += len(taken.records)
        await reply(send, 200, answer(kind, taken.rejected), kind)

    async def _keep(self, write: Callable[[], None]) -> None:
        try:
            write()
            if self._sync:
                await self._facts.durable()
        except StateError:
            self._serving.tally.log_failures += 1
            raise
