from __future__ import annotations

from collections.abc import Callable

from fairlead.core.advance import advance, apply_operator
from fairlead.core.rollout import Evidence, Rollout, ShadowPairs, ShadowPlan
from fairlead.core.why import why

Begin = Callable[..., Rollout]
Traffic = Callable[..., Evidence]
COLLAPSED = (0,) * 9 + (124,)
CALM = (200,) * 10


def said(rollout: Rollout, evidence: Evidence, now: float) -> str:
    after, decision = advance(rollout, evidence, now)
    return why(decision, after)


def test_a_rollback_names_the_exposure_the_rule_the_evidence_and_the_figure(begin: Begin) -> None:
    """One sentence with everything that an operator asks first."""
    seen = Evidence(requests={"canary": 124, "champion": 2000}, scores={"canary": COLLAPSED, "champion": CALM})
    sentence = said(begin(), seen, 3.0)
    assert sentence.startswith(
        "Version 3 of hotel was rolled back after 124 canary requests: its scores left their validated distribution "
        "(prediction_psi < 0.25 broken, evidence e^"
    )
    assert sentence.endswith(" over e^5.7, score psi 4.70, the champion's 0.00).")


def test_a_rollback_in_shadow_says_that_no_caller_met_it(begin: Begin, shadow: ShadowPlan) -> None:
    """Zero exposure is worth saying."""
    seen = Evidence(
        requests={"shadow": 124, "champion": 124},
        scores={"shadow": COLLAPSED, "champion": CALM},
        shadow=ShadowPairs(124),
    )
    assert "after 124 shadow requests, before any caller met it" in said(begin(shadow=shadow), seen, 3.0)


def test_a_promotion_gives_the_figures_that_held(begin: Begin, traffic: Traffic) -> None:
    """What was measured, on both arms."""
    rollout = begin()
    for now in range(1, 60):
        rollout, decision = advance(rollout, traffic(rollout), float(now))
        if decision.share == 1.0:
            break
    sentence = why(decision, rollout)
    assert "was promoted after" in sentence
    assert "no guardrail was broken (error_rate <= 1.25 * champion held with failed" in sentence
    assert sentence.endswith(").")


def test_waiting_says_what_for(begin: Begin, shadow: ShadowPlan) -> None:
    """Requests and seconds still missing, in the canary and in shadow."""
    look = Evidence(requests={"canary": 20, "champion": 300})
    assert said(begin(), look, 4.0) == (
        "Version 3 of hotel has 5 % of the traffic: step 1 of 3 at 5 %: 20 of 100 canary requests, 4 of 10 s; "
        "about 16 s to the next step at 5 canary requests/s."
    )
    assert said(begin(shadow=shadow), Evidence(), 4.0) == (
        "Version 3 of hotel answers unseen: in shadow: 0 of 200 paired requests, 4 of 10 s; "
        "200 shadow requests and 6 s to the next step."
    )


def test_a_step_says_how_it_was_earned(begin: Begin, traffic: Traffic) -> None:
    """The new share, and what the step before had."""
    sentence = said(begin(), traffic(begin(), 5000), 12.0)
    assert sentence.startswith("Version 3 of hotel went on to 50 % of the traffic: step 1 of 3 at 5 % passed with")


def test_what_an_operator_did_is_said_with_the_reason(begin: Begin) -> None:
    """The hand and its reason, for each verb."""
    held, decision = apply_operator(begin(), "pause", 2.0, "a sale is on")
    assert why(decision, held) == (
        "Version 3 of hotel is held at 5 % of the traffic, for an operator: an operator asked to pause: a sale is on."
    )
    back, decision = apply_operator(held, "abort", 3.0)
    assert why(decision, back) == (
        "Version 3 of hotel was rolled back after 0 canary requests: an operator asked to abort."
    )


def test_the_first_version_is_promoted_at_once(begin: Begin) -> None:
    """No champion, no rollout: the sentence says why there was none."""
    assert said(begin(champion=None), Evidence(), 0.0) == (
        "Version 3 of hotel was promoted at once: it is the first version, so there is no champion to compare it with."
    )
