"""What was measured of a running candidate, and what it means."""

from __future__ import annotations

from math import inf, nan

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.event import canonical
from fairlead.core.gate import Check, GatePolicy
from fairlead.core.judge_runtime import (
    EdgeAnswer,
    Rehearsal,
    Served,
    judge_edges,
    judge_logging,
    judge_rehearsal,
    judge_served,
)
from fairlead.core.verdict import Outcome

HOLDS, BREACHED, UNDECIDED = Outcome.HOLDS, Outcome.BREACHED, Outcome.UNDECIDED
POLICY = GatePolicy()
SERVED = Served((1.0,) * 400, 0, "", 120.0, 0.4)
REHEARSAL = Rehearsal(900, 0, "", 300, 600, 0.05, 0.02, 0.021, stand_in=False, previous=3)


def change(value: object, **fields: object) -> object:
    """The same value with other fields."""
    return msgspec.structs.replace(value, **fields)  # type: ignore[type-var]  # any struct


def well_formed(check: Check) -> bool:
    """One sentence, and figures that JSON can carry."""
    return check.reason.endswith(".") and msgspec.json.decode(canonical(check), type=Check) == check


@pytest.mark.parametrize(
    ("served", "outcome", "said"),
    [
        (SERVED, HOLDS, "p99 1.00 ms"),
        (change(SERVED, latencies_ms=(1.0,) * 395 + (80.0,) * 5), BREACHED, "p99 is over 50 ms"),
        (change(SERVED, latencies_ms=(1.0,) * 397 + (80.0,) * 3), HOLDS, "p99 1.00 ms"),
        (change(SERVED, peak_memory_mb=2000.0), BREACHED, "memory is over 1000 MB"),
        (change(SERVED, refused=3, first_refusal="422 age"), BREACHED, "422 age"),
        (change(SERVED, latencies_ms=(1.0,) * 50), UNDECIDED, "too few requests"),
        (change(SERVED, latencies_ms=()), UNDECIDED, "No request"),
    ],
)
def test_latency_and_memory_keep_their_bounds(served: Served, outcome: Outcome, said: str) -> None:
    """Each bound by itself, and nothing is said of a 99th percentile of few requests."""
    found = judge_served(served, POLICY)
    assert found.outcome is outcome
    assert said in found.reason
    assert well_formed(found)


@given(st.lists(st.floats(0.01, 100.0), min_size=100, max_size=300))
def test_the_percentiles_were_measured(latencies: list[float]) -> None:
    """p50, p95 and p99 are latencies of real requests, in order, and p99 decides."""
    found = judge_served(msgspec.structs.replace(SERVED, latencies_ms=tuple(latencies)), POLICY)
    rounded = {round(value, 3) for value in latencies}
    p50, p95, p99 = (found.measured[name] for name in ("p50_ms", "p95_ms", "p99_ms"))
    assert {p50, p95, p99} <= rounded
    assert float(p50) <= float(p95) <= float(p99)
    slower = sum(value > POLICY.p99_ms for value in latencies)
    assert (found.outcome is BREACHED) is (slower > 0.01 * (len(latencies) - 1))


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (EdgeAnswer("null", (4,), 422, "features.age: expected a number", "age"), None),
        (EdgeAnswer("unseen", (2,), 200, None, "city"), None),
        (EdgeAnswer("null", (4,), 500, "the gateway failed", "age"), "answered 500, expected 4xx"),
        (EdgeAnswer("null", (4,), 200, None, "age"), "answered 200, expected 4xx"),
        (EdgeAnswer("unseen", (2,), 422, "city", "city"), "answered 422, expected 2xx"),
        (EdgeAnswer("null", (4,), 422, None, "age"), "without a JSON error"),
        (EdgeAnswer("null", (4,), 422, "a bad request", "age"), "without naming age"),
        (EdgeAnswer("afterwards", (2,), 200, None, note="it said 0.2"), "it said 0.2"),
        (EdgeAnswer("broken", (4,), 0, None), "answered not at all"),
    ],
)
def test_each_strange_request_gets_its_stated_answer(answer: EdgeAnswer, problem: str | None) -> None:
    """The class of the status, a JSON error, and the field's name in it."""
    found = judge_edges([EdgeAnswer("good", (2,), 200, None), answer])
    assert found.outcome is (HOLDS if problem is None else BREACHED)
    assert problem is None or problem in found.reason
    assert found.measured[f"status_{answer.case}"] == answer.status


def test_no_case_proves_nothing() -> None:
    """An empty list of cases is undecided."""
    assert judge_edges([]).outcome is UNDECIDED


@pytest.mark.parametrize(
    ("sent", "found", "wrong", "outcome"),
    [
        (440, 440, [], HOLDS),
        (440, 439, [], BREACHED),
        (440, 440, ["other features"], BREACHED),
        (0, 0, [], UNDECIDED),
    ],
)
def test_every_answer_is_in_the_log(sent: int, found: int, wrong: list[str], outcome: Outcome) -> None:
    """One lost or altered record breaks it."""
    assert judge_logging(sent, found, wrong).outcome is outcome


@pytest.mark.parametrize(
    ("later_ms", "outcome"),
    [
        ([0.4] * 440, HOLDS),
        ([0.4] * 230 + [500.0] * 210, HOLDS),
        ([5.1] * 440, BREACHED),
        ([-5.1] * 440, BREACHED),
        ([nan] * 440, BREACHED),
    ],
)
def test_the_logged_latency_is_what_callers_saw(later_ms: list[float], outcome: Outcome) -> None:
    """In the median, longer or shorter: a busy caller in fewer than half of the requests is no wrong clock."""
    found = judge_logging(440, 440, [], later_ms, 5.0)
    assert found.outcome is outcome
    assert well_formed(found)


@pytest.mark.parametrize(
    ("rehearsal", "outcome", "said"),
    [
        (REHEARSAL, HOLDS, "Back to the champion, v3, in 0.021 s"),
        (change(REHEARSAL, stand_in=True), HOLDS, "no champion yet"),
        (change(REHEARSAL, refused=1, first_refusal="503"), BREACHED, "1 of 900 requests were refused"),
        (change(REHEARSAL, back_seconds=1.2), BREACHED, "longer than 1 s"),
        (change(REHEARSAL, back_seconds=inf), BREACHED, "longer than 1 s"),
        (change(REHEARSAL, back_seconds=nan, last_answer_seconds=nan), BREACHED, "longer than 1 s"),
        (change(REHEARSAL, last_answer_seconds=1.2), BREACHED, "longer than 1 s"),
        (change(REHEARSAL, candidate_answers=0), UNDECIDED, "did not meet both"),
        (change(REHEARSAL, previous_answers=0), UNDECIDED, "did not meet both"),
    ],
)
def test_the_way_back_is_quick_and_costs_nothing(rehearsal: Rehearsal, outcome: Outcome, said: str) -> None:
    """No refusal, both versions met, and back in time by both clocks: the worker's word and the last answer."""
    found = judge_rehearsal(rehearsal, POLICY)
    assert found.outcome is outcome
    assert said in found.reason
    assert well_formed(found)
