"""request -> route -> predict -> log. The record is in the log before the answer leaves.

Quick models answer on the event loop (`Serving.answer`): no thread, no await. Slow ones, and batches of many rows, are
answered in lanes of their own (`Serving.answer_later`), where a request that cannot be answered in time is refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import Raw

from fairlead.core.admission import Limits, retry_after
from fairlead.core.decode import Answer, FallsBack, Row
from fairlead.core.exploring import Drawn
from fairlead.core.fallback import OnFailure
from fairlead.core.listing import counted
from fairlead.core.quarantine import Quarantined
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.route import Route
from fairlead.errors import ContractError, FairleadError, StateError
from fairlead.flows.batcher import Overfull
from fairlead.flows.lanes import Lanes
from fairlead.flows.tally import HUNG_UP, TIMED_OUT, Queue, Tally
from fairlead.flows.trail import Trail
from fairlead.flows.warm import Live, LiveModel, LiveVersion
from fairlead.ports.clock import Clock
from fairlead.ports.log import PredictionLog
from fairlead.ports.quarantine import Quarantine

NAMED = 20  # rows of a batch that an error lists
BULK_ROWS = 256  # a request of more rows is answered off the event loop, however quick its model is
SLICE_ROWS = 128  # rows of such a request that are read or recorded between two looks at the event loop
PINNED = "pinned"  # the arm of a request that asked for a version by number: no draw, so no evidence


class Ask(NamedTuple):
    """One row to be answered. `features` is the caller's JSON object; `path` names it in errors."""

    request_id: str
    unit_id: str
    timestamp: float
    features: Raw
    path: str


class Arrival(NamedTuple):
    """When a request came: `at` in seconds since 1970 UTC, `ticks` on the monotonic clock.

    `refusal` is the status that the caller's protocol gives a row that breaks the contract. `trail` is there where the
    request is sampled, to be told of at its end.
    """

    at: float
    ticks: float
    trace_id: str | None = None
    refusal: int = 422
    trail: Trail | None = None


class NotReady(FairleadError):
    """The worker has no route table yet."""


class ModelFailed(FairleadError):
    """A model raised, or answered what is no answer. The log has the details; the caller gets this line. `records` are
    those of all rows of the request, in order, as they were logged."""

    def __init__(self, message: str, records: Sequence[Prediction] = ()) -> None:
        super().__init__(message)
        self.records = records


class Overloaded(NotReady):
    """A version has more to answer than it can in time. Try again after `retry_seconds`. `records` as in `ModelFailed`,
    where the request had been admitted."""

    def __init__(self, message: str, retry_seconds: int, records: Sequence[Prediction] = ()) -> None:
        super().__init__(message)
        self.retry_seconds = retry_seconds
        self.records = records


class Failed(NamedTuple):
    """What a model made of a row that it could not answer: one line, for the log. `status`: 500, or 503 out of time."""

    error: str
    status: int = 500


