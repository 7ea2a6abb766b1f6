"""What is done about an incident: each action once under its key, and never past the gate.

| action | what happens |
|---|---|
| rollback | the controller takes the last rollout back, as an operator's word would |
| threshold, recalibrate | fitted on recent outcomes, tried on the newest, registered, gated, rolled out |
| retrain | a training run is asked for, under a key of the incident |
| fix_data, scale, none | people are asked: an item with an owner and a date |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal

from msgspec import Struct

from fairlead.core.action_items import item_for
from fairlead.core.advance import CONTROLLER
from fairlead.core.event import AnyFact, RetrainDecided, RetrainFinished
from fairlead.core.facts_act import ActionTaken
from fairlead.core.handling import action_key
from fairlead.core.incident import Incident
from fairlead.core.incident_terms import ACTIONS, Action
from fairlead.errors import FairleadError, Refused, UsageError
from fairlead.operations.context import Context
from fairlead.operations.incidents import show_incident
from fairlead.operations.rollouts import operate

QUICK = ("rollback", "retrain", "fix_data", "scale", "none")  # they write facts, and are done in no time
_Adjusted = Literal["threshold", "recalibrate"]


class Outcome(Struct, frozen=True):
    """What came of an action: a version and a rollout where there are any; `failed` where nothing changed."""

    reason: str
    version: int | None = None
    rollout: str = ""
    failed: bool = False
    beside: tuple[AnyFact, ...] = ()


# What is done about an incident, why, and who asks where no operator does.
_Doing = Callable[[Context, Incident, str, str], Outcome]


def act(context: Context, identity: str, action: str, reason: str = "", *, automatic: bool = False) -> Incident:
    """Takes an action about an incident. An action that was taken is not taken again: the incident as it stands comes
    back. What cannot be done is journalled as failed when it was `automatic`, and otherwise raised.

    Raises `UsageError` for an unknown action, `NotFound`, and `Refused` for an incident that is resolved.
    """
    known = next((one for one in ACTIONS if one == action), None)
    if known is None:
        raise UsageError(f"{action!r} is no action: use one of {', '.join(ACTIONS)}")
    incident = show_incident(context, identity)
    key = action_key(incident, known)
    if any(one.key == key and not one.failed for one in incident.actions):
        return incident
    if incident.state == "resolved":
        raise Refused(f"incident {identity} is resolved: nothing is done about it any more")
    try:
        done = _DOES[known](context, incident, reason, CONTROLLER if automatic else "")
    except FairleadError as error:
        if not automatic:
            raise
        done = Outcome(error.line, failed=True)
    if done.failed and not automatic:
        raise Refused(f"{known} does not help with {identity}: {done.reason}")
    text = "; ".join(filter(None, (reason, done.reason)))
    key = f"{key}:{len(incident.actions)}" if done.failed else key
    fact = ActionTaken(
        incident.model, identity, known, key, automatic, done.version, done.rollout, text, failed=done.failed
    )  # fmt: skip
    context.journal.append([fact, *done.beside], actor=context.actor, at=context.clock.now())
    return show_incident(context, identity)


def _rollback(context: Context, incident: Incident, reason: str, by: str) -> Outcome:
    said = reason or f"incident {incident.id}: {incident.title}"
    operate(context, incident.model, "rollback", said, actor=context.actor, by=by)
    return Outcome("the controller takes the last version back")


def _adjusted(action: _Adjusted) -> _Doing:
    def does(context: Context, incident: Incident, _reason: str, by: str) -> Outcome:
        from fairlead.operations.adjusting import adjusted

        version, rollout, said = adjusted(context, incident, action, by_itself=bool(by))
        return Outcome(said, version, rollout, failed=version is None)

    return does


def _retrain(context: Context, incident: Incident, _reason: str, _by: str) -> Outcome:
    """A run that the window has asked for already is this incident's too: two at once would train the same rows."""
    if not context.settings.retraining.trains:
        raise Refused(f"{incident.model} cannot be retrained: the settings have no retraining.command, and no trainer")
    under_way = _run_under_way(context, incident)
    if under_way is not None:
        return Outcome(f"training run {under_way} is under way already")
    run = f"retrain-{plain(incident.id)}"
    asked = RetrainDecided(incident.model, run, triggered=True, reason=f"incident {incident.id}: {incident.title}")
    return Outcome(f"training run {run} was asked for", beside=(asked,))


def plain(identity: str) -> str:
    """An incident's id as a run's key: a window's name may hold an instant.

    >>> plain("inc-hotel-2026-01-01T10:00:00Z")
    'inc-hotel-2026-01-01T100000Z'
    """
    return identity.replace(":", "")


def _run_under_way(context: Context, incident: Incident) -> str | None:
    waiting: dict[str, None] = {}
    for entry in context.journal.read(model=incident.model, kinds=("retrain_decided", "retrain_finished")):
        fact = entry.fact
        if isinstance(fact, RetrainDecided) and fact.triggered:
            waiting[fact.run] = None
        elif isinstance(fact, RetrainFinished):
            waiting.pop(fact.run, None)
    return next(reversed(waiting), None)


def _asks(action: Action) -> _Doing:
    def does(_context: Context, incident: Incident, reason: str, _by: str) -> Outcome:
        item = item_for(incident, action)
        if item is None:
            return Outcome(reason or "nothing is done; it is watched")
        return Outcome(f"For {item.owner}: {item.item}", beside=(item,))

    return does


_DOES: Mapping[Action, _Doing] = MappingProxyType(
    {
        "rollback": _rollback,
        "threshold": _adjusted("threshold"),
        "recalibrate": _adjusted("recalibrate"),
        "retrain": _retrain,
        "fix_data": _asks("fix_data"),
        "scale": _asks("scale"),
        "none": _asks("none"),
    }
)
