"""When someone is told, and when not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.alert import RESPONSE_SECONDS, Alarm, AlertPolicy, Standing, decide, standing
from fairlead.core.event import AlertQuieted, AlertRaised
from fairlead.core.verdict import Outcome, Verdict
from fairlead.testing.journal import MemoryJournal

POLICY = AlertPolicy(owner="revenue", repeat_seconds=100.0)
SEVERITIES = ("low", "medium", "high", "critical")


def alarm(severity: str = "high", outcome: Outcome = Outcome.BREACHED) -> Alarm:
    """A look at one condition."""
    return Alarm("hotel", "harmful-drift", severity, "Harmful drift", Verdict(outcome, "it is"))


def test_a_new_breach_is_told() -> None:
    """What does not stand yet is told at once."""
    found = decide({}, alarm(), 0.0, POLICY)
    assert (found.notify, found.reason) == (True, "it is new")


@pytest.mark.parametrize(("passed", "notify"), [(0.0, False), (99.9, False), (100.0, True), (1e6, True)])
def test_repeats_are_throttled(passed: float, notify: bool) -> None:
    """A standing alert is quiet until it is due again, and says when that is."""
    found = decide({"harmful-drift": Standing("high", 50.0)}, alarm(), 50.0 + passed, POLICY)
    assert found.notify is notify
    assert ("still stands" in found.reason) is notify


@given(st.sampled_from(SEVERITIES), st.sampled_from(SEVERITIES))
def test_only_a_rise_breaks_the_throttle(before: str, now: str) -> None:
    """Within the throttle a notice goes out exactly where the severity rose."""
    found = decide({"harmful-drift": Standing(before, 0.0)}, alarm(now), 1.0, POLICY)
    assert found.notify == (SEVERITIES.index(now) > SEVERITIES.index(before))


def test_recovery_is_quiet_and_clears() -> None:
    """A verdict that holds tells nobody, and ends what stood; with nothing standing there is nothing to end."""
    over = decide({"harmful-drift": Standing("high", 0.0)}, alarm(outcome=Outcome.HOLDS), 1.0, POLICY)
    assert (over.notify, over.recovered) == (False, True)
    calm = decide({}, alarm(outcome=Outcome.HOLDS), 1.0, POLICY)
    assert (calm.notify, calm.recovered) == (False, False)


def test_undecided_changes_nothing() -> None:
    """What is not known yet neither alerts nor clears."""
    found = decide({"harmful-drift": Standing("high", 0.0)}, alarm(outcome=Outcome.UNDECIDED), 1e9, POLICY)
    assert (found.notify, found.recovered) == (False, False)
    assert "not decided yet" in found.reason


def test_what_stands_is_a_fold_over_facts() -> None:
    """A raised alert stands until it recovers; a held-back repeat and other models change nothing."""
    journal = MemoryJournal()
    without_time = AlertRaised("hotel", "b", "low", "t", "r", "o", "b")
    other = AlertRaised("taxi", "c", "low", "t", "r", "o", "b")
    journal.append([AlertRaised("hotel", "a", "high", "t", "r", "o", "b", 5.0), without_time], actor="x", at=9.0)
    journal.append([AlertQuieted("hotel", "a", "throttled", 6.0), other], actor="x", at=9.0)
    assert standing(journal.read(), "hotel") == {"a": Standing("high", 5.0), "b": Standing("low", 9.0)}
    journal.append([AlertQuieted("hotel", "a", "over", 7.0, recovered=True)], actor="x", at=9.0)
    assert set(standing(journal.read(), "hotel")) == {"b"}


def test_response_times_and_runbooks() -> None:
    """The graver, the sooner; a runbook is a file by the alert's name."""
    assert [RESPONSE_SECONDS[name] for name in reversed(SEVERITIES)] == [0.0, 900.0, 3600.0, 86_400.0]
    assert AlertPolicy(runbooks="docs/runbooks/").runbook("data-quality") == "docs/runbooks/data-quality.md"
