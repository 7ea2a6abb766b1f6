"""Workers say that a version is unfit; the controller acts."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.flows.fleet import HELD, UNSEEN, Fleet

from fairlead.core.alarm import GOLDEN
from fairlead.core.event import GoldenTested, IncidentOpened, OperatorAsked
from fairlead.core.replay import replay
from fairlead.core.rollout import Phase
from fairlead.core.verdict import Outcome
from fairlead.flows.golden_alarm import KINDS, golden_alarms
from fairlead.flows.respond import Responder
from fairlead.flows.rolled_back import rolled_back
from fairlead.ports import WorkerState
from fairlead.testing.notifier import MemoryNotifier


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """Version 1 serves."""
    return Fleet(tmp_path)


def told(fleet: Fleet) -> list[GoldenTested]:
    """What the journal says of golden tests."""
    return [entry.fact for entry in fleet.entries("golden_tested") if isinstance(entry.fact, GoldenTested)]


@pytest.mark.parametrize("plan", [HELD, UNSEEN], ids=["canary", "shadow"])
def test_a_version_whose_golden_set_fails_on_one_worker_is_rolled_back_by_itself(fleet: Fleet, plan: object) -> None:
    """At the next look after the worker's word, as the controller; the reason names worker and row; it replays."""
    fleet.deploy(2, plan)  # type: ignore[arg-type]
    fleet.fails(2, 1)
    fleet.tick()
    fleet.tick()
    decision, actor = fleet.ending("r2")
    assert (decision.after, actor) == (Phase.ROLLED_BACK, "controller")
    said = "the controller asked to abort: version 2 of hotel fails its golden set on worker 1: golden row 3"
    assert decision.reason.startswith(said)
    assert set(fleet.board.current().models["hotel"].bundles) == {1}
    assert told(fleet) == [GoldenTested("hotel", 2, 1, holds=False, reason="golden row 3 is answered 0.2 differently")]
    assert replay(fleet.journal.read(), "r2").matches
    assert [back.version for back in rolled_back(fleet.journal.read())] == [2]


def test_the_incident_and_its_postmortem_come_by_themselves(fleet: Fleet) -> None:
    """One alert, one incident, one draft; told once."""
    fleet.deploy(2, HELD)
    fleet.fails(2)
    for _ in range(3):
        fleet.tick()
    drafts: list[str] = []

    def save(incident: str, _: str) -> str:
        drafts.append(incident)
        return incident

    pager = MemoryNotifier("pager")
    responder = Responder("hotel", fleet.journal, {pager: ["high"]}, fleet.clock, save)
    responder.on_rollbacks()
    responder.on_rollbacks()
    assert [notice.alert for notice in pager.sent] == ["rollout-rolled-back:r2"]
    assert set(drafts) == {"inc-hotel-r2"}
    (opened,) = [fact for entry in fleet.entries("incident_opened") if isinstance(fact := entry.fact, IncidentOpened)]
    assert (opened.category, opened.severity) == ("model", "high")


def test_a_promoted_version_goes_back_to_its_predecessor(fleet: Fleet) -> None:
    """Whose golden rows are answered as ever."""
    fleet.promote(2)
    fleet.fails(1, holds=True)
    fleet.fails(2, 0)
    fleet.tick()
    fleet.tick()
    assert fleet.champion == 1
    assert fleet.is_back("r2")


def test_a_version_that_has_served_for_long_does_not_go_back(fleet: Fleet) -> None:
    """Its time is over: people are told."""
    fleet.promote(2)
    fleet.tick(8 * 86_400.0)
    fleet.fails(2, 0)
    fleet.tick()
    fleet.tick()
    assert fleet.champion == 2


def test_nothing_goes_back_to_a_version_that_fails_too(fleet: Fleet) -> None:
    """Then something is wrong with the machine, and the version before would answer no better."""
    fleet.promote(2)
    fleet.fails(1, 1)
    fleet.fails(2, 0)
    fleet.tick()
    fleet.tick()
    assert fleet.champion == 2
    assert not fleet.entries("operator_asked")


def test_what_workers_say_is_journalled_when_it_changes(fleet: Fleet) -> None:
    """Failing, well again, failing: three facts, however often it is said; a new controller says nothing anew."""
    for holds in (True, False, True, False):
        fleet.fails(1, 0, holds=holds)
        for _ in range(5):
            fleet.tick()
        fleet.release = fleet.controller()
    assert [fact.holds for fact in told(fleet)] == [False, True, False]


def test_it_is_asked_for_once(fleet: Fleet) -> None:
    """Also by a controller that starts in between."""
    fleet.deploy(2, HELD)
    fleet.fails(2)
    for _ in range(5):
        fleet.tick()
        fleet.release = fleet.controller()
    asked = [fact for entry in fleet.entries("operator_asked") if isinstance(fact := entry.fact, OperatorAsked)]
    assert [(fact.verb, fact.seen) for fact in asked if fact.rollout is None] == [("abort", "r2")]


def test_a_worker_that_is_gone_says_nothing(fleet: Fleet) -> None:
    """Its last word is older than its silence."""
    fleet.deploy(2, HELD)
    fleet.fails(2, 0)
    gone, now = fleet.golden.pop(0), fleet.clock.now()
    fleet.board.report(WorkerState(0, 100, fleet.board.current().generation, now, now, golden=tuple(gone)))
    fleet.tick(6.0)
    assert fleet.release.running("hotel") is not None
    fleet.golden[0] = gone
    fleet.tick()
    fleet.tick()
    assert fleet.is_back("r2")


def alarm(fleet: Fleet) -> tuple[str, str, Outcome, bool]:
    """The model's one alarm of golden sets."""
    (found,), settled = golden_alarms(fleet.journal.read(model="hotel", kinds=KINDS), "hotel", fleet.clock.now())
    return found.alert, found.severity, found.verdict.outcome, settled


def test_a_champion_with_nothing_before_it_raises_an_alert_that_ends_with_the_failure(fleet: Fleet) -> None:
    """Critical, after the controller has had the time to act; over once every worker is well."""
    fleet.fails(1, 0, 1)
    fleet.tick()
    assert alarm(fleet) == (f"{GOLDEN}:1", "critical", Outcome.UNDECIDED, False)
    fleet.tick(6.0)
    assert alarm(fleet) == (f"{GOLDEN}:1", "critical", Outcome.BREACHED, True)
    fleet.fails(1, 0, holds=True)
    fleet.tick()
    assert alarm(fleet)[2] is Outcome.BREACHED
    fleet.fails(1, 1, holds=True)
    fleet.tick()
    assert alarm(fleet)[2:] == (Outcome.HOLDS, True)


def test_a_version_that_was_taken_back_raises_no_alert_of_its_own(fleet: Fleet) -> None:
    """The rollback's alert says it all."""
    fleet.promote(2)
    fleet.fails(2)
    fleet.tick()
    fleet.tick(6.0)
    assert fleet.champion == 1
    assert alarm(fleet)[2:] == (Outcome.HOLDS, True)
