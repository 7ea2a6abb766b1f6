"""The controller's rounds: it decides on what the log says, survives what fails, and goes on where it was."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from fairlead.app.compose import open_context
from fairlead.app.controller import Controller
from fairlead.core.bundle import PROFILE
from fairlead.core.event import AnyFact, DeployAsked, VersionRegistered
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.rollout import Guardrail, Phase, Plan, Step
from fairlead.core.route import choose
from fairlead.errors import StateError
from fairlead.operations import rollouts
from fairlead.operations.context import Context
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.log import MemoryLog, make_prediction
from fairlead.testing.registry import MemoryRegistry

GUARDRAILS = (
    Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True),
    Guardrail("prediction_psi < 0.25", "prediction_psi", 0.25),
)
CANARY = Plan("canary", (Step(0.2, 0.0, 100), Step(0.5, 0.0, 150), Step(1.0)), GUARDRAILS)
Wait = Callable[..., None]


class House:
    """A home with two versions, whose registry is in memory and whose log the test writes."""

    def __init__(self, home: Path) -> None:
        registry = MemoryRegistry()
        bundles = ScriptedBundles(home / "bundles")
        self.context = replace(open_context(home), bundles=bundles, open_registry=lambda: registry)
        self.writer = self.context.open_writer()
        self.rng = np.random.default_rng(5)
        self.asked = 0
        self.digests = []
        scores = NumericColumn("__score__", np.linspace(0.0, 1.0, 1000))
        self.profile = msgspec.json.encode(profile((scores,))).decode()
        for number in (1, 2):
            place = home / f"draft-{number}"
            manifest = example(place, **{"note": str(number), PROFILE: self.profile})
            self.digests.append(bundles.put(place, manifest))
            registry.register(manifest, self.digests[-1], place)
            fact = VersionRegistered("hotel", number, self.digests[-1], "july")
            self.context.journal.append([fact], actor="ana", at=time.time())

    def deploy(self, version: int) -> None:
        """Someone asks for a rollout."""
        asked = DeployAsked("hotel", f"r{version}", version, self.digests[version - 1], CANARY)
        self.context.journal.append([asked], actor="ana", at=time.time())

    def phase(self, rollout: str) -> Phase | None:
        """Where a rollout stands."""
        return next((view.phase for view in rollouts.rollouts(self.context) if view.id == rollout), None)

    def traffic(self, requests: int, collapsed: int | None = None) -> None:
        """Requests that follow the published table; the version `collapsed` gives scores near 0."""
        route = self.context.board.current().models["hotel"]
        records: list[Prediction] = []
        for _ in range(requests):
            self.asked += 1
            chosen = choose(route, f"u{self.asked}")
            score = float(self.rng.random() * (0.05 if chosen.version == collapsed else 1.0))
            records.append(
                make_prediction(
                    f"q{self.asked}",
                    model_version=chosen.version,
                    arm=chosen.arm,
                    unit_id=f"u{self.asked}",
                    propensity=chosen.propensity,
                    rollout=chosen.rollout,
                    timestamp=time.time(),
                    received_at=time.time(),
                    score=score,
                )
            )
        self.writer.predictions(records)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A home where nothing runs yet."""
    made = House(tmp_path / "home")
    yield made
    made.writer.close()


@pytest.fixture
def start() -> Iterator[Callable[[Context], Controller]]:
    """Starts controllers, and stops them."""
    started: list[Controller] = []

    def make(context: Context) -> Controller:
        controller = Controller(context, None, "")
        started.append(controller)
        controller.start()
        return controller

    yield make
    for controller in started:
        controller.stop()


Start = Callable[[Context], Controller]


def drive(house: House, rollout: str, wait_for: Wait, collapsed: int | None = None) -> None:
    """Traffic, until a rollout is over."""

    def over() -> bool:
        house.traffic(20, collapsed)
        return house.phase(rollout) in (Phase.PROMOTED, Phase.ROLLED_BACK)

    wait_for(over)


def seen(house: House) -> int:
    """The requests that the latest decision knows; none before the first."""
    decision = rollouts.rollout(house.context, "hotel").decision
    return sum(decision.requests.values()) if decision is not None else 0


def test_a_good_version_becomes_champion(house: House, start: Start, wait_for: Wait) -> None:
    """From the log alone; the registry follows, and the route is published."""
    start(house.context)
    house.deploy(1)
    wait_for(lambda: house.phase("r1") is Phase.PROMOTED)
    wait_for(lambda: "hotel" in house.context.board.current().models)
    house.deploy(2)
    drive(house, "r2", wait_for)
    assert house.phase("r2") is Phase.PROMOTED
    wait_for(lambda: house.context.board.current().models["hotel"].arms[-1].version == 2)
    wait_for(lambda: house.context.registry.versions("hotel")[1].aliases == ("champion",))
    assert house.context.registry.versions("hotel")[0].status == "archived"


