"""Several callers at once: a stream of requests that are due at set times, and bursts as fast as they are answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Lock
from time import perf_counter, sleep
from typing import TypeVar

import numpy as np

from fairlead.core.judge_load import Asked, Burst
from fairlead.flows.gate_checks.caller import Caller, Reply, ask, ask_batch
from fairlead.ports.stage import Stage

T = TypeVar("T")
_numbers = count()  # each request's id is its own: one that came before would be a retry


class Callers:
    """Kept connections to one model of a stage, each a thread's own."""

    def __init__(self, stage: Stage, path: str, connections: int) -> None:
        self._stage = stage
        self._path = path
        self._connections = connections

    def stream(self, bodies: Sequence[bytes], rate: float, total: int) -> list[Asked]:
        """`total` requests, `rate` a second, whether or not those before were answered. A request that finds every
        connection busy waits, and its wait counts."""
        turns, begun = _Turns(total), perf_counter()

        def work(caller: Caller) -> Iterator[Asked]:
            while (number := turns.take()) is not None:
                due = begun + number / rate
                if (early := due - perf_counter()) > 0.0:
                    sleep(early)
                    due = perf_counter()  # what a sleep takes too long is the caller's own
                body = ask(bodies[number % len(bodies)], f"stream-{next(_numbers)}")
                reply = caller.post(self._path, body)
                took = (perf_counter() - due) * 1000.0
                yield Asked(number / rate, took, reply.ok, reply.is_shed, "" if reply.ok else reply.said)

        return sorted(self._all(work), key=lambda one: one.at)

    def burst(self, bodies: Sequence[bytes], rows: int, seconds: float) -> Burst:
        """Batches of `rows` rows for some seconds, each connection one after the other."""
        request = ask_batch([bodies[at % len(bodies)] for at in range(rows)])
        begun = perf_counter()

        def work(caller: Caller) -> Iterator[Reply]:
            yield caller.post(self._path, request)
            while perf_counter() - begun < seconds:
                yield caller.post(self._path, request)

        replies = self._all(work)
        took = perf_counter() - begun
        p50, p99 = (float(q) for q in np.percentile([one.milliseconds for one in replies], (50, 99), method="higher"))
        return Burst(rows, len(replies), took, p50, p99, sum(not one.ok for one in replies))

    def _all(self, work: Callable[[Caller], Iterator[T]]) -> list[T]:
        def run(_: int) -> list[T]:
            with Caller(self._stage.base_url) as caller:
                return list(work(caller))

        with ThreadPoolExecutor(self._connections) as pool:
            return [one for some in pool.map(run, range(self._connections)) for one in some]


class _Turns:
    """Numbers from 0, each taken once."""

    def __init__(self, total: int) -> None:
        self._next, self._total, self._lock = 0, total, Lock()

    def take(self) -> int | None:
        """The next number; None when all are taken."""
        with self._lock:
            number, self._next = self._next, self._next + 1
        return number if number < self._total else None
