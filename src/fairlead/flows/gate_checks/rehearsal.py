"""The way back, walked before it is needed: a swap to the candidate and back again under traffic."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import inf
from threading import Event
from time import perf_counter, sleep

from fairlead.core.gate import Check
from fairlead.core.judge_runtime import Rehearsal, judge_rehearsal
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.errors import StateError
from fairlead.flows.gate_checks.caller import Caller, ask, predict_path
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.stage import Stage

_LOAD_PATIENCE_SECONDS = 30.0
_DWELL_SECONDS = 0.15  # how long each version answers between the swaps
_POLL_SECONDS = 0.002
CONNECTIONS = 8
STAND_IN = 0  # versions begin at 1: nothing else has this number


@dataclass
class Traffic:
    """Requests over several connections, on each one after the other, until stopped. `answers` are (when it came,
    version) of the good ones."""

    base_url: str
    path: str
    bodies: list[bytes]
    answers: list[tuple[float, int]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    _stop: Event = field(default_factory=Event)

    def run(self, connection: int) -> None:
        """Asks over one connection until `stop`."""
        with Caller(self.base_url) as caller:
            number = 0
            while not self._stop.is_set():
                body = ask(self.bodies[number % len(self.bodies)], f"rehearsal-{connection}-{number}")
                reply = caller.post(self.path, body)
                version = reply.body.get("version")
                if reply.ok and isinstance(version, int):
                    self.answers.append((perf_counter(), version))
                else:
                    self.refusals.append(reply.said)
                number += 1

    def stop(self) -> None:
        """Ends after the requests in flight."""
        self._stop.set()


def check_rehearsal(subject: Subject, stage: Stage) -> Check:
    """Previous -> candidate -> previous. Seconds are measured on the way back."""
    previous = subject.champion.version if subject.champion else STAND_IN
    candidate, generation = subject.info.version, stage.applied_generation()
    bundles = {previous: subject.champion.bundle if subject.champion else subject.info.bundle}
    bundles[candidate] = subject.info.bundle

    def table(version: int, number: int) -> RouteTable:
        route = ModelRoute(arms=(Arm("champion", version, 1.0),), bundles=bundles)
        return RouteTable(number, {subject.info.model: route})

    warm = swap(stage, table(previous, generation + 1), _LOAD_PATIENCE_SECONDS)
    if warm == inf:
        raise StateError(f"version {previous} was not loaded within {_LOAD_PATIENCE_SECONDS:g} s")
    traffic = Traffic(stage.base_url, predict_path(subject.info.model), subject.bodies(64))
    with ThreadPoolExecutor(CONNECTIONS, "gate-traffic") as pool:
        for connection in range(CONNECTIONS):
            pool.submit(traffic.run, connection)
        try:
            sleep(_DWELL_SECONDS)
            forward = swap(stage, table(candidate, generation + 2), _LOAD_PATIENCE_SECONDS)
            sleep(_DWELL_SECONDS)
            began = perf_counter()
            back = swap(stage, table(previous, generation + 3), subject.policy.rollback_seconds * 2 + 1)
            sleep(_DWELL_SECONDS)
        finally:
            traffic.stop()
    return judge_rehearsal(_told(traffic, (candidate, previous), began, (forward, back)), subject.policy)


def _told(traffic: Traffic, versions: tuple[int, int], began: float, swaps: tuple[float, float]) -> Rehearsal:
    candidate, previous = versions
    last = max((at for at, version in traffic.answers if version == candidate), default=began)
    return Rehearsal(
        requests=len(traffic.answers) + len(traffic.refusals),
        refused=len(traffic.refusals),
        first_refusal=traffic.refusals[0] if traffic.refusals else "",
        candidate_answers=sum(version == candidate for _, version in traffic.answers),
        previous_answers=sum(version == previous for _, version in traffic.answers),
        forward_seconds=swaps[0],
        back_seconds=swaps[1],
        last_answer_seconds=max(0.0, last - began),
        stand_in=previous == STAND_IN,
        previous=previous,
        connections=CONNECTIONS,
    )


def swap(stage: Stage, table: RouteTable, patience: float) -> float:
    """Seconds from publishing until every worker has the table; infinite when `patience` seconds were not enough."""
    began = perf_counter()
    stage.publish(table)
    while stage.applied_generation() < table.generation:
        if perf_counter() - began > patience:
            return inf
        sleep(_POLL_SECONDS)
    return perf_counter() - began
