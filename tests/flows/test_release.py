"""release: a version earns its traffic by evidence, or loses it at once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec import Raw

from fairlead.adapters.route_file import RouteFile
from fairlead.core.bundle import PROFILE
from fairlead.core.event import AliasMoved, DeployAsked, OperatorAsked, RouteApplied, StatusChanged, VersionRegistered
from fairlead.core.record import Prediction
from fairlead.core.replay import replay
from fairlead.core.rollout import Decision, Guardrail, Phase, Plan, Rollout, ShadowPlan, Step
from fairlead.core.route import choose
from fairlead.flows.release import Release
from fairlead.ports import WorkerState
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal

GUARDRAILS = (
    Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True),
    Guardrail("prediction_psi < 0.25", "prediction_psi", 0.25),
)
CANARY = Plan("canary", (Step(0.1, 0.0, 50), Step(0.5, 0.0, 100), Step(1.0)), GUARDRAILS)
SHADOW = Plan("shadow", CANARY.steps, GUARDRAILS, ShadowPlan(0.0, 100))


class World:
    """A journal, a board and two versions with even scores; and the traffic that the board's table asks for."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.journal = MemoryJournal()
        self.board = RouteFile(folder / "routes")
        self.bundles = ScriptedBundles(folder / "bundles")
        self.decisions: list[tuple[Rollout, Decision]] = []
        self.log: list[Prediction] = []
        self.rng = np.random.default_rng(7)
        self.asked = 0
        self.digests = [self._bundle(folder, str(number)) for number in (1, 2, 3)]
        facts = [VersionRegistered("hotel", n + 1, digest, "july") for n, digest in enumerate(self.digests)]
        self.journal.append(facts, actor="ana", at=self.clock.now())
        self.release = self.controller()

    def _bundle(self, folder: Path, name: str) -> str:
        scores = NumericColumn("__score__", np.linspace(0.0, 1.0, 1000))
        table = profile((scores,))
        text = msgspec.json.encode(table).decode()
        place = folder / f"new-{name}"
        manifest = example(place, **{"note": name, PROFILE: text})
        return self.bundles.put(place, manifest)

    def controller(self) -> Release:
        """A controller that starts now, on what is there."""

        def heard(rollout: Rollout, decision: Decision) -> None:
            self.decisions.append((rollout, decision))

        release = Release(self.journal, self.board, self.bundles, self.clock, heard)
        release.observe(self.log)
        return release

    def deploy(self, version: int, plan: Plan) -> None:
        """An operator asks for a rollout."""
        asked = DeployAsked("hotel", f"r{version}", version, self.digests[version - 1], plan)
        self.journal.append([asked], actor="ana", at=self.clock.now())
        self.tick()

    def tick(self) -> None:
        """A tenth of a second; the workers have the table."""
        self.clock.advance(0.1)
        now = self.clock.now()
        self.board.report(WorkerState(0, 1, self.board.current().generation, now, now))
        self.release.tick()

    def traffic(self, requests: int, bad: Iterable[int] = (), fails: Iterable[int] = ()) -> None:
        """Requests that follow the table. Versions in `bad` give collapsed scores; those in `fails`, errors."""
        table = self.board.current().models["hotel"]
        records = []
        for _ in range(requests):
            self.asked += 1
            unit = f"u{self.asked}"
            route = choose(table, unit)
            records.append(self._record(unit, route.version, route.arm, route.propensity, bad, fails))
            records += [self._record(unit, v, "shadow", 1.0, bad, fails, route.version) for v in route.shadows]
        self.log += records
        self.release.observe(records)
        self.tick()

    def _record(
        self,
        unit: str,
        version: int,
        arm: str,
        propensity: float,
        bad: Iterable[int],
        fails: Iterable[int],
        shadow_of: int | None = None,
    ) -> Prediction:
        failed = version in fails
        score = None if failed else float(self.rng.random() * (0.05 if version in bad else 1.0))
        now = self.clock.now()
        return Prediction(
            f"q{unit}", "hotel", version, arm, unit, propensity, now, now, Raw(b"{}"),
            0, score, 1.0, status=500 if failed else 200, shadow_of=shadow_of,
        )  # fmt: skip

    def champion(self) -> int:
        """What the published table sends most units to."""
        return self.board.current().models["hotel"].arms[-1].version

    def last(self) -> Decision:
        """The last decision that moved something."""
        return self.decisions[-1][1]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Version 1 is champion."""
    made = World(tmp_path)
    made.deploy(1, CANARY)
    made.tick()
    return made


def test_the_first_version_has_nothing_to_be_compared_with(world: World) -> None:
    """It becomes champion at once, and the journal says so."""
    assert world.champion() == 1
    assert world.last().after is Phase.PROMOTED
    moved = [entry.fact for entry in world.journal.read() if isinstance(entry.fact, AliasMoved)]
    assert [(fact.alias, fact.version) for fact in moved] == [("champion", 1), ("challenger", None)]


def test_a_good_version_goes_from_shadow_to_champion(world: World) -> None:
    """Each step waits for its requests; the route follows; the version before is kept warm."""
    world.deploy(2, SHADOW)
    assert world.board.current().models["hotel"].shadows == (2,)
    shares = []
    for _ in range(40):
        world.traffic(60)
        arms = world.board.current().models["hotel"].arms
        shares.append(arms[0].share if arms[0].name == "canary" else 0.0)
    assert [share for share in dict.fromkeys(shares) if share] == [0.1, 0.5]
    assert world.champion() == 2
    assert set(world.board.current().models["hotel"].bundles) == {1, 2}
    statuses = {
        fact.version: fact.status for entry in world.journal.read() if isinstance(fact := entry.fact, StatusChanged)
    }
    assert statuses == {1: "archived", 2: "production"}


def test_collapsed_scores_are_rolled_back_on_a_small_share(world: World) -> None:
    """The guardrail is named, few requests were exposed, and the route is the champion's alone again."""
    world.deploy(2, CANARY)
    for _ in range(100):
        if world.last().after is Phase.ROLLED_BACK:
            break
        world.traffic(50, bad={2})
    assert world.last().guardrail == "prediction_psi < 0.25"
    assert world.last().requests["canary"] < 200
    assert world.champion() == 1
    assert len(world.board.current().models["hotel"].arms) == 1


