"""A worker follows the route board."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.flows.follow import Follower
from fairlead.flows.serve import NotReady, Serving
from fairlead.flows.tally import Tally
from fairlead.ports.predictor import Predictor
from fairlead.ports.routes import WorkerState
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.clock import ManualClock
from fairlead.testing.log import MemoryLog
from fairlead.testing.predictor import FixedPredictor
from fairlead.testing.routes import MemoryBoard


class Store(ScriptedBundles):
    """Bundles that may hang while they load."""

    hanging: dict[str, threading.Event] = {}  # noqa: RUF012 - replaced by each test's own

    def load(self, digest: str, *, original: bool = False) -> Predictor:
        """Waits for its event first."""
        if digest in self.hanging:
            assert self.hanging[digest].wait(10)
        return super().load(digest, original=original)


class Bench:
    """A follower and everything around it."""

    def __init__(self, folder: Path) -> None:
        self.board = MemoryBoard()
        self.store = Store(folder / "bundles", FixedPredictor(0.5, 0.5))
        self.store.hanging = {}
        self.clock = ManualClock()
        self.serving = Serving(MemoryLog(), self.clock, Tally())
        self.swaps = 0
        self.follower = Follower(self.board, self.store, self.serving, (4, 99), self.swapped)
        golden = json.dumps({"rows": [], "outputs": []})
        self.digests = {
            number: self.store.put(
                folder / str(number), example(folder / str(number), f"v{number}", **{"golden.json": golden})
            )
            for number in (1, 2, 3)
        }

    def swapped(self) -> None:
        """Counts."""
        self.swaps += 1

    def publish(self, generation: int, number: int, *warm_too: int) -> None:
        """A table with that champion."""
        self.publish_all(generation, hotel=(number, *warm_too))

    def publish_all(self, generation: int, **models: tuple[int, ...]) -> None:
        """A table of several models: each one's champion, and what is kept warm with it."""
        routes = {}
        for name, numbers in models.items():
            bundles = {version: self.digests.get(version, "f" * 64) for version in numbers}
            routes[name] = ModelRoute((Arm("champion", numbers[0], 1.0),), bundles)
        self.board.publish(RouteTable(generation, routes))

    def champions(self) -> dict[str, int]:
        """The version that answers for each model."""
        models = self.serving.live.models if self.serving.live else {}
        return {name: model.route.arms[-1].version for name, model in models.items()}

    def state(self) -> WorkerState:
        """What the worker said last."""
        (state,) = self.board.workers()
        return state

    def generation(self) -> int:
        """What is served."""
        return self.serving.live.generation if self.serving.live else -1

    async def until(self, condition: Callable[[], Any]) -> None:
        """Looks at the board until a condition holds."""
        async with asyncio.timeout(60):
            while not condition():
                self.follower.look()
                await asyncio.sleep(0.001)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A worker that has seen nothing yet."""
    return Bench(tmp_path)


def test_it_serves_what_is_published_and_says_so(bench: Bench) -> None:
    """An empty board too; each swap is reported with its instant."""

    async def run() -> None:
        await bench.until(lambda: bench.generation() == 0)
        bench.publish(1, 1)
        await bench.until(lambda: bench.generation() == 1)
        bench.publish(2, 1, 2)
        bench.clock.advance(5.0)
        await bench.until(lambda: bench.generation() == 2)
        state = bench.state()
        assert (state.worker, state.pid, state.generation, state.error) == (4, 99, 2, "")
        assert (state.versions, state.applied_at) == ({"hotel": [1, 2]}, bench.clock.now())
        assert bench.swaps == 3

    asyncio.run(run())


def test_a_board_that_cannot_be_read_changes_nothing(bench: Bench) -> None:
    """What was served is served on; when the board is back it is followed again."""

    async def run() -> None:
        bench.publish(1, 1)
        await bench.until(lambda: bench.generation() == 1)
        bench.board.broken = True
        bench.follower.look()
        bench.follower.report()
        assert bench.generation() == 1
        bench.board.broken = False
        bench.publish(2, 2)
        await bench.until(lambda: bench.generation() == 2)

    asyncio.run(run())


def test_a_version_that_cannot_be_loaded_is_tried_again(bench: Bench) -> None:
    """What was served is served on under the new generation, and the report says why; a second later it is tried
    again; a newer table is taken at once."""

    async def run() -> None:
        bench.publish(1, 1)
        await bench.until(lambda: bench.generation() == 1)
        bench.publish(2, 8)
        await bench.until(lambda: bench.state().error)
        assert (bench.state().generation, bench.champions(), bench.state().versions) == (
            2,
            {"hotel": 1},
            {"hotel": [1]},
        )
        assert bench.state().errors["hotel"].startswith("version 8: ")
        assert bench.state().errors["hotel"] in bench.state().error
        bench.follower.look()
        assert not bench.follower._loading
        bench.clock.advance(2.0)
        bench.follower.look()
        assert bench.follower._loading
        bench.publish(3, 3)
        await bench.until(lambda: bench.generation() == 3)
        assert (bench.state().error, bench.state().errors) == ("", {})

    asyncio.run(run())


def test_a_damaged_bundle_holds_up_no_other_model(bench: Bench) -> None:
    """A new worker serves the others; their rollbacks are served; the damaged one is not ready until it is mended."""

    async def run() -> None:
        model = bench.store.path(bench.digests[2]) / "model/model.skops"
        whole = model.read_text()
        model.write_text("damaged")
        bench.publish_all(5, hotel=(1, 3), churn=(2,))
        await bench.until(lambda: bench.generation() == 5)
        assert bench.champions() == {"hotel": 1}
        assert list(bench.state().errors) == ["churn"]
        assert "version 2: model/model.skops is not what was registered" in bench.state().error
        with pytest.raises(NotReady, match="'churn' is not loaded here"):
            bench.serving.model("churn")
        bench.publish_all(6, hotel=(3, 1), churn=(2,))
        await bench.until(lambda: bench.generation() == 6)
        assert bench.champions() == {"hotel": 3}
        model.write_text(whole)
        bench.clock.advance(2.0)
        await bench.until(lambda: not bench.state().errors)
        assert (bench.champions(), bench.generation()) == ({"hotel": 3, "churn": 2}, 6)

    asyncio.run(run())


def test_a_rollback_does_not_wait_for_a_load_that_hangs(bench: Bench) -> None:
    """The newer table is served while the older still loads; when that is done it changes nothing."""

    async def run() -> None:
        bench.publish(1, 1)
        await bench.until(lambda: bench.generation() == 1)
        hang = bench.store.hanging[bench.digests[2]] = threading.Event()
        bench.publish(2, 2, 1)
        bench.follower.look()
        bench.publish(3, 1)
        await bench.until(lambda: bench.generation() == 3)
        hang.set()
        await bench.until(lambda: not bench.follower._loading)
        assert bench.generation() == 3
        assert bench.state().error == ""

    asyncio.run(run())


def test_a_rollback_does_not_wait_for_another_models_load(bench: Bench) -> None:
    """It is served at once. The generation is reported when the other is loaded, or known to be late; a load that
    hangs is begun once, and served when it is done after all."""

    async def run() -> None:
        bench.publish_all(1, hotel=(1, 3), churn=(1,))
        await bench.until(lambda: bench.generation() == 1)
        hang = bench.store.hanging[bench.digests[2]] = threading.Event()
        bench.publish_all(2, hotel=(1, 3), churn=(2, 1))
        bench.follower.look()
        bench.publish_all(3, hotel=(3, 1), churn=(2, 1))
        bench.follower.look()
        assert (bench.champions(), bench.generation()) == ({"hotel": 3, "churn": 1}, 1)
        assert (bench.state().errors, len(bench.follower._loading)) == ({}, 1)
        bench.clock.advance(31.0)
        bench.follower.look()
        assert (bench.state().generation, list(bench.state().errors)) == (3, ["churn"])
        assert "still being loaded" in bench.state().error
        hang.set()
        await bench.until(lambda: not bench.state().errors)
        assert (bench.champions(), bench.generation()) == ({"hotel": 3, "churn": 2}, 3)

    asyncio.run(run())


def test_running_reports_a_heartbeat(bench: Bench) -> None:
    """About once a second, by the clock."""

    async def run() -> None:
        task = asyncio.get_running_loop().create_task(bench.follower.run())
        beats: set[float] = set()
        async with asyncio.timeout(60):
            while len(beats) < 3:
                bench.clock.advance(0.7)
                await asyncio.sleep(0.03)
                beats |= {state.heartbeat_at for state in bench.board.workers()}
        task.cancel()

    asyncio.run(run())
