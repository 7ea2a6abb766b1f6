"""What an incident asks for next, at an instant: a triage, an action, people told, an end. Pure: the same facts and the
same clock give the same steps, so a restart does nothing twice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Literal

from msgspec import Struct

from fairlead.core.alarm import DATA
from fairlead.core.alert import PAGING
from fairlead.core.incident import STATES, Incident
from fairlead.core.incident_terms import ACKNOWLEDGE, Handling

Kind = Literal["triage", "act", "escalate", "draft", "resolve"]
MOST_TRIAGES = 20
PATIENCE_SECONDS = 600.0  # so long the end of an incident waits for its triage


class Step(Struct, frozen=True):
    """What is due. `key` names it: done once, it is not due again."""

    kind: Kind
    incident: str
    reason: str
    key: str
    to: tuple[str, ...] = ()


class Seen(Struct, frozen=True):
    """What else is known of an incident's model: the alerts that stand, when the last window was judged, and the
    escalations that were made. `busy`: a rollout or a training run that was asked for is under way."""

    standing: frozenset[str] = frozenset()
    judged_at: float | None = None
    escalated: frozenset[str] = frozenset()
    busy: bool = False
    broken: bool = False  # a column of the last window is


def due(incident: Incident, seen: Seen, how: Handling, now: float) -> tuple[Step, ...]:
    """The steps of one incident that are due, in the order in which they are taken."""
    if incident.state == "resolved":
        return ()
    steps = (_worked_on(incident, seen, how), _escalated(incident, seen, how, now), _over(incident, seen, how, now))
    return tuple(chain.from_iterable(steps))


def acknowledge_by(incident: Incident, how: Handling) -> float:
    """When somebody must have acknowledged it, in seconds since 1970."""
    return incident.opened_at + how.acknowledge.get(incident.severity, ACKNOWLEDGE["low"])


def failed(incident: Incident) -> frozenset[str]:
    """The actions that were tried and changed nothing."""
    return frozenset(one.action for one in incident.actions if one.failed)


def action_key(incident: Incident, action: str) -> str:
    """What makes an action happen once: the incident, the action, and how often it was looked at before."""
    return f"{incident.id}:{action}"


def _worked_on(incident: Incident, seen: Seen, how: Handling) -> Iterator[Step]:
    if not how.by_itself or incident.triages >= MOST_TRIAGES:
        return
    triage = incident.triage
    if triage is None:
        yield Step("triage", incident.id, "it has not been looked at", f"{incident.id}:triage:1")
        return
    acted = next((one for one in reversed(incident.actions) if one.action == triage.action), None)
    if seen.busy and triage.action not in ("rollback", "retrain", "fix_data", "scale"):
        return  # a second rollout would be refused
    if triage.approved and triage.action != "none" and acted is None:
        yield Step("act", incident.id, triage.reason, action_key(incident, triage.action))
    elif _again(incident, seen, stuck=triage.action == "none" or (acted.failed if acted else not triage.approved)):
        reason = "another window has been judged since"
        yield Step("triage", incident.id, reason, f"{incident.id}:triage:{incident.triages + 1}")


def _again(incident: Incident, seen: Seen, *, stuck: bool) -> bool:
    """Whether a triage that led nowhere, or waits for a person, is worth repeating: a window was judged meanwhile, and
    nothing has helped."""
    triage = incident.triage
    later = triage is not None and seen.judged_at is not None and seen.judged_at > triage.at
    return stuck and later and incident.state in ("open", "acknowledged")


def _escalated(incident: Incident, seen: Seen, how: Handling, now: float) -> Iterator[Step]:
    if incident.state != "open" or (how.pages_escalate and incident.severity in PAGING and not incident.by_hand):
        return  # the second: the page has a clock of its own, and one is enough
    by = acknowledge_by(incident, how)
    for place, one in enumerate(how.escalations, 1):
        key = f"{incident.id}:escalation:{place}"
        if now >= by + one.after_seconds and key not in seen.escalated:
            late = f"nobody has acknowledged it in {(now - incident.opened_at) / 60:.0f} min"
            yield Step("escalate", incident.id, late, key, one.to)


def _over(incident: Incident, seen: Seen, how: Handling, now: float) -> Iterator[Step]:
    """Only what a machine opened does a machine resolve: when its alerts are over, or, after a cure, when all is calm
    for a while."""
    if incident.by_hand or not how.by_itself:
        return
    if incident.triage is None and now < incident.opened_at + PATIENCE_SECONDS:
        return  # what is over soon is looked at all the same
    key, stands = f"{incident.id}:resolved", seen.standing & set(incident.alerts)
    if seen.broken and (incident.category == "data" or DATA in incident.alerts):
        return  # labels may have shown it to harm nobody; it is not mended
    if incident.alerts and incident.window == "" and not stands:
        yield Step("resolve", incident.id, "every alert that belongs to it is over", key)
    elif incident.rollout is not None and incident.mitigated_at is not None:
        calm = now - incident.mitigated_at
        if calm >= how.resolve_seconds and not _of_others(seen.standing, incident.rollout):
            yield Step("resolve", incident.id, f"traffic has been back for {calm:.0f} s, and no alert stands", key)


def _of_others(standing: frozenset[str], rollout: str) -> Sequence[str]:
    """Alerts other than those of rollouts, which nothing ends."""
    return [alert for alert in standing if not alert.startswith("rollout-rolled-back:") and rollout not in alert]


def open_states() -> tuple[str, ...]:
    """The states of an incident that is worked on.

    >>> open_states()
    ('open', 'acknowledged', 'mitigated')
    """
    return STATES[:-1]
