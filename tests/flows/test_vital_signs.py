"""What processes take and how they end is put down to the version in a rollout, where that can be done."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.flows.fleet import HELD, UNSEEN, Fleet

from fairlead.core.event import WorkerChanged
from fairlead.core.rollout import Phase
from fairlead.core.route import SHADOWER
from fairlead.flows.release import Release
from fairlead.flows.tally import Counts, Requests, Usage, new_timing
from fairlead.flows.vital_signs import VitalSigns

MIB = 2**20
SEGV, TERM = "pid 7 was ended by SIGSEGV after 3.2 s", "pid 7 was ended by SIGTERM after 3.2 s"


class Plant(Fleet):
    """A fleet whose processes write counters: `each` worker and the one that answers unseen."""

    def __init__(self, folder: Path) -> None:
        self.counts: dict[int, Counts] = {}
        super().__init__(folder)

    def controller(self) -> Release:
        """One that reads the counters."""
        signs = VitalSigns(lambda: list(self.counts.values()))
        release = Release(self.journal, self.board, self.bundles, self.clock, signs)
        release.observe(self.log)
        return release

    def run(self, seconds: int, grow: float = 0.0, versions: tuple[int, ...] = (1,), worker: int = 0) -> None:
        """A process answers 40 requests of each version a second, and takes `grow` MiB more each time."""
        known = self.counts.get(worker)
        for _ in range(seconds):
            answered = {one.model_version: one.count for one in known.requests} if known is not None else {}
            resident = known.usage.resident_bytes if known is not None and known.usage is not None else 200 * MIB
            for version in versions:
                answered[str(version)] = answered.get(str(version), 0) + 40
            known = self.counts[worker] = Counts(
                worker, 70 + worker, 1,
                [Requests("hotel", version, "champion", 200, count) for version, count in answered.items()],
                [], [], {}, 0, 0, [],
                usage=Usage(0.0, int(resident + grow * MIB), new_timing()),
            )  # fmt: skip
            self.tick(1.0)

    def dies(self, detail: str = SEGV, worker: int = 0, times: int = 1) -> None:
        """Processes end, a second apart."""
        for _ in range(times):
            self.add(WorkerChanged("", worker, "failed", detail), actor="supervisor")
            self.tick(1.0)


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Version 1 has served for an hour."""
    made = Plant(tmp_path)
    made.add(WorkerChanged("", 0, "started", "pid 7"), actor="supervisor")
    made.tick(3600.0)
    made.run(30)
    return made


def test_a_canary_that_makes_its_worker_grow_is_rolled_back(plant: Plant) -> None:
    """By itself, with what it took."""
    plant.deploy(2, HELD)
    plant.run(40, grow=4.0, versions=(1, 2))
    assert plant.is_back("r2")
    assert "version 2 of hotel: on worker 0 its memory grew by" in plant.ending("r2")[0].reason


def test_a_worker_that_grew_before_makes_nobody_guilty(plant: Plant) -> None:
    """The champion leaks."""
    plant.run(60, grow=4.0)
    plant.deploy(2, HELD)
    plant.run(60, grow=4.0, versions=(1, 2))
    assert plant.release.running("hotel") is not None


def test_a_worker_that_was_started_meanwhile_is_not_compared(plant: Plant) -> None:
    """A restart by hand: what it takes while it warms up is nobody's doing."""
    plant.deploy(2, HELD)
    plant.dies(TERM)
    plant.counts.clear()
    plant.run(60, grow=4.0, versions=(1, 2), worker=1)
    assert plant.release.running("hotel") is not None


def test_a_shadow_that_makes_its_process_grow_is_rolled_back(plant: Plant) -> None:
    """Nobody else answers in it, so nothing need be known of before."""
    plant.deploy(2, UNSEEN)
    plant.run(40, grow=4.0, versions=(2,), worker=SHADOWER)
    decision, actor = plant.ending("r2")
    assert (decision.before, decision.after, actor) == (Phase.SHADOW, Phase.ROLLED_BACK, "controller")
    assert "on the process that answers unseen its memory grew by" in decision.reason


def test_workers_that_die_of_a_fault_take_the_version_back(plant: Plant) -> None:
    """Three in some seconds, none in the hour before."""
    plant.deploy(2, HELD)
    plant.dies(times=2)
    assert plant.release.running("hotel") is not None
    plant.dies()
    plant.tick(1.0)
    assert plant.is_back("r2")
    assert "3 worker processes died of a fault in the" in plant.ending("r2")[0].reason


@pytest.mark.parametrize("detail", [TERM, "pid 7 was ended by SIGKILL after 3.2 s", "pid 7 left with 0 after 3.2 s"])
def test_workers_that_an_operator_restarts_do_not(plant: Plant, detail: str) -> None:
    """However often."""
    plant.deploy(2, HELD)
    plant.dies(detail, times=10)
    assert plant.release.running("hotel") is not None


def test_workers_that_died_before_as_often_do_not(plant: Plant) -> None:
    """Whoever began then is not the cause."""
    for _ in range(20):
        plant.dies()
        plant.tick(120.0)
    plant.deploy(2, HELD)
    for _ in range(5):
        plant.dies()
        plant.tick(120.0)
    assert plant.release.running("hotel") is not None


def test_deaths_after_a_promotion_take_it_back_too(plant: Plant) -> None:
    """To the version before."""
    plant.promote(2)
    plant.dies(times=3)
    plant.tick(1.0)
    assert plant.champion == 1
    assert plant.is_back("r2")


def test_a_shadows_process_that_dies_takes_the_shadow_back_and_no_canary(plant: Plant) -> None:
    """A canary is not in it."""
    plant.deploy(2, UNSEEN)
    plant.dies(worker=SHADOWER, times=4)
    assert plant.is_back("r2")
    plant.deploy(3, HELD)
    plant.dies(worker=SHADOWER, times=4)
    assert plant.release.running("hotel") is not None


def test_what_is_known_of_deaths_outlives_the_controller(plant: Plant) -> None:
    """It is in the journal."""
    plant.deploy(2, HELD)
    plant.dies(times=2)
    plant.release = plant.controller()
    plant.dies()
    plant.tick(1.0)
    assert plant.is_back("r2")


def test_two_rollouts_at_once_leave_open_whose_memory_it_is(plant: Plant) -> None:
    """Neither is blamed."""
    other = plant.release._model("motel")
    plant.deploy(2, HELD)
    other.tracks = plant.release._model("hotel").tracks
    plant.run(40, grow=4.0, versions=(1, 2))
    assert plant.release.running("hotel") is not None
