"""What is to be done after an incident, by whom and by when: what its action asks for, and what its kind teaches."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from fairlead.core.facts_act import ItemAssigned
from fairlead.core.incident import Incident
from fairlead.core.incident_terms import Action

REVIEW_DAYS = 5  # working days until the review of an incident
_NOW_HOURS = {"critical": 4, "high": 8, "medium": 24, "low": 120}  # until what was asked for is done


def item_for(incident: Incident, action: Action) -> ItemAssigned | None:
    """What people are asked to do where a machine cannot; None for an action that needs nobody."""
    asked = _ASKED.get(action)
    if asked is None:
        return None
    due = incident.opened_at + _NOW_HOURS.get(incident.severity, 24) * 3600.0
    what = asked.format(reason=incident.reason.rstrip("."))
    return ItemAssigned(incident.model, incident.id, what, incident.owner or "unassigned", due)


_ASKED = {
    "fix_data": "Mend the source of what came in broken ({reason})",
    "scale": "Add workers or restart those that are ill, and find out what they lack ({reason})",
}


def lessons(incident: Incident) -> tuple[str, ...]:
    """What the review of such an incident should settle, by where the trouble lay."""
    return _LESSONS.get(incident.category, _LESSONS["business"])


_LESSONS = {
    "data": (
        "Agree with whoever supplies the data how a change is announced, and have it noted here",
        "Decide whether such rows are answered, refused or sent to the fallback",
    ),
    "model": (
        "Decide what the new version must show before the next deploy",
        "Shorten the detection gap: smaller windows, or earlier labels for a sample",
    ),
    "infrastructure": (
        "Size the machines for the load that was seen",
        "Rehearse the runbook of this alert",
    ),
    "integration": (
        "Add a check to the gate that would have stopped this version before it met a user",
        "Compare what is served with what was registered, after each deploy",
    ),
    "business": ("Agree who looks at this figure, and at what value it is told",),
}


def business_days_after(at: float, days: int) -> datetime:
    """The same time of day, that many working days (Monday to Friday) later.

    >>> business_days_after(datetime(2026, 1, 2, tzinfo=UTC).timestamp(), 5).date().isoformat()  # a Friday
    '2026-01-09'
    """
    day = datetime.fromtimestamp(at, UTC)
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return day


def due_after(incident: Incident) -> float:
    """When the review's items are due unless somebody says otherwise, in seconds since 1970."""
    return business_days_after(incident.opened_at, REVIEW_DAYS).timestamp()
