"""Shadows: answered unseen, after the response."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import Raw
from numpy.typing import NDArray

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.decode import OutputReader, RowDecoder
from fairlead.core.pace import Pace
from fairlead.core.route import Arm, ModelRoute, Route
from fairlead.flows.serve import Arrival, Ask, Serving
from fairlead.flows.shadow import Shadows
from fairlead.flows.tally import Tally
from fairlead.flows.warm import LiveModel, LiveVersion
from fairlead.ports.predictor import Predictor
from fairlead.testing.clock import ManualClock
from fairlead.testing.log import MemoryLog, make_prediction
from fairlead.testing.predictor import FailingPredictor, FixedPredictor

ROUTE = Route(1, "champion", 1.0, (2,))


def version(number: int, predictor: Predictor, feature: str = "lead_time") -> LiveVersion:
    """A version in memory."""
    contract = Contract((Feature(feature, Kind.NUMBER),), Task.BINARY, "canceled", ("0", "1"))
    manifest = Manifest("hotel", contract, "onnx", "m", "m", {}, Lineage("d", "0", 1))
    return LiveVersion(number, str(number), manifest, RowDecoder(contract), OutputReader(contract), predictor)


def model(candidate: LiveVersion | None) -> LiveModel:
    """A champion, and a candidate in its shadow."""
    versions = {} if candidate is None else {2: candidate}
    return LiveModel("hotel", ModelRoute((Arm("champion", 1, 1.0),), {}, (2,)), versions)


async def settle(shadows: Shadows, log: MemoryLog, count: int) -> None:
    """Runs the queue until that many records are kept."""
    running = asyncio.get_running_loop().create_task(shadows.run())
    async with asyncio.timeout(10):
        while len(log.kept_predictions) < count:  # noqa: ASYNC110 - the log in memory tells nobody
            await asyncio.sleep(0.001)
    running.cancel()


def serving() -> tuple[Serving, MemoryLog]:
    """A worker's data plane over a log in memory."""
    log = MemoryLog()
    return Serving(log, ManualClock(), Tally()), log


def test_a_shadow_answers_the_served_request_again() -> None:
    """Same request, unit, features, event time and rollout; arm `shadow`, and the version whose answer was given."""

    async def run() -> None:
        data_plane, log = serving()
        shadows = Shadows(data_plane)
        served = [make_prediction(f"r{index}", unit_id=f"u{index}", timestamp=5.0, rollout="7") for index in range(40)]
        shadows.offer(model(version(2, FixedPredictor(0.3, 0.7))), served, [ROUTE] * 40)
        await settle(shadows, log, 40)
        assert [record.request_id for record in log.kept_predictions] == [record.request_id for record in served]
        record = log.kept_predictions[3]
        assert (record.arm, record.model_version, record.shadow_of, record.score) == ("shadow", 2, 1, 0.7)
        assert (record.unit_id, record.timestamp, bytes(record.features)) == ("u3", 5.0, b'{"lead_time":7}')
        assert record.rollout == "7"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("candidate", "status"),
    [
        (version(2, FailingPredictor(RuntimeError("broken"))), 500),
        (version(2, FixedPredictor(float("nan"), 0.5)), 500),
        (version(2, FixedPredictor(0.5, 0.5), feature="other"), 422),
    ],
)
def test_a_shadow_that_fails_is_evidence(candidate: LiveVersion, status: int) -> None:
    """500 where it fails; 422 where its own contract refuses what the champion took."""

    async def run() -> None:
        data_plane, log = serving()
        shadows = Shadows(data_plane)
        shadows.offer(model(candidate), [make_prediction("a")], [ROUTE])
        await settle(shadows, log, 1)
        (record,) = log.kept_predictions
        assert (record.status, record.prediction, record.error is not None) == (status, None, True)

    asyncio.run(run())


def test_rows_of_one_candidate_are_answered_together() -> None:
    """Where that pays; each has the record that it would have alone, in order, also beside one that is refused."""

    class Echo:
        """The probability is the row's own value."""

        calls: tuple[int, ...] = ()

        def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
            self.calls += (len(rows),)
            return np.array([[1.0 - row[0], row[0]] for row in rows])

    async def run() -> None:
        data_plane, log = serving()
        shadows, echo = Shadows(data_plane), Echo()
        pays = msgspec.structs.replace(version(2, echo), pace=Pace(1e-5, ((4, 1.1e-5), (16, 1.2e-5))))
        texts = [b'{"lead_time":0.%d}' % at for at in range(1, 8)]
        texts[2] = b'{"lead_time":"x"}'
        served = [make_prediction(f"r{at}", features=Raw(text)) for at, text in enumerate(texts)]
        shadows.offer(model(pays), served, [ROUTE] * 7)
        await settle(shadows, log, 7)
        assert echo.calls == (6,)
        assert [record.request_id for record in log.kept_predictions] == [f"r{at}" for at in range(7)]
        scores = [record.score for record in log.kept_predictions]
        assert scores == [0.1, 0.2, None, 0.4, 0.5, 0.6, 0.7]
        assert log.kept_predictions[2].status == 422

    asyncio.run(run())