def test_a_failing_version_is_rolled_back(world: World) -> None:
    """Errors that the champion does not have are evidence against the canary."""
    world.deploy(2, CANARY)
    for _ in range(20):
        world.traffic(50, fails={2})
    assert world.last().guardrail == "error_rate <= 1.25 * champion"
    assert world.champion() == 1


def test_a_controller_that_dies_goes_on_where_it_was(world: World) -> None:
    """After a restart in the middle nothing is counted twice, and every decision still replays byte for byte."""
    world.traffic(300)
    world.deploy(2, CANARY)
    for _ in range(12):
        world.traffic(40)
        world.release = world.controller()
        world.tick()
    for _ in range(60):
        world.traffic(40)
    assert world.champion() == 2
    replayed = replay(world.journal.read(), "r2")
    assert replayed.matches, replayed.first_difference
    canary = sum(record.arm == "canary" for record in world.log)
    assert replayed.final.seen.requests["canary"] <= canary


def test_one_rollout_at_a_time(world: World) -> None:
    """A second one waits until the first is over."""
    world.deploy(2, CANARY)
    world.deploy(3, CANARY)
    running = world.release.running("hotel")
    assert running is not None
    assert running.id == "r2"
    world.journal.append([OperatorAsked("hotel", "abort", "not today")], actor="ana", at=world.clock.now())
    world.tick()
    world.tick()
    running = world.release.running("hotel")
    assert running is not None
    assert running.id == "r3"


def test_an_operator_rolls_back_after_a_promotion(world: World) -> None:
    """Rollback is always allowed, and names who asked."""
    world.deploy(2, CANARY)
    for _ in range(40):
        world.traffic(60)
    assert world.champion() == 2
    world.journal.append([OperatorAsked("hotel", "rollback", "the phones ring")], actor="ana", at=world.clock.now())
    world.tick()
    assert world.champion() == 1
    decided = list(world.journal.read(kinds=["rollout_decided"]))
    assert decided[-1].actor == "ana"
    assert replay(world.journal.read(), "r2").matches


def test_what_makes_no_sense_is_refused_and_forgotten(world: World) -> None:
    """A refused request is answered in the journal and does not block the next."""
    world.journal.append([OperatorAsked("hotel", "resume")], actor="ana", at=world.clock.now())
    world.tick()
    world.tick()
    answers = [entry.fact for entry in world.journal.read(kinds=["operator_asked"])]
    assert [fact.rollout for fact in answers if isinstance(fact, OperatorAsked)] == [None, ""]
    world.deploy(2, CANARY)
    assert world.release.running("hotel") is not None


def test_a_version_that_a_worker_cannot_load_is_aborted(world: World) -> None:
    """Traffic that cannot reach a version proves nothing about it."""
    before = world.board.current().generation
    world.deploy(2, CANARY)
    for _ in range(80):
        world.clock.advance(0.1)
        now = world.clock.now()
        world.board.report(WorkerState(0, 1, before, now, now, error="model.onnx is not the one that was registered"))
        world.release.tick()
    assert world.release.running("hotel") is None
    assert "cannot serve version 2" in world.last().reason
    assert world.champion() == 1


def test_the_swap_is_timed_to_the_last_worker(world: World) -> None:
    """The journal says how long it took from the decision until every living worker had the route."""
    applied = [entry.fact for entry in world.journal.read() if isinstance(entry.fact, RouteApplied)]
    assert [(fact.generation, fact.workers) for fact in applied] == [(1, 1)]
    assert 0.0 <= applied[0].seconds < 1.0
