"""A promoted version that should not serve, and whose plan does not take it back: people are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.flows.fleet import QUICK, Fleet

from fairlead.core.alarm import PROMOTION
from fairlead.core.event import Entry, OperatorAsked, PromotionDecided
from fairlead.core.verdict import Outcome
from fairlead.flows.after_alarm import KINDS, promotion_alarms


@pytest.fixture(params=[True, False], ids=["automatic", "asks"])
def fleet(request: pytest.FixtureRequest, tmp_path: Path) -> Fleet:
    """Version 2 was promoted, and fails."""
    made = Fleet(tmp_path)
    made.promote(2, replace(QUICK, automatic=request.param))
    for _ in range(20):
        made.traffic(100, seconds=10.0)
    for _ in range(12):
        if any(_regressed(entry) for entry in made.entries("promotion_decided")):
            return made
        made.traffic(100, seconds=10.0, failing=0.5)
    raise AssertionError("it was not found out")


def _regressed(entry: Entry) -> bool:
    return isinstance(entry.fact, PromotionDecided) and b'"regress"' in bytes(entry.fact.decision)


def alarm(fleet: Fleet) -> tuple[str, str, Outcome, bool]:
    """The model's one alarm of promotions."""
    (found,), settled = promotion_alarms(fleet.journal.read(kinds=KINDS), "hotel", fleet.clock.now())
    return found.alert, found.severity, found.verdict.outcome, settled


def test_people_are_told_where_nothing_goes_back_by_itself(fleet: Fleet) -> None:
    """After the controller has had its time; over once an operator has rolled back. What went back by itself is told as
    a rollback alone."""
    fleet.tick(6.0)
    if fleet.champion == 1:
        assert alarm(fleet)[2:] == (Outcome.HOLDS, True)
        return
    assert alarm(fleet) == (f"{PROMOTION}:r2", "high", Outcome.BREACHED, True)
    fleet.add(OperatorAsked("hotel", "rollback", "so be it"))
    fleet.tick()
    assert fleet.champion == 1
    assert alarm(fleet)[2:] == (Outcome.HOLDS, True)


def test_another_rollout_ends_it(fleet: Fleet) -> None:
    """Nobody can go back over it."""
    fleet.tick(6.0)
    fleet.deploy(3, QUICK)
    assert alarm(fleet)[2:] == (Outcome.HOLDS, True)
