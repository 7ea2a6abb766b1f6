"""Shadows: what the log says was answered is answered again, unseen."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import Raw
from numpy.typing import NDArray

from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.decode import OutputReader, RowDecoder
from fairlead.core.fallback import ARM
from fairlead.core.pace import Pace
from fairlead.core.record import Prediction
from fairlead.core.route import SHADOWER, Arm, ModelRoute, RouteTable, place, unseen
from fairlead.flows.serve import Serving
from fairlead.flows.shadow import BEHIND_SECONDS, HUNG_SECONDS, SILENT_SECONDS, Bounds, Shadows, shadowing
from fairlead.flows.tally import DROPPED, Counts, Shadowed, Shadowing, Tally
from fairlead.flows.warm import Live, LiveModel, LiveVersion
from fairlead.ports.predictor import Predictor
from fairlead.testing.clock import ManualClock
from fairlead.testing.log import MemoryLog, make_prediction
from fairlead.testing.predictor import FailingPredictor, FixedPredictor

SOUND = FixedPredictor(0.3, 0.7)


def version(number: int, predictor: Predictor, feature: str = "lead_time") -> LiveVersion:
    """A version in memory."""
    contract = Contract((Feature(feature, Kind.NUMBER),), Task.BINARY, "canceled", ("0", "1"))
    manifest = Manifest("hotel", contract, "onnx", "m", "m", {}, Lineage("d", "0", 1))
    return LiveVersion(number, str(number), manifest, RowDecoder(contract), OutputReader(contract), predictor)


def routes(salt: str = "7", shadowed: float = 1.0, names: Sequence[str] = ("hotel",)) -> RouteTable:
    """Version 2 in the shadow of each model's champion."""
    route = ModelRoute((Arm("champion", 1, 1.0),), {1: "1", 2: "2"}, (2,), salt, shadowed=shadowed)
    return unseen(RouteTable(1, dict.fromkeys(names, route)))


def served(number: int, **said: Any) -> Prediction:
    """An answer that a champion gave in rollout 7."""
    clock = ManualClock()
    usual: dict[str, Any] = {"unit_id": f"u{number}", "rollout": "7", "received_at": clock.now()}
    return make_prediction(**{"request_id": f"r{number}", **usual, **said})


class Leaving:
    """A candidate that ends the process, or so it thinks."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """Leaves."""
        raise SystemExit(len(rows))


class Plane:
    """The shadows of models over a log in memory."""

    def __init__(self, table: RouteTable | None = None, *, bounds: Bounds | None = None, **loaded: Any) -> None:
        """`loaded`: the candidates that are warm, by model."""
        self.log, self.clock, self.tally = MemoryLog(), ManualClock(), Tally()
        self.serving = Serving(self.log, self.clock, self.tally)
        self.table = table or routes(names=list(loaded) or ["hotel"])
        self.told: list[Prediction] = []
        self.turns: list[int] = []  # how many of them came at a time
        self.shadows = Shadows(self.serving, bounds or Bounds(), self._tell)
        self.warm(**loaded)

    def _tell(self, records: Sequence[Prediction]) -> None:
        self.told += records
        self.turns.append(len(records))

    def warm(self, *, errors: dict[str, str] | None = None, **loaded: Any) -> None:
        """Loads candidates."""
        models = {
            f"{name}@2": LiveModel(f"{name}@2", self.table.models[f"{name}@2"], {2: one})
            for name, one in loaded.items()
        }
        self.serving.live = Live(1, models, errors or {})

    def offer(self, records: Sequence[Prediction]) -> None:
        """What was served."""
        self.shadows.offer(records, self.table)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Waits for what a thread does."""
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - a thread tells nobody
                await asyncio.sleep(0.001)

    async def kept(self, count: int) -> list[Prediction]:
        """Waits until that many records are in the log."""
        await self.until(lambda: len(self.log.kept_predictions) >= count)
        return self.log.kept_predictions

    @property
    def dropped(self) -> dict[str, int]:
        """Why what was not answered, and how often; without what never was."""
        return {reason: count for reason, count in self.tally.shadow_dropped.items() if count}


def in_loop(work: Callable[[], Awaitable[None]]) -> None:
    """Runs a test's coroutine."""

    async def run() -> None:
        await work()

    asyncio.run(run())


