"""An incident is a fold over facts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.core.event import AnyFact, IncidentNoted, IncidentOpened, PostmortemWritten
from fairlead.core.facts_act import TriageDone
from fairlead.core.incident import STATES, incidents, open_drift
from fairlead.testing.journal import MemoryJournal

OPENED = IncidentOpened(
    "hotel", "inc-1", "high", "Harmful drift", "model", "AUROC fell", "revenue", 10.0, detected_at=20.0, window="w0"
)


def journal_of(*facts: AnyFact) -> MemoryJournal:
    """One fact a second."""
    journal = MemoryJournal()
    for second, fact in enumerate(facts):
        journal.append([fact], actor="anna", at=float(second))
    return journal


def test_an_incident_from_opening_to_resolution() -> None:
    """Each step has its instant and its line; the postmortem is found."""
    journal = journal_of(
        OPENED,
        IncidentNoted("hotel", "inc-1", "looking at it", "acknowledged"),
        IncidentNoted("hotel", "inc-1", "a thought"),
        IncidentNoted("hotel", "inc-1", "fixed", "resolved"),
        PostmortemWritten("hotel", "inc-1", "incidents/inc-1.md", "d"),
    )
    (found,) = incidents(journal.read())
    assert (found.state, found.severity, found.window) == ("resolved", "high", "w0")
    assert (found.began_at, found.detected_at, found.opened_at) == (10.0, 20.0, 0.0)
    assert (found.acknowledged_at, found.mitigated_at, found.resolved_at) == (1.0, 3.0, 3.0)
    assert found.postmortem == "incidents/inc-1.md"
    assert [moment.text for moment in found.timeline][1:4] == ["looking at it", "a thought", "fixed"]


@given(st.lists(st.sampled_from((*STATES, "", "nonsense"))))
def test_a_state_only_moves_forward(states: list[str]) -> None:
    """Whatever notes come, the state is the furthest that was reached, and no instant is overwritten."""
    journal = journal_of(OPENED, *(IncidentNoted("hotel", "inc-1", "note", state) for state in states))
    (found,) = incidents(journal.read())
    reached = max((STATES.index(state) for state in states if state in STATES), default=0)
    assert found.state == STATES[reached]
    assert len(found.timeline) == 1 + len(states)
    if found.resolved_at is not None:
        assert found.resolved_at == 1.0 + states.index("resolved")


def test_a_triage_moves_the_category_and_not_what_it_was_opened_as() -> None:
    """The last triage says where the trouble lies; the next one starts from the opening again."""
    done = TriageDone("hotel", "inc-1", Raw(b"[]"), "scale", "p99", "infrastructure")
    (found,) = incidents(journal_of(OPENED, done).read())
    assert (found.category, found.opened_as) == ("infrastructure", "model")


def test_opening_twice_is_one_incident() -> None:
    """The second opening, and notes on what was never opened, change nothing."""
    journal = journal_of(OPENED, OPENED, IncidentNoted("hotel", "inc-9", "lost"))
    assert [found.id for found in incidents(journal.read())] == ["inc-1"]


def test_the_open_drift_incident_is_no_rollout_and_no_other_model() -> None:
    """Rollbacks, resolved incidents and other models are passed over."""
    rollback = IncidentOpened("hotel", "inc-2", "high", "Rolled back", "model", "errors", rollout="ro-1")
    other = IncidentOpened("taxi", "inc-3", "high", "Harmful drift", "model", "MAE rose")
    journal = journal_of(OPENED, rollback, other)
    found = open_drift(journal.read(), "hotel")
    assert found is not None
    assert found.id == "inc-1"
    journal.append([IncidentNoted("hotel", "inc-1", "over", "resolved")], actor="anna", at=9.0)
    assert open_drift(journal.read(), "hotel") is None
