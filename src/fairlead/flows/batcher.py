"""A lane: the rows of one slow version, answered off the event loop in threads of its own.

While a batch runs, what arrives waits and forms the next one: batches grow with the load and nobody waits for company,
unless told to. The event loop alone touches a lane; its threads see rows and answers only.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from queue import SimpleQueue
from typing import Generic, NamedTuple, TypeVar

from fairlead.core.admission import Limits, Turned, admit, remaining
from fairlead.core.pace import Pace
from fairlead.ports.clock import Clock

SLICE_SECONDS = 0.1  # a request of many rows is answered in slices of about this long, so that others get their turn
LEARNS = 0.2  # the weight of the last batch in what batches cost compared with what was measured
STRETCH = (0.1, 100.0)  # how far that may go

Row = TypeVar("Row")
Answer = TypeVar("Answer")


class Overfull(Exception):
    """One more request cannot be answered in time."""

    def __init__(self, turned: Turned) -> None:
        super().__init__(turned.reason)
        self.turned = turned


class _Entry(Generic[Row, Answer]):
    """A request's rows. `answers` grows slice by slice."""

    __slots__ = ("answers", "future", "rows")

    def __init__(self, rows: Sequence[Row], future: asyncio.Future[None]) -> None:
        self.rows = rows
        self.answers: list[Answer] = []
        self.future = future

    @property
    def left(self) -> int:
        """Rows without an answer."""
        return len(self.rows) - len(self.answers)


class _Part(NamedTuple, Generic[Row, Answer]):
    """Rows of one request within a batch."""

    entry: _Entry[Row, Answer]
    rows: Sequence[Row]


class _Run(NamedTuple):
    """A batch that runs: since when, and how long it was expected to take."""

    since: float
    expected: float


