"""A worker asks what it serves its golden rows again and again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.core.bundle import GOLDEN, Golden
from fairlead.core.route import Arm, ModelRoute
from fairlead.flows import golden
from fairlead.flows.golden import GoldenTests
from fairlead.flows.serve import Serving
from fairlead.flows.tally import Tally
from fairlead.flows.warm import Live, LiveModel, LiveVersion, load
from fairlead.ports.routes import GoldenState
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.clock import ManualClock
from fairlead.testing.log import MemoryLog

ROWS = 20


class Model:
    """Answers by the number of nights, until it is told to do otherwise."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.asked: list[int] = []
        self.shift = 0.0
        self.only_once = False
        self.fault: Exception | None = None
        self.seconds = 0.0
        self.gate = threading.Event()
        self.gate.set()

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """(n, 2) probabilities."""
        assert self.gate.wait(60)
        self.asked += [row[0] for row in rows]
        self.clock.advance(self.seconds)
        if self.fault is not None:
            raise self.fault
        shift, self.shift = self.shift, 0.0 if self.only_once else self.shift
        one = np.array([row[0] / 100 + shift for row in rows])
        return np.column_stack([1 - one, one])


class Bench:
    """A worker that serves version 1, with version 2 warm beside it."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.models = [Model(self.clock), Model(self.clock)]
        store = ScriptedBundles(folder / "bundles")
        rows = Golden(tuple({"nights": n} for n in range(ROWS)), tuple((1 - n / 100, n / 100) for n in range(ROWS)))
        self.versions = {}
        for number, model in enumerate(self.models, 1):
            place = folder / str(number)
            text = msgspec.json.encode(rows).decode()
            digest = store.put(place, example(place, f"v{number}", **{GOLDEN: text}))
            store.script(digest, model)
            self.versions[number] = load(number, digest, store)
            model.asked.clear()
        self.serving = Serving(MemoryLog(), self.clock, Tally())
        self.serve(self.versions)
        self.tests = GoldenTests(self.serving, store.path, self.clock)

    def serve(self, versions: dict[int, LiveVersion]) -> None:
        """The champion is version 1."""
        route = ModelRoute((Arm("champion", 1, 1.0),), {number: one.digest for number, one in versions.items()})
        self.serving.live = Live(1, {"hotel": LiveModel("hotel", route, versions)})

    def look(self) -> dict[int, GoldenState]:
        """What is seen, by version."""
        asyncio.run(self.tests.look())
        return {state.version: state for state in self.tests.states}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Both versions answer as they were registered."""
    return Bench(tmp_path)


def test_every_warm_version_is_asked_each_row(bench: Bench) -> None:
    """The champion and what is warm beside it; both hold."""
    assert {number: state.holds for number, state in bench.look().items()} == {1: True, 2: True}
    assert [sorted(model.asked) for model in bench.models] == [list(range(ROWS))] * 2


def test_a_version_that_answers_otherwise_is_told_with_the_row_and_the_difference(bench: Bench) -> None:
    """The other one is not."""
    bench.models[1].shift = 0.01
    states = bench.look()
    assert states[1].holds
    assert not states[2].holds
    assert states[2].reason == (
        "golden row 1 is answered 0.01 differently than when the version was registered (allowed: 1e-06)"
    )


@pytest.mark.parametrize("shift", [float("nan"), float("inf")])
def test_what_is_no_number_is_no_answer(bench: Bench, shift: float) -> None:
    """NaN and infinity differ from everything."""
    bench.models[0].shift = shift
    assert not bench.look()[1].holds


def test_a_version_that_raises_on_a_golden_row_is_told(bench: Bench) -> None:
    """It once answered that row."""
    bench.models[0].fault = ZeroDivisionError("no neighbour")
    assert bench.look()[1].reason == "golden row 1 is answered no more: ZeroDivisionError: no neighbour"


def test_one_wrong_answer_is_asked_for_again(bench: Bench) -> None:
    """What is right the second time is not told."""
    bench.models[0].shift, bench.models[0].only_once = 0.2, True
    assert bench.look()[1].holds


def test_it_recovers(bench: Bench) -> None:
    """The row that was wrong is the first that is asked again."""
    bench.models[0].shift = 0.2
    assert not bench.look()[1].holds
    bench.models[0].shift = 0.0
    assert bench.look()[1].holds


def test_a_slow_model_is_asked_part_of_its_rows_and_goes_on_there(bench: Bench) -> None:
    """A look takes a quarter of a second of it; four looks have asked each row."""
    bench.models[0].seconds = golden.MOST_SECONDS / 4
    counts = []
    for _ in range(4):
        bench.look()
        counts.append(len(bench.models[0].asked))
    assert counts == [5, 10, 15, 20]
    assert sorted(bench.models[0].asked) == list(range(ROWS))


def test_a_version_that_hangs_is_not_told_of_and_holds_nobody_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other is asked; the one that hangs is asked by one thread however many looks there are."""
    monkeypatch.setattr(golden, "PATIENCE_SECONDS", 0.01)
    bench.models[0].gate.clear()

    async def looks() -> None:
        for _ in range(3):
            await bench.tests.look()
            assert [state.version for state in bench.tests.states] == [2]
        bench.models[0].gate.set()
        monkeypatch.setattr(golden, "PATIENCE_SECONDS", 10.0)
        await bench.tests.look()

    asyncio.run(looks())
    assert [state.version for state in bench.tests.states] == [1, 2]
    assert len(bench.models[0].asked) == ROWS


def test_what_is_no_longer_warm_is_forgotten(bench: Bench) -> None:
    """Nobody is told of a version that is not loaded."""
    bench.models[1].shift = 0.2
    assert not bench.look()[2].holds
    bench.serve({1: bench.versions[1]})
    assert list(bench.look()) == [1]