def test_a_shadow_answers_the_served_request_again() -> None:
    """Same request, unit, features, event time and rollout; arm `shadow`, and the version whose answer was given."""

    async def run() -> None:
        plane = Plane(hotel=version(2, SOUND))
        records = [served(index, timestamp=5.0) for index in range(40)]
        plane.offer(records)
        kept = await plane.kept(40)
        assert [record.request_id for record in kept] == [record.request_id for record in records]
        assert plane.told == kept
        record = kept[3]
        assert (record.arm, record.model_version, record.shadow_of, record.score) == ("shadow", 2, 1, 0.7)
        assert (record.unit_id, record.timestamp, bytes(record.features)) == ("u3", 5.0, b'{"lead_time":7}')
        assert (record.rollout, record.received_at) == ("7", records[3].received_at)
        (counted,) = plane.tally.snapshot(0, 0, 0, []).requests
        assert (counted.model_name, counted.arm, counted.code, counted.count) == ("hotel", "shadow", 200, 40)

    in_loop(run)


def test_only_what_a_caller_was_dealt_and_given_is_answered_again() -> None:
    """Not a failure, a stand-in's answer, a pinned one, another shadow's, another model's, another rollout's."""

    async def run() -> None:
        plane = Plane(hotel=version(2, SOUND))
        others: list[dict[str, Any]] = [{"arm": arm} for arm in (ARM, "pinned")]
        others += [{"status": 500}, {"arm": "shadow", "shadow_of": 1}, {"model_name": "price"}]
        others += [{"rollout": salt} for salt in ("6", "")]
        plane.offer([*(served(number, **said) for number, said in enumerate(others)), served(99)])
        assert [record.request_id for record in await plane.kept(1)] == ["r99"]
        assert plane.dropped == {}

    in_loop(run)


def test_a_share_of_the_units_is_answered_again() -> None:
    """About that share of them, each unit always or never."""

    async def run() -> None:
        plane = Plane(routes(shadowed=0.25), hotel=version(2, SOUND))
        for turn in range(2):
            plane.offer([served(index, request_id=f"{turn}-{index}") for index in range(2000)])
        dealt = sum(place("7/shadow", f"u{index}") < 0.25 for index in range(2000))
        await plane.kept(2 * dealt)
        units = [record.unit_id for record in plane.log.kept_predictions]
        assert 400 < len(set(units)) < 600
        assert len(units) == 2 * len(set(units))

    in_loop(run)


@pytest.mark.parametrize(
    ("candidate", "status"),
    [
        (version(2, FailingPredictor(RuntimeError("broken"))), 500),
        (version(2, Leaving()), 500),
        (version(2, FixedPredictor(float("nan"), 0.5)), 500),
        (version(2, FixedPredictor(0.5, 0.5), feature="other"), 422),
    ],
)
def test_a_shadow_that_fails_is_evidence(candidate: LiveVersion, status: int) -> None:
    """500 where it fails, in whatever way; 422 where its own contract refuses what the champion took."""

    async def run() -> None:
        plane = Plane(hotel=candidate)
        plane.offer([served(1)])
        (record,) = await plane.kept(1)
        assert (record.status, record.prediction, record.error is not None) == (status, None, True)

    in_loop(run)


def test_rows_of_one_candidate_are_answered_together() -> None:
    """Where that pays; each has the record that it would have alone, in order, also beside one that is refused."""

    class Echo:
        """The probability is the row's own value."""

        calls: tuple[int, ...] = ()

        def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
            self.calls += (len(rows),)
            return np.array([[1.0 - row[0], row[0]] for row in rows])

    async def run() -> None:
        echo = Echo()
        pays = msgspec.structs.replace(version(2, echo), pace=Pace(1e-5, ((4, 1.1e-5), (16, 1.2e-5))))
        plane = Plane(hotel=pays)
        texts = [b'{"lead_time":0.%d}' % at for at in range(1, 8)]
        texts[2] = b'{"lead_time":"x"}'
        plane.offer([served(at, features=Raw(text)) for at, text in enumerate(texts)])
        kept = await plane.kept(7)
        assert echo.calls == (6,)
        assert [record.request_id for record in kept] == [f"r{at}" for at in range(7)]
        assert [record.score for record in kept] == [0.1, 0.2, None, 0.4, 0.5, 0.6, 0.7]
        assert kept[2].status == 422

    in_loop(run)


