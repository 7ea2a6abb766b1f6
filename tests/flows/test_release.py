"""release: a version earns its traffic by evidence, or loses it at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest
from msgspec import Raw

from fairlead.adapters.route_file import RouteFile
from fairlead.core.bundle import PROFILE
from fairlead.core.event import (
    AliasMoved,
    AnyFact,
    DeployAsked,
    DeployRefused,
    Entry,
    OperatorAsked,
    RolloutDecided,
    RouteApplied,
    StatusChanged,
    VersionRegistered,
)
from fairlead.core.exploring import Draws
from fairlead.core.record import Prediction
from fairlead.core.replay import replay
from fairlead.core.rollout import Decision, Guardrail, Phase, Plan, ShadowPlan, Step
from fairlead.core.route import RouteTable, choose
from fairlead.core.standing import Standing
from fairlead.errors import JournalBroken, StateError
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

        release = Release(self.journal, self.board, self.bundles, self.clock)
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

    def traffic(
        self, requests: int, bad: Iterable[int] = (), fails: Iterable[int] = (), *, quiet: bool = False
    ) -> None:
        """Requests that follow the table. Versions in `bad` give collapsed scores; those in `fails`, errors. With
        `quiet` a tick may fail, as one of a controller may."""
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
        with suppress(StateError) if quiet else nullcontext():
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
            rollout=self.board.current().models["hotel"].salt,
        )  # fmt: skip

    def champion(self) -> int:
        """What the published table sends most units to."""
        return self.board.current().models["hotel"].arms[-1].version

    def last(self) -> Decision:
        """The last decision in the journal."""
        decided = [entry.fact for entry in self.journal.read(kinds=["rollout_decided"])]
        assert isinstance(decided[-1], RolloutDecided)
        return msgspec.json.decode(decided[-1].decision, type=Decision)


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
        world.board.report(WorkerState(0, 1, before, now, now, errors={"hotel": "version 2: model.onnx was changed"}))
        world.release.tick()
    assert world.release.running("hotel") is None
    assert "worker 0 cannot serve hotel as routed: version 2: model.onnx was changed" in world.last().reason
    assert world.champion() == 1


def test_the_swap_is_timed_to_the_last_worker(world: World) -> None:
    """The journal says how long it took from the decision until every living worker had the route."""
    applied = [entry.fact for entry in world.journal.read() if isinstance(entry.fact, RouteApplied)]
    assert [(fact.generation, fact.workers) for fact in applied] == [(1, 1)]
    assert 0.0 <= applied[0].seconds < 1.0


class FullDisk(RouteFile):
    """A board whose next publish fails."""

    fails = 0

    def publish(self, table: RouteTable) -> None:
        """Fails as often as it was told to."""
        if self.fails:
            self.fails -= 1
            raise StateError("no space left on the device")
        super().publish(table)


class BusyJournal(MemoryJournal):
    """A journal that cannot be written while it is busy, nor read where that is `unreadable`."""

    busy = unreadable = False

    def read(self, after: int = 0, *, model: str | None = None, kinds: Sequence[str] = ()) -> Iterator[Entry]:
        """Fails while busy and unreadable."""
        if self.busy and self.unreadable:
            raise StateError("the database is locked")
        return super().read(after, model=model, kinds=kinds)

    def append(
        self, facts: Sequence[AnyFact], *, actor: str, at: float, expected: Standing | None = None
    ) -> tuple[Entry, ...]:
        """Fails while busy."""
        if self.busy:
            raise StateError("the database is locked")
        return super().append(facts, actor=actor, at=at, expected=expected)


def shares(world: World) -> list[float]:
    """What the canaries of the published table hold."""
    return [arm.share for arm in world.board.current().models["hotel"].arms if arm.name == "canary"]


def test_a_route_that_could_not_be_published_is_published_later(world: World, tmp_path: Path) -> None:
    """A full disk in the moment of a rollback delays it by a tick; it is never forgotten."""
    world.deploy(2, CANARY)
    board = FullDisk(tmp_path / "routes")
    world.board = board
    world.release = world.controller()
    for _ in range(100):
        board.fails = 3
        world.traffic(50, bad={2}, quiet=True)
        if world.release.running("hotel") is None:
            break
    board.fails = 0
    world.tick()
    assert world.release.running("hotel") is None
    assert shares(world) == []


@pytest.mark.parametrize("unreadable", [False, True])
def test_a_rollback_does_not_wait_for_the_journal(world: World, unreadable: bool) -> None:
    """While the journal is locked by another program, for writing or altogether, the bad version already has no
    traffic; the facts follow."""
    journal = BusyJournal()
    journal.unreadable = unreadable
    for entry in world.journal.read():
        journal.append([entry.fact], actor=entry.actor, at=entry.at)
    world.journal = journal
    world.release = world.controller()
    world.deploy(2, CANARY)
    for _ in range(4):
        world.traffic(50)
    assert shares(world) == [0.1]
    journal.busy = True
    for _ in range(30):
        with suppress(StateError):  # which the controller logs
            world.traffic(50, bad={2})
    assert shares(world) == []
    assert world.release.running("hotel") is not None
    journal.busy = False
    world.tick()
    world.tick()
    assert world.release.running("hotel") is None
    assert shares(world) == []
    assert replay(world.journal.read(), "r2").matches


def test_a_table_that_is_gone_is_made_anew_above_what_workers_have(world: World, tmp_path: Path) -> None:
    """The folder of the routes is moved away: workers that run generation 7 would never take a generation 1."""
    world.deploy(2, CANARY)
    for _ in range(4):
        world.traffic(50)
    before = world.board.current()
    world.board = RouteFile(tmp_path / "another place")
    world.release = world.controller()
    world.tick()
    again = world.board.current()
    assert (again.models, again.generation > before.generation) == (before.models, True)


def test_another_models_trouble_delays_nothing(world: World) -> None:
    """A deploy whose bundle is gone leaves the queue; a failing canary elsewhere is rolled back meanwhile."""
    world.deploy(2, CANARY)
    lost: list[AnyFact] = [
        VersionRegistered("churn", 1, "f" * 64, "may"),
        DeployAsked("churn", "c1", 1, "f" * 64, CANARY),
    ]
    world.journal.append(lost, actor="ben", at=world.clock.now())
    for _ in range(30):
        world.traffic(50, bad={2})
    assert shares(world) == []
    refused = [entry.fact for entry in world.journal.read(kinds=["deploy_refused"])]
    assert [fact.rollout for fact in refused if isinstance(fact, DeployRefused)] == ["c1"]


def test_an_entry_that_cannot_be_read_stops_nothing(world: World) -> None:
    """A rollback of one model does not need every line of the journal."""
    world.deploy(2, CANARY)

    class Torn(MemoryJournal):
        """Entry 4 of the journal cannot be decoded."""

        def read(self, after: int = 0, *, model: str | None = None, kinds: Sequence[str] = ()) -> Iterator[Entry]:
            """Raises at entry 4."""
            for entry in world.journal.read(after, model=model, kinds=kinds):
                if entry.seq == 4 and not kinds:
                    raise JournalBroken("entry 4 cannot be read")
                yield entry

        def append(
            self, facts: Sequence[AnyFact], *, actor: str, at: float, expected: Standing | None = None
        ) -> tuple[Entry, ...]:
            """Writes to the real one."""
            return world.journal.append(facts, actor=actor, at=at, expected=expected)

    world.release = Release(Torn(), world.board, world.bundles, world.clock)
    for _ in range(30):
        world.traffic(50, bad={2})
    assert shares(world) == []


def test_a_plan_that_cannot_start_is_refused_before_it_is_written(world: World) -> None:
    """The journal is for ever: a rollout without steps never gets into it, and the next deploy is not held up."""
    world.deploy(2, Plan("canary", (), GUARDRAILS))
    assert not list(world.journal.read(kinds=["rollout_started"]))[1:]
    world.deploy(3, CANARY)
    running = world.release.running("hotel")
    assert running is not None
    assert running.version == 3
    assert world.controller().running("hotel") is not None


def test_the_champion_is_not_rolled_out_against_itself(world: World) -> None:
    """There would be nothing to compare, and an abort would archive what serves."""
    world.deploy(1, CANARY)
    assert world.release.running("hotel") is None
    assert [entry.fact.reason for entry in world.journal.read() if isinstance(entry.fact, DeployRefused)] == [
        "version 1 of hotel is the champion already"
    ]


def test_a_version_number_that_comes_again_serves_what_was_gated(world: World) -> None:
    """A registry that began to count anew cannot slip another bundle under a champion's number."""
    again = VersionRegistered("hotel", 1, world.digests[1], "someone else's")
    world.journal.append([again], actor="eve", at=world.clock.now())
    world.tick()
    assert world.board.current().models["hotel"].bundles == {1: world.digests[0]}
    assert world.controller().champion("hotel") == 1


