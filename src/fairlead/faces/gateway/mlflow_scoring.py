"""MLflow's scoring protocol: `/ping`, `/version` and `invocations`, as an MLflow client knows them.

The rows take the way of every other prediction: contract, route, log, answer. Errors have MLflow's shape.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from fairlead.core.contract import Task
from fairlead.core.fallback import note_of
from fairlead.core.listing import counted
from fairlead.core.record import Prediction
from fairlead.core.route import Route
from fairlead.errors import ContractError, FairleadError, NotFound
from fairlead.faces.gateway.answering import answered
from fairlead.faces.gateway.mlflow_csv import read_csv
from fairlead.faces.gateway.mlflow_rows import PREDICT_PROBA, Params, ReadRow, Table, read_table
from fairlead.faces.gateway.observing import arrived, note, note_failure
from fairlead.faces.gateway.predict import event_time
from fairlead.faces.gateway.refusals import header_of, only, path_of, status_of, version_number
from fairlead.faces.gateway.wire import JSON, Gone, Header, Receive, Refusal, Scope, Send, read_json, reply
from fairlead.flows.dealing import dealt
from fairlead.flows.serve import Arrival, Ask, ModelFailed, NotReady, Overloaded, Serving, pin
from fairlead.flows.warm import LiveModel

CSV = b"text/csv"
PLAIN = b"text/plain; charset=utf-8"
REFUSAL = 400  # how a row that breaks the contract is answered
NOTHING = Raw(b"{}")
PING, VERSION, INVOCATIONS = "/ping", "/version", "/invocations"
CODES = {404: "RESOURCE_DOES_NOT_EXIST", 500: "INTERNAL_ERROR", 503: "TEMPORARILY_UNAVAILABLE"}  # else BAD_REQUEST
REQUEST_ID = b"x-request-id"
BULK_BYTES = 2**17  # a body that is larger is read in a thread

_encode = msgspec.json.Encoder().encode


class ScoringProblem(Struct, omit_defaults=True):
    """The body of every error, as MLflow's `MlflowException` is written; `path` is fairlead's own."""

    error_code: str
    message: str
    path: str = ""


class FellBackRow(Struct, omit_defaults=True):
    """A row, counted from 0, that its version did not answer: who did (champion, or default: nobody), and why."""

    row: int
    fallback: str
    reason: str
    path: str = ""


class Scored(Struct, omit_defaults=True):
    """The answer: the predicted label or value of each row, or its probabilities in the order of the classes.
    `fallbacks` is fairlead's own, and there only where some row fell back."""

    predictions: list[Any]
    fallbacks: list[FellBackRow] = []


class Asked(NamedTuple):
    """A request: its rows and their routes. `made_id` is the id that was made up for it, if one was."""

    asks: list[Ask]
    routes: list[Route]
    method: str
    made_id: str


