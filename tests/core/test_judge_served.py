"""Answers, failures and log records, and what they mean."""

from __future__ import annotations

from math import inf

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.agreement import Agreement
from fairlead.core.event import canonical
from fairlead.core.gate import Check, GatePolicy
from fairlead.core.judge_served import Failure, GoldenAsked, Volume, judge_failure, judge_golden, judge_volume
from fairlead.core.verdict import Outcome

HOLDS, BREACHED, UNDECIDED = Outcome.HOLDS, Outcome.BREACHED, Outcome.UNDECIDED
SAME = Agreement(200, 1e-7, 1e-5)
SAID = "version 2 of model 'stay' failed to answer; the failure is in the log"
ERROR = "RuntimeError: no such table: prices"
FAILURE = Failure(500, f"500 {SAID}", 500, ERROR, is_answered_again=True)


def well_formed(check: Check) -> bool:
    """One sentence, and figures that JSON can carry."""
    return check.reason.endswith(".") and msgspec.json.decode(canonical(check), type=Check) == check


@pytest.mark.parametrize(
    ("asked", "outcome", "said"),
    [
        (GoldenAsked(SAME), HOLDS, "200 golden rows are answered as recorded"),
        (GoldenAsked(SAME, (), 3), HOLDS, "200 golden rows"),
        (GoldenAsked(SAME, ("row 7: 422 age",)), BREACHED, "1 of 201 golden rows were refused, the first row 7: 422"),
        (GoldenAsked(Agreement(200, 0.01, 1e-5)), BREACHED, "differences up to 0.01"),
        (GoldenAsked(Agreement(200, inf, 1e-5)), BREACHED, "differences up to inf"),
        (GoldenAsked(Agreement(0, 0.0, 1e-5), (), 40), UNDECIDED, "no golden row"),
    ],
)
def test_every_golden_row_is_answered_as_recorded(asked: GoldenAsked, outcome: Outcome, said: str) -> None:
    """A refusal or a difference breaks it, and no row proves nothing."""
    found = judge_golden(asked)
    assert found.outcome is outcome
    assert said in found.reason
    assert well_formed(found)


@pytest.mark.parametrize(
    ("change", "outcome", "said"),
    [
        ({}, HOLDS, "(RuntimeError)"),
        ({"status": 200, "said": "200"}, BREACHED, "was answered 200, not with 500"),
        ({"status": 0, "said": "no answer"}, BREACHED, "was answered no answer"),
        ({"logged_status": 0, "logged_error": ""}, BREACHED, "is not in the log"),
        ({"logged_status": 200}, BREACHED, "says 200"),
        ({"logged_error": ""}, BREACHED, "not what went wrong"),
        ({"said": f"500 {ERROR}"}, BREACHED, "no such table: prices"),
        ({"said": "500 RuntimeError"}, BREACHED, "RuntimeError"),
        ({"is_answered_again": False}, BREACHED, "good requests were not answered"),
    ],
)
def test_a_failure_is_told_to_the_log_and_not_to_its_caller(
    change: dict[str, object], outcome: Outcome, said: str
) -> None:
    """Each way in which a failure may be told wrongly, by itself."""
    found = judge_failure(msgspec.structs.replace(FAILURE, **change))
    assert found.outcome is outcome
    assert said in found.reason
    assert well_formed(found)


@pytest.mark.parametrize(
    ("volume", "outcome", "said"),
    [
        (Volume(500.0, 100 * 10**9), HOLDS, "500 bytes a record at 20 a second are 8.6 GB in 10 days"),
        (Volume(500.0, 10 * 10**9), BREACHED, "give the log a larger disk"),
        (Volume(500.0, 0), BREACHED, "0.0 GB are free"),
        (Volume(0.0, 100 * 10**9), UNDECIDED, "did not grow"),
    ],
)
def test_the_log_fits_on_the_disk(volume: Volume, outcome: Outcome, said: str) -> None:
    """Bytes a record, times the rate, times the days, against four fifths of what is free."""
    found = judge_volume(volume, GatePolicy(expected_rate=20.0, log_days=10.0))
    assert found.outcome is outcome
    assert said in found.reason
    assert well_formed(found)


@given(st.floats(1.0, 1e5), st.integers(0, 10**13), st.floats(0.1, 1e4), st.floats(0.1, 400.0))
def test_more_room_never_breaks_it(each: float, free: int, rate: float, days: float) -> None:
    """Where it fits, it fits on a larger disk and at half the rate."""
    policy = GatePolicy(expected_rate=rate, log_days=days)
    if judge_volume(Volume(each, free), policy).outcome is HOLDS:
        assert judge_volume(Volume(each, free * 2), policy).outcome is HOLDS
        half = msgspec.structs.replace(policy, expected_rate=rate / 2)
        assert judge_volume(Volume(each, free), half).outcome is HOLDS