def test_a_verb_means_the_rollout_that_was_seen(world: World) -> None:
    """A promote that was typed for a rollout which ended meanwhile does not promote the next one unproven."""
    world.deploy(2, CANARY)
    world.deploy(3, CANARY)
    typed = OperatorAsked("hotel", "promote", seen="r2")
    world.journal.append([OperatorAsked("hotel", "abort", seen="r2")], actor="ana", at=world.clock.now())
    world.tick()
    world.tick()
    world.journal.append([typed], actor="ana", at=world.clock.now())
    world.tick()
    running = world.release.running("hotel")
    assert running is not None
    assert (running.id, world.champion()) == ("r3", 1)


def test_decisions_are_drawn_while_nothing_is_tried(world: World) -> None:
    """As the settings of a start say: published at once, not while a canary is dealt, again after it, and not any more
    once a controller starts without it."""
    draws = Draws(0.01, 0.3, 0.7)

    def drawn() -> object:
        return world.board.current().models["hotel"].draws

    assert drawn() is msgspec.UNSET
    world.release = Release(
        world.journal, world.board, world.bundles, world.clock, draws={"hotel": draws, "bank": draws}
    )
    world.tick()
    assert drawn() == draws
    world.deploy(2, CANARY)
    assert drawn() is msgspec.UNSET
    while len(world.board.current().models["hotel"].arms) > 1:
        world.traffic(60)
    world.tick()
    assert (drawn(), world.champion()) == (draws, 2)
    world.release = world.controller()
    world.tick()
    assert drawn() is msgspec.UNSET
