"""The expected rate, and a multiple of it."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from fairlead.core.gate import GatePolicy
from fairlead.core.verdict import Outcome
from fairlead.flows.gate_checks.caller import predict_path
from fairlead.flows.gate_checks.load import check_load, check_spike
from fairlead.flows.gate_checks.stream import Callers
from fairlead.flows.gate_checks.subject import Subject
from fairlead.testing.stage import LocalStage

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
OpenLocal = Callable[..., LocalStage]
BRIEF = GatePolicy(
    p99_ms=5000, expected_rate=50, load_seconds=0.6, load_connections=3, spike_times=2, spike_seconds=0.2
)


def test_a_quick_model_keeps_the_expected_rate(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Every request was sent, at a rate that makes a hundred of them, and each batch size has its figures."""
    examined = subject(put(), None, BRIEF)
    found = check_load(examined, stage(examined))
    assert found.outcome is Outcome.HOLDS, found.reason
    assert (found.measured["requests"], found.measured["failed"]) == (100, 0)
    assert found.measured["rate"] == 166.667
    assert all(float(found.measured[f"batch_{rows}_rows_per_second"]) > 0.0 for rows in (1, 16, 256))


def test_a_model_that_cannot_keep_up_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """3 connections at 30 ms each make 100 a second: what is due meanwhile waits, and its wait counts."""
    examined = subject(put(), None, GatePolicy(p99_ms=200, load_seconds=0.5, load_connections=3))
    found = check_load(examined, stage(examined, delay_seconds=0.03))
    assert found.outcome is Outcome.BREACHED
    assert "slower than 200 ms" in found.reason


def test_a_model_that_fails_under_load_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """A refusal at the rate that is expected is a failure, whatever its kind."""
    examined = subject(put(), None, BRIEF)
    found = check_load(examined, stage(examined, statuses={"": 503}))
    assert found.outcome is Outcome.BREACHED
    assert "100 of 100 requests failed" in found.reason


def test_a_spike_that_is_answered_holds(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Twice the rate, and as before at once."""
    examined = subject(put(), None, BRIEF)
    found = check_spike(examined, stage(examined))
    assert found.outcome is Outcome.HOLDS, found.reason
    assert found.measured["failed"] == 0


def test_a_spike_may_be_shed(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """A worker that takes two at a time refuses the rest with a time to try again, and is as before afterwards."""
    examined = subject(put(), None, GatePolicy(p99_ms=5000, load_seconds=1, load_connections=1, spike_seconds=0.2))
    found = check_spike(examined, stage(examined, delay_seconds=0.02, most_at_once=2))
    assert found.outcome is Outcome.HOLDS, found.reason
    assert int(found.measured["shed"]) > 0


def test_a_spike_that_fails_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """500 is no shedding."""
    examined = subject(put(), None, replace(BRIEF, recovery_seconds=0.1))
    found = check_spike(examined, stage(examined, statuses={"": 500}))
    assert found.outcome is Outcome.BREACHED
    assert "failed, the first with 500" in found.reason


def test_a_worker_that_does_not_recover_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Answers slower than the bound after the spike are not as before."""
    policy = GatePolicy(p99_ms=5, load_seconds=1, load_connections=2, spike_seconds=0.1, recovery_seconds=0.1)
    examined = subject(put(), None, policy)
    found = check_spike(examined, stage(examined, delay_seconds=0.01))
    assert found.outcome is Outcome.BREACHED
    assert "0.1 s later it is not as before" in found.reason


def test_no_two_requests_of_a_stream_have_one_id(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Each is logged once, also by a second stream: what had an id before would be a retry."""
    examined = subject(put(), None, BRIEF)
    local = stage(examined)
    callers = Callers(local, predict_path("stay"), 3)
    asked = [one for _ in range(2) for one in callers.stream(examined.bodies(4), 500.0, 30)]
    assert len(asked) == 60
    assert len({record.request_id for record in local.logged()}) == 60
