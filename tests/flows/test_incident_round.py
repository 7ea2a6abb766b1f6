"""The round over incidents, on a journal in memory."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from fairlead.core.alarm import DATA, HARMFUL
from fairlead.core.event import (
    AlertQuieted,
    AlertRaised,
    AliasMoved,
    AnyFact,
    Entry,
    IncidentNoted,
    IncidentOpened,
    RetrainDecided,
    RouteApplied,
)
from fairlead.core.facts_act import ActionTaken, TriageDone
from fairlead.core.handling import Step
from fairlead.core.incident import Incident, incidents
from fairlead.core.incident_terms import Escalation, Handling
from fairlead.core.report import FeatureShift, fact_of
from fairlead.flows.incident_round import IncidentRound, escalation_alert
from fairlead.flows.respond import Responder
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.reports import harmful_report, window_report


class Hands:
    """Writes down what it is asked for."""

    def __init__(self, journal: MemoryJournal) -> None:
        self.journal = journal
        self.steps: list[Step] = []
        self.drafted: list[str] = []

    def start(self, step: Step) -> None:
        """A triage or an action."""
        self.steps.append(step)

    def escalate(self, incident: Incident, step: Step) -> None:
        """An alert of its own."""
        self.steps.append(step)
        alert = escalation_alert(incident.id, step.key)
        fact = AlertRaised(incident.model, alert, "high", "nobody", "nobody", "", "", 1.0)
        self.journal.append([fact], actor="respond", at=1.0)

    def calm(self, model: str, alerts: Sequence[str]) -> None:
        """They are over."""
        facts = [AlertQuieted(model, alert, "worked on", 2.0, recovered=True) for alert in alerts]
        self.journal.append(facts, actor="respond", at=2.0)

    def draft(self, model: str, incident: str) -> None:
        """A postmortem."""
        self.drafted.append(f"{model}/{incident}")


NULLS = (FeatureShift("adr", "critical", broken="adr is null in half of the rows"),)
HOW = Handling(escalations=(Escalation(0.0),), acknowledge={"medium": 100.0}, resolve_seconds=50.0)


def begun(how: Handling = HOW) -> tuple[MemoryJournal, ManualClock, Hands, IncidentRound]:
    """A broken window, its alert, and a round that has looked once."""
    journal, clock = MemoryJournal(), ManualClock(1000.0)
    report = window_report(0, drift=NULLS)
    alert = AlertRaised("hotel", DATA, "medium", "Broken data", "adr is null", "revenue", "page", report.judged_at)
    journal.append([fact_of(report), alert], actor="respond", at=999.0)
    hands = Hands(journal)
    made = IncidentRound(journal, clock, hands, how)
    made.look()
    return journal, clock, hands, made


def only(journal: MemoryJournal) -> Incident:
    """The one incident."""
    (found,) = incidents(journal.read())
    return found


def test_an_alert_becomes_an_incident_with_drafts_for_everybody_and_asks_for_a_triage() -> None:
    """Opened with its window; each audience has words; users read nothing of the column."""
    journal, _, hands, _ = begun()
    found = only(journal)
    assert (found.category, found.began_at) == ("data", window_report(0).starts_at)
    assert {one.audience for one in found.messages} == {"engineering", "product", "users", "leadership"}
    users = next(one for one in found.messages if one.audience == "users")
    assert "adr" not in users.text
    assert "2,400 predictions" in next(one.text for one in found.messages if one.audience == "product")
    assert [step.kind for step in hands.steps] == ["triage"]
    assert hands.drafted == [f"hotel/{found.id}"]


def test_what_the_triage_recommends_is_started_and_the_drafts_follow() -> None:
    """The triage's facts are picked up wherever they come from."""
    journal, clock, hands, made = begun()
    clock.advance(1.0)
    triage = TriageDone("hotel", only(journal).id, Raw(b"[]"), "fix_data", "adr is broken", "data", approved=True)
    journal.append([triage], actor="ana", at=clock.now())
    before = {one.audience: one.text for one in only(journal).messages}
    made.look()
    assert [step.kind for step in hands.steps][-1] == "act"
    after = {one.audience: one.text for one in only(journal).messages}
    assert before["engineering"] != after["engineering"]


@pytest.mark.parametrize(("trains", "waits"), [(True, True), (False, False)])
def test_a_cure_waits_for_a_training_run_only_where_something_trains(trains: bool, waits: bool) -> None:
    """A window asks for a run beside its incident; where the settings name nothing that trains, it never ends."""
    journal, clock, hands, made = begun(replace(HOW, trains=trains))
    facts: list[AnyFact] = [
        RetrainDecided("hotel", "retrain-hotel-w0", triggered=True, reason="window w0 is harmful", window="w0"),
        TriageDone("hotel", only(journal).id, Raw(b"[]"), "threshold", "in the band", "model", approved=True),
    ]
    journal.append(facts, actor="respond", at=clock.now())
    made.look()
    assert ("act" in [step.kind for step in hands.steps]) is not waits


def test_an_incident_ends_with_its_alert_once_no_column_is_broken() -> None:
    """The alert alone is not enough: labels may show broken data to be benign."""
    journal, clock, _, made = begun()
    one = only(journal).id
    facts: list[AnyFact] = [
        TriageDone("hotel", one, Raw(b"[]"), "fix_data", "so", "data", approved=True),
        ActionTaken("hotel", one, "fix_data", f"{one}:fix_data", automatic=True),
        AlertQuieted("hotel", DATA, "benign", 1e10, recovered=True),
    ]
    journal.append(facts, actor="respond", at=clock.now())
    made.look()
    assert only(journal).state == "open"
    journal.append([fact_of(window_report(1))], actor="watch", at=clock.now())
    made.look()
    assert only(journal).state == "resolved"


