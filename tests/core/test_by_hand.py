"""Steps that a person must let a rollout leave."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.core.advance import advance, apply_operator
from fairlead.core.rollout import Call, Evidence, Phase, Rollout, Step

Begin = Callable[..., Rollout]
Traffic = Callable[..., Evidence]
STEPS = (Step(0.1, 5.0, 50, manual=True), Step(0.5, 5.0, 50), Step(1.0))


def at_the_gate(begin: Begin, traffic: Traffic) -> Rollout:
    """A rollout that has had the time and the requests of its manual step."""
    state, _ = advance(begin(steps=STEPS, edition=2), Evidence(), 0.0)
    state, _ = advance(state, traffic(state, 2000), 1.0)
    return advance(state, Evidence(), 6.0)[0]


def test_a_manual_step_holds_once_it_is_passed(begin: Begin, traffic: Traffic) -> None:
    """Not before: until then it waits as any step does; the share stays."""
    state, decision = advance(begin(steps=STEPS, edition=2), Evidence(), 0.0)
    state, decision = advance(state, traffic(state, 2000), 1.0)
    assert (decision.after, decision.call) == (Phase.CANARY, Call.NOT_YET)
    state, decision = advance(state, Evidence(), 6.0)
    assert (decision.after, decision.share) == (Phase.HELD, 0.1)
    assert decision.reason.startswith("step 1 is left by hand: step 1 of 3 at 10 % passed")


def test_resume_lets_it_go_on_at_the_next_look(begin: Begin, traffic: Traffic) -> None:
    """Its time and requests were had before; the step after it is no manual one and goes on by itself."""
    state, _ = apply_operator(at_the_gate(begin, traffic), "resume", 7.0)
    state, decision = advance(state, Evidence(), 7.1)
    assert (decision.after, decision.step, decision.share) == (Phase.CANARY, 1, 0.5)
    state, decision = advance(state, traffic(state, 2000), 8.0)
    assert "of 5 s" in decision.reason
    state, decision = advance(state, Evidence(), 20.0)
    assert decision.after is Phase.PROMOTED


def test_resuming_something_else_opens_no_gate(begin: Begin, traffic: Traffic) -> None:
    """A pause before the gate and its resume are not the answer that the gate waits for."""
    state, _ = advance(begin(steps=STEPS, edition=2), Evidence(), 0.0)
    state, _ = advance(state, traffic(state, 2000), 1.0)
    state, _ = apply_operator(state, "pause", 2.0)
    state, _ = apply_operator(state, "resume", 3.0)
    state, _ = advance(state, traffic(state, 2000), 4.0)
    state, decision = advance(state, Evidence(), 9.0)
    assert decision.after is Phase.HELD
    assert "is left by hand" in decision.reason


def test_harm_behind_the_gate_still_rolls_back(begin: Begin, traffic: Traffic) -> None:
    """A person who thinks about it does not keep the evidence from ending it."""
    state = at_the_gate(begin, traffic)
    for now in range(7, 30):
        state, decision = advance(state, traffic(state, 500, errors=(0.01, 0.3)), float(now))
        if decision.after is Phase.ROLLED_BACK:
            break
    assert decision.after is Phase.ROLLED_BACK