def test_a_restart_in_the_middle_counts_nothing_twice(house: House, start: Start, wait_for: Wait) -> None:
    """Whichever controller decided, every decision replays byte for byte, and the canary's count is the log's."""
    first = start(house.context)
    house.deploy(1)
    wait_for(lambda: "hotel" in house.context.board.current().models)
    house.deploy(2)
    wait_for(lambda: house.phase("r2") is Phase.CANARY and len(house.context.board.current().models["hotel"].arms) == 2)
    house.traffic(60)
    first.stop()
    house.traffic(60)  # while nobody looks
    second = start(house.context)
    wait_for(lambda: seen(house) >= 100)
    second.stop()
    start(house.context)
    drive(house, "r2", wait_for)
    replayed = rollouts.replay(house.context, "r2")
    assert replayed.matches, replayed.first_difference
    assert replayed.final.phase is Phase.PROMOTED
    reader, canary = house.context.open_log(), 0
    while records := reader.poll()[0]:
        canary += sum(record.arm == "canary" for record in records)
    assert 250 <= replayed.final.seen.requests["canary"] <= canary


def test_a_bad_version_has_its_incident_and_postmortem(house: House, start: Start, wait_for: Wait) -> None:
    """The second thread writes up what the first has rolled back."""
    start(house.context)
    house.deploy(1)
    wait_for(lambda: "hotel" in house.context.board.current().models)
    house.deploy(2)
    wait_for(lambda: len(house.context.board.current().models["hotel"].arms) == 2)
    drive(house, "r2", wait_for, collapsed=2)
    view = rollouts.rollout(house.context, "hotel")
    assert view.phase is Phase.ROLLED_BACK
    assert view.decision is not None
    assert view.decision.guardrail == "prediction_psi < 0.25"
    wait_for(lambda: list(house.context.journal.read(kinds=["postmortem_written"])))
    (opened,) = house.context.journal.read(kinds=["incident_opened"])
    (page,) = (house.context.home / "incidents").glob("*.md")
    assert opened.fact.model == "hotel"
    assert "prediction_psi" in page.read_text()


def test_nothing_is_decided_before_the_log_was_read(house: House, start: Start, wait_for: Wait) -> None:
    """After a start the log is longer than a batch: the rollout waits until the champion's past is known."""
    old = [make_prediction(f"o{n}", unit_id=f"o{n}", score=n / 25_000) for n in range(25_000)]
    house.writer.predictions(old)
    made: list[Watched] = []

    class Watched:
        """A reader that notes how many rollouts there were at each of its readings. Each thread has one of its own."""

        def __init__(self) -> None:
            self.inner, self.begun = house.context.open_log(), list[int]()
            made.append(self)

        def poll(self, limit: int = 10_000) -> tuple[list[Prediction], list[OutcomeRecord]]:
            if len(self.begun) < 4:
                self.begun.append(len(list(house.context.journal.read(kinds=["rollout_started"]))))
            return self.inner.poll(limit)

    house.deploy(1)
    start(replace(house.context, open_log=Watched))
    wait_for(lambda: house.phase("r1") is Phase.PROMOTED)
    assert made[0].begun[:3] == [0, 0, 0]  # the first reader is that of the thread which decides


@pytest.mark.parametrize("error", [StateError("the disk is away"), ValueError("nobody thought of this")])
def test_a_round_that_fails_is_told_and_the_next_goes_on(
    house: House, start: Start, wait_for: Wait, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """A thread that died in silence would leave a bad version serving."""

    class Failing(MemoryLog):
        """Its first readings fail."""

        def __init__(self) -> None:
            super().__init__()
            self.failures = [error, error]  # for whichever thread reads

        def poll(self, limit: int = 10_000) -> tuple[list[Prediction], list[OutcomeRecord]]:
            with suppress(IndexError):
                raise self.failures.pop()
            return [], []

    house.deploy(1)
    with caplog.at_level(logging.ERROR, "fairlead.controller"):
        log = Failing()
        start(replace(house.context, open_log=lambda: log))
        wait_for(lambda: house.phase("r1") is Phase.PROMOTED)
    text = caplog.text
    assert str(error) in text
    assert log.failures == []


def test_one_models_broken_bundle_does_not_stop_the_others(house: House, start: Start, wait_for: Wait) -> None:
    """A version whose profile is gone cannot be rolled out; another model's rollout goes on all the same."""
    for name, parts in (("motel", {}), ("zoo", {PROFILE: house.profile})):  # the first one has no profile
        place = house.context.home / f"draft-{name}"
        digest = house.context.bundles.put(place, example(place, name=name, **parts))
        facts: list[AnyFact] = [
            VersionRegistered(name, 1, digest, "july"),
            DeployAsked(name, f"{name}-1", 1, digest, CANARY),
        ]
        house.context.journal.append(facts, actor="ana", at=time.time())
    start(house.context)
    wait_for(lambda: house.phase("zoo-1") is Phase.PROMOTED)


def test_the_process_leaves_with_its_parent(tmp_path: Path) -> None:
    """The other end of its standard input closes: it stops in order."""
    command = [sys.executable, "-m", "fairlead.app.controller", "--home", str(tmp_path / "home"), "--port", "0"]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
        try:
            process.wait(120)
        finally:
            if process.poll() is None:
                process.kill()
    assert process.returncode in (0, -15)
