"""The cures that an incident knows, each from the fault to the filled postmortem, over real HTTP, without a hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fairlead.core.incident import Incident
from fairlead.operations.incidents import list_incidents, show_incident

World = Any  # see conftest
QUICK = "{approve: APPROVE, resolve_after: 4s, acknowledge: {high: 1h, medium: 1h, critical: 1h}}"
SHIFT = 2.8  # of the log odds: seven in eight become a yes, where half was one


def harmed(home: World, since: float) -> Incident | None:
    """The incident that a harmful window has opened since."""
    return next((one for one in list_incidents(home.context) if one.opened_at >= since and one.window), None)


def cured(home: World, fault: float, tell: Callable[..., None], what: str) -> Incident:
    """Waits from the fault until it is resolved; every step is looked at by whoever asked."""
    found = home.wait(lambda: harmed(home, fault))
    home.wait(lambda: home.state(found.id) == "resolved", 180)
    done = show_incident(home.context, found.id)
    tell(what, done, fault)
    return done


def adjusted(home: World, tell: Callable[..., None], action: str) -> tuple[Incident, str]:
    """A prior that moves, to the cure by this action; the incident and its postmortem."""
    with home.traffic(connections=8):
        home.wait(lambda: home.windows() >= 2)
    fault = home.next_window()
    with home.traffic(shift=SHIFT, connections=8):
        done = cured(home, fault, tell, action)
    assert [(one.action, one.automatic, one.failed) for one in done.actions] == [(action, True, False)], done.actions
    (taken,) = done.actions
    assert home.champions() == [1, 2]
    assert taken.version == 2
    rolled = [fact.rollout for fact in home.facts("rollout_started") if fact.version == 2]
    assert rolled == [taken.rollout], "through the gate, in a rollout like any other"
    (gated,) = [fact for fact in home.facts("gate_measured") if fact.version == 2]
    assert gated.passed
    return done, home.run("incident", "postmortem", done.id)


@pytest.mark.slow
def test_a_prior_that_moved_moves_the_threshold(world: Callable[..., World], tell: Callable[..., None]) -> None:
    """More positives at every score: the threshold falls within its approved band, as a version of its own."""
    home = world(QUICK.replace("APPROVE", "{threshold: {low: 0.02, high: 0.9}}"), trains=False, window=8)
    done, text = adjusted(home, tell, "threshold")
    assert done.triage is not None
    assert "within the approved band" in done.triage.reason
    manifest = home.context.bundles.manifest(home.context.registry.versions("stay")[-1].bundle)
    assert 0.02 <= manifest.threshold < 0.3
    assert manifest.recalibration is None
    assert "Version 2 serves on every worker" in text
    print(text)


@pytest.mark.slow
def test_scores_that_mean_something_else_are_recalibrated(
    world: Callable[..., World], tell: Callable[..., None]
) -> None:
    """The same where no band is approved: fitted on recent outcomes, tried on the newest, deployed as a version."""
    home = world(QUICK.replace("APPROVE", "{recalibrate: true}"), trains=False, window=8)
    done, text = adjusted(home, tell, "recalibrate")
    assert done.triage is not None
    assert "the scores no longer mean what they say" in done.triage.reason
    manifest = home.context.bundles.manifest(home.context.registry.versions("stay")[-1].bundle)
    assert manifest.recalibration is not None
    assert manifest.recalibration.intercept > 1.0
    assert manifest.threshold == 0.5
    assert "log loss" in text
    print(text)


@pytest.mark.slow
def test_harm_after_a_promotion_is_taken_back(world: Callable[..., World], tell: Callable[..., None]) -> None:
    """The new version makes no errors and answers the wrong way round: labels show it, and the version before is back
    by the incident's own action, not by a guardrail."""
    home = world(QUICK.replace("APPROVE", "{rollback: true}"), trains=False)
    with home.traffic():
        home.wait(lambda: home.windows() >= 2)
        fault = home.next_window()
        assert home.deploy_turned() == 2
        done = cured(home, fault, tell, "rollback")
    assert [(one.action, one.automatic, one.failed) for one in done.actions] == [("rollback", True, False)]
    assert done.triage is not None
    assert "after a promotion; version 1 answered well before" in done.triage.reason
    assert home.champions() == [1, 2, 1]
    asked = home.facts("operator_asked")
    assert {(one.verb, one.by) for one in asked} == {("rollback", "the controller")}, "asked for, and performed"
    text = home.run("incident", "postmortem", done.id)
    assert "Version 1 serves on every worker" in text
    print(text)
