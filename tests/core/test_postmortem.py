"""A postmortem is drafted from facts, and says what they say."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fairlead.core.event import AlertRaised, Entry, IncidentNoted, IncidentOpened, OperatorAsked
from fairlead.core.incident import Incident, incidents
from fairlead.core.postmortem import LINES, business_days_after, postmortem, timeline
from fairlead.core.report import fact_of
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.reports import DAY, JANUARY, harmful_report, window_report

SECTIONS = (
    "Summary",
    "Timeline",
    "Impact",
    "Detection",
    "What changed",
    "Root cause",
    "What went well",
    "What went poorly",
    "Action items",
    "Communication",
)


def story(notes: int = 0) -> tuple[Incident, tuple[Entry, ...]]:
    """A harmful window, its alert, its incident, some notes, and the recovery."""
    journal, report = MemoryJournal(), harmful_report(0)
    at = report.judged_at
    alert = AlertRaised("hotel", "harmful-drift", "critical", "Harmful drift", report.reason, "revenue", "runbook", at)
    opened = IncidentOpened(
        "hotel", "inc-hotel-w0", "critical", "Harmful drift", "model", report.reason, "revenue",
        report.starts_at, None, at, "w0",
    )  # fmt: skip
    journal.append([fact_of(window_report(-1)), fact_of(report), opened, alert], actor="watch", at=at)
    for number in range(notes):
        journal.append([IncidentNoted("hotel", "inc-hotel-w0", f"note {number}")], actor="anna", at=at + number)
    journal.append([OperatorAsked("hotel", "rollback", "to be safe")], actor="anna", at=at + 900)
    journal.append([fact_of(window_report(1))], actor="watch", at=at + 1800)
    journal.append([IncidentNoted("hotel", "inc-hotel-w0", "recovered", "resolved")], actor="respond", at=at + 2700)
    entries = tuple(journal.read())
    return incidents(entries)[0], entries


def test_every_section_is_there_and_filled() -> None:
    """The draft has the template's sections, and none says nothing."""
    text = postmortem(*story())
    assert [line[3:] for line in text.splitlines() if line.startswith("## ")] == list(SECTIONS)
    assert "to be filled in" not in text
    for part in (
        "- Severity: P1 (critical)",
        "- Began: 2016-01-01 00:00:00Z",
        "- Detected: 2016-02-03 00:00:00Z",
        "Detection gap, from the beginning of the harm to the alert: 33.0 days.",
        "About 240 more wrong predictions than the held-out accuracy would have given.",
        "- Suspect: market_segment (",
        "The estimate without labels (0.800) did not foretell it",
        "- Nobody has acknowledged the incident yet.",
        "Duration, from opening to resolution: 45 minutes.",
        "- Owner: @revenue - Due: 2016-02-10",
    ):
        assert part in text or part.removeprefix("- ") in text, part


def test_the_timeline_is_in_order_and_complete() -> None:
    """From the first breach over alert and operator to the recovery; what was calm before is not part of it."""
    lines = [line.split(" - ", 1)[1] for line in timeline(*story())]
    assert [line[:24] for line in lines] == [
        "Window w0 breached: AURO",
        "Alert (critical): Harmfu",
        "anna asked to rollback: ",
        "Window w1 recovered: AUR",
        "Resolved by respond: rec",
    ]


def test_a_long_timeline_is_cut_in_the_middle() -> None:
    """Hundreds of notes leave a draft that can be read, which says how many lines are missing."""
    lines = timeline(*story(notes=200))
    assert len(lines) == LINES + 1
    assert "165 lines left out" in lines[LINES // 2]


def test_the_same_facts_give_the_same_text() -> None:
    """The draft depends on nothing but its arguments."""
    assert postmortem(*story()) == postmortem(*story())


def test_open_and_unknown_are_said_plainly() -> None:
    """An incident without an owner, a beginning or an end says so."""
    incident, entries = story()
    bare = replace(incident, owner="", began_at=None, resolved_at=None, state="open")
    text = postmortem(bare, entries)
    for part in ("- Owner: unassigned", "- Began: not known", "When it began is not known.", "not resolved yet"):
        assert part in text


@pytest.mark.parametrize(
    ("day", "expected"),
    [(0, "2016-01-08"), (1, "2016-01-08"), (2, "2016-01-08"), (3, "2016-01-11")],
)
def test_weekends_do_not_count(day: int, expected: str) -> None:
    """Five working days after Friday, Saturday or Sunday is the next Friday; after Monday the next Monday."""
    assert business_days_after(JANUARY + day * DAY, 5) == expected
