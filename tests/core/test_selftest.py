"""What a self-test proves, and for how long."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from fairlead.core.advance import advance, apply_operator
from fairlead.core.event import SelfTested
from fairlead.core.rollout import Call, Evidence, Guardrail, Phase, Plan, Rollout, ShadowPlan, Step, share_of
from fairlead.core.selftest import VALID_SECONDS, bound, by_hand, outcome, plan_digest, why_invalid
from fairlead.core.split import By, Split
from fairlead.core.verdict import Outcome

PSI = Guardrail("prediction_psi < 0.25", "prediction_psi", 0.25)
PLAN = Plan("canary", (Step(0.1, 60.0, 100), Step(1.0)), (PSI,))
GOOD = SelfTested("hotel", 500, 1, bound(1, 500), 0.01, "d", "", plan_digest(PLAN))


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"strategy": "shadow", "shadow": ShadowPlan(1.0, 10)}, True),
        ({"steps": (Step(0.1, 0.0, 7), Step(1.0)), "deadline_seconds": 9.0, "undecided": "promote"}, True),
        ({"automatic": False}, True),
        ({"guardrails": (replace(PSI, bound=0.3),)}, False),
        ({"guardrails": ()}, False),
        ({"alpha": 0.05}, False),
        ({"steps": (Step(0.2), Step(1.0))}, False),
        ({"split": Split(by=By.REQUEST)}, False),
    ],
)
def test_a_self_test_is_of_what_decides_a_rollback(changes: dict[str, object], same: bool) -> None:
    """Not of how long a step lasts."""
    assert (plan_digest(replace(PLAN, **changes)) == plan_digest(PLAN)) is same


@pytest.mark.parametrize(
    ("tested", "age", "why"),
    [
        (GOOD, 0.0, ""),
        (GOOD, VALID_SECONDS, ""),
        (None, 0.0, "no self-test was made"),
        (GOOD, VALID_SECONDS + 86_400.0, "the last self-test is 91 days old"),
        (replace(GOOD, plan="other"), 0.0, "the last self-test was of other guardrails, shares or another budget"),
        (
            replace(GOOD, rolled_back=9, upper=bound(9, 500)),
            0.0,
            "the last self-test rolled back 9 of 500 rollouts of a version against itself: at most 3.12 %, allowed 1 %",
        ),
    ],
)
def test_a_plan_rolls_back_by_itself_on_a_valid_self_test(tested: SelfTested | None, age: float, why: str) -> None:
    """Of the same guardrails, not too old, and proven to be within the budget."""
    assert why_invalid(tested, 1_000.0, PLAN, 1_000.0 + age) == why


def test_the_verdict_is_about_what_is_proven() -> None:
    """Few runs prove nothing either way."""
    assert outcome(0, 0, 0.01) is Outcome.UNMEASURED
    assert outcome(0, 100, 0.01) is Outcome.UNDECIDED
    assert outcome(0, 299, 0.01) is Outcome.HOLDS
    assert outcome(3, 500, 0.01) is Outcome.UNDECIDED
    assert outcome(10, 500, 0.01) is Outcome.BREACHED
    assert (bound(0, 0), bound(5, 5)) == (1.0, 1.0)


def test_by_hand_changes_nothing_else() -> None:
    """The plan's own verdicts stay."""
    assert replace(by_hand(PLAN), automatic=True) == PLAN


def test_a_plan_that_is_not_automatic_holds_a_bad_version_for_an_operator(
    begin: Callable[..., Rollout], traffic: Callable[..., Evidence]
) -> None:
    """It keeps its share and gets no more; the guardrail is named, a resume holds again, an abort ends it."""
    rollout = begin(automatic=False)
    bad = traffic(rollout, requests=20_000, errors=(0.01, 0.3))
    held, decision = advance(rollout, bad, 1.0)
    assert (held.phase, decision.call, share_of(held)) == (Phase.HELD, Call.REGRESS, 0.05)
    assert decision.guardrail == "error_rate <= 1.25 * champion"
    assert held.held.endswith("this plan does not roll back by itself: promote or abort it")
    again, second = advance(held, Evidence(), 500.0)
    assert (again.phase, again.held, second.before) == (Phase.HELD, held.held, Phase.HELD)
    resumed, _ = apply_operator(held, "resume", 501.0)
    assert advance(resumed, Evidence(), 502.0)[0].phase is Phase.HELD
    assert apply_operator(held, "abort", 503.0)[0].phase is Phase.ROLLED_BACK


def test_a_plan_that_is_not_automatic_lets_a_good_version_go_on(
    begin: Callable[..., Rollout], traffic: Callable[..., Evidence]
) -> None:
    """Nothing else asks an operator."""
    rollout = begin(automatic=False)
    assert advance(rollout, traffic(rollout, requests=20_000), 20.0)[0].step == 1
