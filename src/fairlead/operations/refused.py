"""Deploys that the controller could not start: they are asked for, refused in the journal, and never a rollout."""

from __future__ import annotations

from msgspec import Struct

from fairlead.core.event import DeployAsked, DeployRefused
from fairlead.operations.context import Context


class Refusal(Struct, frozen=True):
    """A deploy that was refused, at an instant in seconds since 1970. `group`: what its arms have in common."""

    rollout: str
    model: str
    version: int
    at: float
    reason: str
    group: str


def refusals(context: Context, model: str | None = None) -> tuple[Refusal, ...]:
    """Every deploy that was refused, oldest first; of several arms each."""
    groups: dict[str, str] = {}
    found = []
    for entry in context.journal.read(model=model, kinds=["deploy_asked", "deploy_refused"]):
        fact = entry.fact
        if isinstance(fact, DeployAsked):
            groups[fact.rollout] = fact.rollout if fact.plan.among is None else fact.plan.among.group
        elif isinstance(fact, DeployRefused):
            group = groups.get(fact.rollout, fact.rollout)
            found.append(Refusal(fact.rollout, fact.model, fact.version, entry.at, fact.reason, group))
    return tuple(found)


def refused_last(context: Context, model: str, started_at: float = 0.0) -> tuple[Refusal, ...]:
    """The model's last refused deploy, each arm of it; none where a rollout started after it, at `started_at`."""
    found = [one for one in refusals(context, model) if one.at > started_at]
    return tuple(one for one in found if one.group == found[-1].group)
