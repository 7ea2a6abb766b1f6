"""Shadows: a candidate answers what the champion answered, unseen, after the response has left.

The queue is bounded and what does not fit is dropped and counted: a slow candidate costs evidence, never latency.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from fairlead.core.admission import Limits
from fairlead.core.decode import Answer, Row
from fairlead.core.fallback import ARM
from fairlead.core.pace import Pace
from fairlead.core.record import Prediction
from fairlead.core.route import Route
from fairlead.errors import ContractError, StateError
from fairlead.flows.batcher import Lane
from fairlead.flows.serve import Arrival, Ask, Failed, Serving, answer_rows, describe, record_of
from fairlead.flows.warm import LiveModel, LiveVersion, by_version

SHADOW = "shadow"
TURN, TURN_SECONDS = 64, 0.1  # the most answers between two writes of the log, and about how long they may take
GATHER_SECONDS = 0.01  # how long the first waits for others: a thread that is woken for each contends with the callers


class _Job(NamedTuple):
    model: str
    candidate: LiveVersion
    served: Prediction


class Shadows:
    """One worker's queue of unseen answers. A single thread runs the candidates; the event loop writes the log."""

    def __init__(
        self, serving: Serving, limit: int = 2048, told: Callable[[Sequence[Prediction]], None] | None = None
    ) -> None:
        """`told` is called with what was answered and logged."""
        self._told = told
        self._serving = serving
        self._limit = limit
        self._jobs: deque[_Job] = deque()
        self._waiting = asyncio.Event()

    def offer(self, model: LiveModel, served: Sequence[Prediction], routes: Sequence[Route]) -> None:
        """Queues served answers for each shadow of their route; full queues drop and count."""
        dropped = self._serving.tally.shadow_dropped
        for record, route in zip(served, routes, strict=True):
            for version in route.shadows if record.arm != ARM else ():  # a stand-in's answer is compared with nothing
                candidate = model.versions.get(version)
                if candidate is None:
                    dropped["not_warm"] += 1
                elif len(self._jobs) >= self._limit:
                    dropped["queue_full"] += 1
                else:
                    self._jobs.append(_Job(model.name, candidate, record))
        if self._jobs:
            self._waiting.set()

    async def run(self) -> None:
        """Works the queue until cancelled."""
        lane: Lane[_Job, Prediction] = Lane(self._answer_all, Pace(), Limits(), self._serving.clock, _nothing)
        try:
            while True:
                await self._waiting.wait()
                if len(self._jobs) < TURN:
                    await asyncio.sleep(GATHER_SECONDS)
                turn = self._turn()
                if not self._jobs:
                    self._waiting.clear()
                self._keep(await lane.ask(turn, None))
        finally:
            lane.close()  # what is under way is given up: a slow shadow must not hold up the end of the worker

    def _turn(self) -> list[_Job]:
        """The next jobs: as many as take about `TURN_SECONDS`, so that what is answered is soon in the log."""
        turn: list[_Job] = []
        left = TURN_SECONDS
        while self._jobs and len(turn) < TURN and (not turn or left > 0.0):
            turn.append(self._jobs.popleft())
            left -= turn[-1].candidate.pace.single
        return turn

    def _keep(self, records: Sequence[Prediction]) -> None:
        tally = self._serving.tally
        try:
            self._serving.log.predictions(records)
        except StateError:
            tally.log_failures += 1
            tally.shadow_dropped["log_failed"] += len(records)
            return
        for record in records:
            tally.answered(record.model_name, record.model_version, SHADOW, record.status, record.latency_ms / 1000.0)
        if self._told is not None:
            self._told(records)

    def _answer_all(self, turn: Sequence[_Job]) -> list[Prediction]:
        """The records of a turn, in order: status 422 where a candidate's own contract refuses the row, 500 where the
        candidate fails. Rows of one candidate are answered together as far as that pays."""
        records: dict[int, Prediction] = {}
        for candidate, places in by_version(job.candidate for job in turn):
            size = candidate.pace.together(TURN)
            for start in range(0, len(places), size):
                some = places[start : start + size]
                records.update(zip(some, self._answer_some(candidate, [turn[at] for at in some]), strict=True))
        return [records[at] for at in range(len(turn))]

    def _answer_some(self, candidate: LiveVersion, jobs: Sequence[_Job]) -> list[Prediction]:
        clock = self._serving.clock
        started = clock.monotonic()
        read = [_row(candidate, job.served) for job in jobs]
        rows = [row for row in read if not isinstance(row, Failed)]
        answers = iter(answer_rows(candidate, rows) if rows else ())
        given = [row if isinstance(row, Failed) else next(answers) for row in read]
        elapsed = (clock.monotonic() - started) * 1000.0
        return [_record(job, candidate, answer, started, elapsed) for job, answer in zip(jobs, given, strict=True)]


def _row(candidate: LiveVersion, served: Prediction) -> Row | Failed:
    """What the candidate makes of the caller's features, or why it makes nothing of them."""
    try:
        return candidate.rows.decode(served.features)[0]
    except ContractError as refusal:
        return Failed(refusal.line, 422)
    except Exception as fault:  # noqa: BLE001 - whatever goes wrong for a candidate is the evidence it is run for
        return Failed(describe(fault))


def _record(job: _Job, candidate: LiveVersion, answer: Answer | Failed, started: float, elapsed: float) -> Prediction:
    served = job.served
    ask = Ask(served.request_id, served.unit_id, served.timestamp, served.features, "features")
    route = Route(candidate.version, SHADOW, 1.0, rollout=served.rollout)
    arrival = Arrival(served.received_at, started, served.trace_id)
    record = record_of(job.model, ask, route, arrival, answer, elapsed)
    return msgspec.structs.replace(record, shadow_of=served.model_version)


def _nothing(rows: int, seconds: float) -> None:
    pass