class Serving:
    """One worker's data plane. `live` is swapped by reference; a request reads it once."""

    def __init__(
        self, log: PredictionLog, clock: Clock, tally: Tally, limits: Mapping[str, Limits] | None = None
    ) -> None:
        """`limits`: what models may take up, by name; under the empty name, what all others may."""
        self.live: Live | None = None
        self.log = log
        self.clock = clock
        self.tally = tally
        self.on_failure: Mapping[str, OnFailure] = {}  # of the models that do something else than fail
        self.quarantine: Quarantine | None = None
        self._lanes: Lanes[Answer | Failed] = Lanes(answer_rows, clock, tally, limits or {})

    def model(self, name: str) -> LiveModel:
        """The model to answer with. Raises `NotFound`, and `NotReady` before the first table and for a model of the
        table that is not loaded here."""
        if self.live is None:
            raise NotReady("the gateway has no route table yet: wait until /v2/health/ready answers 200")
        live = self.live
        if name not in live.models and (name in live.errors or name in live.waiting):
            raise NotReady(f"model {name!r} is not loaded here: wait, or see the worker's error in the overview")
        return live.model(name)

    def answer(
        self, model: LiveModel, asks: Sequence[Ask], arrival: Arrival, routes: Sequence[Route]
    ) -> list[Prediction]:
        """Answers and logs rows, each by the arm that `routes` gives it; one record a row, in order.

        The model runs here, on the event loop: for what `is_prompt`. Raises `ContractError` (nothing is logged),
        `ModelFailed` when a row cannot be answered, and `StateError` (the log cannot be written: an answer that is not
        logged is not given). Where some rows of a batch fail the caller gets none, and the log has the truth of each
        row: 500 for those that failed, 200 with its answer for any other.
        """
        rows = [self._row(model, ask, route, arrival.refusal) for ask, route in zip(asks, routes, strict=True)]
        if arrival.trail is not None:
            arrival.trail.read(arrival.ticks, self.clock.monotonic())
        first = routes[0].version
        if len(rows) == 1 or all(route.version == first for route in routes):
            answers: Sequence[Answer | Failed] = answer_rows(model.versions[first], rows)
        else:
            answers = _by_version(model, rows, routes)
        elapsed = self.clock.monotonic() - arrival.ticks
        records = [
            record_of(model.name, ask, route, arrival, answer, elapsed * 1000.0)
            for ask, route, answer in zip(asks, routes, answers, strict=True)
        ]
        self.write(records)
        for record in records:
            self.tally.answered(model.name, record.model_version, record.arm, record.status, elapsed)
        failed = [index for index, record in enumerate(records) if record.status != 200]
        if failed:
            raise failure(model.name, records, failed)
        return records

    async def answer_later(
        self, model: LiveModel, asks: Sequence[Ask], arrival: Arrival, routes: Sequence[Route]
    ) -> list[Prediction]:
        """The same off the event loop, by the versions that `routes` names now, whatever is published meanwhile.

        Raises `Overloaded` too: at once and without a record, when a version cannot answer in time; with a record of
        status 503, when one did not. A caller that is cancelled meanwhile has hung up: nothing is logged.
        """
        if is_prompt(model, routes):
            return self.answer(model, asks, arrival, routes)
        self._admit(model, routes)
        rows: list[Row] = []
        for start in range(0, len(asks), SLICE_ROWS):
            pairs = zip(asks[start : start + SLICE_ROWS], routes[start : start + SLICE_ROWS], strict=True)
            rows += [self._row(model, ask, route, arrival.refusal) for ask, route in pairs]
            if len(rows) < len(asks):
                await asyncio.sleep(0)
        if arrival.trail is not None:
            arrival.trail.read(arrival.ticks, self.clock.monotonic())
        answers = await self._in_lanes(model, rows, routes, arrival)
        records = await self._record(model, asks, routes, arrival, answers)
        failed = [index for index, record in enumerate(records) if record.status == 500]
        if failed:
            raise failure(model.name, records, failed)
        late = next((record for record in records if record.status == 503), None)
        if late is not None:
            lane = self._lanes.of(model.name, model.versions[late.model_version])
            wait = retry_after(lane.wait_seconds())
            raise Overloaded(f"model {model.name!r} is too busy: {late.error}; try again in {wait} s", wait, records)
        return records

    def write(self, records: Sequence[Prediction]) -> None:
        """Writes records in one system call. Raises `StateError`, counted: what is not logged is not answered."""
        try:
            self.log.predictions(records)
        except StateError:
            self.tally.log_failures += 1
            raise

    def queues(self) -> list[Queue]:
        """How full the lanes are; those of versions that are gone are let go."""
        self._lanes.prune(self.live)
        return self._lanes.queues()

    def outcomes(self, records: Sequence[OutcomeRecord]) -> None:
        """Keeps outcomes, whether or not their predictions are known. Raises `StateError`."""
        try:
            self.log.outcomes(records)
        except StateError:
            self.tally.log_failures += 1
            raise
        self.tally.outcomes += len(records)

    def weights(self) -> list[tuple[str, str, str, float]]:
        """The share of traffic of each model, version and arm."""
        models = self.live.models.values() if self.live else ()
        return [(model.name, str(arm.version), arm.name, arm.share) for model in models for arm in model.route.arms]

    def _row(self, model: LiveModel, ask: Ask, route: Route, refusal: int) -> Row:
        try:
            row, strange = model.versions[route.version].rows.decode(ask.features, ask.path)
        except ContractError as error:
            if not isinstance(error, FallsBack):  # that may still be answered
                self.refuse(model, ask, route, refusal, error)
            raise
        for value in strange:
            self.tally.strange(model.name, route.version, value.feature, value.what)
        return row

    def refuse(self, model: LiveModel, ask: Ask, route: Route, status: int, error: ContractError) -> None:
        """Counts a row that its version's contract refuses, and keeps it where refused rows are kept."""
        self.tally.refused(model.name, route.version, route.arm, status)
        self.tally.breached(model.name, route.version, model.versions[route.version].manifest.contract, error)
        if self.quarantine is not None:
            self.quarantine.keep(
                Quarantined(
                    *(ask.request_id, model.name, route.version, route.arm, ask.unit_id, ask.timestamp),
                    self.clock.now(),
                    *(error.line, bytes(ask.features), error.path, error.what, error.field),
                )
            )

    async def answers(
        self, model: LiveModel, rows: Sequence[Row], routes: Sequence[Route], arrival: Arrival
    ) -> Sequence[Answer | Failed]:
        """What versions answer to rows that they have read, in order; nothing is logged."""
        return (
            _by_version(model, rows, routes)
            if is_prompt(model, routes)
            else await self._in_lanes(model, rows, routes, arrival)
        )

    def _admit(self, model: LiveModel, routes: Sequence[Route]) -> None:
        """Raises `Overloaded`, before anything is read, when one of the versions cannot answer in time."""
        for version in {route.version for route in routes}:
            try:
                self._lanes.of(model.name, model.versions[version]).check()
            except Overfull as full:
                reason, wait = full.turned
                self.tally.shed(model.name, version, reason)
                for route in routes:
                    self.tally.refused(model.name, route.version, route.arm, 503)
                said = f"version {version} of model {model.name!r} cannot answer in time ({reason.replace('_', ' ')})"
                raise Overloaded(f"{said}: try again in {wait} s", wait) from None

    async def _in_lanes(
        self, model: LiveModel, rows: Sequence[Row], routes: Sequence[Route], arrival: Arrival
    ) -> list[Answer | Failed]:
        """Each version answers its own rows, whatever becomes of another's."""
        places: dict[int, list[int]] = {}
        for index, route in enumerate(routes):
            places.setdefault(route.version, []).append(index)
        left = self._lanes.limits_of(model.name).timeout - (self.clock.monotonic() - arrival.ticks)
        if len(places) == 1:  # without a task between: who was admitted has its place at once
            return list(await self._ask(model, routes[0].version, rows, left))
        asked = [self._ask(model, version, [rows[i] for i in at], left) for version, at in places.items()]
        answers: dict[int, Answer | Failed] = {}
        for at, given in zip(places.values(), await asyncio.gather(*asked), strict=True):
            answers.update(zip(at, given, strict=True))
        return [answers[index] for index in range(len(rows))]

    async def _ask(
        self, model: LiveModel, version: int, rows: Sequence[Row], seconds: float
    ) -> Sequence[Answer | Failed]:
        try:
            return await self._lanes.of(model.name, model.versions[version]).ask(rows, seconds)
        except TimeoutError:
            reason, limit = TIMED_OUT, self._lanes.limits_of(model.name).timeout
            failed = Failed(f"version {version} did not answer within {limit:g} s", 503)
        except Overfull as full:  # what came while the rows were read went first
            reason = full.turned.reason
            failed = Failed(f"version {version} cannot answer in time ({reason.replace('_', ' ')})", 503)
        except asyncio.CancelledError:
            self.tally.shed(model.name, version, HUNG_UP)
            raise
        except RuntimeError as fault:
            return [Failed(describe(fault))] * len(rows)
        self.tally.shed(model.name, version, reason)
        return [failed] * len(rows)

    async def _record(
        self,
        model: LiveModel,
        asks: Sequence[Ask],
        routes: Sequence[Route],
        arrival: Arrival,
        answers: Sequence[Answer | Failed],
    ) -> list[Prediction]:
        """Logs what was answered, in one write."""
        elapsed = self.clock.monotonic() - arrival.ticks
        records: list[Prediction] = []
        for ask, route, answer in zip(asks, routes, answers, strict=True):
            records.append(record_of(model.name, ask, route, arrival, answer, elapsed * 1000.0))
            if len(records) % SLICE_ROWS == 0:
                await asyncio.sleep(0)
        self.write(records)
        for record in records:
            self.tally.answered(model.name, record.model_version, record.arm, record.status, elapsed)
        return records


