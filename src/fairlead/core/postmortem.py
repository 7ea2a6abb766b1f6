"""A blameless postmortem, drafted from the facts. What only people can know is left for them, and marked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

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
from fairlead.core.incident import Incident, around
from fairlead.core.listing import counted
from fairlead.core.report import report_of
from fairlead.core.retrain import held_back
from fairlead.core.rollout import Decision, Phase
from fairlead.core.story import story_of
from fairlead.core.verdict import Outcome

PRIORITY = {"critical": "P1", "high": "P2", "medium": "P3", "low": "P4"}
REVIEW_DAYS = 5
LINES = 40  # of the timeline; a long incident's middle is cut


def postmortem(incident: Incident, entries: Sequence[Entry]) -> str:
    """The draft as Markdown. `entries` are the model's, in order; the same facts give the same text."""
    story = story_of(incident, entries)
    due = business_days_after(incident.opened_at, REVIEW_DAYS)
    owner = incident.owner or "unassigned"
    actions = (f"- [ ] {action} - Owner: @{owner} - Due: {due}" for action in story.actions)
    parts = [
        f"# Incident review: {incident.title}",
        "\n".join(_head(incident, due)),
        _section("Summary", [incident.reason]),
        _section("Timeline", timeline(incident, entries)),
        _section("Impact", [*_items(story.impact), *_items([_duration(incident)])]),
        _section("Detection", _items(story.detection)),
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
    lines = [f"- {_when(entry.at)} - {text}" for entry in around(incident, entries) for text in _told(entry)]
    if len(lines) <= LINES:
        return lines
    cut = len(lines) - LINES
    return [*lines[: LINES // 2], f"- … {counted(cut, 'line')} left out; the journal has them", *lines[-LINES // 2 :]]


def _told(entry: Entry) -> Iterator[str]:
    fact = entry.fact
    if isinstance(fact, WindowJudged):
        yield from _window(fact)
    elif isinstance(fact, RolloutDecided):
        decision = msgspec.json.decode(fact.decision, type=Decision)
        if decision.before is not decision.after or decision.after is Phase.ROLLED_BACK:
            yield f"Rollout decided, {decision.before} to {decision.after}: {decision.reason}"
    else:
        yield from _plain(entry)


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
    return f"{counted(hours, 'hour')} {counted(minutes, 'minute')}"


def _communication(incident: Incident) -> Iterator[str]:
    """Who is to be told by when; whether it was done, only people know."""
    for audience, minutes, content in (
        ("Engineering", 0, "technical details, status"),
        ("Product and business", 30, "impact, estimated time of resolution"),
        ("End users, where affected", 60, "plain-language description, workarounds"),
        ("Leadership", 24 * 60, "impact, root cause, action items"),
    ):
        yield f"- [ ] {audience}, by {_when(incident.opened_at + minutes * 60)}: {content}"


def _section(title: str, lines: Iterable[str]) -> str:
    body = "\n".join(lines)
    return f"## {title}\n\n{body or '- Nothing in the facts; to be filled in by the owner.'}"


def _items(lines: Iterable[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _when(at: float | None) -> str:
    return "not known" if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}Z"


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