class Lane(Generic[Row, Answer]):
    """One version's queue and threads.

    `answer` gives each row its answer, in order, from any thread. `ran(rows, seconds)` is told of every batch.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Row]], Sequence[Answer]],
        pace: Pace,
        limits: Limits,
        clock: Clock,
        ran: Callable[[int, float], None],
    ) -> None:
        self.limits = limits
        self._answer = answer
        self._pace = pace
        self._clock = clock
        self._ran = ran
        self._together = pace.together(limits.batch) if not pace.is_quick else 1
        self._slice = max(self._together, pace.rows_within(SLICE_SECONDS))
        self._queue: deque[_Entry[Row, Answer]] = deque()
        self._runs: dict[int, _Run] = {}
        self._stretch = 1.0
        self._number = 0
        self._timer: asyncio.TimerHandle | None = None
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads = 0

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    @property
    def running(self) -> int:
        """Batches that run."""
        return len(self._runs)

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._queue and not self._runs

    def wait_seconds(self) -> float:
        """How long a request that comes now is expected to wait for its turn."""
        if len(self._runs) < self.limits.concurrency and not self._queue:
            return 0.0
        now = self._clock.monotonic()
        soonest = min((remaining(run.expected, now - run.since) for run in self._runs.values()), default=0.0)
        rows = sum(entry.left for entry in self._queue)
        whole, rest = divmod(rows, self._together)
        ahead = whole * self._pace.seconds(self._together) + (self._pace.seconds(rest) if rest else 0.0)
        return soonest + ahead * self._stretch / self.limits.concurrency

    def check(self) -> None:
        """Raises `Overfull` when one more request cannot be answered in time."""
        turned = admit(self.limits, len(self._queue), self.wait_seconds())
        if turned is not None:
            raise Overfull(turned)

    async def ask(self, rows: Sequence[Row], seconds: float | None) -> Sequence[Answer]:
        """The answers, in order. Raises `Overfull`, and `TimeoutError` when they are not there in `seconds`; what has
        not begun by then, or when the caller is cancelled, is not begun at all."""
        self.check()
        entry: _Entry[Row, Answer] = _Entry(rows, asyncio.get_running_loop().create_future())
        self._queue.append(entry)
        self._wake()
        try:
            async with asyncio.timeout(seconds):
                await entry.future
        except BaseException:
            if entry in self._queue:
                self._queue.remove(entry)
            raise
        return entry.answers

    def close(self) -> None:
        """Lets the threads go; call it when idle."""
        for _ in range(self._threads):
            self._jobs.put(None)
        self._threads = 0

    def _wake(self) -> None:
        """Starts what may start; with a `batch_wait`, once company is there or the wait is over."""
        if len(self._runs) >= self.limits.concurrency:
            return
        if self.limits.batch_wait <= 0.0 or sum(entry.left for entry in self._queue) >= self._together:
            self._begin()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.limits.batch_wait, self._begin)

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._queue and len(self._runs) < self.limits.concurrency:
            self._start(self._form())

    def _form(self) -> list[_Part[Row, Answer]]:
        """The next batch: whole requests while they fit, or a slice of a large one by itself."""
        parts: list[_Part[Row, Answer]] = []
        size = 0
        while self._queue and (not parts or size + self._queue[0].left <= self._together):
            entry = self._queue.popleft()
            done = len(entry.answers)
            rows = entry.rows if not done and entry.left <= self._slice else entry.rows[done : done + self._slice]
            parts.append(_Part(entry, rows))
            size += len(rows)
        return parts

    def _start(self, parts: list[_Part[Row, Answer]]) -> None:
        loop = asyncio.get_running_loop()
        rows = parts[0].rows if len(parts) == 1 else [row for part in parts for row in part.rows]
        self._number += 1
        number = self._number
        expected = self._pace.seconds(len(rows)) * self._stretch
        self._runs[number] = _Run(self._clock.monotonic(), expected)

        def job() -> None:
            begun = self._clock.monotonic()
            answers = _answered(self._answer, rows)
            seconds = self._clock.monotonic() - begun
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._end, number, parts, answers, seconds)

        if self._threads < self.limits.concurrency:
            self._threads += 1
            # A daemon: a model that hangs must not keep the process from ending.
            threading.Thread(target=_work, args=(self._jobs,), name="lane", daemon=True).start()
        self._jobs.put(job)

    def _end(
        self,
        number: int,
        parts: list[_Part[Row, Answer]],
        answers: Sequence[Answer] | RuntimeError,
        seconds: float,
    ) -> None:
        del self._runs[number]
        rows = sum(len(part.rows) for part in parts)
        self._ran(rows, seconds)
        self._learn(rows, seconds)
        at = 0
        for part in parts:
            self._give(part, answers if isinstance(answers, RuntimeError) else answers[at : at + len(part.rows)])
            at += len(part.rows)
        self._begin()

    def _give(self, part: _Part[Row, Answer], answers: Sequence[Answer] | RuntimeError) -> None:
        entry = part.entry
        if entry.future.done():  # it timed out, or its caller hung up
            return
        if isinstance(answers, RuntimeError):
            entry.future.set_exception(answers)
            return
        entry.answers += answers
        if entry.left:
            self._queue.append(entry)
        else:
            entry.future.set_result(None)

    def _learn(self, rows: int, seconds: float) -> None:
        """What batches cost now, beside what they cost when they were measured: the machine may be busier."""
        expected = self._pace.seconds(rows)
        if expected > 0.0:
            ratio = min(max(seconds / expected, STRETCH[0]), STRETCH[1])
            self._stretch += LEARNS * (ratio - self._stretch)


def _answered(
    answer: Callable[[Sequence[Row]], Sequence[Answer]], rows: Sequence[Row]
) -> Sequence[Answer] | RuntimeError:
    """The answers, one a row, or what went wrong: those who wait must be told, whatever it is."""
    try:
        answers = answer(rows)
    except BaseException as fault:  # noqa: BLE001 - the thread must live, and so must those who wait
        return RuntimeError(f"{type(fault).__name__}: {fault}")
    if len(answers) != len(rows):
        return RuntimeError(f"{len(answers)} answers came for {len(rows)} rows")
    return answers


def _work(jobs: SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        job()
