"""What the route table should say."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from fairlead.core.rollout import Baseline, Phase, Plan, ShadowPlan, Step, start
from fairlead.core.split import Split
from fairlead.flows.routing import desired_route

ROLLOUT = start("r1", "m", 2, 1, Plan("canary", (Step(0.05), Step(1.0)), ()), Baseline(None, (), ()), 0.0)
BUNDLES = {1: "one", 2: "two", 3: "three"}


def test_without_a_rollout_the_champion_has_everything() -> None:
    """One arm, one warm version."""
    route = desired_route(1, None, 0.0, BUNDLES)
    assert [(arm.name, arm.version, arm.share) for arm in route.arms] == [("champion", 1, 1.0)]
    assert route.bundles == {1: "one"}


def test_a_shadow_answers_unseen() -> None:
    """At no share of the traffic the candidate is warm and a shadow."""
    route = desired_route(1, ROLLOUT, 0.0, BUNDLES)
    assert route.shadows == (2,)
    assert len(route.arms) == 1
    assert set(route.bundles) == {1, 2}


def test_a_shadow_sees_the_share_that_its_plan_says() -> None:
    """All units where it says nothing."""
    plan = Plan("shadow", (Step(1.0),), (), ShadowPlan(0.0, 10, 0.25))
    assert desired_route(1, replace(ROLLOUT, plan=plan), 0.0, BUNDLES).shadowed == 0.25
    assert desired_route(1, ROLLOUT, 0.0, BUNDLES).shadowed == 1.0


def test_a_canary_has_its_share_and_the_champion_the_rest() -> None:
    """The shares sum to one, and the rollout's id salts the draw."""
    route = desired_route(1, ROLLOUT, 0.05, BUNDLES)
    assert [(arm.name, arm.version, arm.share) for arm in route.arms] == [("canary", 2, 0.05), ("champion", 1, 0.95)]
    assert route.salt == "r1"


def test_after_a_promotion_the_version_before_stays_warm() -> None:
    """Rolling back is a swap, not a load."""
    promoted = replace(ROLLOUT, phase=Phase.PROMOTED)
    assert desired_route(2, promoted, 1.0, BUNDLES).bundles == {1: "one", 2: "two"}


def test_after_a_rollback_the_bad_version_is_let_go() -> None:
    """No worker keeps it in memory."""
    rolled_back = replace(ROLLOUT, phase=Phase.ROLLED_BACK)
    route = desired_route(1, rolled_back, 0.0, BUNDLES)
    assert route.bundles == {1: "one"}
    assert route.shadows == ()


@pytest.mark.parametrize("champion", [1, 2])
@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
@pytest.mark.parametrize("phase", list(Phase))
def test_two_versions_are_warm_at_most(phase: Phase, share: float, champion: int) -> None:
    """Wherever a rollout stands: the champion, and the candidate or the predecessor. Memory is bounded by that."""
    route = desired_route(champion, replace(ROLLOUT, phase=phase), share, BUNDLES)
    assert champion in route.bundles
    assert set(route.bundles) <= {1, 2}


def test_the_plans_split_is_the_routes() -> None:
    """A canary in one region is a route that deals there alone; the champion alone deals nothing."""
    split = Split(feature="country", within=("NZ",))
    nearby = replace(ROLLOUT, plan=replace(ROLLOUT.plan, split=split))
    assert desired_route(1, nearby, 0.05, BUNDLES).split == split
    assert desired_route(1, nearby, 0.0, BUNDLES).split == Split()
