"""An A/B rollout of several arms through the controller: dealt, watched, ended one by one, replayed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec import Raw
from msgspec.structs import replace

from fairlead.core.arms import Among, ArmShare
from fairlead.core.bundle import PROFILE
from fairlead.core.event import (
    AliasMoved,
    DeployAsked,
    DeployRefused,
    OperatorAsked,
    RolloutStarted,
    StatusChanged,
    VersionRegistered,
)
from fairlead.core.record import Prediction
from fairlead.core.replay import fold, replay
from fairlead.core.rollout import Guardrail, Phase, Plan, Step
from fairlead.core.route import choose
from fairlead.flows.release import Release
from fairlead.ports import WorkerState
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.routes import MemoryBoard

GUARDRAILS = (
    Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True),
    Guardrail("prediction_psi < 0.25", "prediction_psi", 0.25),
)
AMONG = Among("hotel-ab-2", (ArmShare(2, 0.25), ArmShare(3, 0.25)))
FIRST = Plan("canary", (Step(1.0),), GUARDRAILS)


class World:
    """Version 1 is champion; 2 and 3 are tried beside it."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.journal = MemoryJournal()
        self.board = MemoryBoard()
        self.bundles = ScriptedBundles(folder / "bundles")
        self.log: list[Prediction] = []
        self.rng = np.random.default_rng(3)
        self.asked = 0
        text = msgspec.json.encode(profile((NumericColumn("__score__", np.linspace(0.0, 1.0, 1000)),))).decode()
        self.digests = []
        for number in (1, 2, 3):
            place = folder / f"new-{number}"
            self.digests.append(self.bundles.put(place, example(place, **{"note": str(number), PROFILE: text})))
        facts = [VersionRegistered("hotel", n + 1, digest, "july") for n, digest in enumerate(self.digests)]
        self.journal.append(facts, actor="ana", at=self.clock.now())
        self.release = self.controller()
        self.ask(DeployAsked("hotel", "hotel-1-1", 1, self.digests[0], FIRST))

    def controller(self) -> Release:
        """A controller that starts now, on what is there."""
        release = Release(self.journal, self.board, self.bundles, self.clock)
        release.observe(self.log)
        return release

    def ask(self, *facts: DeployAsked | OperatorAsked) -> None:
        """An operator's wish; the controller has two rounds for it."""
        self.journal.append(facts, actor="ana", at=self.clock.now())
        for _ in range(2):
            self.tick()

    def deploy(self, among: Among = AMONG) -> None:
        """Both challengers are asked for together."""
        asked = []
        for place, arm in enumerate(among.shares):
            plan = Plan("ab", (Step(arm.share),), GUARDRAILS, among=among)
            digest = self.digests[(arm.version - 1) % 3]
            asked.append(DeployAsked("hotel", f"hotel-{arm.version}-{2 + place}", arm.version, digest, plan))
        self.ask(*asked)

    def tick(self) -> None:
        """A second; the workers have the table."""
        self.clock.advance(1.0)
        now = self.clock.now()
        self.board.report(WorkerState(0, 1, self.board.current().generation, now, now))
        self.release.tick()

    def traffic(self, requests: int, fails: Iterable[int] = ()) -> None:
        """Requests that follow the table; each fourth of a version in `fails` is an error."""
        route = self.board.current().models["hotel"]
        records = []
        for _ in range(requests):
            self.asked += 1
            unit, now = f"u{self.asked}", self.clock.now()
            to = choose(route, unit)
            failed = to.version in fails and self.rng.random() < 0.25
            score = None if failed else float(self.rng.random())
            records.append(
                Prediction(
                    f"q{unit}",
                    "hotel",
                    to.version,
                    to.arm,
                    unit,
                    to.propensity,
                    now,
                    now,
                    Raw(b"{}"),
                    0,
                    score,
                    1.0,
                    status=500 if failed else 200,
                    rollout=to.rollout,
                )
            )
        self.log += records
        self.release.observe(records)
        self.tick()

    def arms(self) -> list[tuple[str, int, float]]:
        """What the published table deals."""
        return [(arm.name, arm.version, arm.share) for arm in self.board.current().models["hotel"].arms]

    def phases(self) -> dict[int, Phase]:
        """Where each version's rollout stands, by the journal."""
        return {one.version: one.phase for one in fold(self.journal.read(), "hotel").values()}

    def check_replays(self) -> None:
        """Every rollout replays byte for byte, and a controller that starts now wants the same table."""
        started = [entry.fact for entry in self.journal.read() if isinstance(entry.fact, RolloutStarted)]
        for fact in started:
            again = replay(self.journal.read(), fact.rollout)
            assert again.matches, again.first_difference
        before, entries = self.board.current(), self.journal.verify()
        self.release = self.controller()
        self.tick()
        assert (self.board.current(), self.journal.verify()) == (before, entries)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Both arms are dealt."""
    made = World(tmp_path)
    made.deploy()
    return made


def test_all_arms_start_together_and_are_held(world: World) -> None:
    """One draw deals the champion and both challengers, all warm; good traffic changes nothing, and each arm sees its
    own units and the champion's."""
    dealt = [("challenger-2", 2, 0.25), ("challenger-3", 3, 0.25), ("champion", 1, 0.5)]
    assert world.arms() == dealt
    assert set(world.board.current().models["hotel"].bundles) == {1, 2, 3}
    for _ in range(6):
        world.traffic(200)
    world.clock.advance(10.0)
    world.traffic(1)
    assert world.arms() == dealt
    runs = fold(world.journal.read(), "hotel")
    asked = [runs[f"hotel-{version}-{version}"].seen.requests for version in (2, 3)]
    assert asked[0]["champion"] == asked[1]["champion"]
    assert sum(one["canary"] for one in asked) + asked[0]["champion"] == world.asked
    world.check_replays()


