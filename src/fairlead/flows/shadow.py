"""Shadows: candidates answer what the log says was answered, unseen.

Each candidate has a queue and a thread of its own: one that hangs or is slow keeps no other from answering. Queues are
bounded, and what does not fit, or comes too late to tell anything, is dropped and counted.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec
from msgspec import Struct

from fairlead.core.admission import Limits
from fairlead.core.decode import Answer, Row
from fairlead.core.fallback import ARM
from fairlead.core.pace import Pace
from fairlead.core.record import Prediction
from fairlead.core.route import SHADOWER, ModelRoute, Route, RouteTable, is_unseen
from fairlead.errors import ContractError, StateError
from fairlead.flows.batcher import Lane
from fairlead.flows.serve import PINNED, Arrival, Ask, Failed, Serving, answer_rows, describe, record_of
from fairlead.flows.tally import Counts, Shadowed, Shadowing
from fairlead.flows.warm import LiveVersion

SHADOW = "shadow"
TURN, TURN_SECONDS = 64, 0.1  # the most answers between two writes of the log, and about how long they may take
BEHIND_SECONDS = 30.0  # an answer to what was asked longer ago is not made
HUNG_SECONDS = 10.0  # a turn that takes this long, and `HUNG_TIMES` as long as expected, hangs
HUNG_TIMES = 10.0
SILENT_SECONDS = 5.0  # a word that is older is that of a process that died or hangs


class Bounds(Struct, frozen=True):
    """What may wait for one candidate: records, and the bytes of their features."""

    records: int = 8192
    size: int = 32 * 2**20


BOUNDS = Bounds()


class _Candidate:
    """One shadow of one model. `since` is when its turn began, while one is under way."""

    def __init__(self, name: str, route: ModelRoute) -> None:
        self.model = name.rpartition("@")[0]
        (self.version,) = route.shadows
        self.route = route
        self.live: LiveVersion | None = None
        self.error = ""  # why it cannot be loaded
        self.jobs: deque[Prediction] = deque()
        self.size = 0
        self.since: float | None = None
        self.expected = 0.0
        self.waiting = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def refusal(self, record: Prediction, bounds: Bounds, now: float, oldest: float) -> str:
        """Why it does not take a record; empty where it may, which then waits for a load that is under way."""
        if self.error:
            return "not_warm"
        if record.received_at < oldest:
            return "behind"
        if self.is_hung(now):
            return "hung"
        if len(self.jobs) >= bounds.records or self.size + len(record.features) > bounds.size:
            return "queue_full"
        return ""

    def is_hung(self, now: float) -> bool:
        """Whether its turn takes far too long. `now` is monotonic, like `since`."""
        return self.since is not None and now - self.since > max(HUNG_SECONDS, HUNG_TIMES * self.expected)

    def take(self, record: Prediction) -> None:
        """Queues a record."""
        self.jobs.append(record)
        self.size += len(record.features)
        self.waiting.set()

    def turn(self) -> list[Prediction]:
        """The next records: as many as take about `TURN_SECONDS`, so that what is answered is soon in the log."""
        single = self.live.pace.single if self.live is not None else 0.0
        most = min(TURN, len(self.jobs), max(1, int(TURN_SECONDS / single)) if single > 0.0 else TURN)
        turn = [self.jobs.popleft() for _ in range(most)]
        self.size -= sum(len(record.features) for record in turn)
        self.expected = single * len(turn)
        if not self.jobs:
            self.waiting.clear()
        return turn


class Shadows:
    """The candidates of one process. Their threads answer; the event loop writes the log."""

    def __init__(
        self, serving: Serving, bounds: Bounds = BOUNDS, told: Callable[[Sequence[Prediction]], None] | None = None
    ) -> None:
        """`serving` holds the candidates, named as in `core.route.unseen`; `told` is called with what was answered and
        logged."""
        self._serving = serving
        self._bounds = bounds
        self._told = told
        self._table = RouteTable()
        self._candidates: dict[str, _Candidate] = {}

    def offer(self, served: Iterable[Prediction], table: RouteTable) -> None:
        """Queues what was served for each shadow that `table` (of `core.route.unseen`) names for it."""
        self.arrange(table)
        if not self._candidates:
            return
        clock, dropped = self._serving.clock, self._serving.tally.shadow_dropped
        now, oldest = clock.monotonic(), clock.now() - BEHIND_SECONDS
        by_model: dict[str, list[_Candidate]] = {}
        for candidate in self._candidates.values():
            by_model.setdefault(candidate.model, []).append(candidate)
        for record in served:
            for candidate in by_model.get(record.model_name, ()) if _is_compared(record) else ():
                if is_unseen(candidate.route, record.unit_id, record.rollout):
                    refusal = candidate.refusal(record, self._bounds, now, oldest)
                    if refusal:
                        dropped[refusal] += 1
                    else:
                        candidate.take(record)

    def arrange(self, table: RouteTable) -> None:
        """Lets those go that a table does not name; what waited for them is given up with their rollout. Lets those
        begin that are loaded. Needs a running event loop. Raises what a candidate's own task failed with."""
        if table is not self._table:
            before, self._table, self._candidates = self._candidates, table, {}
            for name, route in table.models.items():
                known = before.get(name)
                is_same = known is not None and known.route == route
                self._candidates[name] = before.pop(name) if is_same else _Candidate(name, route)
            _end(before.values())
        for name, candidate in self._candidates.items():
            if candidate.task is None:
                self._begin(name, candidate)
            elif candidate.task.done():
                candidate.task.result()

    def state(self) -> Shadowing:
        """How each candidate is doing now."""
        clock = self._serving.clock
        now, wall = clock.monotonic(), clock.now()
        said = []
        for one in self._candidates.values():
            status = "hung" if one.is_hung(now) else "ok" if one.live else "failed" if one.error else "loading"
            turn = now - one.since if one.since is not None else 0.0
            oldest = max(turn, wall - one.jobs[0].received_at if one.jobs else 0.0)
            said.append(Shadowed(one.model, str(one.version), status, len(one.jobs), oldest, one.error))
        return Shadowing(wall, said)

    def close(self) -> None:
        """Gives up what waits and what is under way: a slow shadow must not hold up the end of the process."""
        _end(self._candidates.values())
        self._candidates = {}

    def _begin(self, name: str, candidate: _Candidate) -> None:
        """Lets a candidate answer, once it is loaded."""
        live = self._serving.live
        if live is None:
            return
        candidate.error = live.errors.get(name, "")
        if name in live.models and not candidate.error:
            candidate.live = live.models[name].versions[candidate.version]
            candidate.task = asyncio.get_running_loop().create_task(self._work(candidate, candidate.live))

    async def _work(self, candidate: _Candidate, live: LiveVersion) -> None:
        """Works one candidate's queue until cancelled."""
        clock, tally = self._serving.clock, self._serving.tally
        answer = partial(_answer_all, self._serving, candidate.model, live)
        lane: Lane[Prediction, Prediction] = Lane(answer, Pace(), Limits(), clock, _nothing)
        try:
            while True:
                await candidate.waiting.wait()
                oldest = clock.now() - BEHIND_SECONDS
                taken = candidate.turn()
                turn = [record for record in taken if record.received_at >= oldest]
                tally.shadow_dropped["behind"] += len(taken) - len(turn)
                if turn:
                    candidate.since = clock.monotonic()
                    self._keep(await _asked(lane, turn, candidate.model, live, clock.monotonic()))
                    candidate.since = None
                await asyncio.sleep(0)
        finally:
            lane.close()

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


