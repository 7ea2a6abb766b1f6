"""The candidate under load."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from fairlead.core.gate import GatePolicy
from fairlead.core.verdict import Outcome
from fairlead.flows.gate_checks.served import Heard, check_logging, check_served
from fairlead.flows.gate_checks.subject import Subject
from fairlead.testing.stage import LocalStage

Put = Callable[..., str]
MakeSubject = Callable[..., Subject]
OpenLocal = Callable[..., LocalStage]


def test_a_quick_model_holds(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """The requests after the warm-up are timed; every answer is remembered."""
    examined, heard = subject(put(), None, GatePolicy(p99_ms=5000, requests=120, warm_up=5)), Heard()
    found = check_served(examined, stage(examined), heard)
    assert found.outcome is Outcome.HOLDS
    assert found.measured["requests"] == 120
    assert len(heard.sent) == len(heard.replies) == 125


def test_a_slow_model_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """A predictor that takes longer than the bound does not pass."""
    examined = subject(put(), None, GatePolicy(p99_ms=2, requests=100, warm_up=1))
    found = check_served(examined, stage(examined, delay_seconds=0.004), Heard())
    assert found.outcome is Outcome.BREACHED
    assert "p99 is over 2 ms" in found.reason


def test_a_model_that_takes_too_much_memory_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """The worker's own peak decides."""
    examined = subject(put(), None, GatePolicy(p99_ms=5000, requests=100, warm_up=1))
    found = check_served(examined, stage(examined, peak_mb=3000.0), Heard())
    assert found.outcome is Outcome.BREACHED
    assert "memory is over 1000 MB" in found.reason


def test_a_worker_that_refuses_good_rows_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """The first refusal is the reason."""
    examined, heard = subject(put()), Heard()
    found = check_served(examined, stage(examined, statuses={"": 503}), heard)
    assert found.outcome is Outcome.BREACHED
    assert "503 out of order" in found.reason
    assert heard.sent == {}


def test_every_answer_is_read_back_from_the_log(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Features, prediction and version as they were asked and answered."""
    examined, heard = subject(put()), Heard()
    local = stage(examined)
    check_served(examined, local, heard)
    assert check_logging(examined, local, heard).outcome is Outcome.HOLDS


def test_a_log_that_forgets_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Answers that are not in the log are counted."""
    examined, heard = subject(put()), Heard()
    local = stage(examined, forgets=True)
    check_served(examined, local, heard)
    found = check_logging(examined, local, heard)
    assert found.outcome is Outcome.BREACHED
    assert "125 of 125 answered requests are not in the log" in found.reason


def test_a_log_with_another_latency_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """A clock that adds 80 ms to each request does not pass."""
    examined, heard = subject(put()), Heard()
    local = stage(examined, clock_ms=80.0)
    check_served(examined, local, heard)
    found = check_logging(examined, local, heard)
    assert found.outcome is Outcome.BREACHED
    assert "from what the caller saw" in found.reason


def test_a_log_that_says_something_else_is_found(put: Put, subject: MakeSubject, stage: OpenLocal) -> None:
    """Other features, another prediction, another version."""
    examined = subject(put())
    local = stage(examined)
    for number, said in (("gate-0", "other features"), ("gate-1", "the answer was"), ("gate-2", "is of stay v9")):
        heard = Heard()
        check_served(examined, local, heard)
        only = Heard({number: heard.sent[number]}, {number: heard.replies[number]})
        if number == "gate-0":
            only.sent[number] = b'{"age":99.0}'
        elif number == "gate-1":
            only.replies[number] = replace(only.replies[number], body={"prediction": "another"})
        else:
            local._log = [replace(record, model_version=9) for record in local._log]
        found = check_logging(examined, local, only)
        assert found.outcome is Outcome.BREACHED
        assert said in found.reason