def test_harm_ends_one_arm_and_the_other_goes_on(world: World) -> None:
    """The bad arm's traffic goes back to the champion; nobody else moves, and who came back is no evidence."""
    for _ in range(12):
        world.traffic(200, fails=[2])
    assert world.arms() == [("returned-2", 1, 0.25), ("challenger-3", 3, 0.25), ("champion", 1, 0.5)]
    assert world.phases() == {1: Phase.PROMOTED, 2: Phase.ROLLED_BACK, 3: Phase.CANARY}
    assert set(world.board.current().models["hotel"].bundles) == {1, 3}
    before = fold(world.journal.read(), "hotel")["hotel-3-3"].seen.requests
    world.clock.advance(10.0)
    world.traffic(400)
    after = fold(world.journal.read(), "hotel")["hotel-3-3"].seen.requests
    assert sum(after.values()) - sum(before.values()) < 400
    world.check_replays()


def test_one_arm_is_promoted_and_the_others_end(world: World) -> None:
    """In one transaction: the new champion has all traffic, the other arm is rolled back with the reason; a rollback
    then goes to the champion before."""
    world.traffic(200)
    world.ask(OperatorAsked("hotel", "promote", "better margin", seen="hotel-3-3"))
    assert world.arms() == [("champion", 3, 1.0)]
    assert world.phases() == {1: Phase.PROMOTED, 2: Phase.ROLLED_BACK, 3: Phase.PROMOTED}
    reasons = [fact.reason for entry in world.journal.read() if isinstance(fact := entry.fact, OperatorAsked)]
    assert "version 3 was promoted" in reasons
    ends = [replay(world.journal.read(), f"hotel-{version}-{version}").decisions[-1].reason for version in (2, 3)]
    assert ends == [
        "the controller asked to abort: version 3 was promoted",
        "an operator asked to promote: better margin",
    ]
    status = {
        fact.version: fact.status for entry in world.journal.read() if isinstance(fact := entry.fact, StatusChanged)
    }
    assert status == {1: "archived", 2: "archived", 3: "production"}
    world.check_replays()
    world.ask(OperatorAsked("hotel", "rollback", "", seen="hotel-ab-2"))
    assert world.arms() == [("champion", 1, 1.0)]
    moved = [entry.fact for entry in world.journal.read() if isinstance(entry.fact, AliasMoved)]
    assert (moved[-1].alias, moved[-1].version) == ("champion", 1)
    world.check_replays()


def test_one_arm_or_all_are_aborted(world: World) -> None:
    """By the arm's id one ends; by the group's name all that are left, and the champion has everything."""
    world.traffic(100)
    world.ask(OperatorAsked("hotel", "abort", "", seen="hotel-2-2"))
    assert world.arms()[0] == ("returned-2", 1, 0.25)
    world.ask(OperatorAsked("hotel", "abort", "", seen="hotel-ab-2"))
    assert world.arms() == [("champion", 1, 1.0)]
    assert world.phases() == {1: Phase.PROMOTED, 2: Phase.ROLLED_BACK, 3: Phase.ROLLED_BACK}
    world.check_replays()


def test_a_promotion_must_name_its_arm(world: World) -> None:
    """Two run: the wish is refused with their names, and nothing moves."""
    world.ask(OperatorAsked("hotel", "promote", "", seen="hotel-ab-2"))
    refused = [fact.reason for entry in world.journal.read() if isinstance(fact := entry.fact, OperatorAsked)][-1]
    assert "name it, one of hotel@2, hotel@3" in refused
    assert len(world.arms()) == 3


def test_arms_pause_and_resume_together(world: World) -> None:
    """Held, they keep their traffic, and harm still ends one."""
    world.traffic(100)
    world.ask(OperatorAsked("hotel", "pause", "", seen="hotel-ab-2"))
    assert [world.phases()[version] for version in (2, 3)] == [Phase.HELD, Phase.HELD]
    assert len(world.arms()) == 3
    for _ in range(12):
        world.traffic(200, fails=[3])
    assert world.phases()[3] is Phase.ROLLED_BACK
    world.ask(OperatorAsked("hotel", "resume", "", seen="hotel-ab-2"))
    assert world.phases()[2] is Phase.CANARY
    world.check_replays()


def test_an_arm_that_cannot_start_stops_them_all(tmp_path: Path) -> None:
    """None is dealt, each is refused with the reason, and the queue goes on."""
    world = World(tmp_path)
    world.deploy(replace(AMONG, shares=(ArmShare(2, 0.25), ArmShare(1, 0.25))))
    refused = [fact for entry in world.journal.read() if isinstance(fact := entry.fact, DeployRefused)]
    assert [fact.version for fact in refused] == [2, 1]
    assert all("is the champion already" in fact.reason for fact in refused)
    assert world.arms() == [("champion", 1, 1.0)]


@pytest.mark.parametrize("lost", [1, 3, 10, 25])
def test_a_controller_that_starts_anew_goes_on(world: World, lost: int) -> None:
    """Whatever it had read: the arms, their evidence and the table are as they were, and nothing counts twice."""
    for turn in range(6):
        world.traffic(lost * 10)
        if turn == 3:
            world.release = world.controller()
    world.clock.advance(10.0)
    world.traffic(1)
    runs = fold(world.journal.read(), "hotel")
    counted = [runs[f"hotel-{version}-{version}"].seen.requests.get("canary", 0) for version in (2, 3)]
    assert sum(counted) + runs["hotel-2-2"].seen.requests["champion"] == world.asked
    world.check_replays()
