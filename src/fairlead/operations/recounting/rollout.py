"""Rollouts: every decision of one, and of the watch over its promotion."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from fairlead.core.event import RolloutStarted
from fairlead.core.recount import State
from fairlead.core.replay import replay
from fairlead.operations.context import Context
from fairlead.operations.recounting.kind import Kind, Pending
from fairlead.operations.rollouts import REPLAYED


def find(context: Context, model: str | None) -> Iterator[Pending]:
    """The rollouts that were started."""
    for entry in context.journal.read(model=model, kinds=["rollout_started"]):
        fact = entry.fact
        if isinstance(fact, RolloutStarted):
            group = () if fact.plan.among is None else (fact.plan.among.group,)
            yield Pending("rollout", fact.rollout, entry, partial(_decide, context, fact), group)


def _decide(context: Context, fact: RolloutStarted) -> tuple[State, str]:
    found = replay(context.journal.read(model=fact.model, kinds=REPLAYED), fact.rollout)
    return ("same", "") if found.matches else ("different", found.first_difference or "")


ROLLOUTS = Kind("rollout", find)