def shadowing(counts: Iterable[Counts], expected: Iterable[str], now: float) -> dict[str, str]:
    """How the shadows of a route table are doing, by `core.route.shadow_name`: ok, loading, failed, hung; silent, where
    the process that should answer has said nothing for a while; starting, where it says nothing of a shadow yet. `now`
    is in seconds since 1970."""
    said = next((one.shadowing for one in counts if one.worker == SHADOWER and one.shadowing is not None), None)
    if said is None or now - said.at > SILENT_SECONDS:
        return dict.fromkeys(expected, "silent")
    known = {f"{one.model_name}@{one.model_version}": one.status for one in said.shadows}
    return {name: known.get(name, "starting") for name in expected}


def _end(candidates: Iterable[_Candidate]) -> None:
    for candidate in candidates:
        if candidate.task is not None:
            candidate.task.cancel()


def _is_compared(record: Prediction) -> bool:
    """Whether a record is an answer that a caller got from the version that he was dealt: not a failure, not another
    shadow's, not a stand-in's, and no version that was asked for by number."""
    return record.status == 200 and record.shadow_of is None and record.arm not in (ARM, PINNED)


async def _asked(
    lane: Lane[Prediction, Prediction], turn: list[Prediction], model: str, live: LiveVersion, started: float
) -> Sequence[Prediction]:
    try:
        return await lane.ask(turn, None)
    except RuntimeError as fault:  # what is no Exception, such as SystemExit: a failure as any other
        return [_record(model, served, live, Failed(describe(fault)), started, 0.0) for served in turn]


def _answer_all(serving: Serving, model: str, live: LiveVersion, turn: Sequence[Prediction]) -> list[Prediction]:
    """The records of a turn, in order: status 422 where a candidate's own contract refuses the row, 500 where the
    candidate fails. Rows are answered together as far as that pays."""
    records: list[Prediction] = []
    size = live.pace.together(TURN)
    for start in range(0, len(turn), size):
        some, started = turn[start : start + size], serving.clock.monotonic()
        read = [_row(live, served) for served in some]
        rows = [row for row in read if not isinstance(row, Failed)]
        answers = iter(answer_rows(live, rows) if rows else ())
        given = [row if isinstance(row, Failed) else next(answers) for row in read]
        elapsed = (serving.clock.monotonic() - started) * 1000.0
        records += [
            _record(model, *pair, started, elapsed) for pair in zip(some, [live] * len(some), given, strict=True)
        ]
    return records


def _row(live: LiveVersion, served: Prediction) -> Row | Failed:
    """What the candidate makes of the caller's features, or why it makes nothing of them."""
    try:
        return live.rows.decode(served.features)[0]
    except ContractError as refusal:
        return Failed(refusal.line, 422)
    except Exception as fault:  # noqa: BLE001 - whatever goes wrong for a candidate is the evidence it is run for
        return Failed(describe(fault))


def _record(
    model: str, served: Prediction, live: LiveVersion, answer: Answer | Failed, started: float, elapsed: float
) -> Prediction:
    ask = Ask(served.request_id, served.unit_id, served.timestamp, served.features, "features")
    route = Route(live.version, SHADOW, 1.0, rollout=served.rollout)
    arrival = Arrival(served.received_at, started, served.trace_id)
    record = record_of(model, ask, route, arrival, answer, elapsed)
    return msgspec.structs.replace(record, shadow_of=served.model_version)


def _nothing(rows: int, seconds: float) -> None:
    pass
