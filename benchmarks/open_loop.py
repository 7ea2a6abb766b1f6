"""Load that does not wait for its answers: requests leave at a constant rate, whatever the server does.

A latency counts from the instant at which its request was due, not from when it left: where a server stalls, all who
would have come meanwhile have waited, and are counted (no "coordinated omission"). Each connection carries one request
at a time; where none is free the next request waits for one, on the clock.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import NamedTuple, cast

import numpy as np
import uvloop

from benchmarks.serving import Exchange, Load, Server

CONNECTIONS = 64
GRACE_SECONDS = 10.0  # what those who are still waiting at the end are given


class Offered(NamedTuple):
    """One round at a rate: requests a second as they left, and percentiles of the latency in milliseconds."""

    rate: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    worst_ms: float


class _Line(Exchange):
    """A connection that takes the next request that is due."""

    def __init__(self, requests: Iterator[bytes], free: list[_Line], due: deque[float], load: Load) -> None:
        super().__init__()
        self._requests, self._free, self._due, self._load = requests, free, due, load
        self._due_at = 0.0

    def ask(self, due_at: float) -> None:
        assert self.transport is not None
        self._due_at = due_at
        if self.transport.is_closing():  # its server is gone: never answered
            return
        self.transport.write(next(self._requests))

    def answered(self, status: bytes) -> None:
        self._load.latencies.append(time.perf_counter() - self._due_at)
        self._load.statuses.append(status)
        if self._due:
            self.ask(self._due.popleft())
        else:
            self._free.append(self)


async def _offer(port: int, requests: Sequence[bytes], rate: float, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    taken, due = Load(0.0, [], []), deque[float]()
    free: list[_Line] = []
    turns = cycle(requests)
    for _ in range(CONNECTIONS):
        _, line = await loop.create_connection(lambda: _Line(turns, free, due, taken), "127.0.0.1", port)
        free.append(line)
    lines, count, sent = list(free), int(rate * seconds), 0
    begun = time.perf_counter()
    while sent < count:
        now = time.perf_counter()
        while sent < count and begun + sent / rate <= now:
            if free:
                free.pop().ask(begun + sent / rate)
            else:
                due.append(begun + sent / rate)
            sent += 1
        await asyncio.sleep(0)  # never sleeps longer: the arrivals are to be on time
    took = time.perf_counter() - begun
    deadline = time.perf_counter() + GRACE_SECONDS
    while len(taken.latencies) < count and time.perf_counter() < deadline:  # noqa: ASYNC110 - as above
        await asyncio.sleep(0)
    for line in lines:
        cast("asyncio.Transport", line.transport).abort()
    await asyncio.gather(*(line.done for line in lines))
    return taken._replace(seconds=took)


def offer(server: Server, rate: float, seconds: float, requests: Sequence[bytes] = ()) -> Offered:
    """Offers a server so many requests a second for so long: its own, or some in turn. Ends the program where one fails
    or is never answered."""
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            taken = runner.run(_offer(server.port, requests or (server.request,), rate, seconds))
    finally:
        gc.enable()
        gc.collect()
    count = int(rate * seconds)
    good = taken.statuses.count(b"200")
    if good != count:
        sys.exit(f"{server.name}: of {count} requests, offered at {rate:,.0f} a second, {count - good} failed")
    p50, p99, p999, worst = np.percentile(taken.latencies, [50, 99, 99.9, 100]) * 1000.0
    return Offered(count / taken.seconds, float(p50), float(p99), float(p999), float(worst))