def is_prompt(model: LiveModel, routes: Sequence[Route]) -> bool:
    """Whether a request is answered on the event loop: few rows, and every version that answers is quick."""
    if len(routes) > BULK_ROWS:
        return False
    return model.is_quick or all(model.versions[route.version].pace.is_quick for route in routes)


def pin(model: LiveModel, number: int) -> Route:
    """The version that the caller names. Raises `NotFound`."""
    live: LiveVersion = model.version(number)
    return Route(live.version, PINNED, 1.0)


def answer_rows(live: LiveVersion, rows: Sequence[Row]) -> Sequence[Answer | Failed]:
    """One version's answers to rows. A batch that fails is halved until each row that fails stands alone: one bad row
    says nothing of those that were sent with it."""
    try:
        return live.outputs.read(live.predictor.predict(rows), len(rows))
    except Exception as fault:  # noqa: BLE001 - whatever a model raises is evidence against it, and no 500 page
        if len(rows) == 1:
            return [Failed(describe(fault))]
    half = len(rows) // 2
    return [*answer_rows(live, rows[:half]), *answer_rows(live, rows[half:])]


def _by_version(model: LiveModel, rows: Sequence[Row], routes: Sequence[Route]) -> list[Answer | Failed]:
    """Each version answers its own rows, whatever becomes of another's."""
    answers: dict[int, Answer | Failed] = {}
    for version in sorted({route.version for route in routes}):
        at = [index for index, route in enumerate(routes) if route.version == version]
        answers.update(zip(at, answer_rows(model.versions[version], [rows[index] for index in at]), strict=True))
    return [answers[index] for index in range(len(rows))]


