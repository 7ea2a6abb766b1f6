"""The rollouts that were taken back without anyone asking: a fold over the journal, so that no answer is ever lost."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec import Struct

from fairlead.core.event import Entry, RolloutDecided, RolloutStarted
from fairlead.core.rollout import Decision, Phase
from fairlead.flows.release import ACTOR


class RolledBack(Struct, frozen=True):
    """A version that lost its traffic: by which decision, and since when it had stood in the phase that ended so."""

    model: str
    version: int
    since: float
    decision: Decision


def rolled_back(entries: Iterable[Entry]) -> tuple[RolledBack, ...]:
    """What the controller rolled back, for whatever reason, oldest first. Whoever aborts a rollout knows of it."""
    known: dict[str, tuple[int, float]] = {}
    found: dict[str, RolledBack] = {}
    for entry in entries:
        fact = entry.fact
        if isinstance(fact, RolloutStarted):
            known[fact.rollout] = (fact.version, entry.at)
        elif isinstance(fact, RolloutDecided) and fact.rollout in known:
            decision = msgspec.json.decode(fact.decision, type=Decision)
            version, since = known[fact.rollout]
            if _is_back(decision) and entry.actor == ACTOR:
                found.setdefault(fact.rollout, RolledBack(fact.model, version, since, decision))
            elif decision.before is not decision.after and decision.after is not Phase.HELD:
                known[fact.rollout] = (version, entry.at)
    return tuple(found.values())


def _is_back(decision: Decision) -> bool:
    return decision.after is Phase.ROLLED_BACK and decision.before is not Phase.ROLLED_BACK
