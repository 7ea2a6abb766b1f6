"""The gateway: one raw ASGI application. Paths are matched by hand; the predict path is looked at first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from importlib.metadata import version as installed_version
from random import getrandbits

import msgspec

from fairlead.core.route import Route
from fairlead.errors import ContractError, FairleadError, NotFound
from fairlead.faces.gateway.answering import answered
from fairlead.faces.gateway.direct import PREFIX, SUFFIX, Direct
from fairlead.faces.gateway.exposition import exposition
from fairlead.faces.gateway.health import health
from fairlead.faces.gateway.inference_protocol import InferenceProtocol
from fairlead.faces.gateway.intake import Intake
from fairlead.faces.gateway.mlflow_scoring import MlflowScoring
from fairlead.faces.gateway.observing import TRAIL, Observer, arrived, note, note_failure, place_of
from fairlead.faces.gateway.openapi import OpenApi
from fairlead.faces.gateway.operators import check_operator
from fairlead.faces.gateway.outcomes import read_outcomes
from fairlead.faces.gateway.predict import read_asks, write_answers
from fairlead.faces.gateway.refusals import V1_REFUSAL, V2_REFUSAL, header_of, only, path_of, status_of
from fairlead.faces.gateway.tensor_body import read_tensors
from fairlead.faces.gateway.wire import (
    BODY_LIMIT,
    JSON,
    TEXT,
    Gone,
    Receive,
    Refusal,
    Scope,
    Send,
    check_caller,
    problem,
    read_json,
    reply,
)
from fairlead.flows.dealing import dealt
from fairlead.flows.serve import (
    BULK_ROWS,
    Arrival,
    Ask,
    ModelFailed,
    Overloaded,
    Serving,
    pin,
)
from fairlead.flows.tally import Counts
from fairlead.flows.warm import LiveModel

BULK_BYTES = 2**17  # a body that is larger is read in a thread
_log = logging.getLogger("fairlead.gateway")


def new_id() -> str:
    """A request id for a caller who brought none. Unique, not secret."""
    return f"{getrandbits(128):032x}"


class Gateway:
    """The data plane of one worker.

    `sync`: the log is on the disk before an answer leaves. `counts`: the counters of all workers, for `/metrics`.
    """

    def __init__(
        self,
        serving: Serving,
        counts: Callable[[], list[Counts]],
        *,
        sync: bool = False,
        body_limit: int = BODY_LIMIT,
        observer: Observer | None = None,
        intake: Intake | None = None,
    ) -> None:
        self._intake = intake
        self._observer = observer
        self._serving = serving
        self._counts = counts
        self._sync = sync
        self._limit = body_limit
        self.direct = Direct(serving, new_id, body_limit=body_limit, ready=not sync, observer=observer)
        version = installed_version("fairlead")
        self._protocol = InferenceProtocol(serving, version, new_id)
        self._openapi = OpenApi(serving, version)
        self._scoring = MlflowScoring(serving, new_id, version, sync, body_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request; nothing escapes as a traceback."""
        if scope["type"] != "http":
            raise Refusal(501, f"the gateway speaks HTTP only, not {scope['type']}")
        if self._observer is not None and TRAIL not in scope:
            await self._observer.watch(self, scope, receive, send)
            return
        path: str = scope["path"]
        try:
            check_caller(scope["headers"])
            if path.startswith(PREFIX) and path.endswith(SUFFIX):
                await self._predict(scope, receive, send, path[len(PREFIX) : -len(SUFFIX)])
            else:
                await self._other(scope, receive, send, path)
        except Gone:
            return
        except FairleadError as error:
            await _refuse(send, error, V2_REFUSAL if path.startswith("/v2") else V1_REFUSAL)
        except Exception:  # noqa: BLE001 - the last line: a fault of the gateway is logged whole and answered in one line
            _log.exception("the gateway failed on %s", place_of(path)[1])
            await reply(send, 500, problem("the gateway failed: the operator's log has the details"))

    async def _predict(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        known = ""
        try:
            only(scope, "POST")
            body, trace_id = await read_json(scope, receive, self._limit)
            # Read once the request is whole: a slow sender is no slow version.
            arrival = arrived(scope, self._serving.clock, trace_id, V1_REFUSAL)
            model = self._serving.model(name)
            known = name
            if len(body) <= BULK_BYTES:
                asks, batch, pinned = read_asks(body, arrival, new_id)
                routes = [dealt(model, ask, arrival) for ask in asks]
            else:
                asks, batch, pinned, routes = await asyncio.to_thread(_read_bulk, model, body, arrival)
            if pinned is not None:
                check_operator(scope)
                routes = [pin(model, pinned)] * len(asks)
            records = await answered(self._serving, receive, model, asks, arrival, routes)
            if self._sync:
                await self._serving.log.durable()
            note(scope, records)
        except FairleadError as error:
            self._count(known, error)
            note_failure(scope, known, error)
            raise
        if len(records) <= BULK_ROWS:
            answer = write_answers(records, batch)
        else:
            answer = await asyncio.to_thread(write_answers, records, batch)
        await reply(send, 200, answer)

    async def _infer(self, scope: Scope, receive: Receive, send: Send, parts: list[str]) -> None:
        name, version = parts[1], parts[3] if len(parts) == 5 else None
        known = ""
        try:
            body = await read_tensors(scope, receive, self._limit)
            arrival = arrived(scope, self._serving.clock, body.trace_id, V2_REFUSAL)
            model = self._serving.model(name)
            known = name
            if body.size <= BULK_BYTES:
                asked = self._protocol.read(model, version, body, arrival)
            else:
                asked = await asyncio.to_thread(self._protocol.read, model, version, body, arrival)
            records = await answered(self._serving, receive, model, asked.asks, arrival, asked.routes)
            if self._sync:
                await self._serving.log.durable()
            note(scope, records)
        except FairleadError as error:
            self._count(known, error)
            note_failure(scope, known, error)
            raise
        if len(records) <= BULK_ROWS:
            written = self._protocol.write(model, asked, records)
        else:
            written = await asyncio.to_thread(self._protocol.write, model, asked, records)
        await reply(send, 200, *written)

    async def _other(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        if path == "/v2" or path.startswith("/v2/"):
            await self._v2(scope, receive, send, path.split("/")[2:])
        elif path == "/v1/outcomes":
            await self._outcomes(scope, receive, send)
        elif self._intake is not None and self._intake.takes(path):
            await self._intake(scope, receive, send)
        elif self._scoring.takes(path):
            await self._scoring(scope, receive, send, path)
        elif path == "/health":
            only(scope, "GET", "HEAD")
            await reply(send, *health(self._serving, self._counts))
        elif path == "/metrics":
            only(scope, "GET", "HEAD")
            await reply(send, 200, exposition(self._counts()), TEXT)
        elif path == "/openapi.json":
            only(scope, "GET", "HEAD")
            await reply(send, 200, self._openapi.body())
        else:
            raise NotFound(f"no such path: {path[:200]}")

    async def _v2(self, scope: Scope, receive: Receive, send: Send, parts: list[str]) -> None:
        parts = [part for part in parts if part]
        is_post = scope["method"] == "POST"
        if is_post and len(parts) in (3, 5) and parts[0] == "models" and parts[-1] == "infer":
            await self._infer(scope, receive, send, parts)
        elif is_post and parts == ["repository", "index"]:
            listed = self._protocol.index((await read_tensors(scope, receive, self._limit)).json)
            await reply(send, 200, listed)
        else:
            status, body = self._protocol.get(parts, is_post=is_post)
            only(scope, "GET", "HEAD")
            await reply(send, status, body)

    async def _outcomes(self, scope: Scope, receive: Receive, send: Send) -> None:
        only(scope, "POST")
        body, _ = await read_json(scope, receive, self._limit)
        records = read_outcomes(body, self._serving.clock.now())
        self._serving.outcomes(records)
        if self._sync:
            await self._serving.log.durable()
        await reply(send, 200, msgspec.json.encode({"accepted": len(records)}))

    def _count(self, model: str, error: FairleadError) -> None:
        """Counts what no version answered; what a version refused, failed or had no time for is counted there."""
        if not isinstance(error, ContractError | ModelFailed | Overloaded | Gone):
            self._serving.tally.refused(model, 0, "", status_of(error, V1_REFUSAL))


def _read_bulk(model: LiveModel, body: bytes, arrival: Arrival) -> tuple[list[Ask], bool, int | None, list[Route]]:
    """A large request, read in a thread."""
    asks, batch, pinned = read_asks(body, arrival, new_id)
    return asks, batch, pinned, [dealt(model, ask, arrival) for ask in asks]


async def _refuse(send: Send, error: FairleadError, contract: int) -> None:
    await reply(send, status_of(error, contract), problem(error.line, path_of(error)), JSON, header_of(error))
