"""The gate's report: what counts, for which bundle, and until when."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.event import canonical
from fairlead.core.gate import (
    CHECKS,
    DAY_SECONDS,
    Check,
    CheckName,
    GatePolicy,
    GateReport,
    digest_of_report,
    figures,
    read_report,
    unmeasured,
)
from fairlead.core.gate_validity import valid_for, why_invalid
from fairlead.core.verdict import Outcome

BUNDLE, OTHER = "a" * 64, "b" * 64
NOW = 1_700_000_000.0


def made(outcomes: dict[CheckName, Outcome]) -> GateReport:
    """A report with these checks."""
    checks = tuple(Check(name, outcome, f"It {outcome}.", {"n": 1}, "it holds") for name, outcome in outcomes.items())
    return GateReport("hotel", 2, BUNDLE, "production", NOW, 3.0, checks, GatePolicy(), 1, OTHER)


ALL_HOLD = made(dict.fromkeys(CHECKS, Outcome.HOLDS))
OUTCOMES = st.fixed_dictionaries({name: st.sampled_from(Outcome) for name in CHECKS})


@given(OUTCOMES)
def test_a_report_passes_only_when_every_check_holds(outcomes: dict[CheckName, Outcome]) -> None:
    """Undecided and unmeasured do not pass; what failed is named in the checks' order."""
    report = made(outcomes)
    assert report.failed == tuple(name for name in CHECKS if outcomes[name] is not Outcome.HOLDS)
    assert report.passed is (set(outcomes.values()) == {Outcome.HOLDS})
    assert valid_for(report, BUNDLE, NOW) is report.passed


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_that_was_never_made_fails(name: CheckName) -> None:
    """Silence is no success."""
    report = made({other: Outcome.HOLDS for other in CHECKS if other != name})
    assert report.failed == (name,)
    assert "never made" in report.reason


def test_a_check_made_twice_must_hold_twice() -> None:
    """A second, better try does not cover the first."""
    bad = Check("digest_holds", Outcome.BREACHED, "It was changed.", {}, "")
    report = msgspec.structs.replace(ALL_HOLD, checks=(*ALL_HOLD.checks, bad))
    assert report.failed == ("digest_holds",)


def test_a_report_counts_for_its_own_bundle() -> None:
    """A bundle that was never measured borrows no other's report."""
    assert valid_for(ALL_HOLD, BUNDLE, NOW) is True
    assert valid_for(ALL_HOLD, OTHER, NOW) is False
    assert "another bundle" in (why_invalid(ALL_HOLD, OTHER, NOW) or "")


@given(st.floats(0.001, 400.0), st.floats(0.0, 500.0))
def test_a_report_counts_until_it_expires(days: float, age: float) -> None:
    """From its age on it is as if it had never been made."""
    report = msgspec.structs.replace(ALL_HOLD, policy=GatePolicy(max_age_days=days))
    now = NOW + age * DAY_SECONDS
    assert valid_for(report, BUNDLE, now) is (now < report.expires_at)


def test_a_report_from_the_future_does_not_count() -> None:
    """A wrong clock lets nothing through."""
    assert "future" in (why_invalid(ALL_HOLD, BUNDLE, NOW - 1.0) or "")


def test_the_reason_says_what_failed_first() -> None:
    """One sentence: all hold, or how many do not, and why the first does not."""
    assert ALL_HOLD.reason == f"All {len(CHECKS)} readiness checks hold."
    report = made({**dict.fromkeys(CHECKS, Outcome.HOLDS), "logging_proven": Outcome.BREACHED})
    assert report.reason == f"1 of {len(CHECKS)} readiness checks do not hold; logging_proven: It breached."


def test_a_report_is_read_back_as_it_was_written() -> None:
    """Its canonical bytes are its identity, and the journal's fact carries their digest."""
    assert read_report(canonical(ALL_HOLD)) == ALL_HOLD
    changed = msgspec.structs.replace(ALL_HOLD, seconds=4.0)
    assert digest_of_report(changed) != digest_of_report(ALL_HOLD)
    assert ALL_HOLD.fact.report == digest_of_report(ALL_HOLD)
    assert (ALL_HOLD.fact.passed, ALL_HOLD.fact.failed) == (True, ())


def test_a_report_with_a_check_of_another_name_is_not_read() -> None:
    """The names are a closed set."""
    with pytest.raises(msgspec.ValidationError):
        read_report(canonical(ALL_HOLD).replace(b'"digest_holds"', b'"digest_is_nice"'))


def test_unmeasured_does_not_pass() -> None:
    """A check that could not be made says so and does not hold."""
    check = unmeasured("digest_holds", "The disk was gone.")
    assert (check.outcome, check.holds) == (Outcome.UNMEASURED, False)


def test_figures_leave_out_what_has_no_value() -> None:
    """JSON has no NaN: a figure without a value is absent, not null."""
    found = figures(a=1, b=float("nan"), c=float("inf"), d=None, e="text", f=0.0)
    assert found == {"a": 1, "e": "text", "f": 0.0}


def test_find_a_check_by_its_name() -> None:
    """`check` gives the check, or None when it was not made."""
    assert ALL_HOLD.check("portable_agrees") is ALL_HOLD.checks[CHECKS.index("portable_agrees")]
    assert made({}).check("portable_agrees") is None
