"""Which rollouts were taken back without anyone asking."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.event import AnyFact, RolloutDecided, RolloutStarted, canonical
from fairlead.core.rollout import Call, Decision, Phase, Plan
from fairlead.flows.rolled_back import rolled_back
from fairlead.testing.journal import MemoryJournal

PLAN = Plan("canary", (), ())


def started(rollout: str, version: int = 2) -> AnyFact:
    """A rollout's beginning."""
    return RolloutStarted("hotel", rollout, version, "b", 1, PLAN, msgspec.Raw(b"{}"))


def decided(rollout: str, at: float, before: Phase, after: Phase, guardrail: str | None = None) -> AnyFact:
    """A decision as the journal holds it."""
    decision = Decision(rollout, at, Call.NOT_YET, before, after, 0, 0.0, (), None, "", "why", guardrail)
    return RolloutDecided("hotel", rollout, msgspec.Raw(canonical(decision)))


def told(*story: tuple[float, str, AnyFact]) -> MemoryJournal:
    """A journal with a story: instant, actor, fact."""
    journal = MemoryJournal()
    for at, actor, fact in story:
        journal.append([fact], actor=actor, at=at)
    return journal


@pytest.mark.parametrize("guardrail", ["error_rate < 5%", None])
def test_what_the_controller_takes_back_is_found(guardrail: str | None) -> None:
    """Whether a guardrail broke, a deadline passed or a worker could not load it; with the phase's beginning."""
    journal = told(
        (1.0, "controller", started("r1")),
        (5.0, "controller", decided("r1", 5.0, Phase.SHADOW, Phase.CANARY)),
        (6.0, "controller", decided("r1", 6.0, Phase.CANARY, Phase.CANARY)),
        (7.0, "controller", decided("r1", 7.0, Phase.CANARY, Phase.HELD)),
        (9.0, "controller", decided("r1", 9.0, Phase.HELD, Phase.ROLLED_BACK, guardrail)),
    )
    (found,) = rolled_back(journal.read())
    assert (found.model, found.version, found.since) == ("hotel", 2, 5.0)
    assert (found.decision.rollout, found.decision.at, found.decision.guardrail) == ("r1", 9.0, guardrail)


def test_what_a_person_takes_back_is_not() -> None:
    """Whoever aborts a rollout knows of it."""
    journal = told(
        (1.0, "controller", started("r1")), (2.0, "anna", decided("r1", 2.0, Phase.CANARY, Phase.ROLLED_BACK))
    )
    assert rolled_back(journal.read()) == ()


def test_a_promoted_version_is_not() -> None:
    """Success is no news to page anyone with; a rollout without a beginning is none."""
    journal = told(
        (1.0, "controller", started("r1")),
        (2.0, "controller", decided("r1", 2.0, Phase.CANARY, Phase.PROMOTED)),
        (3.0, "controller", decided("r2", 3.0, Phase.CANARY, Phase.ROLLED_BACK)),
    )
    assert rolled_back(journal.read()) == ()


def test_each_rollout_is_found_once_oldest_first() -> None:
    """Looks after the end change nothing."""
    story = []
    for at, rollout in ((1.0, "r1"), (2.0, "r2")):
        story += [
            (at, "controller", started(rollout, version=int(at) + 1)),
            (at, "controller", decided(rollout, at, Phase.CANARY, Phase.ROLLED_BACK)),
            (at, "controller", decided(rollout, at, Phase.ROLLED_BACK, Phase.ROLLED_BACK)),
        ]
    assert [(each.decision.rollout, each.version) for each in rolled_back(told(*story).read())] == [
        ("r1", 2),
        ("r2", 3),
    ]
