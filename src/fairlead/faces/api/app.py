"""The control port as one application."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from fairlead.core.event import Entry
from fairlead.errors import FairleadError
from fairlead.faces.api.endpoints import Endpoint, Sources, endpoints
from fairlead.faces.api.guard import Guard
from fairlead.faces.api.openapi import document
from fairlead.faces.api.problems import problem, status_of
from fairlead.faces.api.versions import Versions
from fairlead.faces.console.app import Ask, build_console
from fairlead.operations.overview import Overview

API = "/api/v1"


def build_control_app(
    read: Callable[[], Overview],
    entries: Callable[[int, int], list[Entry]],
    ask: Ask,
    *,
    postmortem: Callable[[str], str | None] | None = None,
    versions: Versions | None = None,
    allowed_hosts: Collection[str] = (),
    version: str = "",
) -> Starlette:
    """The API under /api/v1 and the console at /.

    `read` gives the overview, `entries` at most `limit` journal entries after a sequence number (`LiveOverview` has
    both), `ask` writes an operator's wish to the journal, `postmortem` gives an incident's Markdown, `versions` a
    version's gate and checklists. All are called from threads. `allowed_hosts` are names beside loopback that the
    port is reached by.
    """
    shape, handled, alerts = (versions.shape, versions.handled, versions.alerts) if versions else (None, None, None)
    console = build_console(
        read,
        ask=ask,
        postmortem=postmortem,
        handled=handled,
        shape=shape,
        alerts=alerts,
        drift=versions.drift if versions else None,
    )
    sources = Sources(read, entries, ask, versions) if versions else Sources(read, entries, ask)
    routes = [Mount(API, _api(sources, version)), Mount("/", console)]
    return Starlette(routes=routes, middleware=[Middleware(Guard, allowed_hosts=allowed_hosts)])


def _api(sources: Sources, version: str) -> Starlette:
    table = endpoints(sources)
    described = msgspec.json.encode(document(table, version))

    def openapi(_request: Request) -> Response:
        return Response(described, media_type="application/json")

    routes = [Route(each.path, _handler(each), methods=[each.method]) for each in table]
    routes.append(Route("/openapi.json", openapi))
    handlers: Mapping[Any, Any] = {HTTPException: _http_problem, FairleadError: _own_problem, Exception: _unexpected}
    return Starlette(routes=routes, exception_handlers=handlers)


def _handler(endpoint: Endpoint) -> Callable[[Request], Any]:
    async def handle(request: Request) -> Response:
        value = await endpoint.answer(request)
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
        return Response(msgspec.json.encode(value), endpoint.status, headers, media_type="application/json")

    return handle


def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if error.status_code == 404:
        detail = f"there is nothing at {request.url.path}: {API}/openapi.json lists what there is"
    if error.status_code == 405:
        detail = f"{request.method} is not for {request.url.path}: {API}/openapi.json lists what is"
    return problem(error.status_code, detail, request.url.path, dict(error.headers or {}))


def _own_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, FairleadError)
    return problem(status_of(error), error.line, request.url.path)


def _unexpected(request: Request, _error: Exception) -> Response:
    return problem(500, "the server failed; its log says why", request.url.path)