class Stuck:
    """A candidate that hangs until it is released."""

    def __init__(self) -> None:
        self.release = threading.Event()
        self.begun = threading.Event()

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """Waits, then answers."""
        self.begun.set()
        assert self.release.wait(20)
        return np.full((len(rows), 2), 0.5)


@asynccontextmanager
async def hanging(bounds: Bounds | None = None, **others: Any) -> AsyncIterator[tuple[Plane, Stuck]]:
    """A plane whose hotel hangs on its first request; released at the end."""
    stuck = Stuck()
    plane = Plane(bounds=bounds, hotel=version(2, stuck), **others)
    try:
        plane.offer([served(0)])
        await plane.until(stuck.begun.is_set)
        yield plane, stuck
    finally:
        stuck.release.set()


@pytest.mark.parametrize(
    "bounds", [Bounds(records=10), Bounds(size=10 * len(b'{"lead_time":7}'))], ids=["records", "bytes"]
)
def test_what_waits_is_bounded(bounds: Bounds) -> None:
    """By number and by size; what does not fit is dropped and counted."""

    async def run() -> None:
        async with hanging(bounds) as (plane, stuck):
            plane.offer([served(number) for number in range(1, 26)])
            assert plane.dropped == {"queue_full": 15}
            stuck.release.set()
            assert len(await plane.kept(11)) == 11
            plane.offer([served(30)])
            await plane.kept(12)
            assert plane.dropped == {"queue_full": 15}

    in_loop(run)


def test_one_that_hangs_is_told_of_and_keeps_no_other_from_answering() -> None:
    """What comes for it is dropped under that name, until it goes on; another model's shadow answers meanwhile."""

    async def run() -> None:
        async with hanging(price=version(2, SOUND)) as (plane, stuck):
            plane.clock.advance(HUNG_SECONDS - 1.0)
            assert [one.status for one in plane.shadows.state().shadows] == ["ok", "ok"]
            plane.clock.advance(2.0)
            now = plane.clock.now()
            plane.offer([served(1, received_at=now), served(2, received_at=now, model_name="price")])
            assert [record.request_id for record in await plane.kept(1)] == ["r2"]
            assert plane.dropped == {"hung": 1}
            hotel, price = plane.shadows.state().shadows
            assert (hotel.status, hotel.behind, price.status) == ("hung", HUNG_SECONDS + 1.0, "ok")
            stuck.release.set()
            await plane.kept(2)
            assert plane.shadows.state().shadows[0].status == "ok"

    in_loop(run)


def test_a_slow_one_does_not_hang() -> None:
    """What its rows cost where they were measured is what it is given, many times over."""

    async def run() -> None:
        stuck = Stuck()
        plane = Plane(hotel=msgspec.structs.replace(version(2, stuck), pace=Pace(3.0)))
        plane.offer([served(0)])
        await plane.until(stuck.begun.is_set)
        plane.clock.advance(2 * HUNG_SECONDS)
        assert plane.shadows.state().shadows[0].status == "ok"
        plane.clock.advance(HUNG_SECONDS + 1.0)
        assert plane.shadows.state().shadows[0].status == "hung"
        stuck.release.set()

    in_loop(run)


def test_what_comes_too_late_is_not_answered() -> None:
    """Neither what is old when it is read, nor what has grown old in the queue."""

    async def run() -> None:
        async with hanging() as (plane, stuck):
            plane.offer([served(1, received_at=plane.clock.now() - BEHIND_SECONDS - 1.0), served(2)])
            assert plane.dropped == {"behind": 1}
            plane.clock.advance(BEHIND_SECONDS + 1.0)
            stuck.release.set()
            await plane.until(lambda: plane.dropped == {"behind": 2})
            assert [record.request_id for record in await plane.kept(1)] == ["r0"]

    in_loop(run)


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 64), (0.02, 5), (30.0, 1)])
def test_slow_shadows_are_logged_soon(seconds: float, expected: int) -> None:
    """The slower they are, the fewer are answered between two writes of the log; at least one."""

    async def run() -> None:
        plane = Plane(hotel=msgspec.structs.replace(version(2, SOUND), pace=Pace(seconds)))
        plane.offer([served(index) for index in range(100)])
        await plane.kept(100)
        await plane.until(lambda: len(plane.told) == 100)
        assert plane.turns[0] == max(plane.turns) == expected

    in_loop(run)


