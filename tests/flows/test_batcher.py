"""A lane answers each request once, whatever else happens in it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.adapters.system_clock import SystemClock
from fairlead.core.admission import Limits
from fairlead.core.pace import Pace
from fairlead.flows.batcher import Lane, Overfull
from fairlead.testing.clock import ManualClock

PAYS = Pace(0.002, ((4, 0.0025), (16, 0.004), (64, 0.01)))


class Model:
    """Doubles numbers, one batch after another, each only when it is let; it keeps every batch."""

    def __init__(self, is_open: bool = True) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Semaphore(10**6 if is_open else 0)
        self.begun = threading.Semaphore(0)

    def __call__(self, rows: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(rows))
        self.begun.release()
        assert self.gate.acquire(timeout=20)
        return [2 * row for row in rows]


def lane(model: Callable[[Sequence[int]], Sequence[int]], pace: Pace = PAYS, **limits: Any) -> Lane[int, int]:
    """A lane of a slow model."""
    return Lane(model, pace, Limits(**limits), SystemClock(), lambda *_: None)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Runs a test; one that hangs fails."""
    asyncio.run(asyncio.wait_for(work, 30))


async def until(condition: Callable[[], bool]) -> None:
    """Waits for it."""
    while not condition():  # noqa: ASYNC110 - threads tell nobody
        await asyncio.sleep(0.001)


def started(coroutines: Sequence[Awaitable[Any]]) -> list[asyncio.Task[Any]]:
    """Requests that are under way."""
    return [asyncio.ensure_future(one) for one in coroutines]


def test_what_waits_forms_the_next_batch() -> None:
    """While one batch runs, requests wait; then as many as fit go together, in their order, none is split."""

    async def check() -> None:
        model = Model(is_open=False)
        one = lane(model, batch=8)
        asked = started([one.ask([index, 100 + index], 20) for index in range(7)])
        await until(lambda: len(model.batches) == 1)
        assert (one.waiting, one.running) == (6, 1)
        for _ in range(4):
            model.gate.release()
        assert [await each for each in asked] == [[2 * index, 200 + 2 * index] for index in range(7)]
        assert [len(batch) for batch in model.batches] == [2, 8, 4]
        assert one.is_idle
        one.close()

    run(check())


def test_where_batches_do_not_pay_each_goes_alone() -> None:
    """Joining them would only make the first wait for the last."""

    async def check() -> None:
        model = Model(is_open=False)
        one = lane(model, Pace(0.002, ((4, 0.008), (16, 0.032))))
        asked = started([one.ask([index], 20) for index in range(5)])
        await until(lambda: len(model.batches) == 1)
        for _ in range(5):
            model.gate.release()
        await asyncio.gather(*asked)
        assert model.batches == [[0], [1], [2], [3], [4]]

    run(check())


def test_a_request_of_many_rows_goes_in_slices_and_lets_others_in_between() -> None:
    """A slice takes about a tenth of a second; who came later is answered before the last slice."""

    async def check() -> None:
        model = Model(is_open=False)
        one = lane(model, Pace(0.01, ((4, 0.04),)))  # ten rows in a tenth of a second
        large = asyncio.ensure_future(one.ask(list(range(35)), 20))
        await until(lambda: len(model.batches) == 1)
        small = asyncio.ensure_future(one.ask([1000], 20))
        await asyncio.sleep(0)
        for _ in range(10):
            model.gate.release()
        assert await small == [2000]
        assert not large.done()
        assert await large == [2 * row for row in range(35)]
        assert [len(batch) for batch in model.batches] == [10, 1, 10, 10, 5]

    run(check())


def test_so_many_batches_run_at_once_as_are_allowed() -> None:
    """And no more."""

    async def check() -> None:
        model = Model(is_open=False)
        one = lane(model, Pace(0.002), concurrency=3)
        asked = started([one.ask([index], 20) for index in range(8)])
        await until(lambda: len(model.batches) == 3)
        await asyncio.sleep(0.02)
        assert (len(model.batches), one.running, one.waiting) == (3, 3, 5)
        for _ in range(8):
            model.gate.release()
        assert sorted((await asyncio.gather(*asked)), key=lambda each: each[0]) == [[2 * index] for index in range(8)]

    run(check())


def test_a_lone_request_may_wait_for_company() -> None:
    """With a `batch_wait`: what comes meanwhile goes with it, and a full batch waits no longer."""

    async def check() -> None:
        model = Model()
        one = lane(model, batch=4, batch_wait=0.05)
        assert list(await asyncio.gather(one.ask([1], 20), one.ask([2], 20))) == [[2], [4]]
        assert model.batches == [[1, 2]]
        patient = lane(model, batch=4, batch_wait=1000.0)
        await asyncio.gather(*(patient.ask([index], 20) for index in range(4)))
        assert model.batches[1:] == [[0, 1, 2, 3]]

    run(check())


