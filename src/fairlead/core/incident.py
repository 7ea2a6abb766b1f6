"""An incident is a fold over facts: opened, acknowledged, mitigated, resolved, each step with its instant."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from fairlead.core import event
from fairlead.core.event import Entry, Fact

STATES = ("open", "acknowledged", "mitigated", "resolved")


class Moment(Struct, frozen=True):
    """A line of the timeline: when it was written down, by whom, and what happened."""

    at: float
    actor: str
    text: str


class Incident(Struct, frozen=True):
    """One incident as the facts tell it. `began_at` and `detected_at` are on the records' own clock (event time); the
    other instants are the journal's. `mitigated_at` is when users stopped being harmed by what was found."""

    id: str
    model: str
    state: str
    severity: str
    category: str  # data | model | infrastructure | integration | business
    title: str
    reason: str
    owner: str
    opened_at: float
    began_at: float | None = None
    detected_at: float | None = None
    acknowledged_at: float | None = None
    mitigated_at: float | None = None
    resolved_at: float | None = None
    rollout: str | None = None
    window: str = ""
    postmortem: str | None = None  # path relative to the home folder
    timeline: tuple[Moment, ...] = ()
    opened_seq: int = 0  # places in the journal, which order facts of the same instant
    resolved_seq: int | None = None


def incidents(entries: Iterable[Entry]) -> tuple[Incident, ...]:
    """All incidents in journal entries, oldest first. A repeated opening is one incident."""
    known: dict[str, Incident] = {}
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, event.IncidentOpened):
            known.setdefault(fact.incident, _opened(entry, fact))
        elif isinstance(fact, event.IncidentNoted) and fact.incident in known:
            known[fact.incident] = _noted(known[fact.incident], entry, fact)
        elif isinstance(fact, event.PostmortemWritten) and fact.incident in known:
            before = known[fact.incident]
            line = Moment(entry.at, entry.actor, f"Postmortem drafted: {fact.path}")
            known[before.id] = msgspec.structs.replace(
                before, postmortem=fact.path, timeline=(*before.timeline, line)
            )  # fmt: skip
    return tuple(known.values())


def open_drift(entries: Iterable[Entry], model: str) -> Incident | None:
    """The newest unresolved incident of a model that drift opened, not a rollout."""
    found = [
        each for each in incidents(entries) if each.model == model and each.rollout is None and each.state != "resolved"
    ]
    return found[-1] if found else None


def _opened(entry: Entry, fact: event.IncidentOpened) -> Incident:
    return Incident(
        id=fact.incident,
        model=fact.model,
        state="open",
        severity=fact.severity,
        category=fact.category,
        title=fact.title,
        reason=fact.reason,
        owner=fact.owner,
        opened_at=entry.at,
        opened_seq=entry.seq,
        began_at=fact.began_at,
        detected_at=fact.detected_at,
        rollout=fact.rollout,
        window=fact.window,
        timeline=(Moment(entry.at, entry.actor, f"Incident opened: {fact.title}"),),
    )


def _noted(before: Incident, entry: Entry, fact: event.IncidentNoted) -> Incident:
    """A state only moves forward: a late acknowledgement does not reopen what is resolved."""
    line = Moment(entry.at, entry.actor, fact.note)
    after = msgspec.structs.replace(before, timeline=(*before.timeline, line))
    if fact.state not in STATES or STATES.index(fact.state) <= STATES.index(before.state):
        return after
    after = msgspec.structs.replace(after, state=fact.state, **{f"{fact.state}_at": entry.at})
    if fact.state != "resolved":
        return after
    mitigated_at = entry.at if before.mitigated_at is None else before.mitigated_at
    return msgspec.structs.replace(after, mitigated_at=mitigated_at, resolved_seq=entry.seq)


def around(incident: Incident, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries that belong to an incident's story: its rollout's, or its model's from the first breach on."""
    return tuple(entry for entry in entries if _belongs(incident, entry))


def _belongs(incident: Incident, entry: Entry) -> bool:
    fact = entry.fact
    if fact.model != incident.model or not isinstance(fact, _TOLD):
        return False
    named = getattr(fact, "incident", None)
    if named is not None:
        return bool(named == incident.id)
    if incident.rollout is not None:
        return _of_rollout(incident, fact)
    if incident.resolved_seq is not None and entry.seq > incident.resolved_seq:
        return False
    if isinstance(fact, event.WindowJudged):
        return incident.began_at is not None and fact.ends_at > incident.began_at
    return entry.seq >= incident.opened_seq


def _of_rollout(incident: Incident, fact: Fact) -> bool:
    if isinstance(fact, event.AlertRaised):
        return fact.alert.endswith(f":{incident.rollout}")
    return getattr(fact, "rollout", None) == incident.rollout


_TOLD = (
    event.AlertRaised,
    event.IncidentNoted,
    event.IncidentOpened,
    event.OperatorAsked,
    event.PostmortemWritten,
    event.RetrainDecided,
    event.RetrainFinished,
    event.RolloutDecided,
    event.RolloutStarted,
    event.RouteApplied,
    event.RouteChanged,
    event.WindowJudged,
)
