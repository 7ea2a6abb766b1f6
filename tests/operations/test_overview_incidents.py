"""The console's incidents are those of every other screen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.core.event import AnyFact, IncidentNoted, IncidentOpened
from fairlead.core.facts_act import TriageDone
from fairlead.core.incident import STATES, incidents
from fairlead.core.route import RouteTable
from fairlead.core.triage import CATEGORIES
from fairlead.operations.overview_fold import OverviewFold
from fairlead.testing.journal import MemoryJournal

OPENED = IncidentOpened("hotel", "inc-1", "high", "Harmful drift", "model", "AUROC fell", window="w0")
NOTES = st.builds(
    lambda state, severity: IncidentNoted("hotel", "inc-1", "a note", state, severity=severity),
    st.sampled_from((*STATES, "", "nonsense")),
    st.sampled_from(("critical", "high", "medium", "")),
)
TRIAGES = st.sampled_from((*CATEGORIES, "")).map(
    lambda category: TriageDone("hotel", "inc-1", Raw(b"[]"), "none", "labels are due", category)
)


@given(st.lists(st.one_of(NOTES, TRIAGES), max_size=8))
def test_every_screen_tells_the_same_of_an_incident(facts: list[AnyFact]) -> None:
    """Whatever notes and triages come, console, command and postmortem agree on state, severity, category and end."""
    journal, fold = MemoryJournal(), OverviewFold()
    for second, fact in enumerate((OPENED, *facts)):
        journal.append([fact], actor="ana", at=float(second))
    entries = tuple(journal.read())
    fold.add(entries)
    (told,) = incidents(entries)
    (shown,) = fold.view((), RouteTable(0, {}), 99.0).models[0].incidents
    names = ("state", "severity", "category", "resolved_at")
    assert [getattr(shown, name) for name in names] == [getattr(told, name) for name in names]