def test_who_times_out_is_told_and_never_answered() -> None:
    """In the queue it is not begun; while it runs its answer is thrown away; others get theirs."""

    async def check() -> None:
        model = Model(is_open=False)
        one = lane(model, Pace(0.002))
        running, waiting, patient = started([one.ask([1], 0.05), one.ask([2], 0.05), one.ask([3], 20)])
        for late in (running, waiting):
            with pytest.raises(TimeoutError):
                await late
        assert (one.waiting, one.running) == (1, 1)
        model.gate.release(2)
        assert await patient == [6]
        assert model.batches == [[1], [3]]

    run(check())


def test_a_full_queue_and_a_long_one_turn_others_away() -> None:
    """With the reason and the seconds after which to try again; a lane that is idle takes whoever comes."""

    async def check() -> None:
        clock = ManualClock()
        model = Model(is_open=False)
        one: Lane[int, int] = Lane(model, Pace(4.0), Limits(queue=2), clock, lambda *_: None)
        first, second = started([one.ask([1], None), one.ask([2], None)])
        await until(lambda: len(model.batches) == 1)
        assert one.wait_seconds() == 8.0
        with pytest.raises(Overfull) as caught:
            await one.ask([3], None)
        assert caught.value.turned == ("too_late", 4)
        clock.advance(3.5)
        third = asyncio.ensure_future(one.ask([3], None))
        await asyncio.sleep(0)
        with pytest.raises(Overfull) as caught:
            await one.ask([4], None)
        assert caught.value.turned == ("queue_full", 5)
        clock.advance(100.0)  # it hangs, for all that anybody knows
        assert one.wait_seconds() == 103.5 + 8.0
        model.gate.release(3)
        assert [await each for each in (first, second, third)] == [[2], [4], [6]]
        assert one.wait_seconds() == 0.0

    run(check())


@pytest.mark.parametrize("fault", [SystemExit(3), KeyboardInterrupt(), StopIteration(), RuntimeError("x")])
def test_whatever_a_model_raises_those_who_wait_are_told(fault: BaseException) -> None:
    """And the lane goes on."""

    async def check() -> None:
        faults = [fault]

        def model(rows: Sequence[int]) -> Sequence[int]:
            if faults:
                raise faults.pop()
            return rows

        one = lane(model)
        with pytest.raises(RuntimeError, match=type(fault).__name__):
            await one.ask([1], 20)
        assert await one.ask([1], 20) == [1]

    run(check())


def test_answers_that_do_not_fit_their_rows_are_a_failure() -> None:
    """Nobody gets another's answer."""

    async def check() -> None:
        one = lane(lambda rows: rows[1:])
        with pytest.raises(RuntimeError, match="1 answers came for 2 rows"):
            await one.ask([1, 2], 20)

    run(check())


class Caller(NamedTuple):
    """Who asks for some rows, and how that ends."""

    rows: int
    ends: str


async def ask(one: Lane[int, int], own: Sequence[int], ends: str) -> Any:
    """The answers, or that they came too late."""
    try:
        return await one.ask(own, 0.0 if ends == "runs out" else 20.0)
    except TimeoutError:
        return TimeoutError


def is_right(caller: Caller, own: Sequence[int], end: Any) -> bool:
    """Whoever stays has all answers; whoever leaves has none, unless they were quicker."""
    answers = [2 * row for row in own]
    if caller.ends == "hangs up":
        return isinstance(end, asyncio.CancelledError) or end == answers
    return end == answers or (caller.ends == "runs out" and end is TimeoutError)


@given(
    st.lists(st.builds(Caller, st.integers(1, 40), st.sampled_from(["stays", "hangs up", "runs out"])), max_size=25),
    st.integers(1, 3),
    st.integers(1, 32),
    st.sampled_from([PAYS, Pace(0.01, ((4, 0.04),))]),
    st.lists(st.booleans(), min_size=25, max_size=25),
)
@settings(max_examples=40, deadline=None)
def test_each_request_is_answered_once_and_with_its_own_rows(
    callers: list[Caller], concurrency: int, batch: int, pace: Pace, pauses: list[bool]
) -> None:
    """Whoever hangs up or runs out of time, in whatever order: who stays gets the answers to all its rows; no row is
    answered twice; nothing remains."""

    async def check() -> None:
        model = Model()
        one = lane(model, pace, concurrency=concurrency, batch=batch, queue=1000, wait=1e9)
        owned = [[number * 100 + row for row in range(caller.rows)] for number, caller in enumerate(callers)]
        tasks = started([ask(one, own, caller.ends) for own, caller in zip(owned, callers, strict=True)])
        for task, caller, pause in zip(tasks, callers, pauses, strict=False):
            await asyncio.sleep(0.001 if pause else 0)
            if caller.ends == "hangs up":
                task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        await until(lambda: one.is_idle)
        assert [is_right(*each) for each in zip(callers, owned, ended, strict=True)] == [True] * len(callers)
        seen = [row for rows in model.batches for row in rows]
        assert len(seen) == len(set(seen))
        one.close()

    run(check())
