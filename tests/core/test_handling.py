"""What an incident asks for next, at an instant."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.core.handling import Seen, due
from fairlead.core.incident import Done, Incident
from fairlead.core.incident_terms import Escalation, Handling
from fairlead.core.triage import Triaged

OPEN = Incident("inc-1", "hotel", "open", "high", "data", "t", "r", "revenue", 100.0, alerts=("data-quality",))
HOW = Handling(escalations=(Escalation(0.0, ("chat",)), Escalation(600.0, ("pager",))))
STANDS = Seen(frozenset({"data-quality"}), judged_at=105.0)


def triaged(action: str, *, approved: bool = True, at: float = 101.0) -> Incident:
    """The incident with its triage."""
    return replace(OPEN, triage=Triaged(at, "respond", action, "so", "data", approved, ()), triages=1)


def kinds(incident: Incident, seen: Seen = STANDS, how: Handling = HOW, now: float = 110.0) -> list[str]:
    """The kinds of the steps that are due."""
    return [step.kind for step in due(incident, seen, how, now)]


def test_first_a_triage_then_what_it_recommends() -> None:
    """A new incident is triaged; an approved action is taken; one that is not waits for a person."""
    assert kinds(OPEN) == ["triage"]
    (step,) = due(triaged("fix_data"), STANDS, HOW, 110.0)
    assert (step.kind, step.key) == ("act", "inc-1:fix_data")
    assert kinds(triaged("recalibrate", approved=False, at=106.0)) == []
    assert kinds(OPEN, how=replace(HOW, by_itself=False)) == []


def test_an_action_is_taken_once_and_not_while_a_rollout_runs() -> None:
    """A second rollout would be refused: a recalibration waits, a rollback does not."""
    done = Done(102.0, "respond", "fix_data", "inc-1:fix_data", automatic=True)
    assert kinds(replace(triaged("fix_data"), actions=(done,))) == []
    busy = replace(STANDS, busy=True)
    assert kinds(triaged("recalibrate"), busy) == []
    assert kinds(triaged("rollback"), busy) == ["act"]


def test_a_triage_that_led_nowhere_is_repeated_when_there_is_news() -> None:
    """After another window, and only then; also after an action in vain, and while its advice waits for a person: with
    more labels it may be one that is approved. Once somebody has taken it, nothing is asked again."""
    assert kinds(triaged("none")) == ["triage"]
    assert kinds(triaged("none", at=106.0)) == []
    failed = Done(102.0, "respond", "recalibrate", "k", automatic=True, failed=True)
    assert kinds(replace(triaged("recalibrate"), actions=(failed,))) == ["triage"]
    waits = triaged("recalibrate", approved=False)
    assert kinds(waits) == ["triage"]
    taken = Done(102.0, "ana", "recalibrate", "k", automatic=False)
    assert kinds(replace(waits, actions=(taken,))) == []


def test_the_clock_of_acknowledgement() -> None:
    """Fifteen minutes for a high one, then one escalation after the other, until somebody works on it."""
    calm = triaged("none", at=106.0)
    assert kinds(calm, now=999.0) == []
    first = due(calm, STANDS, HOW, 1000.0)
    assert [(step.kind, step.to) for step in first] == [("escalate", ("chat",))]
    told = replace(STANDS, escalated=frozenset({first[0].key}))
    assert kinds(calm, told, now=1599.0) == []
    assert [step.to for step in due(calm, told, HOW, 1600.0)] == [("pager",)]
    assert kinds(replace(calm, state="acknowledged"), now=5000.0) == []


def test_an_incident_of_data_ends_with_the_alert_and_the_broken_column() -> None:
    """Not while a column is broken, though labels show it to harm nobody; not what a person opened."""
    calm = triaged("fix_data", at=106.0)
    calm = replace(calm, actions=(Done(107.0, "respond", "fix_data", "inc-1:fix_data", automatic=True),))
    assert kinds(calm, Seen()) == ["resolve"]
    assert kinds(calm, Seen(broken=True)) == []
    assert kinds(calm, STANDS) == []
    assert kinds(replace(calm, by_hand=True), Seen()) == []
    assert kinds(replace(OPEN, triages=20), Seen(), now=110.0) == []


def test_a_rollback_ends_when_all_has_been_calm() -> None:
    """So long after traffic was back, unless another alert stands."""
    back = replace(triaged("none"), alerts=(), rollout="r7", state="mitigated", mitigated_at=200.0)
    assert kinds(back, Seen(), now=799.0) == []
    assert kinds(back, Seen(frozenset({"rollout-rolled-back:r7"})), now=800.0) == ["resolve"]
    assert kinds(back, Seen(frozenset({"high_error_rate"})), now=800.0) == []


@given(st.sampled_from(["none", "rollback", "fix_data", "retrain"]), st.booleans(), st.floats(0, 1e7))
def test_nothing_is_due_of_what_is_over(action: str, approved: bool, now: float) -> None:
    """A resolved incident asks for nothing, whatever the clock says."""
    assert due(replace(triaged(action, approved=approved), state="resolved"), STANDS, HOW, now) == ()


def test_a_page_that_is_passed_on_by_itself_has_one_clock() -> None:
    """The incident's is not run beside it; what does not page, or a person opened, has only that."""
    calm, how = triaged("none", at=106.0), replace(HOW, pages_escalate=True)
    assert kinds(calm, how=how, now=9_999.0) == []
    assert kinds(replace(calm, severity="medium"), how=how, now=99_999.0) == ["escalate", "escalate"]
    assert "escalate" in kinds(replace(calm, by_hand=True), how=how, now=9_999.0)