class Stuck:
    """A candidate that hangs until it is released."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.begun = threading.Event()

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """Waits, then answers."""
        self.begun.set()
        assert self.release.wait(10)
        return np.full((len(rows), 2), 0.5)


def test_a_slow_shadow_costs_evidence_and_never_time() -> None:
    """The queue is bounded; what does not fit is dropped and counted, while the event loop goes on."""

    async def run() -> None:
        data_plane, log = serving()
        shadows, stuck = Shadows(data_plane, limit=10), Stuck()
        hotel = model(version(2, stuck))
        shadows.offer(hotel, [make_prediction(str(index)) for index in range(25)], [ROUTE] * 25)
        assert data_plane.tally.shadow_dropped["queue_full"] == 15
        stuck.release.set()
        await settle(shadows, log, 10)
        assert len(log.kept_predictions) == 10

    asyncio.run(run())


def test_a_shadow_that_hangs_delays_neither_the_served_nor_the_end() -> None:
    """While it hangs the model that is served answers, on the loop and in its lane; a worker that ends does not wait
    for it, and what it had not answered is no record."""

    async def run() -> None:
        data_plane, log = serving()
        shadows, stuck = Shadows(data_plane), Stuck()
        running = asyncio.get_running_loop().create_task(shadows.run())
        hotel = model(version(2, stuck))
        slow = msgspec.structs.replace(version(1, FixedPredictor(0.4, 0.6)), pace=Pace(0.005))
        shadows.offer(hotel, [make_prediction("shadowed")], [ROUTE])
        async with asyncio.timeout(10):
            while not stuck.begun.is_set():  # noqa: ASYNC110 - a thread tells nobody
                await asyncio.sleep(0.001)
            for served in (msgspec.structs.replace(slow, pace=Pace()), slow):
                champion = LiveModel("hotel", hotel.route, {1: served}, served.pace.is_quick)
                asks = [Ask("r", "u", 5.0, Raw(b'{"lead_time":7}'), "features")]
                await data_plane.answer_later(champion, asks, Arrival(5.0, 0.0), [ROUTE])
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert [(record.request_id, record.arm) for record in log.kept_predictions] == [("r", "champion")] * 2
        stuck.release.set()

    asyncio.run(run())


def test_slow_shadows_are_logged_soon() -> None:
    """The slower they are, the fewer are answered between two writes of the log; at least one."""
    data_plane, _ = serving()
    for seconds, expected in ((0.0, 64), (0.02, 5), (30.0, 1)):
        shadows = Shadows(data_plane)
        candidate = msgspec.structs.replace(version(2, FixedPredictor()), pace=Pace(seconds))
        shadows.offer(model(candidate), [make_prediction(str(index)) for index in range(100)], [ROUTE] * 100)
        assert len(shadows._turn()) == expected


def test_a_cold_shadow_and_a_full_log_are_counted() -> None:
    """Each reason by its name."""

    async def run() -> None:
        data_plane, log = serving()
        shadows = Shadows(data_plane)
        shadows.offer(model(None), [make_prediction("a")], [ROUTE])
        log.full = True
        shadows.offer(model(version(2, FixedPredictor(0.5, 0.5))), [make_prediction("b")], [ROUTE])
        running = asyncio.get_running_loop().create_task(shadows.run())
        async with asyncio.timeout(10):
            while not data_plane.tally.log_failures:  # noqa: ASYNC110 - a counter tells nobody
                await asyncio.sleep(0.001)
        running.cancel()
        assert data_plane.tally.shadow_dropped == {"queue_full": 0, "not_warm": 1, "log_failed": 1}

    asyncio.run(run())


def test_what_is_not_shadowed_is_not_queued() -> None:
    """A route without shadows costs nothing."""

    async def run() -> None:
        data_plane, log = serving()
        plain = Route(1, "champion", 1.0)
        record = make_prediction("a", features=Raw(b"{}"))
        Shadows(data_plane).offer(model(None), [record], [plain])
        assert sum(data_plane.tally.shadow_dropped.values()) == 0
        assert log.kept_predictions == []

    asyncio.run(run())
