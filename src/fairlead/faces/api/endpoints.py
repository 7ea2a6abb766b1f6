"""What the API offers: one table, from which both the routes and the OpenAPI document are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request

from fairlead.core.checklist import PHASES
from fairlead.core.environment import ENVIRONMENTS
from fairlead.core.event import Entry
from fairlead.core.version_diff import VersionDiff
from fairlead.errors import NotFound, UsageError
from fairlead.faces.api.versions import DriftAnswer, GateAnswer, VersionAnswers, Versions, nowhere
from fairlead.faces.console.app import Ask
from fairlead.operations.alerts import AlertsView
from fairlead.operations.checklists import Checklist
from fairlead.operations.experiment_facts import LastReading, Summary
from fairlead.operations.overview import IncidentView, ModelView, Overview, RolloutView
from fairlead.operations.rollouts import VERBS

_T = TypeVar("_T")
MOST_BODY_BYTES = 10_000
MOST_ENTRIES = 1_000


class Reason(Struct, frozen=True, forbid_unknown_fields=True):
    """Why an operator asks. The journal keeps it."""

    reason: str = ""


class Asked(Struct, frozen=True):
    """What was written to the journal. The controller performs it; its decision appears in the rollout."""

    model: str
    verb: str
    reason: str


class Parameter(Struct, frozen=True):
    """A parameter of the path or the query."""

    name: str
    place: Literal["path", "query"]
    type: type
    text: str
    choices: tuple[str, ...] = ()


class Endpoint(Struct, frozen=True):
    """One address. `answer` is called with the request and gives a value of the type `gives`."""

    method: Literal["GET", "POST"]
    path: str
    name: str
    text: str
    gives: Any
    answer: Callable[[Request], Any]
    parameters: tuple[Parameter, ...] = ()
    body: type | None = None
    status: int = 200
    problems: tuple[int, ...] = ()


class Sources(Struct, frozen=True):
    """Where the answers come from. `read` and `entries` are called from threads."""

    read: Callable[[], Overview]
    entries: Callable[[int, int], list[Entry]]
    ask: Ask
    versions: Versions = Versions(nowhere, nowhere)


def endpoints(sources: Sources) -> tuple[Endpoint, ...]:
    """The whole API."""
    name = Parameter("name", "path", str, "The model's name.")
    verb = Parameter("verb", "path", str, "What to do.", VERBS)
    model = Parameter("model", "query", str, "Only of this model.")
    key = Parameter("id", "path", str, "Its id.")
    after = Parameter("after", "query", int, "Only entries after this sequence number; default 0.")
    limit = Parameter("limit", "query", int, f"At most so many, 1 to {MOST_ENTRIES}; default 500.")
    here = _Answers(sources)
    return (
        Endpoint("GET", "/overview", "overview", "Everything at a glance", Overview, here.overview),
        Endpoint("GET", "/models", "models", "All models", list[ModelView], here.models),
        Endpoint("GET", "/models/{name}", "model", "One model", ModelView, here.model, (name,), problems=(404,)),
        Endpoint(
            "POST",
            "/models/{name}/{verb}",
            "operate",
            "The operator's hand: asks for something to be done to the model's rollout",
            Asked,
            here.operate,
            (name, verb),
            Reason,
            202,
            (400, 404, 409, 413, 415),
        ),
        *_of_a_version(VersionAnswers(sources.versions), name),
        Endpoint("GET", "/rollouts", "rollouts", "All rollouts", list[RolloutView], here.rollouts, (model,)),
        Endpoint("GET", "/rollouts/{id}", "rollout", "One rollout", RolloutView, here.rollout, (key,), problems=(404,)),
        Endpoint("GET", "/incidents", "incidents", "All incidents", list[IncidentView], here.incidents, (model,)),
        Endpoint(
            "GET", "/incidents/{id}", "incident", "One incident", IncidentView, here.incident, (key,), problems=(404,)
        ),
        Endpoint(
            "GET",
            "/journal",
            "journal",
            "The facts, oldest first; ask again after the last sequence number",
            list[Entry],
            here.journal,
            (after, limit),
            problems=(400,),
        ),
    )


def _of_a_version(answers: VersionAnswers, name: Parameter) -> tuple[Endpoint, ...]:
    number = Parameter("version", "path", int, "The version's number.")
    where = Parameter("environment", "query", str, "By whose policy; default: what this home serves.", ENVIRONMENTS)
    sides = [
        Parameter(side, "query", str, f"The version {which}: a number or an alias.")
        for side, which in (("before", "that is compared with"), ("after", "that is compared"))
    ]
    phase = Parameter("phase", "query", str, "Only this checklist; default: all.", PHASES)
    return (
        Endpoint(
            "GET",
            "/models/{name}/versions/{version}/gate",
            "gate",
            "The last gate of a version as it stands now, with the ML Test Score",
            GateAnswer,
            answers.gate,
            (name, number, where),
            problems=(400, 404),
        ),
        Endpoint(
            "GET",
            "/models/{name}/versions/{version}/checklist",
            "checklist",
            "The lifecycle's checklists, as each item stands for a version",
            Checklist,
            answers.checklist,
            (name, number, phase, where),
            problems=(400, 404),
        ),
        Endpoint(
            "GET",
            "/models/{name}/diff",
            "diff",
            "What one version has otherwise than another",
            VersionDiff,
            answers.diff,
            (name, *sides),
            problems=(400, 404),
        ),
        _drift_of(answers),
        *_of_experiments(answers),
    )


def _drift_of(answers: VersionAnswers) -> Endpoint:
    name = Parameter("name", "path", str, "The model's name, or one version of it: name@3.")
    asked = (
        ("window", "How much time, up to its end: 7d (the default), 36h."),
        ("segment", "Only rows of this value: region=north."),
        ("reference", "What it is compared with: training (the default), previous, season, or a version as in v3."),
        ("from", "From this instant on, in place of a window."),
        ("to", "Up to this instant; default: the end of what is kept."),
    )
    query = [Parameter(one, "query", str, text) for one, text in asked]
    text = "What moved in a span of a model's answers, from what is kept of them by the hour"
    problems = (400, 404)
    return Endpoint(
        "GET", "/models/{name}/drift", "drift", text, DriftAnswer, answers.drift, (name, *query), problems=problems
    )


def _of_experiments(answers: VersionAnswers) -> tuple[Endpoint, ...]:
    model = Parameter("model", "query", str, "Only of this model.")
    key = Parameter("id", "path", str, "Its id, or a model's name: its latest.")
    return (
        Endpoint(
            "GET",
            "/alerts",
            "alerts",
            "What stands, what is held back, silenced or not delivered yet, and the budgets of pages",
            AlertsView,
            answers.alerts,
        ),
        Endpoint(
            "GET",
            "/experiments",
            "experiments",
            "The experiments that were started, oldest first",
            list[Summary],
            answers.experiments,
            (model,),
        ),
        Endpoint(
            "GET",
            "/experiments/{id}",
            "experiment",
            "One experiment: what it is read by, and the last reading that was made of it",
            LastReading,
            answers.experiment,
            (key,),
            problems=(404,),
        ),
    )


class _Answers:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def overview(self, _request: Request) -> Overview:
        return await run_in_threadpool(self._sources.read)

    async def models(self, request: Request) -> tuple[ModelView, ...]:
        return (await self.overview(request)).models

    async def model(self, request: Request) -> ModelView:
        name = request.path_params["name"]
        return _found((await self.overview(request)).model(name), f"model {name!r}", "models")

    async def rollouts(self, request: Request) -> list[RolloutView]:
        models, wanted = await self.models(request), request.query_params.get("model")
        return [each for model in models if wanted in (None, model.name) for each in model.rollouts]

    async def rollout(self, request: Request) -> RolloutView:
        key = request.path_params["id"]
        return _found((await self.overview(request)).rollout(key), f"rollout {key!r}", "rollouts")

    async def incidents(self, request: Request) -> list[IncidentView]:
        models, wanted = await self.models(request), request.query_params.get("model")
        return [each for model in models if wanted in (None, model.name) for each in model.incidents]

    async def incident(self, request: Request) -> IncidentView:
        key = request.path_params["id"]
        return _found((await self.overview(request)).incident(key), f"incident {key!r}", "incidents")

    async def journal(self, request: Request) -> list[Entry]:
        after, limit = _whole(request, "after", 0, (0, 2**62)), _whole(request, "limit", 500, (1, MOST_ENTRIES))
        return await run_in_threadpool(self._sources.entries, after, limit)

    async def operate(self, request: Request) -> Asked:
        name, verb = request.path_params["name"], request.path_params["verb"]
        if verb not in VERBS:
            raise NotFound(f"{verb!r} is not something to do to a rollout: use one of {', '.join(VERBS)}")
        reason = (await _body(request)).reason.strip()
        _found((await self.overview(request)).model(name), f"model {name!r}", "models")
        await run_in_threadpool(self._sources.ask, name, verb, reason, actor="api")
        return Asked(name, verb, reason)


def _found(value: _T | None, what: str, listing: str) -> _T:
    if value is None:
        raise NotFound(f"there is no {what}: GET /api/v1/{listing} lists them")
    return value


async def _body(request: Request) -> Reason:
    """The JSON body; an empty one is no reason given."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, f"the body must be application/json, not {kind or 'without a type'}")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            raise HTTPException(413, f"the body is larger than {MOST_BODY_BYTES:,} bytes")
    try:
        return msgspec.json.decode(body, type=Reason)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f'the body cannot be read: {error}; send {{"reason": "why"}}') from error


def _whole(request: Request, name: str, default: int, bounds: tuple[int, int]) -> int:
    text = request.query_params.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and bounds[0] <= int(text) <= bounds[1]):
        raise UsageError(f"the query parameter {name} is {text!r}: give a whole number from {bounds[0]} to {bounds[1]}")
    return int(text)
