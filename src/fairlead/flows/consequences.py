"""What a rollout's decision means for the aliases and statuses of its versions."""

from __future__ import annotations

from fairlead.core.event import AliasMoved, AnyFact, StatusChanged
from fairlead.core.rollout import Decision, Phase, Rollout


def consequences(name: str, rollout: Rollout, decision: Decision) -> list[AnyFact]:
    """The facts that go into the journal with a decision: none unless it promotes or rolls back."""
    if decision.before is decision.after:
        return []
    if decision.after is Phase.PROMOTED:
        return _promoted(name, rollout, decision.reason)
    if decision.after is Phase.ROLLED_BACK:
        return _rolled_back(name, rollout, decision)
    return []


def _promoted(name: str, rollout: Rollout, reason: str) -> list[AnyFact]:
    version, previous = rollout.version, rollout.champion
    facts: list[AnyFact] = [
        AliasMoved(name, "champion", version, previous, reason),
        AliasMoved(name, "challenger", None, version, reason),
        StatusChanged(name, version, "production", reason),
    ]
    if previous is not None:
        facts.append(StatusChanged(name, previous, "archived", f"replaced by version {version}"))
    return facts


def _rolled_back(name: str, rollout: Rollout, decision: Decision) -> list[AnyFact]:
    version, previous = rollout.version, rollout.champion
    facts: list[AnyFact] = [
        AliasMoved(name, "challenger", None, version, decision.reason),
        StatusChanged(name, version, "archived", decision.reason),
    ]
    if decision.before is Phase.PROMOTED and previous is not None:
        facts += [
            AliasMoved(name, "champion", previous, version, decision.reason),
            StatusChanged(name, previous, "production", decision.reason),
        ]
    return facts