def failure(model: str, records: Sequence[Prediction], failed: Sequence[int]) -> ModelFailed:
    """What the caller is told of the records at `failed`."""
    versions = sorted({records[index].model_version for index in failed})
    said = f"version{'s' * (len(versions) > 1)} {' and '.join(map(str, versions))} of model {model!r} failed to answer"
    if len(records) > 1:
        named = ", ".join(map(str, failed[:NAMED])) + ", …" * (len(failed) > NAMED)
        said += f" {len(failed)} of {counted(len(records), 'row')} (counted from 0: {named})"
    return ModelFailed(f"{said}; the failure is in the log", records)


def describe(fault: BaseException) -> str:
    """A failure for the log: its type and message, one line."""
    return " ".join(f"{type(fault).__name__}: {fault}".split())[:500]


def _as_drawn(route: Route, answer: Answer | Failed, drawn: Drawn) -> tuple[Route, Answer | Failed]:
    """The drawn decision in place of the model's, where its score is one that decisions are drawn at."""
    if isinstance(answer, Answer) and drawn.draws.among(answer.score):
        return route, answer._replace(prediction=drawn.decision)
    return Route(route.version, drawn.arm, 1.0 - drawn.draws.share, rollout=route.rollout), answer


def record_of(
    model: str,
    ask: Ask,
    route: Route,
    arrival: Arrival,
    answer: Answer | Failed,
    latency_ms: float,
) -> Prediction:
    """The log's record of one row: status 200, or that of its failure."""
    if route.drawn is not None:
        route, answer = _as_drawn(route, answer, route.drawn)
    if isinstance(answer, Failed):
        prediction, score, probabilities, status, error = None, None, None, answer.status, answer.error
    else:
        (prediction, score, probabilities), status, error = answer, 200, None
    return Prediction(
        ask.request_id,
        model,
        route.version,
        route.arm,
        ask.unit_id,
        route.propensity,
        ask.timestamp,
        arrival.at,
        ask.features,
        prediction,
        score,
        latency_ms,
        probabilities,
        status,
        error,
        None,
        arrival.trace_id,
        route.rollout,
    )
