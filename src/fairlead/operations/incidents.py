"""Incidents: list them, look at one, read its postmortem, write down what a person did."""

from __future__ import annotations

from fairlead.adapters.postmortems import PostmortemFolder
from fairlead.core.event import IncidentNoted
from fairlead.core.incident import STATES, Incident, incidents
from fairlead.core.postmortem import postmortem as draft
from fairlead.errors import NotFound, Refused, UsageError
from fairlead.operations.context import Context


def list_incidents(context: Context, model: str | None = None, state: str | None = None) -> tuple[Incident, ...]:
    """All incidents, newest first; of one model, in one state, if named. Raises `UsageError` for an unknown state."""
    if state is not None and state not in STATES:
        raise UsageError(f"an incident is never {state!r}: use one of {', '.join(STATES)}")
    found = incidents(context.journal.read(model=model))
    return tuple(each for each in reversed(found) if state in (None, each.state))


def show_incident(context: Context, incident: str) -> Incident:
    """One incident with its timeline. Raises `NotFound`."""
    found = incidents(context.journal.read())
    for each in found:
        if each.id == incident:
            return each
    known = ", ".join(each.id for each in found[-5:])
    raise NotFound(
        f"there is no incident {incident!r}" + (f": the latest are {known}" if known else ": none was opened")
    )


def read_postmortem(context: Context, incident: str) -> str:
    """The postmortem as it stands on disk, with what people wrote into it; drafted now where there is none yet."""
    found = show_incident(context, incident)
    try:
        return PostmortemFolder(context.home).read(incident)
    except NotFound:
        return draft(found, tuple(context.journal.read(model=found.model)))


def note_incident(context: Context, incident: str, note: str, state: str = "") -> Incident:
    """Writes down what a person saw or did; `state` (acknowledged, mitigated, resolved) says how far it went.

    Raises `NotFound`, `UsageError` for an unknown state or an empty note, `Refused` for a step back.
    """
    found = show_incident(context, incident)
    if not note.strip():
        raise UsageError(f"a note on {incident} says nothing: write what was seen or done")
    if state and state not in STATES[1:]:
        raise UsageError(f"an incident does not become {state!r}: use one of {', '.join(STATES[1:])}")
    if state and STATES.index(state) <= STATES.index(found.state):
        raise Refused(f"incident {incident} is {found.state} already: it does not go back to {state}")
    context.journal.append(
        [IncidentNoted(found.model, incident, note.strip(), state)], actor=context.actor, at=context.clock.now()
    )
    return show_incident(context, incident)
