"""An incident is a fold over facts: opened, acknowledged, mitigated, resolved, each step with its instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fairlead.core import event, facts_act
from fairlead.core.alarm import GOLDEN, HARMFUL, PROMOTION, ROLLBACK, runbook_of
from fairlead.core.event import Entry
from fairlead.core.fact import Fact
from fairlead.core.triage import TriageCheck, Triaged

STATES = ("open", "acknowledged", "mitigated", "resolved")
_HARM = (GOLDEN, HARMFUL, PROMOTION, ROLLBACK)  # alerts that are raised only where answers are worse


class Moment(Struct, frozen=True):
    """A line of the timeline: when it was written down, by whom, and what happened."""

    at: float
    actor: str
    text: str


class Done(Struct, frozen=True):
    """An action: what was done, when, by whom, and whether by itself; the version and the rollout it led to."""

    at: float
    actor: str
    action: str
    key: str
    automatic: bool
    reason: str = ""
    version: int | None = None
    rollout: str = ""
    failed: bool = False


class Message(Struct, frozen=True):
    """What an audience is to be told, by when, and when it was."""

    audience: str
    due_at: float
    text: str
    channel: str = ""
    drafted_at: float = 0.0
    sent_at: float | None = None


class Item(Struct, frozen=True):
    """Something to be done afterwards, by whom and by when."""

    item: str
    owner: str
    due_at: float
    done: bool = False


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
    opened_by: str = ""
    alerts: tuple[str, ...] = ()  # keys of the alerts that belong to it, that which opened it first
    triage: Triaged | None = None  # the last one
    triages: int = 0
    actions: tuple[Done, ...] = ()
    messages: tuple[Message, ...] = ()
    items: tuple[Item, ...] = ()
    by_hand: bool = False  # a person opened it: then only a person resolves it
    opened_as: str = ""  # the category that it was opened with; `category` is the last triage's

    @property
    def harm_shown(self) -> bool:
        """Whether answers are known to have been worse: labels showed it, golden rows, or a rollout's guardrails."""
        told = {runbook_of(alert) for alert in self.alerts}
        return self.rollout is not None or bool(self.window) or not told.isdisjoint(_HARM)


def incidents(entries: Iterable[Entry]) -> tuple[Incident, ...]:
    """All incidents in journal entries, oldest first. A repeated opening is one incident."""
    known: dict[str, Incident] = {}
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, event.IncidentOpened):
            known.setdefault(fact.incident, _opened(entry, fact))
            continue
        take = _TAKEN.get(type(fact))
        before = known.get(getattr(fact, "incident", ""))
        if take is not None and before is not None:
            known[before.id] = take(before, entry, fact)
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
        opened_by=entry.actor,
        alerts=(fact.alert,) if fact.alert else (),
        by_hand=not fact.alert and not fact.window and fact.rollout is None,
        opened_as=fact.category,
    )


def _noted(before: Incident, entry: Entry, fact: event.IncidentNoted) -> Incident:
    """A state only moves forward: a late acknowledgement does not reopen what is resolved."""
    after = _told(before, entry, fact.note)
    joined = (*before.alerts, fact.alert) if fact.alert and fact.alert not in before.alerts else before.alerts
    after = replace(after, alerts=joined, severity=fact.severity or before.severity)
    if fact.state not in STATES or STATES.index(fact.state) <= STATES.index(before.state):
        return after
    after = replace(after, state=fact.state, **{f"{fact.state}_at": entry.at})
    if fact.state != "resolved":
        return after
    mitigated_at = entry.at if before.mitigated_at is None else before.mitigated_at
    return replace(after, mitigated_at=mitigated_at, resolved_seq=entry.seq)


def _told(before: Incident, entry: Entry, text: str) -> Incident:
    return replace(before, timeline=(*before.timeline, Moment(entry.at, entry.actor, text)))


def _written(before: Incident, entry: Entry, fact: event.PostmortemWritten) -> Incident:
    """The first draft is a line of the timeline; that it follows the facts from then on is no news."""
    after = _told(before, entry, f"Postmortem drafted: {fact.path}") if before.postmortem is None else before
    return replace(after, postmortem=fact.path)


