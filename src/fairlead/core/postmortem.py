"""A blameless postmortem, drafted from the facts. What only people can know is left for them, and marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from fairlead.core.action_items import REVIEW_DAYS
from fairlead.core.event import (
    AlertRaised,
    Entry,
    IncidentNoted,
    OperatorAsked,
    RetrainDecided,
    RetrainFinished,
    RolloutDecided,
    RolloutStarted,
    RouteApplied,
    WindowJudged,
)
from fairlead.core.facts_act import ActionTaken, ItemAssigned, MessageSent, TriageDone, UpstreamChanged
from fairlead.core.incident import Incident, around
from fairlead.core.incident_terms import AUDIENCES
from fairlead.core.listing import counted
from fairlead.core.report import report_of
from fairlead.core.retrain import held_back
from fairlead.core.rollout import Decision, Phase
from fairlead.core.story import story_of
from fairlead.core.verdict import Outcome

PRIORITY = {"critical": "P1", "high": "P2", "medium": "P3", "low": "P4"}
LINES = 40  # of the timeline; a long incident's middle is cut


def postmortem(incident: Incident, entries: Sequence[Entry]) -> str:
    """The draft as Markdown. `entries` are the model's, in order; the same facts give the same text."""
    story = story_of(incident, entries)
    due = business_days_after(incident.opened_at, REVIEW_DAYS)
    owner = incident.owner or "unassigned"
    actions = [*_assigned(incident), *(f"- [ ] {action} - Owner: @{owner} - Due: {due}" for action in story.actions)]
    parts = [
        f"# Incident review: {incident.title}",
        "\n".join(_head(incident, due)),
        _section("Summary", [incident.reason]),
        _section("Timeline", timeline(incident, entries)),
        _section("Impact", [*_items(story.impact), *_items([_duration(incident)])]),
        _section("Detection", _items([*story.detection, *_acknowledged(incident)])),
        _section("What changed", _items(_changed(incident)) or ["- Nothing is on record that changed shortly before."]),
        *([_section("Triage", _items(_triaged(incident)))] if incident.triage is not None else []),
        *([_section("What was done", _items(_done(incident)))] if incident.actions else []),
        _section("Root cause", _items(story.causes)),
        _section("What went well", _items(story.well)),
        _section("What went poorly", _items(story.poorly)),
        _section("Action items", actions),
        _section("Communication", _communication(incident)),
    ]
    return "\n\n".join(parts) + "\n"


def business_days_after(at: float, days: int) -> str:
    """The date that many working days (Monday to Friday) after an instant.

    >>> business_days_after(datetime(2026, 1, 2, tzinfo=UTC).timestamp(), 5)  # a Friday
    '2026-01-09'
    """
    day = datetime.fromtimestamp(at, UTC).date()
    while days:
        day += timedelta(days=1)
        days -= day.weekday() < 5
    return day.isoformat()


