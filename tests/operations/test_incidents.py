"""Incidents as a person meets them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fairlead.adapters.postmortems import PostmortemFolder
from fairlead.app.compose import open_context
from fairlead.core.event import IncidentOpened
from fairlead.errors import NotFound, Refused, UsageError
from fairlead.operations.context import Context
from fairlead.operations.incidents import list_incidents, note_incident, read_postmortem, show_incident
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """A home with two incidents."""
    journal = MemoryJournal()
    for number, model in enumerate(("hotel", "taxi")):
        opened = IncidentOpened(model, f"inc-{model}", "high", f"{model} drifts", "model", "AUROC fell", "anna")
        journal.append([opened], actor="respond", at=float(number))
    home = open_context(tmp_path, environment="")
    return replace(home, journal=journal, clock=ManualClock(9.0), actor="bob")


def test_the_newest_comes_first_and_filters_hold(context: Context) -> None:
    """By model and by state; a state that does not exist is told."""
    assert [each.id for each in list_incidents(context)] == ["inc-taxi", "inc-hotel"]
    assert [each.id for each in list_incidents(context, model="hotel")] == ["inc-hotel"]
    assert list_incidents(context, state="resolved") == ()
    with pytest.raises(UsageError, match="never 'closed': use one of open, acknowledged, mitigated, resolved"):
        list_incidents(context, state="closed")


def test_an_unknown_incident_is_not_found(context: Context) -> None:
    """The error names the ones that are there."""
    with pytest.raises(NotFound, match="no incident 'inc-9': the latest are inc-hotel, inc-taxi"):
        show_incident(context, "inc-9")
    with pytest.raises(NotFound):
        read_postmortem(context, "inc-9")


def test_the_postmortem_on_disk_comes_before_a_draft(context: Context) -> None:
    """Without a file the draft is made on the spot; with one, its text is what counts."""
    assert read_postmortem(context, "inc-hotel").startswith("# Incident review: hotel drifts")
    PostmortemFolder(context.home).write("inc-hotel", "# As people saw it\n")
    assert read_postmortem(context, "inc-hotel").startswith("# As people saw it")


def test_a_person_writes_down_what_was_done(context: Context) -> None:
    """Notes carry their actor; the state moves forward only, and an empty note is refused."""
    found = note_incident(context, "inc-hotel", " looking ", "acknowledged")
    assert (found.state, found.acknowledged_at) == ("acknowledged", 9.0)
    noted, drafted = found.timeline[-2:]
    assert (noted.actor, noted.text) == ("bob", "looking")
    assert drafted.text == "Postmortem drafted: incidents/inc-hotel.md"
    assert note_incident(context, "inc-hotel", "still looking").state == "acknowledged"
    assert note_incident(context, "inc-hotel", "fixed", "resolved", without_triage="it is a test").state == "resolved"
    with pytest.raises(Refused, match="is resolved already"):
        note_incident(context, "inc-hotel", "again", "mitigated")
    with pytest.raises(UsageError, match="does not become 'open'"):
        note_incident(context, "inc-taxi", "hm", "open")
    with pytest.raises(UsageError, match="says nothing"):
        note_incident(context, "inc-taxi", "  ")