def test_nobody_answers_and_then_somebody_does() -> None:
    """The clock runs out once; an acknowledgement ends what it raised."""
    journal, clock, hands, made = begun()
    clock.advance(101.0)
    for _ in range(3):
        made.look()
    assert [step.kind for step in hands.steps].count("escalate") == 1
    journal.append([IncidentNoted("hotel", only(journal).id, "I do", "acknowledged")], actor="ana", at=clock.now())
    made.look()
    assert any(_raised(entry) for entry in journal.read(kinds=["alert_quieted"]))


def _raised(entry: Entry) -> bool:
    return "unacknowledged" in getattr(entry.fact, "alert", "")


def test_a_rollback_has_helped_when_every_worker_has_the_route() -> None:
    """Not when it was asked for, nor when the journal knows the champion."""
    journal, clock, _, made = begun()
    one = only(journal).id
    journal.append([ActionTaken("hotel", one, "rollback", "k", automatic=True)], actor="respond", at=clock.now())
    journal.append([AliasMoved("hotel", "champion", 1, 2)], actor="release", at=clock.now())
    made.look()
    assert only(journal).state == "open"
    journal.append([RouteApplied("hotel", 5, 2, 0.1)], actor="release", at=clock.now())
    made.look()
    assert only(journal).state == "mitigated"
    assert only(journal).timeline[-1].text.startswith("Version 1 serves")


def test_a_model_that_is_well_is_forgotten_but_for_its_last_windows() -> None:
    """A thousand calm windows leave some dozens in memory."""
    journal, clock = MemoryJournal(), ManualClock(0.0)
    made = IncidentRound(journal, clock, Hands(journal))
    for number in range(1000):
        journal.append([fact_of(window_report(number))], actor="watch", at=float(number))
        if number % 10 == 0:
            made.look()
    made.look()
    assert len(made._entries["hotel"]) < 100
    assert len(made._counted["hotel"]) < 100


FACTS = st.sampled_from(["alert", "over", "broken", "calm", "triage", "fix", "ack", "tick"])


@settings(max_examples=60, deadline=None)
@given(st.lists(FACTS, max_size=14), st.integers(0, 14))
def test_a_restart_does_nothing_twice(steps: list[str], cut: int) -> None:
    """A controller that begins anew in the middle leaves the same incidents in the same states as one that goes on."""

    def played(*, restarted: bool) -> list[Incident]:
        journal, clock, hands, made = begun()
        for number, step in enumerate(steps):
            if restarted and number == cut:
                made = IncidentRound(journal, clock, hands, HOW)
            clock.advance(7.0)
            known = incidents(journal.read())
            facts = _facts(step, number, known[-1].id)
            journal.append(facts, actor="ana", at=clock.now())
            made.look()
        return [replace(one, timeline=(), opened_seq=0, resolved_seq=None) for one in incidents(journal.read())]

    assert played(restarted=True) == played(restarted=False)


def _facts(step: str, number: int, one: str) -> list[AnyFact]:
    report = window_report(number + 1, drift=NULLS if step == "broken" else ())
    known: dict[str, list[AnyFact]] = {
        "alert": [AlertRaised("hotel", DATA, "medium", "Broken", "adr", "revenue", "page", 1e10 + number)],
        "over": [AlertQuieted("hotel", DATA, "holds", 1e10 + number, recovered=True)],
        "broken": [fact_of(report)],
        "calm": [fact_of(report)],
        "triage": [TriageDone("hotel", one, Raw(b"[]"), "fix_data", "so", "data", approved=True)],
        "fix": [ActionTaken("hotel", one, "fix_data", f"{one}:fix_data", automatic=True)],
        "ack": [IncidentNoted("hotel", one, "I do", "acknowledged")],
    }
    return known.get(step, [])


def test_a_model_without_a_name_is_the_home() -> None:
    """The log's disk is nobody's model's: its incident is one too."""
    journal, clock = MemoryJournal(), ManualClock(5.0)
    alert = AlertRaised("", "log-refused", "critical", "The log takes nothing", "disk full", "ops", "page", 4.0)
    journal.append([alert], actor="log", at=4.0)
    IncidentRound(journal, clock, Hands(journal)).look()
    opened = [entry.fact for entry in journal.read(kinds=["incident_opened"])]
    assert [(fact.model, fact.category) for fact in opened if isinstance(fact, IncidentOpened)] == [
        ("", "infrastructure")
    ]


def test_harm_makes_an_incident_of_broken_data_worse_and_is_not_another() -> None:
    """Labels show what the broken column did: the severity rises, and the harm belongs to the incident that is open."""
    journal, clock, _, made = begun()
    responder = Responder("hotel", journal, {}, clock, lambda identity, _: f"incidents/{identity}.md")
    report = harmful_report(1, drift=NULLS, suspects=("adr",))
    journal.append([fact_of(report)], actor="watch", at=clock.now())
    responder.on_window(report)
    made.look()
    found = only(journal)
    assert (found.severity, found.alerts) == ("critical", (DATA, HARMFUL))