def _triaged(before: Incident, entry: Entry, fact: facts_act.TriageDone) -> Incident:
    """The last triage counts, and so does where it puts the trouble."""
    checks = msgspec.json.decode(fact.checks, type=tuple[TriageCheck, ...])
    found = Triaged(entry.at, entry.actor, fact.action, fact.reason, fact.category, fact.approved, checks)
    after = _told(before, entry, f"Triage: {fact.action.replace('_', ' ')}, because {fact.reason}")
    return replace(after, triage=found, triages=before.triages + 1, category=fact.category or before.category)


def _acted(before: Incident, entry: Entry, fact: facts_act.ActionTaken) -> Incident:
    """An action of a key counts once, however often it was written."""
    if any(one.key == fact.key for one in before.actions):
        return before
    key, failed = fact.key, fact.failed
    done = Done(
        entry.at, entry.actor, fact.action, key, fact.automatic, fact.reason, fact.version, fact.rollout, failed
    )  # fmt: skip
    how = "by itself" if fact.automatic else f"by {entry.actor}"
    word = "Action failed" if failed else "Action"
    after = _told(before, entry, f"{word}, {how}: {fact.action.replace('_', ' ')}. {fact.reason}".strip())
    return replace(after, actions=(*before.actions, done))


def _drafted(before: Incident, entry: Entry, fact: facts_act.MessageDrafted) -> Incident:
    """A later draft for an audience takes the place of the one before; that it was sent stays."""
    known = next((one for one in before.messages if one.audience == fact.audience), None)
    sent = None if known is None else known.sent_at
    message = Message(fact.audience, fact.due_at, fact.text, fact.channel, entry.at, sent)
    others = tuple(one for one in before.messages if one.audience != fact.audience)
    return replace(before, messages=(*others, message))


def _sent(before: Incident, entry: Entry, fact: facts_act.MessageSent) -> Incident:
    messages = tuple(
        replace(one, sent_at=entry.at if one.sent_at is None else one.sent_at) if one.audience == fact.audience else one
        for one in before.messages
    )
    return replace(_told(before, entry, f"{fact.audience} told"), messages=messages)


def _assigned(before: Incident, entry: Entry, fact: facts_act.ItemAssigned) -> Incident:
    """The last word on an item counts."""
    item = Item(fact.item, fact.owner, fact.due_at, fact.done)
    others = tuple(one for one in before.items if one.item != fact.item)
    word = "done" if fact.done else f"assigned to {fact.owner}"
    return replace(_told(before, entry, f"Action item {word}: {fact.item}"), items=(*others, item))


_TAKEN: Mapping[type, Callable[[Incident, Entry, Any], Incident]] = MappingProxyType(
    {
        event.IncidentNoted: _noted,
        event.PostmortemWritten: _written,
        facts_act.TriageDone: _triaged,
        facts_act.ActionTaken: _acted,
        facts_act.MessageDrafted: _drafted,
        facts_act.MessageSent: _sent,
        facts_act.ItemAssigned: _assigned,
    }
)
KINDS = (
    "incident_opened",
    "incident_noted",
    "postmortem_written",
    "triage_done",
    "action_taken",
    "message_drafted",
    "message_sent",
    "item_assigned",
)  # what `incidents` folds


def around(incident: Incident, entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """The entries that belong to an incident's story: its rollout's, or its model's from the first breach on."""
    return tuple(entry for entry in entries if _belongs(incident, entry))


def _belongs(incident: Incident, entry: Entry) -> bool:
    fact = entry.fact
    shared = isinstance(fact, facts_act.UpstreamChanged) and not fact.model
    if (fact.model != incident.model and not shared) or not isinstance(fact, _TOLD):
        return False
    named = getattr(fact, "incident", None)
    if named is not None:
        return bool(named == incident.id)
    if incident.rollout is not None:
        return _of_rollout(incident, fact)
    if incident.resolved_seq is not None and entry.seq > incident.resolved_seq:
        return False
    return _since(incident, entry, fact)


def _since(incident: Incident, entry: Entry, fact: Fact) -> bool:
    """Whether it came when the incident had begun. The alert that opened it was raised just before."""
    if isinstance(fact, event.WindowJudged):
        return incident.began_at is not None and fact.ends_at > incident.began_at
    if isinstance(fact, event.AlertRaised) and fact.alert in incident.alerts:
        return incident.detected_at is None or fact.event_at is None or fact.event_at >= incident.detected_at
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
    facts_act.ActionTaken,
    facts_act.ItemAssigned,
    facts_act.MessageSent,
    facts_act.TriageDone,
    facts_act.UpstreamChanged,
)
