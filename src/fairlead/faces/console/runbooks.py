"""The runbooks at /runbooks: where the link of an alert leads. A page is made when it is asked for, from the settings
that the controller runs with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from fairlead.core.runbook import Rehearsed, Runbook, span
from fairlead.errors import FairleadError, NotFound
from fairlead.faces.console.headers import SecurityHeaders
from fairlead.faces.console.postmortem import blocks
from fairlead.faces.console.render import Pages
from fairlead.operations.overview import Overview


class RunbookPages(Struct, frozen=True):
    """What there is, the gravest first, and the Markdown of a page by its name (raises `NotFound`)."""

    books: Callable[[], tuple[Runbook, ...]]
    text: Callable[[str], str]
    tried: Callable[[], Mapping[str, Mapping[str, Rehearsed]]]  # how steps went, by page


def runbook_routes(read: Callable[[], Overview], pages: RunbookPages) -> list[BaseRoute]:
    """The index and a page for each name, with or without its `.md`."""
    shown = _Runbooks(read, pages)
    routes = [Route("/", shown.index), Route("/{name}", shown.page)]
    handlers: Mapping[Any, Any] = {HTTPException: shown.problem, FairleadError: shown.failed}
    app = Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)], exception_handlers=handlers)
    return [Route("/runbooks", _to_index), Mount("/runbooks", app)]


class _Runbooks:
    """The handlers; they run in threads."""

    def __init__(self, read: Callable[[], Overview], pages: RunbookPages) -> None:
        self._read = read
        self._runbooks = pages
        self._pages = Pages()

    def index(self, request: Request) -> Response:
        """All of them."""
        return self._show(request, "", "")

    def page(self, request: Request) -> Response:
        """One of them."""
        name = request.path_params["name"].removesuffix(".md")
        if name == "README":
            return self._show(request, "", "")
        return self._show(request, name, self._runbooks.text(name))

    def problem(self, request: Request, error: Exception) -> Response:
        """An address that there is not."""
        assert isinstance(error, HTTPException)
        return HTMLResponse(self._pages.error(error.status_code, error.detail, _root(request)), error.status_code)

    def failed(self, request: Request, error: Exception) -> Response:
        """A page that there is not."""
        assert isinstance(error, FairleadError)
        status = 404 if isinstance(error, NotFound) else 503
        return HTMLResponse(self._pages.error(status, error.line, _root(request)), status)

    def _show(self, request: Request, name: str, text: str) -> Response:
        books = self._runbooks.books()
        own = next((book for book in books if book.name == name), None)
        values = {"overview": self._read(), "root": _root(request), "books": books, "own": own, "name": name}
        values |= {"within": span, "tried": self._runbooks.tried().get(name, {})}
        values["has_alerts"] = True  # the head of the page links to them
        document = [block for block in blocks(text) if not (block.kind == "heading" and block.level == 1)]
        title = next((block.lines[0] for block in blocks(text) if block.kind == "heading"), name or "Runbooks")
        page = self._pages.draw("runbook.html", fragment=True, values={**values, "document": document, "title": title})
        return HTMLResponse(page)


def _to_index(request: Request) -> Response:
    return RedirectResponse(f"{_root(request)}/runbooks/", status_code=307)


def _root(request: Request) -> str:
    """What stands before the console's own addresses."""
    return str(request.scope.get("app_root_path", request.scope.get("root_path", "")))
