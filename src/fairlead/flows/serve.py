"""request -> route -> predict -> log. The record is in the log before the answer leaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Raw

from fairlead.core.decode import Answer, Row
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.route import Route, choose
from fairlead.errors import ContractError, FairleadError, StateError
from fairlead.flows.tally import Tally
from fairlead.flows.warm import Live, LiveModel, LiveVersion
from fairlead.ports.clock import Clock
from fairlead.ports.log import PredictionLog

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


class Serving:
    """One worker's data plane. `live` is swapped by reference; a request reads it once."""

    def __init__(self, log: PredictionLog, clock: Clock, tally: Tally) -> None:
        self.live: Live | None = None
        self.log = log
        self.clock = clock
        self.tally = tally

    def model(self, name: str) -> LiveModel:
        """The model to answer with. Raises `NotReady` before the first table and `NotFound`."""
        if self.live is None:
            raise NotReady("the gateway has no route table yet: wait until /v2/health/ready answers 200")
        return self.live.model(name)

    def answer(
        self, model: LiveModel, asks: Sequence[Ask], arrival: Arrival, routes: Sequence[Route]
    ) -> list[Prediction]:
        """Answers and logs rows, each by the arm that `routes` gives it; one record a row, in order.

        The model runs here, on the event loop: right for portable models (tens of microseconds), a stall for a slow
        original one. Raises `ContractError` (nothing is logged), `ModelFailed` (the failing version's rows are logged
        with status 500) and `StateError` (the log cannot be written: an answer that is not logged is not given).
        """
        rows = [self._row(model, ask, route, arrival.refusal) for ask, route in zip(asks, routes, strict=True)]
        first = routes[0].version
        if len(rows) == 1 or all(route.version == first for route in routes):
            answers: Sequence[Answer | None] = self._predict(model, first, rows, asks, routes, arrival)
        else:
            answers = self._predict_by_version(model, rows, asks, routes, arrival)
        elapsed = self.clock.monotonic() - arrival.ticks
        records = [
            record_of(model.name, ask, route, arrival, answer, elapsed * 1000.0)
            for ask, route, answer in zip(asks, routes, answers, strict=True)
        ]
        self._write(records)
        for record in records:
            self.tally.answered(model.name, record.model_version, record.arm, 200, elapsed)
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

    def _predict(
        self,
        model: LiveModel,
        version: int,
        rows: Sequence[Row],
        asks: Sequence[Ask],
        routes: Sequence[Route],
        arrival: Arrival,
    ) -> list[Answer]:
        live = model.versions[version]
        try:
            return live.outputs.read(live.predictor.predict(rows), len(rows))
        except Exception as fault:  # noqa: BLE001 - whatever a model raises is evidence against it, and no 500 page
            error = describe(fault)
        elapsed = self.clock.monotonic() - arrival.ticks
        self._write(
            [
                record_of(model.name, ask, route, arrival, None, elapsed * 1000.0, error)
                for ask, route in zip(asks, routes, strict=True)
            ]
        )
        for route in routes:
            self.tally.answered(model.name, version, route.arm, 500, elapsed)
        raise ModelFailed(f"version {version} of model {model.name!r} failed to answer; the failure is in the log")

    def _predict_by_version(
        self,
        model: LiveModel,
        rows: Sequence[Row],
        asks: Sequence[Ask],
        routes: Sequence[Route],
        arrival: Arrival,
    ) -> list[Answer | None]:
        answers: list[Answer | None] = [None] * len(rows)
        for version in sorted({route.version for route in routes}):
            at = [index for index, route in enumerate(routes) if route.version == version]
            group = self._predict(
                model, version, [rows[i] for i in at], [asks[i] for i in at], [routes[i] for i in at], arrival
            )
            for index, answer in zip(at, group, strict=True):
                answers[index] = answer
        return answers

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


def describe(fault: BaseException) -> str:
    """A failure for the log: its type and message, one line."""
    return " ".join(f"{type(fault).__name__}: {fault}".split())[:500]


def record_of(
    model: str,
    ask: Ask,
    route: Route,
    arrival: Arrival,
    answer: Answer | None,
    latency_ms: float,
    error: str | None = None,
) -> Prediction:
    """The log's record of one row. Without an answer the status is 500."""
    prediction, score, probabilities = answer if answer is not None else (None, None, None)
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
        200 if answer is not None else 500,
        error,
        None,
        arrival.trace_id,
    )
