"""The console's pages: each is drawn whole on the server, and its live part is fetched again while it is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import parse_qs, quote

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from fairlead.core.incident import Incident
from fairlead.errors import FairleadError, NotFound, Refused
from fairlead.faces.console.assets import Assets
from fairlead.faces.console.headers import SecurityHeaders
from fairlead.faces.console.moved import Drift, found
from fairlead.faces.console.postmortem import blocks
from fairlead.faces.console.render import Pages, seen_token
from fairlead.operations.alerts import AlertsView
from fairlead.operations.feature_shape import FeatureShape
from fairlead.operations.ladder_links import address, drill
from fairlead.operations.overview import Overview
from fairlead.operations.rollouts import VERBS

MOST_FORM_BYTES = 10_000


Shape = Callable[[Sequence[str], str], FeatureShape]


class Ask(Protocol):
    """The operator's hand: asks for a verb on a model's rollout. Raises `NotFound` or `Refused`."""

    def __call__(self, model: str, verb: str, reason: str, *, actor: str) -> None:
        """`actor` is who the journal names."""
        ...


def build_console(
    read: Callable[[], Overview],
    *,
    ask: Ask | None = None,
    postmortem: Callable[[str], str | None] | None = None,
    handled: Callable[[str], Incident | None] | None = None,
    shape: Shape | None = None,
    alerts: Callable[[], AlertsView] | None = None,
    drift: Drift | None = None,
) -> Starlette:
    """The console as an application.

    `read` gives the overview and is called from threads, once a request. Without `ask` the page has no controls.
    `postmortem` gives the Markdown of an incident, or None while there is none; `handled` what was found, done and said
    of one; `shape` a feature's distribution in the
    window whose evidence has some digests.
    """
    console = _Console(read, ask, postmortem, handled, shape, alerts)
    console.compares = drift
    routes = [
        Route("/", console.home, name="home"),
        Route("/models/{name}", console.model, name="model"),
        Route("/models/{name}/ladder", console.ladder, name="ladder"),
        Route("/models/{name}/drift", console.drift, name="drift"),
        Route("/models/{name}/{verb}", console.operate, methods=["POST"], name="operate"),
        Route("/rollouts/{id}", console.rollout, name="rollout"),
        Route("/incidents/{id}", console.incident, name="incident"),
        Route("/alerts", console.alerts, name="alerts"),
        Route("/fragments/home", console.home),
        Route("/fragments/alerts", console.alerts),
        Route("/fragments/models/{name}", console.model),
        Route("/fragments/models/{name}/ladder", console.ladder),
        Route("/fragments/rollouts/{id}", console.rollout),
        Route("/fragments/incidents/{id}", console.incident),
        Mount("/assets", Assets()),
    ]
    handlers: Mapping[Any, Any] = {HTTPException: console.problem, FairleadError: console.failed}
    return Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)], exception_handlers=handlers)


class _Console:
    """The handlers. Synchronous ones run in threads: reading a journal is file work, drawing is processor work."""

    def __init__(
        self,
        read: Callable[[], Overview],
        ask: Ask | None,
        postmortem: Callable[[str], str | None] | None,
        handled: Callable[[str], Incident | None] | None,
        shape: Shape | None,
        alerts: Callable[[], AlertsView] | None,
    ) -> None:
        self._read = read
        self.compares: Drift | None = None  # any time of a model with a reference
        self._alerts = alerts
        self._shape = shape
        self._ask = ask
        self._postmortem = postmortem
        self._handled = handled
        self._pages = Pages()

    def home(self, request: Request) -> Response:
        """All models; the model itself where there is only one."""
        overview = self._read()
        if len(overview.models) == 1:
            return self._show(request, overview, "model.html", model=overview.models[0])
        return self._show(request, overview, "home.html")

    def model(self, request: Request) -> Response:
        """One model's whole life."""
        overview, name = self._read(), request.path_params["name"]
        model = overview.model(name)
        if model is None:
            raise HTTPException(404, f"There is no model {name}.")
        return self._show(request, overview, "model.html", model=model)

    def ladder(self, request: Request) -> Response:
        """One window of a model, from impact to cause."""
        overview, name = self._read(), request.path_params["name"]
        model = overview.model(name)
        if model is None:
            raise HTTPException(404, f"There is no model {name}.")
        window, feature = (request.query_params.get(key, "") for key in ("window", "feature"))
        found = drill(model, overview.workers, window, feature)
        shape = None
        if self._shape is not None and found.feature is not None and found.window is not None:
            shape = self._shape(found.window.evidence, found.feature.name)
        root = request.scope.get("root_path", "")
        return self._show(
            request,
            overview,
            "drill.html",
            model=model,
            drill=found,
            shape=shape,
            window_place=lambda window, feature="": root + address(name, window, feature),
            feature_place=lambda feature: root + address(name, found.name, feature),
            drill_place=address(name, window, feature).removeprefix("/"),
        )

    def drift(self, request: Request) -> Response:
        """What moved in any time of a model."""
        overview, name = self._read(), request.path_params["name"]
        model = overview.model(name)
        if model is None or self.compares is None:
            raise HTTPException(404, f"There is no model {name}.")
        it = found(self.compares, name, request.query_params)
        answer = self._show(request, overview, "moved.html", model=model, **it.values)
        answer.status_code = it.status
        return answer

    def rollout(self, request: Request) -> Response:
        """One rollout with all its evidence."""
        overview, key = self._read(), request.path_params["id"]
        rollout = overview.rollout(key)
        if rollout is None:
            raise HTTPException(404, f"There is no rollout {key}.")
        return self._show(request, overview, "rollout.html", model=overview.model(rollout.model), rollout=rollout)

    def incident(self, request: Request) -> Response:
        """One incident: what was found, done and said, its timeline and its postmortem."""
        overview, key = self._read(), request.path_params["id"]
        incident = overview.incident(key)
        if incident is None:
            raise HTTPException(404, f"There is no incident {key}.")
        text = self._postmortem(key) if self._postmortem and incident.postmortem else None
        model = overview.model(incident.model)
        handled = self._handled(key) if self._handled else None
        page = {"model": model, "incident": incident, "handled": handled, "document": blocks(text)}
        return self._show(request, overview, "incident.html", **page)

    def alerts(self, request: Request) -> Response:
        """What stands, who is told, what pages may still be spent on, and what is kept quiet."""
        if self._alerts is None:
            raise HTTPException(404, "Alerts are not read here.")
        return self._show(request, self._read(), "alerts.html", alerts=self._alerts())

    async def operate(self, request: Request) -> Response:
        """The operator's form. The answer leads back to the model, where the journal shows what became of it."""
        name, verb = request.path_params["name"], request.path_params["verb"]
        if self._ask is None or verb not in VERBS:
            raise HTTPException(404, f"There is nothing called {verb} to do to {name}.")
        if request.headers.get("content-type", "").split(";")[0].strip() != "application/x-www-form-urlencoded":
            raise HTTPException(415, "This address takes a form (application/x-www-form-urlencoded).")
        reason = (await _form(request)).get("reason", "").strip()
        await run_in_threadpool(self._ask, name, verb, reason, actor="console")
        model = quote(name.partition("@")[0], safe="")  # one arm is named `model@version`
        return RedirectResponse(f"{request.scope.get('root_path', '')}/models/{model}", status_code=303)

    def problem(self, request: Request, error: Exception) -> Response:
        """An error page that says what happened and where to go."""
        assert isinstance(error, HTTPException)
        return self._error(request, error.status_code, error.detail, dict(error.headers or {}))

    def failed(self, request: Request, error: Exception) -> Response:
        """What fairlead itself says of an error."""
        assert isinstance(error, FairleadError)
        status = 404 if isinstance(error, NotFound) else 409 if isinstance(error, Refused) else 503
        return self._error(request, status, error.line, {})

    def _error(self, request: Request, status: int, text: str, headers: dict[str, str]) -> Response:
        page = self._pages.error(status, text, request.scope.get("root_path", ""))
        return HTMLResponse(page, status, headers)

    def _show(self, request: Request, overview: Overview, template: str, **values: Any) -> Response:
        fragment = request.url.path.removeprefix(request.scope.get("root_path", "")).startswith("/fragments/")
        token = seen_token(overview)
        if fragment and request.query_params.get("seen") == token:
            return Response(status_code=204)
        root = request.scope.get("root_path", "")
        values |= {"overview": overview, "token": token, "root": root, "controls": self._ask is not None}
        values["has_alerts"] = self._alerts is not None
        return HTMLResponse(self._pages.draw(template, fragment=fragment, values=values))


async def _form(request: Request) -> dict[str, str]:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_FORM_BYTES:
            raise HTTPException(413, f"A form here has at most {MOST_FORM_BYTES:,} bytes.")
    try:
        return {key: values[-1] for key, values in parse_qs(body.decode(), max_num_fields=20).items()}
    except ValueError as error:
        raise HTTPException(400, "The form cannot be read: it is not UTF-8, or has too many fields.") from error
