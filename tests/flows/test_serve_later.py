"""Slow versions and large requests: answered off the event loop, in time or not at all."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from msgspec import Raw
from numpy.typing import NDArray

from fairlead.adapters.system_clock import SystemClock
from fairlead.core.admission import Limits
from fairlead.core.bundle import Lineage, Manifest
from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.decode import OutputReader, RowDecoder
from fairlead.core.pace import Pace
from fairlead.core.route import Arm, ModelRoute, choose
from fairlead.errors import ContractError, StateError
from fairlead.flows.serve import BULK_ROWS, Arrival, Ask, ModelFailed, Overloaded, Serving, is_prompt, pin
from fairlead.flows.tally import Tally
from fairlead.flows.warm import Live, LiveModel, LiveVersion
from fairlead.testing.log import MemoryLog

CONTRACT = Contract((Feature("nights", Kind.INTEGER),), Task.BINARY, "canceled", ("no", "yes"))
SLOW = Pace(0.005, ((4, 0.006), (16, 0.008), (64, 0.02)))
SECONDS = 20.0  # for what must happen, on the busiest machine


class Gated:
    """A model that answers nights / 100 once it is let, and fails where nights is 13."""

    def __init__(self, is_open: bool = True) -> None:
        self.gate = threading.Event()
        self.batches: list[int] = []
        self.threads: set[str] = set()
        if is_open:
            self.gate.set()

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """(n, 2) probabilities."""
        self.batches.append(len(rows))
        self.threads.add(threading.current_thread().name)
        assert self.gate.wait(SECONDS)
        if any(row[0] == 13 for row in rows):
            raise RuntimeError("thirteen")
        scores = [min(1.0, row[0] / 100) for row in rows]
        return np.array([[1 - score, score] for score in scores], np.float64)


def version(number: int, predictor: Any, pace: Pace = SLOW) -> LiveVersion:
    """A version in memory."""
    manifest = Manifest("hotel", CONTRACT, "onnx", "m", "m", {}, Lineage("d", "0", 1))
    decoder, reader = RowDecoder(CONTRACT), OutputReader(CONTRACT)
    return LiveVersion(number, str(number), manifest, decoder, reader, predictor, pace)


def model(*versions: LiveVersion, share: float = 0.5) -> LiveModel:
    """A champion (1), and a canary (2) if there is another."""
    last = versions[0].version
    arms: tuple[Arm, ...] = (Arm("champion", last, 1.0),)
    if len(versions) > 1:
        arms = (Arm("canary", versions[1].version, share), Arm("champion", last, 1.0 - share))
    is_quick = all(one.pace.is_quick for one in versions)
    return LiveModel("hotel", ModelRoute(arms, {}), {one.version: one for one in versions}, is_quick)


def asks(*nights: int, name: str = "r") -> list[Ask]:
    """Rows of some units."""
    return [
        Ask(f"{name}{index}", f"u{index}", 900.0, Raw(b'{"nights":%d}' % value), f"instances[{index}]")
        for index, value in enumerate(nights)
    ]


def data_plane(**limits: Any) -> tuple[Serving, MemoryLog]:
    """A worker's data plane over a log in memory."""
    log = MemoryLog()
    return Serving(log, SystemClock(), Tally(), {"hotel": Limits(**limits)}), log


