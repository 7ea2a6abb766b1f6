"""What a pipeline knows of its rollout is what the controller journalled of it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from fairlead.core.advance import advance, apply_operator
from fairlead.core.event import (
    AnyFact,
    DeployAsked,
    DeployRefused,
    OperatorAsked,
    RolloutDecided,
    RolloutStarted,
    RouteApplied,
    canonical,
)
from fairlead.core.pipeline import asked_by, ladder, left_by_hand, read_step
from fairlead.core.pipeline_rollout import Own
from fairlead.core.rollout import Decision, Evidence, Phase, Plan, Rollout, Step

Begin = Callable[..., Rollout]
Traffic = Callable[..., Evidence]
RUN = "hotel-2-1"
PIPELINE = [read_step(name) for name in ("deploy_canary_10_percent", "gradual_rollout", "full_deployment")]
STEPS = ladder((Step(0.05), Step(0.5, 0.0, 50), Step(1.0)), PIPELINE)
PLAN = Plan("canary", STEPS, ())


def decided(decision: Decision, rollout: str = "r2") -> RolloutDecided:
    """A decision as the journal has it."""
    return RolloutDecided("hotel", rollout, msgspec.Raw(canonical(decision)))


def told(*facts: AnyFact) -> Own:
    """What a run knows after some facts."""
    own = Own()
    for fact in facts:
        own = own.after(fact, RUN, 2)
    return own


@pytest.fixture
def at_the_canary(begin: Begin, traffic: Traffic) -> tuple[Rollout, Decision]:
    """A rollout by the pipeline's ladder that has had the requests of its canary."""
    state, _ = advance(begin(steps=STEPS, edition=2), Evidence(), 0.0)
    state, _ = advance(state, traffic(state, 4000), 1.0)
    return advance(state, Evidence(), 2.0)


ASKED = DeployAsked("hotel", "r2", 2, "0" * 64, PLAN, f"{asked_by(RUN)}; a broken guardrail asks an operator")
STARTED = RolloutStarted("hotel", "r2", 2, "0" * 64, 1, PLAN, msgspec.Raw(b"{}"))


def test_the_controller_says_left_by_hand_in_the_words_that_are_looked_for(
    at_the_canary: tuple[Rollout, Decision], traffic: Traffic
) -> None:
    """At the canary, and at the last share before everything; not where it is paused, nor in between."""
    state, decision = at_the_canary
    assert (decision.share, left_by_hand(decision)) == (0.1, True)
    state, decision = apply_operator(state, "resume", 3.0, "go on")
    assert not left_by_hand(decision)
    state, decision = advance(state, traffic(state, 400), 4.0)
    state, decision = advance(state, traffic(state, 400), 5.0)
    assert (decision.share, left_by_hand(decision)) == (0.5, True)
    state, decision = apply_operator(state, "resume", 6.0, "go on")
    assert not left_by_hand(apply_operator(state, "pause", 6.5, "wait")[1])
    state, decision = advance(state, Evidence(), 7.0)
    assert (decision.after, decision.share) == (Phase.PROMOTED, 1.0)


def test_only_the_runs_own_deploy_is_its_rollout() -> None:
    """Neither another run's, nor another version's, nor one by hand."""
    assert told(ASKED).id == "r2"
    for other in (
        DeployAsked("hotel", "r9", 2, "0" * 64, PLAN, asked_by("hotel-2-11")),
        DeployAsked("hotel", "r9", 3, "0" * 64, PLAN, asked_by(RUN)),
        DeployAsked("hotel", "r9", 2, "0" * 64, PLAN, ""),
    ):
        assert told(other).id == ""
        assert told(ASKED, other).id == "r2"


def test_what_is_asked_is_open_until_it_is_performed_or_refused(at_the_canary: tuple[Rollout, Decision]) -> None:
    """So that nobody asks twice, and a held rollout that is about to go on waits for nobody."""
    decision = at_the_canary[1]
    held = told(ASKED, STARTED, decided(decision))
    assert (held.by_hand, held.asked, held.champion) == (True, False, 1)
    resume = OperatorAsked("hotel", "resume", "x", seen="r2")
    assert told(ASKED, STARTED, decided(decision), resume).asked
    assert not told(ASKED, STARTED, decided(decision), resume, decided(decision)).asked
    refused = OperatorAsked("hotel", "resume", "refused: it cannot")
    assert not told(ASKED, STARTED, decided(decision), resume, refused).asked
    assert not told(ASKED, STARTED, decided(decision), OperatorAsked("hotel", "resume", "x", seen="r9")).asked


def test_a_route_counts_once_every_worker_has_it(at_the_canary: tuple[Rollout, Decision]) -> None:
    """And no more once the share has moved again; other rollouts' routes are none of its business."""
    state, decision = at_the_canary
    moved = apply_operator(state, "abort", 9.0)[1]
    applied, other = RouteApplied("hotel", 4, 2, 0.1, "r2"), RouteApplied("hotel", 5, 2, 0.1, "r9")
    assert not told(ASKED, STARTED, decided(decision)).applied
    assert not told(ASKED, STARTED, decided(decision), other).applied
    assert told(ASKED, STARTED, decided(decision), applied, decided(decision)).applied
    assert not told(ASKED, STARTED, decided(decision), applied, decided(moved)).applied


def test_what_has_not_begun_says_what_to_look_at(at_the_canary: tuple[Rollout, Decision]) -> None:
    """No controller, a refusal, or a person who is waited for."""
    assert "is `fairlead up` running?" in told(ASKED).reason
    assert told(ASKED, STARTED).reason == "nothing was decided yet"
    assert told(ASKED, DeployRefused("hotel", "r2", 2, "its bundle is gone")).refused == "its bundle is gone"
    state = apply_operator(at_the_canary[0], "resume", 3.0)[0]
    paused = told(ASKED, STARTED, decided(apply_operator(state, "pause", 3.5)[1]))
    assert (paused.phase, paused.for_a_person) == (Phase.HELD, True)
    assert not told(ASKED, STARTED, decided(at_the_canary[1])).for_a_person
