"""What each audience is told of an incident: drafts, for people to send. Customers read no internals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

from fairlead.core.alarm import runbook_of
from fairlead.core.incident import Incident
from fairlead.core.incident_terms import AUDIENCES, Audience
from fairlead.core.reach import Impact
from fairlead.core.triage import FIRST_RESPONSE
from fairlead.core.watched import REFUSED_SHARE


def drafts(
    incident: Incident, impact: Impact, audiences: Sequence[Audience] = AUDIENCES
) -> tuple[tuple[Audience, str], ...]:
    """What is to be said to each, as things stand."""
    return tuple((one, _WORDS[one.name](incident, impact)) for one in audiences)


def due_at(incident: Incident, audience: Audience) -> float:
    """By when an audience is to be told."""
    return incident.opened_at + audience.within_seconds


def _engineering(incident: Incident, impact: Impact) -> str:
    triage, lines = incident.triage, [f"[{incident.severity}] {incident.title} ({incident.id}, {incident.state})"]
    lines.append(f"What: {incident.reason}")
    seen = incident.opened_at if incident.detected_at is None else incident.detected_at
    lines.append(f"Since: {_when(_began(incident))}; seen {_when(seen)}; {_reach(incident, impact)}.")
    if triage is None:
        lines.append(f"First response ({incident.category}): {FIRST_RESPONSE.get(incident.category, 'look by hand')}.")
    else:
        lines += [f"Triage, {check.step}: {check.outcome.value}. {check.reason}" for check in triage.checks]
    lines += [
        f"Done, {_when(one.at)}: {_action(one.action)}. {one.reason}" for one in incident.actions if not one.failed
    ]
    return "\n".join(lines)


def _product(incident: Incident, impact: Impact) -> str:
    doing = _doing(incident)
    return (
        f"{incident.model} has a problem since {_when(_began(incident))}: {_plain(incident)}. "
        f"So far {_reach(incident, impact)}. {doing} {_eta(incident)}".strip()
    )


def _users(incident: Incident, impact: Impact) -> str:
    return public_words(incident, failed=bool(impact.failed))


def public_words(incident: Incident, *, failed: bool = False) -> str:
    """In plain words: no version, no feature, no figure of a metric, and no harm that nobody has seen."""
    now, then = _FAILED if failed else _seen_by_users(incident)
    if incident.state == "resolved":
        return f"Between {_when(_began(incident))} and {_when(incident.resolved_at)} {then}. This is over."
    doing = "A fix is in place and we are watching it." if incident.mitigated_at else "We are working on it."
    return f"Since {_when(_began(incident))} {now}. {doing} If a decision looks wrong to you, please ask for a review."


def _seen_by_users(incident: Incident) -> tuple[str, str]:
    """What they may know of it, while it lasts and afterwards."""
    if incident.harm_shown:
        return _HARMED
    if _refused(incident):
        return _TURNED_AWAY
    return _REPORTED if incident.by_hand else _UNHARMED.get(incident.category, _ODD)


def _refused(incident: Incident) -> bool:
    """Whether it is about requests that are refused for what they hold."""
    return any(runbook_of(alert) == REFUSED_SHARE for alert in incident.alerts)


_TURNED_AWAY = (
    "some requests have been turned away for what they hold: please check what you send",
    "some requests were turned away for what they held",
)
_FAILED = ("some requests failed", "some requests failed")
_HARMED = (
    "some answers may be less reliable than usual",
    "some answers may have been less reliable than usual",
)
_REPORTED = ("we have been looking into something that was reported to us", "we looked into what was reported to us")
_ODD = (
    "something has been out of the ordinary; no answer is known to be worse for it",
    "something was out of the ordinary; no answer is known to have been worse for it",
)
_UNHARMED: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "data": (
            "part of the data behind the answers has been arriving damaged; no answer is known to be worse for it",
            "part of the data behind the answers arrived damaged; no answer is known to have been worse for it",
        ),
        "model": (
            "we have been checking whether answers are as reliable as usual",
            "we checked whether answers were as reliable as usual",
        ),
        "infrastructure": (
            "our machines have been under strain, and answers may take longer than usual",
            "our machines were under strain, and answers may have taken longer than usual",
        ),
    }
)


def _leadership(incident: Incident, impact: Impact) -> str:
    triage = incident.triage
    cause = triage.reason if triage is not None else incident.reason
    items = (
        "; ".join(f"{one.item} ({one.owner})" for one in incident.items if not one.done) or "to be agreed in the review"
    )
    return (
        f"{incident.model}: {_plain(incident)}. Impact: {_reach(incident, impact)}; state: {incident.state}. "
        f"Cause as far as it is known: {cause}. {_doing(incident)} What follows: {items}."
    )


_WORDS: Mapping[str, Callable[[Incident, Impact], str]] = MappingProxyType(
    {"engineering": _engineering, "product": _product, "users": _users, "leadership": _leadership}
)


def _reach(incident: Incident, impact: Impact) -> str:
    """Whom it reached, and what that cost; where nobody said when it began, nothing can be counted."""
    if incident.began_at is None:
        return "nobody knows how many it reached"
    failed = f", {impact.failed:,} of them failed" if impact.failed else ""
    units = f" and at most {impact.units:,} users or units" if impact.units else ""
    return f"{impact.predictions:,} predictions{units} reached{failed}{_paid(impact)}"


def _paid(impact: Impact) -> str:
    return "" if impact.cost is None else f"; wrong decisions cost {impact.cost} more than the model's tests promised"


def _plain(incident: Incident) -> str:
    """What is wrong, for those who read no versions and windows. What a person wrote stands as it was written."""
    if incident.by_hand:
        return incident.title
    if incident.rollout is not None:
        return "a new version did harm and was taken back"
    if incident.harm_shown:
        return "its answers have become worse than its tests promised"
    if _refused(incident):
        return "requests to it are refused for what they hold"
    return {
        "data": "the data that it is given are broken, and no harm to its answers has been seen",
        "model": "its answers are not what they used to be, and whether they are worse is not known yet",
        "infrastructure": "its machines do not answer as they should",
        "integration": "what it is connected to does not answer as it should",
        "business": "a figure of the business has left its bounds",
    }.get(incident.category, incident.title)


def _began(incident: Incident) -> float:
    """Where nobody knows since when, it is at least since it was opened."""
    return incident.opened_at if incident.began_at is None else incident.began_at


def _doing(incident: Incident) -> str:
    if incident.state == "resolved":
        return "It is resolved."
    if incident.mitigated_at is not None:
        return "What helped is in place, and it is watched."
    acts = [one for one in incident.actions if not one.failed]
    return f"Under way: {_action(acts[-1].action)}." if acts else "It is being looked into."


def _eta(incident: Incident) -> str:
    """How long the way that was chosen takes, as a rule."""
    if incident.state == "resolved" or incident.mitigated_at is not None:
        return ""
    action = "" if incident.triage is None else incident.triage.action
    usual = {"rollback": "minutes", "threshold": "minutes", "recalibrate": "hours", "retrain": "a day or more"}
    return f"Expected to take {usual[action]}." if action in usual else "How long it takes is not known yet."


def _action(action: str) -> str:
    """
    >>> _action("fix_data")
    'mending the data'
    """
    return {
        "rollback": "going back to the version before",
        "threshold": "moving the decision threshold",
        "recalibrate": "recalibrating the scores",
        "retrain": "training a new version",
        "fix_data": "mending the data",
        "scale": "more machines, or new ones",
    }.get(action, action)


def _when(at: float | None) -> str:
    return "an unknown time" if at is None else f"{datetime.fromtimestamp(at, UTC):%d %b %Y, %H:%M} UTC"