async def answer(serving: Serving, hotel: LiveModel, rows: list[Ask], pinned: int | None = None) -> list[Any]:
    """Asks as a face does."""
    arrival = Arrival(serving.clock.now(), serving.clock.monotonic(), "trace")
    routes = [choose(hotel.route, row.unit_id) if pinned is None else pin(hotel, pinned) for row in rows]
    return list(await serving.answer_later(hotel, rows, arrival, routes))


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs a test; one that hangs fails."""
    asyncio.run(asyncio.wait_for(work, SECONDS))


def counted(serving: Serving) -> tuple[dict[int, int], dict[str, int]]:
    """Predictions by status, and requests that were shed by reason."""
    counts = serving.tally.snapshot(0, 1, 1, [])
    codes: dict[int, int] = {}
    for one in counts.requests:
        codes[one.code] = codes.get(one.code, 0) + one.count
    return codes, {one.reason: one.count for one in counts.shed if one.count}


async def until_running(serving: Serving, waiting: int = 0) -> None:
    """Waits until a batch runs and so many requests wait."""
    while [(one.waiting, one.running) for one in serving.queues()] != [(waiting, 1)]:  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.001)


def test_a_slow_version_answers_in_a_thread_of_its_own_as_it_would_on_the_loop() -> None:
    """The same records but for the time that it took."""

    async def check() -> None:
        serving, log = data_plane()
        gated = Gated()
        slow, quick = model(version(1, gated)), model(version(1, gated, Pace()))
        later = await answer(serving, slow, asks(40, 60, 90))
        assert gated.threads == {"lane"}
        arrival = Arrival(later[0].received_at, 0.0, "trace")
        routes = [choose(quick.route, f"u{index}") for index in range(3)]
        now = serving.answer(quick, asks(40, 60, 90), arrival, routes)
        same = [msgspec.structs.replace(record, latency_ms=0.0) for record in (*later, *now)]
        assert same[:3] == same[3:]
        assert log.kept_predictions[:3] == later
        assert [record.prediction for record in later] == ["no", "yes", "yes"]

    run(check())


def test_what_is_prompt_stays_on_the_loop() -> None:
    """Quick versions with few rows, whatever other versions are warm; not one row more than stated."""
    gated = Gated()
    hotel = model(version(1, gated, Pace(0.0001)), version(2, gated))
    champion, canary = pin(hotel, 1), pin(hotel, 2)
    assert is_prompt(hotel, [champion] * BULK_ROWS)
    assert not is_prompt(hotel, [champion] * (BULK_ROWS + 1))
    assert not is_prompt(hotel, [champion, canary])

    async def check() -> None:
        serving, _ = data_plane()
        await answer(serving, hotel, asks(1), 1)
        assert gated.threads == {threading.current_thread().name}
        await answer(serving, hotel, asks(*range(20, 20 + BULK_ROWS + 1)), 1)
        assert "lane" in gated.threads

    run(check())


def test_requests_that_wait_together_are_answered_together() -> None:
    """One batch of the model, and each keeps its own status: a bad row harms no other request."""

    async def check() -> None:
        serving, log = data_plane()
        gated = Gated(is_open=False)
        hotel = model(version(1, gated))
        each = [
            asyncio.ensure_future(answer(serving, hotel, asks(nights, name=f"{nights}-"))) for nights in (1, 2, 13, 4)
        ]
        await until_running(serving, waiting=3)
        gated.gate.set()
        ended = await asyncio.gather(*each, return_exceptions=True)
        assert gated.batches[:2] == [1, 3]
        assert [type(end) for end in ended] == [list, list, ModelFailed, list]
        assert {record.request_id: record.status for record in log.kept_predictions} == {
            "1-0": 200,
            "2-0": 200,
            "13-0": 500,
            "4-0": 200,
        }
        (ran,) = serving.tally.snapshot(0, 1, 1, []).ran
        assert (ran.rows, sum(ran.sizes)) == (4, 2)

    run(check())


def test_a_request_out_of_time_is_logged_as_what_its_caller_got_and_answered_once() -> None:
    """503, whether it waited or ran; the answer that comes too late is thrown away."""

    async def check() -> None:
        serving, log = data_plane(timeout=0.05, wait=10.0, batch=1)
        gated = Gated(is_open=False)
        hotel = model(version(1, gated))
        ended = await asyncio.gather(
            *(answer(serving, hotel, asks(nights, name=f"{nights}-")) for nights in (1, 2)), return_exceptions=True
        )
        assert [type(end) for end in ended] == [Overloaded, Overloaded]
        assert "did not answer within 0.05 s; try again in" in str(ended[0])
        gated.gate.set()
        while serving.queues():  # noqa: ASYNC110 - the lane is let go once it is idle, and nobody tells
            await asyncio.sleep(0.001)
        assert [(one.request_id, one.status, one.prediction) for one in log.kept_predictions] == [
            ("1-0", 503, None),
            ("2-0", 503, None),
        ]
        assert log.kept_predictions[0].error == "version 1 did not answer within 0.05 s"
        assert gated.batches == [1]
        assert counted(serving) == ({503: 2}, {"timed_out": 2})

    run(check())


def test_a_request_that_cannot_be_answered_in_time_is_refused_at_once() -> None:
    """Without a record, counted for its version and arm; once the queue is shorter others are taken again."""

    async def check() -> None:
        serving, log = data_plane(queue=2, wait=10.0, batch=1)
        gated = Gated(is_open=False)
        hotel = model(version(1, gated))
        admitted = [asyncio.ensure_future(answer(serving, hotel, asks(nights))) for nights in (1, 2, 3)]
        await until_running(serving, waiting=2)
        with pytest.raises(Overloaded, match=r"cannot answer in time \(queue full\): try again in 1 s") as caught:
            await answer(serving, hotel, asks(4))
        assert (caught.value.retry_seconds, log.kept_predictions) == (1, [])
        assert counted(serving) == ({503: 1}, {"queue_full": 1})
        gated.gate.set()
        await asyncio.gather(*admitted)
        assert [record.status for record in await answer(serving, hotel, asks(5))] == [200]

    run(check())


def test_a_slow_canary_sheds_its_own_share_and_not_the_champions() -> None:
    """Limits hold for each version of a model."""

    async def check() -> None:
        serving, _ = data_plane(queue=1, wait=10.0, batch=1)
        stuck, champion = Gated(is_open=False), Gated()
        hotel = model(version(1, champion), version(2, stuck))
        waiting = [asyncio.ensure_future(answer(serving, hotel, asks(1), 2)) for _ in range(2)]
        await until_running(serving, waiting=1)
        with pytest.raises(Overloaded, match="version 2"):
            await answer(serving, hotel, asks(1), 2)
        assert [record.status for record in await answer(serving, hotel, asks(1), 1)] == [200]
        stuck.gate.set()
        await asyncio.gather(*waiting)

    run(check())


def test_a_batch_over_two_arms_keeps_its_order_and_each_arms_truth() -> None:
    """The rows of the version that is out of time are 503, the other's answers are in the log; the caller gets one
    error."""

    async def check() -> None:
        serving, log = data_plane(timeout=2.0)  # which the other version has, too
        hotel = model(version(1, Gated()), version(2, stuck := Gated(is_open=False)))
        rows = asks(*range(20, 60))
        with pytest.raises(Overloaded, match="version 2 did not answer"):
            await answer(serving, hotel, rows)
        stuck.gate.set()
        assert [record.request_id for record in log.kept_predictions] == [row.request_id for row in rows]
        assert {(record.model_version, record.status) for record in log.kept_predictions} == {(1, 200), (2, 503)}

    run(check())


def test_who_waits_is_answered_by_the_version_that_it_began_with() -> None:
    """Though the route is swapped, and the version forgotten, while it stands in the queue; then the lane is let go."""

    async def check() -> None:
        serving, log = data_plane(batch=1)
        gated = Gated(is_open=False)
        serving.live = Live(1, {"hotel": model(version(1, gated))})
        waiting = [asyncio.ensure_future(answer(serving, serving.model("hotel"), asks(nights))) for nights in (1, 2, 3)]
        await until_running(serving, waiting=2)
        serving.live = Live(2, {"hotel": model(version(2, Gated()))})
        assert [record.model_version for record in await answer(serving, serving.model("hotel"), asks(4))] == [2]
        assert [one.model_version for one in serving.queues()] == ["1", "2"]
        gated.gate.set()
        await asyncio.gather(*waiting)
        assert [record.model_version for record in log.kept_predictions] == [2, 1, 1, 1]
        assert [one.model_version for one in serving.queues()] == ["2"]

    run(check())


def test_who_hangs_up_is_not_answered_and_not_logged() -> None:
    """It is counted, and its row is not begun."""

    async def check() -> None:
        serving, log = data_plane(batch=1)
        gated = Gated(is_open=False)
        hotel = model(version(1, gated))
        first, second = (asyncio.ensure_future(answer(serving, hotel, asks(nights))) for nights in (1, 2))
        await until_running(serving, waiting=1)
        second.cancel()
        gated.gate.set()
        assert [record.status for record in await first] == [200]
        assert second.cancelled()
        assert (gated.batches, len(log.kept_predictions)) == ([1], 1)
        assert counted(serving) == ({200: 1}, {"hung_up": 1})

    run(check())


def test_a_large_request_leaves_the_loop_to_others() -> None:
    """While its rows are read, answered and recorded, the loop turns; the answers are in order."""

    async def check() -> None:
        serving, log = data_plane()
        hotel = model(version(1, Gated(), Pace(0.00001)))
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        turning = asyncio.ensure_future(turn())
        rows = asks(*(20 + index % 50 for index in range(2000)))
        records = await answer(serving, hotel, rows)
        turning.cancel()
        assert [record.request_id for record in records] == [row.request_id for row in rows]
        assert len(log.kept_predictions) == 2000
        assert turns >= 2 * 2000 // 128

    run(check())


def test_a_broken_row_and_a_full_log_are_told_as_on_the_loop() -> None:
    """Nothing is logged for the one; the other's answer is not given."""

    async def check() -> None:
        serving, log = data_plane()
        gated = Gated()
        hotel = model(version(1, gated))
        with pytest.raises(ContractError):
            await answer(serving, hotel, [*asks(1), Ask("bad", "u", 1.0, Raw(b'{"nights":"x"}'), "instances[1]")])
        assert (gated.batches, log.kept_predictions) == ([], [])
        log.full = True
        with pytest.raises(StateError):
            await answer(serving, hotel, asks(1))
        assert serving.tally.log_failures == 1

    run(check())


@pytest.mark.parametrize("fault", [SystemExit(3), KeyboardInterrupt()])
def test_a_model_that_would_end_the_process_fails_its_request(fault: BaseException) -> None:
    """500, with a record; the next is answered."""

    class Quitter:
        def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
            if rows[0][0] == 1:
                raise fault
            return np.full((len(rows), 2), 0.5)

    async def check() -> None:
        serving, log = data_plane()
        hotel = model(version(1, Quitter()))
        with pytest.raises(ModelFailed):
            await answer(serving, hotel, asks(1))
        await answer(serving, hotel, asks(2))
        assert [record.status for record in log.kept_predictions] == [500, 200]
        assert type(fault).__name__ in str(log.kept_predictions[0].error)

    run(check())
