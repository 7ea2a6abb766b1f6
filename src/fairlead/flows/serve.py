"""request -> route -> predict -> log. The record is in the log before the answer leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw

from fairlead.core.decode import Answer, Row
from fairlead.core.listing import counted
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.route import Route, choose
from fairlead.errors import ContractError, FairleadError, StateError
from fairlead.flows.tally import Tally
from fairlead.flows.warm import Live, LiveModel, LiveVersion
from fairlead.ports.clock import Clock
from fairlead.ports.log import PredictionLog

NAMED = 20  # rows of a batch that an error lists
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

    `refusal` is the status that the caller's protocol gives a row that breaks the contract.
    """

    at: float
    ticks: float
    trace_id: str | None = None
    refusal: int = 422


class NotReady(FairleadError):
    """The worker has no route table yet."""


class ModelFailed(FairleadError):
    """A model raised, or answered what is no answer. The log has the details; the caller gets this line."""


class Failed(NamedTuple):
    """What a model made of a row that it could not answer: one line, for the log."""

    error: str


class Serving:
    """One worker's data plane. `live` is swapped by reference; a request reads it once."""

    def __init__(self, log: PredictionLog, clock: Clock, tally: Tally) -> None:
        self.live: Live | None = None
        self.log = log
        self.clock = clock
        self.tally = tally

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

        The model runs here, on the event loop: right for portable models (tens of microseconds), a stall for a slow
        original one. Raises `ContractError` (nothing is logged), `ModelFailed` when a row cannot be answered, and
        `StateError` (the log cannot be written: an answer that is not logged is not given). Where some rows of a batch
        fail the caller gets none, and the log has the truth of each row: 500 for those that failed, 200 with its
        answer for any other.
        """
        rows = [self._row(model, ask, route, arrival.refusal) for ask, route in zip(asks, routes, strict=True)]
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
        self._write(records)
        for record in records:
            self.tally.answered(model.name, record.model_version, record.arm, record.status, elapsed)
        failed = [index for index, record in enumerate(records) if record.status != 200]
        if failed:
            raise _failure(model.name, records, failed)
        return records

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
        except ContractError:
            self.tally.refused(model.name, route.version, route.arm, refusal)
            raise
        for value in strange:
            self.tally.strange(model.name, route.version, value.feature, value.what)
        return row

    def _write(self, records: Sequence[Prediction]) -> None:
        try:
            self.log.predictions(records)
        except StateError:
            self.tally.log_failures += 1
            raise


def draw(model: LiveModel, unit: str) -> Route:
    """The arm that a unit has been dealt."""
    return choose(model.route, unit)


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


def _failure(model: str, records: Sequence[Prediction], failed: Sequence[int]) -> ModelFailed:
    versions = sorted({records[index].model_version for index in failed})
    said = f"version{'s' * (len(versions) > 1)} {' and '.join(map(str, versions))} of model {model!r} failed to answer"
    if len(records) > 1:
        named = ", ".join(map(str, failed[:NAMED])) + ", …" * (len(failed) > NAMED)
        said += f" {len(failed)} of {counted(len(records), 'row')} (counted from 0: {named})"
    return ModelFailed(f"{said}; the failure is in the log")


def describe(fault: BaseException) -> str:
    """A failure for the log: its type and message, one line."""
    return " ".join(f"{type(fault).__name__}: {fault}".split())[:500]


def record_of(
    model: str,
    ask: Ask,
    route: Route,
    arrival: Arrival,
    answer: Answer | Failed,
    latency_ms: float,
) -> Prediction:
    """The log's record of one row: status 200, or 500 when it failed."""
    if isinstance(answer, Failed):
        prediction, score, probabilities, status, error = None, None, None, 500, answer.error
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
