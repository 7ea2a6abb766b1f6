"""The candidate at the rate that is expected, at batches of several sizes, and at a multiple of the rate."""

from __future__ import annotations

from itertools import islice
from time import perf_counter

from fairlead.core.gate import Check, GatePolicy
from fairlead.core.judge_load import Asked, Spike, judge_load, judge_spike
from fairlead.core.judge_runtime import FEWEST_LATENCIES
from fairlead.flows.gate_checks.caller import predict_path
from fairlead.flows.gate_checks.stream import Callers
from fairlead.flows.gate_checks.subject import Subject
from fairlead.ports.stage import Stage

BATCHES = (1, 16, 256)
SPIKE_CONNECTIONS = 4  # times those of the expected rate
CALM = 20  # answers in a row that show that a spike is over
_LEAST_RATE = 50.0  # at which is asked after a spike: so that few seconds tell
_ROWS = 64  # different ones that are asked


def check_load(subject: Subject, stage: Stage) -> Check:
    """The expected rate for `load_seconds`, then bursts of each batch size for a tenth of that, at most a second."""
    policy, rate = subject.policy, _rate(subject.policy)
    callers = Callers(stage, predict_path(subject.info.model), policy.load_connections)
    bodies = subject.bodies(_ROWS)
    asked = callers.stream(bodies, rate, round(rate * policy.load_seconds))
    curve = [callers.burst(bodies, rows, min(1.0, policy.load_seconds / 10.0)) for rows in BATCHES]
    return judge_load(round(rate, 3), asked, curve, policy)


def check_spike(subject: Subject, stage: Stage) -> Check:
    """A multiple of the expected rate over more connections, then the expected rate until answers are as before."""
    policy, path, bodies = subject.policy, predict_path(subject.info.model), subject.bodies(_ROWS)
    rate = _rate(policy) * policy.spike_times
    crowd = Callers(stage, path, policy.load_connections * SPIKE_CONNECTIONS)
    asked = crowd.stream(bodies, rate, round(rate * policy.spike_seconds))
    calm = Callers(stage, path, policy.load_connections)
    return judge_spike(Spike(round(rate, 3), tuple(asked), _recovered(calm, bodies, policy)), policy)


def _rate(policy: GatePolicy) -> float:
    """The expected rate; higher where a load would be too few requests to tell a 99th percentile."""
    return max(policy.expected_rate, FEWEST_LATENCIES / policy.load_seconds)


def _recovered(calm: Callers, bodies: list[bytes], policy: GatePolicy) -> float | None:
    """The seconds until `CALM` answers in a row are good and quick begin."""
    begun, rate = perf_counter(), max(_rate(policy), _LEAST_RATE)
    while True:
        since = perf_counter() - begun
        if since > policy.recovery_seconds:
            return None
        asked = calm.stream(bodies, rate, CALM)
        if all(_is_calm(one, policy) for one in islice(asked, 1, None)):
            return since
        # The first of a round pays for its connection.


def _is_calm(one: Asked, policy: GatePolicy) -> bool:
    return one.is_ok and one.milliseconds <= policy.p99_ms