def test_what_comes_while_a_candidate_is_loaded_waits_for_it() -> None:
    """It is answered once it is warm; where it cannot be loaded, what comes is dropped under that name."""

    async def run() -> None:
        plane = Plane(routes())
        plane.offer([served(1)])
        assert plane.shadows.state().shadows[0].status == "loading"
        plane.warm(errors={"hotel@2": "version 2: no such bundle"})
        plane.offer([])
        plane.offer([served(2)])
        (state,) = plane.shadows.state().shadows
        assert (state.status, state.error, plane.dropped) == ("failed", "version 2: no such bundle", {"not_warm": 1})
        plane.warm(hotel=version(2, SOUND))
        plane.offer([served(3)])
        assert [record.request_id for record in await plane.kept(2)] == ["r1", "r3"]

    in_loop(run)


def test_a_full_log_is_counted() -> None:
    """What could not be written is no evidence; the candidate goes on."""

    async def run() -> None:
        plane = Plane(hotel=version(2, SOUND))
        plane.log.full = True
        plane.offer([served(1)])
        await plane.until(lambda: plane.tally.log_failures)
        assert plane.dropped == {"log_failed": 1}
        plane.log.full = False
        plane.offer([served(2)])
        assert [record.request_id for record in await plane.kept(1)] == ["r2"]

    in_loop(run)


def test_a_rollout_that_ended_is_answered_no_more() -> None:
    """What waited for its shadow is given up; the next rollout's is another, and one that hangs holds nothing up."""

    async def run() -> None:
        async with hanging() as (plane, _):
            plane.offer([served(1)])
            plane.table = unseen(RouteTable(2, {}))
            plane.offer([served(2)])
            assert plane.shadows.state().shadows == []
            plane.table = routes("8")
            plane.warm(hotel=version(2, SOUND))
            plane.offer([served(3, rollout="8")])
            assert [record.request_id for record in await plane.kept(1)] == ["r3"]
            assert plane.dropped == {}

    in_loop(run)


def test_the_end_waits_for_nobody() -> None:
    """What hangs is given up, and is no record."""

    async def run() -> None:
        async with hanging() as (plane, stuck):
            plane.shadows.close()
            stuck.release.set()
            await asyncio.sleep(0.05)
            assert plane.log.kept_predictions == []

    in_loop(run)


def test_a_fault_of_the_queue_itself_is_raised() -> None:
    """It is not that candidate's: the process starts anew, and does not go on in silence."""

    async def run() -> None:
        plane = Plane(hotel=version(2, SOUND))
        plane.shadows._keep = lambda records: 1 // 0  # type: ignore[assignment, method-assign]
        plane.offer([served(1)])
        await plane.until(lambda: all(one.task and one.task.done() for one in plane.shadows._candidates.values()))
        with pytest.raises(ZeroDivisionError):
            plane.offer([])

    in_loop(run)


def counts(at: float | None, *said: Shadowed) -> Counts:
    """What a process notes."""
    noted = Tally().snapshot(SHADOWER, 1, 1, [])
    noted.shadowing = None if at is None else Shadowing(at, list(said))
    return noted


def test_a_process_that_says_nothing_is_no_success() -> None:
    """Whoever asks how shadows are doing learns that nobody answers, and what is not known yet."""
    ok = Shadowed("hotel", "2", "ok", 0, 0.0)
    assert shadowing([], ["hotel@2"], 100.0) == {"hotel@2": "silent"}
    assert shadowing([counts(None)], ["hotel@2"], 100.0) == {"hotel@2": "silent"}
    assert shadowing([counts(100.0, ok)], ["hotel@2", "hotel@3"], 101.0) == {"hotel@2": "ok", "hotel@3": "starting"}
    assert shadowing([counts(100.0, ok)], ["hotel@2"], 101.0 + SILENT_SECONDS) == {"hotel@2": "silent"}
    assert shadowing([counts(100.0, ok)], [], 101.0) == {}


def test_every_reason_is_counted_from_the_start() -> None:
    """A series that is there can be alerted on."""
    assert Tally().shadow_dropped == dict.fromkeys(DROPPED, 0)
