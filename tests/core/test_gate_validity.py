"""Whether a report still lets a version through."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.core.gate import CHECKS, CHECKS_AT_FIRST, DAY_SECONDS, Check, GatePolicy, GateReport
from fairlead.core.gate_validity import Now, missing_in, stricter, valid_for, why_invalid
from fairlead.core.verdict import Outcome

BUNDLE, OTHER = "a" * 64, "b" * 64
NOW = 1_700_000_000.0
POLICY = GatePolicy()
HELD = tuple(Check(name, Outcome.HOLDS, "It holds.", {}, "") for name in CHECKS)
REPORT = GateReport("hotel", 2, BUNDLE, "production", NOW, 3.0, HELD, POLICY, 1, OTHER)


def test_a_report_counts_while_nothing_changed() -> None:
    """The same policy, the same champion, in time."""
    assert why_invalid(REPORT, BUNDLE, Now(NOW + 60.0, POLICY, 1, OTHER)) is None
    assert valid_for(REPORT, BUNDLE, Now(NOW + 60.0, POLICY))  # the champion is gone: there is nothing to beat


def test_another_champion_since_ends_it() -> None:
    """What was compared is named, and what it is to be compared with; also where there was no champion then."""
    said = why_invalid(REPORT, BUNDLE, Now(NOW, POLICY, 3, "c" * 64))
    assert said == "it was compared with version 1, and version 3 is the champion since"
    first = replace(REPORT, champion=None, champion_bundle=None)
    assert "compared with nothing" in (why_invalid(first, BUNDLE, Now(NOW, POLICY, 3, "c" * 64)) or "")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"p99_ms": 20.0}, "p99_ms 20, was 50"),
        ({"peak_memory_mb": 100.0}, "peak_memory_mb 100"),
        ({"compare_rows": 500}, "compare_rows 500, was 200"),
        ({"margin": 0.001}, "margin 0.001, was 0.01"),
    ],
)
def test_a_stricter_policy_since_ends_it(change: dict[str, Any], said: str) -> None:
    """The bound is named, with what it was."""
    policy = replace(POLICY, **change)
    assert said in (why_invalid(REPORT, BUNDLE, Now(NOW, policy)) or "")
    loose = replace(REPORT, policy=policy)
    assert why_invalid(loose, BUNDLE, Now(NOW, POLICY)) is None  # the other way round it asks for less


def test_better_asks_for_more_than_not_worse() -> None:
    """The comparison's word has its direction too."""
    lenient = replace(REPORT, policy=replace(POLICY, against_champion="not_worse"))
    assert "better than the champion" in (why_invalid(lenient, BUNDLE, Now(NOW, POLICY)) or "")
    assert why_invalid(REPORT, BUNDLE, Now(NOW, lenient.policy)) is None


@given(st.floats(0.01, 1000.0), st.floats(0.01, 1000.0))
def test_of_two_bounds_one_at_most_is_stricter(one: float, two: float) -> None:
    """And none of a policy than itself."""
    first, second = replace(POLICY, p99_ms=one), replace(POLICY, p99_ms=two)
    assert stricter(first, first) == ()
    assert bool(stricter(first, second)) is (two < one)
    assert bool(stricter(second, first)) is (one < two)


def test_what_is_required_since_must_hold_in_the_report() -> None:
    """A check that was made and holds is enough; one that was never made, or did not hold, is not."""
    little = replace(POLICY, required=("digest_holds",))
    bad = tuple(
        replace(check, outcome=Outcome.BREACHED) if check.name == "portable_agrees" else check for check in HELD
    )
    report = replace(REPORT, policy=little, checks=bad)
    assert report.passed
    assert missing_in(report, POLICY) == ("portable_agrees",)
    assert "asks for portable_agrees since" in (why_invalid(report, BUNDLE, Now(NOW, POLICY)) or "")
    assert (
        missing_in(replace(report, checks=HELD[:1]), replace(POLICY, required=CHECKS_AT_FIRST)) == CHECKS_AT_FIRST[1:]
    )


@given(st.floats(0.1, 60.0), st.floats(0.1, 60.0), st.floats(0.0, 61.0))
def test_the_shorter_of_two_ages_counts(then: float, since: float, age: float) -> None:
    """A policy that lets reports live longer revives none; a shorter one ends them at once."""
    report = replace(REPORT, policy=replace(POLICY, max_age_days=then))
    now = Now(NOW + age * DAY_SECONDS, replace(POLICY, max_age_days=since))
    assert valid_for(report, BUNDLE, now) is (now.at < NOW + min(then, since) * DAY_SECONDS)