class MlflowScoring:
    """Answers MLflow's paths. `sync` as for the gateway."""

    def __init__(
        self, serving: Serving, new_id: Callable[[], str], server_version: str, sync: bool, limit: int
    ) -> None:
        self._serving = serving
        self._new_id = new_id
        self._version = server_version.encode()
        self._sync = sync
        self._limit = limit

    def takes(self, path: str) -> bool:
        """Whether a path is MLflow's."""
        return path in (PING, VERSION, INVOCATIONS) or (path.startswith("/models/") and path.endswith(INVOCATIONS))

    async def __call__(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """Answers one request. Raises `Gone`; every other error of fairlead is answered here."""
        try:
            if path in (PING, VERSION):
                await self._about(scope, send, path)
            else:
                await self._invocations(scope, receive, send, path.split("/")[1:])
        except Gone:
            raise
        except FairleadError as error:
            await _refuse(send, error)

    async def _about(self, scope: Scope, send: Send, path: str) -> None:
        only(scope, "GET", "HEAD")
        if path == VERSION:
            await reply(send, 200, self._version, PLAIN)
        elif self._serving.live is None:
            raise NotReady("the gateway has no route table yet")
        elif self._serving.log.state().sheds:
            raise NotReady("the log takes no records, so nothing is answered: see /health")
        else:
            await reply(send, 200, b"\n", PLAIN)

    async def _invocations(self, scope: Scope, receive: Receive, send: Send, parts: list[str]) -> None:
        known = ""
        try:
            only(scope, "POST")
            name, version = _address(parts)
            is_csv = _is_csv(scope["headers"])
            body, trace_id = await read_json(_as_json(scope), receive, self._limit)
            arrival = arrived(scope, self._serving.clock, trace_id, REFUSAL)
            model = self._serving.model(self._only_name() if name is None else name)
            known = model.name
            if len(body) <= BULK_BYTES:
                asked = self._read(model, version, body, is_csv, arrival)
            else:
                asked = await asyncio.to_thread(self._read, model, version, body, is_csv, arrival)
            records = await answered(self._serving, receive, model, asked.asks, arrival, asked.routes)
            if self._sync:
                await self._serving.log.durable()
            note(scope, records)
        except FairleadError as error:
            self._count(known, error)
            note_failure(scope, known, error)
            raise
        header = (REQUEST_ID, asked.made_id.encode()) if asked.made_id else None
        await reply(send, 200, _encode(_scored(records, asked.method)), JSON, header)

    def _read(self, model: LiveModel, version: str | None, body: bytes, is_csv: bool, arrival: Arrival) -> Asked:
        pinned = None if version is None else pin(model, version_number(version))
        table, params = (read_csv(body), Params()) if is_csv else read_table(body)
        made_id = self._new_id() if params.request_id is None else ""
        asks, routes = _asks(model, pinned, table, params, arrival, made_id)
        _check_method(model, routes, params.pyfunc_predict_fn)
        return Asked(asks, routes, params.pyfunc_predict_fn, made_id)

    def _only_name(self) -> str:
        """The model that a path without a name means. Raises `NotFound`, and `Refusal` (400) for several."""
        live = self._serving.live
        if live is None:
            raise NotReady("the gateway has no route table yet: wait until /ping answers 200")
        names = sorted({*live.models, *live.errors, *live.waiting})
        if not names:
            raise NotFound("no model is served here yet: deploy one")
        if len(names) > 1:
            said = f"{len(names)} models are served here ({', '.join(names)})"
            raise Refusal(REFUSAL, f"{said}: name one in the path, /models/{names[0]}/invocations")
        return names[0]

    def _count(self, model: str, error: FairleadError) -> None:
        """Counts what no version answered; what a version refused, failed or had no time for is counted there."""
        if not isinstance(error, ContractError | ModelFailed | Overloaded | Gone):
            self._serving.tally.refused(model, 0, "", status_of(error, REFUSAL))


def _address(parts: list[str]) -> tuple[str | None, str | None]:
    """The model and the version of a path: `invocations`, `models/M/invocations`, `models/M/versions/V/invocations`."""
    match parts:
        case ["invocations"]:
            return None, None
        case ["models", name, "invocations"]:
            return name, None
        case ["models", name, "versions", version, "invocations"]:
            return name, version
    raise NotFound(f"no such path: /{'/'.join(parts)[:200]}")


def _is_csv(headers: list[Header]) -> bool:
    """Raises `Refusal` (415) for what is neither JSON nor CSV, for another charset and for other parameters."""
    value = next((value for name, value in headers if name == b"content-type"), None)
    if value == JSON:
        return False
    if value is None:
        raise Refusal(415, "the header content-type is missing: send application/json or text/csv")
    kind, *parameters = (part.strip() for part in value.lower().split(b";"))
    pairs = [part.partition(b"=") for part in parameters if part]
    is_utf8 = all(
        name.strip() == b"charset" and said.strip(b' "') in (b"utf-8", b"utf8", b"us-ascii") for name, _, said in pairs
    )
    if kind not in (JSON, CSV) or not is_utf8:
        shown = value[:80].decode("ascii", "replace")
        raise Refusal(415, f"content-type {shown} is not supported: send application/json or text/csv in UTF-8")
    return kind == CSV


def _as_json(scope: Scope) -> Scope:
    """The same request to `read_json`, whose limits hold here too: its content type has been judged."""
    return {"headers": [(name, JSON if name == b"content-type" else value) for name, value in scope["headers"]]}


def _asks(
    model: LiveModel, pinned: Route | None, table: Table, params: Params, arrival: Arrival, made_id: str
) -> tuple[list[Ask], list[Route]]:
    """A row is dealt its arm by its unit: by its own request id where none is given."""
    count = len(table.rows)
    ids = _ids(params, count, made_id)
    units = _each(params.unit_id, count, "unit_id")
    times = _times(params, count, arrival.at)
    readers: dict[int, ReadRow] = {}

    def read(version: int, row: Any, path: str) -> Raw:
        if version not in readers:
            readers[version] = table.reader(model.versions[version].asked)
        return readers[version](row, path)

    asks, routes = [], []
    for index, row in enumerate(table.rows):
        unit = ids[index] if units[index] is None else str(units[index])
        ask = Ask(ids[index], unit, times[index], NOTHING, f"{table.path}[{index}]")
        if pinned is None and model.route.split.feature:  # the split looks at the row as the champion's contract has it
            ask = ask._replace(features=read(model.route.arms[-1].version, row, ask.path))
        route = pinned or dealt(model, ask, arrival)
        asks.append(ask._replace(features=read(route.version, row, ask.path)))
        routes.append(route)
    return asks, routes


def _ids(params: Params, count: int, made_id: str) -> list[str]:
    if isinstance(params.request_id, list):
        return _each(params.request_id, count, "request_id")
    base = params.request_id or made_id
    return [base] if count == 1 else [f"{base}:{index}" for index in range(count)]


def _each(given: Any, count: int, name: str) -> list[Any]:
    if not isinstance(given, list):
        return [given] * count
    if len(given) != count:
        path = f"params.{name}"
        raise Refusal(REFUSAL, f"{path}: {len(given)} values for {counted(count, 'row')}: send one for each", path)
    return given


def _times(params: Params, count: int, now: float) -> list[float]:
    if params.timestamp is None:
        return [now] * count
    if not isinstance(params.timestamp, list):
        return [event_time(params.timestamp, "params.timestamp")] * count
    given = _each(params.timestamp, count, "timestamp")
    return [event_time(value, f"params.timestamp[{index}]") for index, value in enumerate(given)]


def _check_method(model: LiveModel, routes: Sequence[Route], method: str) -> None:
    if method != PREDICT_PROBA:
        return
    versions = {route.version for route in routes}
    if any(model.versions[number].manifest.contract.task is Task.REGRESSION for number in versions):
        path = "params.pyfunc_predict_fn"
        raise Refusal(REFUSAL, f"{path}: {model.name} is a regression and has no probabilities: leave it out", path)


def _scored(records: Sequence[Prediction], method: str) -> Scored:
    notes = [(at, note_of(record)) for at, record in enumerate(records) if record.error is not None]
    told = [FellBackRow(at, note.fallback, note.reason, note.path) for at, note in notes if note is not None]
    if method == PREDICT_PROBA:
        return Scored([record.probabilities for record in records], told)
    return Scored([record.prediction for record in records], told)


async def _refuse(send: Send, error: FairleadError) -> None:
    status = status_of(error, REFUSAL)
    line, path = (text.encode(errors="replace").decode() for text in (error.line, path_of(error)))
    said = _encode(ScoringProblem(CODES.get(status, "BAD_REQUEST"), line, path))
    await reply(send, status, said, JSON, header_of(error))