def timeline(incident: Incident, entries: Sequence[Entry]) -> list[str]:
    """What happened, oldest first, with the journal's instants."""
    lines, held = [], False
    for entry in around(incident, entries):
        back = isinstance(entry.fact, RetrainDecided) and held_back(entry.fact)
        if (back and held) or _echoes(entry):
            continue  # once is enough
        held = back or (held and not isinstance(entry.fact, RetrainDecided))
        lines += [f"- {_when(entry.at)} - {text}" for text in _told(entry)]
    if len(lines) <= LINES:
        return lines
    cut = len(lines) - LINES
    return [*lines[: LINES // 2], f"- … {counted(cut, 'line')} left out; the journal has them", *lines[-LINES // 2 :]]


def _echoes(entry: Entry) -> bool:
    """Whether it is a note that says what the window's own line says."""
    return isinstance(entry.fact, IncidentNoted) and entry.fact.note.startswith("Still harmful in window ")


def _told(entry: Entry) -> Iterator[str]:
    fact = entry.fact
    if isinstance(fact, WindowJudged):
        yield from _window(fact)
    elif isinstance(fact, RolloutDecided):
        decision = msgspec.json.decode(fact.decision, type=Decision)
        if decision.before is not decision.after or decision.after is Phase.ROLLED_BACK:
            yield f"Rollout decided, {decision.before} to {decision.after}: {decision.reason}"
    elif isinstance(fact, ActionTaken | TriageDone | MessageSent | ItemAssigned | UpstreamChanged):
        yield _worked(entry)
    else:
        yield from _plain(entry)


def _worked(entry: Entry) -> str:
    """What people and the controller did about it."""
    fact = entry.fact
    if isinstance(fact, TriageDone):
        return f"Triage by {entry.actor}: {fact.action.replace('_', ' ')}, because {fact.reason}"
    if isinstance(fact, ActionTaken):
        word = "Tried in vain" if fact.failed else "Done"
        how = "by itself" if fact.automatic else f"by {entry.actor}"
        return f"{word} {how}: {fact.action.replace('_', ' ')}. {fact.reason}"
    if isinstance(fact, MessageSent):
        return f"{entry.actor} told {fact.audience}"
    if isinstance(fact, ItemAssigned):
        return f"Item for {fact.owner}: {fact.item}{' (done)' if fact.done else ''}"
    assert isinstance(fact, UpstreamChanged), "nothing else is told here"
    return f"Changed elsewhere, {fact.source}: {fact.what}"


def _acknowledged(incident: Incident) -> Iterator[str]:
    if incident.acknowledged_at is not None:
        yield f"Acknowledged {_span(incident.acknowledged_at - incident.opened_at)} after it was opened."


def _changed(incident: Incident) -> list[str]:
    """What the last triage laid beside the beginning."""
    checks = () if incident.triage is None else incident.triage.checks
    found = [f"{sort}: {what}." for check in checks if check.step == "timeline" for sort, what in check.evidence]
    return [line[:1].upper() + line[1:] for line in found]


def _triaged(incident: Incident) -> list[str]:
    triage = incident.triage
    if triage is None:
        return []
    lines = [f"{check.step.capitalize()}: {check.outcome.value}. {check.reason}" for check in triage.checks]
    may = "allowed without asking" if triage.approved else "for a person to decide"
    return [*lines, f"Recommended: {triage.action.replace('_', ' ')}, {may}."]


def _done(incident: Incident) -> list[str]:
    return [
        f"{_when(one.at)}, {'by itself' if one.automatic else one.actor}: "
        f"{one.action.replace('_', ' ')}{' (in vain)' if one.failed else ''}. {one.reason}"
        for one in incident.actions
    ]


def _assigned(incident: Incident) -> Iterator[str]:
    """What was given to somebody, the soonest first."""
    for one in sorted(incident.items, key=lambda item: (item.due_at, item.item)):
        yield f"- [{'x' if one.done else ' '}] {one.item} - Owner: @{one.owner} - Due: {_day(one.due_at)}"


def _window(fact: WindowJudged) -> Iterator[str]:
    try:
        report = report_of(fact)
    except msgspec.MsgspecError:
        yield f"Window {fact.window} judged {fact.verdict}"
        return
    if report.verdict in (Outcome.BREACHED, Outcome.HOLDS):
        word = "breached" if report.verdict is Outcome.BREACHED else "recovered"
        yield f"Window {report.window} {word}: {report.reason}"


def _plain(entry: Entry) -> Iterator[str]:
    fact = entry.fact
    if isinstance(fact, AlertRaised):
        yield f"Alert ({fact.severity}): {fact.title}"
    elif isinstance(fact, IncidentNoted):
        yield f"{fact.state.capitalize() or 'Note'} by {entry.actor}: {fact.note}"
    elif isinstance(fact, OperatorAsked):
        yield f"{entry.actor} asked to {fact.verb}{f': {fact.reason}' if fact.reason else ''}"
    elif isinstance(fact, RolloutStarted):
        yield f"Rollout of version {fact.version} started ({fact.plan.strategy})"
    elif isinstance(fact, RouteApplied):
        yield (
            f"Route {fact.generation} reached {counted(fact.workers, 'worker')}, {fact.seconds:.2f} s "
            f"after the decision"
        )
    elif isinstance(fact, RetrainDecided) and (fact.triggered or held_back(fact)):
        yield f"Retraining {'triggered' if fact.triggered else 'held back'}: {fact.reason}"
    elif isinstance(fact, RetrainFinished):
        yield f"Challenger trained (version {fact.version}): {fact.reason}"


def _head(incident: Incident, due: str) -> Iterator[str]:
    yield f"- Incident: `{incident.id}`"
    yield f"- Model: {incident.model}"
    yield f"- Date: {_day(incident.opened_at)}"
    yield f"- Severity: {PRIORITY.get(incident.severity, 'P4')} ({incident.severity})"
    yield f"- Category: {incident.category}"
    yield f"- State: {incident.state}"
    yield f"- Owner: {incident.owner or 'unassigned'}"
    yield f"- Began: {_when(incident.began_at)}"
    yield f"- Detected: {_when(incident.detected_at)}"
    yield f"- Review due: {due}"


def _duration(incident: Incident) -> str:
    if incident.resolved_at is None:
        return "Duration: not resolved yet."
    return f"Duration, from opening to resolution: {_span(incident.resolved_at - incident.opened_at)}."


def _span(seconds: float) -> str:
    """
    >>> _span(4.25), _span(7500)
    ('4.2 s', '2 hours 5 minutes')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if not hours:
        return counted(minutes, "minute")
    return f"{counted(hours, 'hour')} {counted(minutes, 'minute')}"


def _communication(incident: Incident) -> Iterator[str]:
    """Who is to be told by when, and when they were, as far as somebody said so."""
    drafted = {one.audience: one for one in incident.messages}
    for audience in AUDIENCES:
        known = drafted.get(audience.name)
        name = _AUDIENCE.get(audience.name, audience.name)
        if known is not None and known.sent_at is not None:
            yield f"- [x] {name}, told {_when(known.sent_at)}: {audience.content}"
        else:
            due = incident.opened_at + audience.within_seconds if known is None else known.due_at
            yield f"- [ ] {name}, by {_when(due)}: {audience.content}"


_AUDIENCE = {
    "engineering": "Engineering",
    "product": "Product and business",
    "users": "End users, where affected",
    "leadership": "Leadership",
}


def _section(title: str, lines: Iterable[str]) -> str:
    body = "\n".join(lines)
    return f"## {title}\n\n{body or '- Nothing in the facts; to be filled in by the owner.'}"


def _items(lines: Iterable[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _when(at: float | None) -> str:
    return "not known" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}Z"


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
