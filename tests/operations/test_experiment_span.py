"""Which arms of an experiment are read, and until when."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fairlead.core.arms import Among, ArmShare
from fairlead.core.experiment_terms import Terms
from fairlead.core.rollout import Baseline, Phase, Plan, Rollout, Step, start
from fairlead.operations.experiment_log import span_of

SHARES = (ArmShare(2, 0.25), ArmShare(3, 0.25))
TERMS = Terms("conversion", 1, SHARES)


def arm(version: int, ended: float | None = None) -> Rollout:
    """A challenger that runs, or that ended at an instant."""
    plan = Plan("ab", (Step(0.25),), (), among=Among("g", SHARES))
    made = start(f"r{version}", "hotel", version, 1, plan, Baseline(None, (), ()), 100.0)
    return made if ended is None else replace(made, phase=Phase.ROLLED_BACK, phase_at=ended)


def test_all_arms_that_run_are_read_at_their_shares() -> None:
    """Before the controller started them, too."""
    for arms in ([], [arm(2), arm(3)]):
        span = span_of(TERMS, arms)
        assert span.shares == {"champion": 0.5, "challenger-2": 0.25, "challenger-3": 0.25}
        assert (span.until, span.notes) == (float("inf"), ())


def test_an_arm_that_ended_before_the_others_is_left_out() -> None:
    """Units came to the others alone since; what is left has its shares among itself."""
    span = span_of(TERMS, [arm(2, 500.0), arm(3)])
    assert span.shares == pytest.approx({"champion": 2 / 3, "challenger-3": 1 / 3})
    assert span.notes == ("challenger-2 ended before the others and is not read",)
    assert span.until == float("inf")


def test_arms_that_ended_together_are_read_until_then() -> None:
    """Within a minute is together, as a promotion ends the others in its next round; else the last one is read."""
    both = span_of(TERMS, [arm(2, 500.0), arm(3, 501.0)])
    assert (tuple(both.shares), both.until) == (("champion", "challenger-2", "challenger-3"), 500.0)
    one = span_of(TERMS, [arm(2, 500.0), arm(3, 900.0)])
    assert (tuple(one.shares), one.until) == (("champion", "challenger-3"), 900.0)
