"""A quick and a slow model under a constant load for minutes, then under five times as much, then as before.

The load is an open loop: requests leave when they are due, whatever became of those before, and a latency counts from
when a request was due. So a server that stalls is charged for all who would have come. Both models are in one worker:
the slow one sheds (503 with Retry-After) in the spike, and the quick one must not notice.

    python -m benchmarks.soak                      # 10 minutes, a minute of spike, two minutes after, and the verdicts
    python -m benchmarks.soak --json soak.json --svg soak.svg --png soak.png
    python -m benchmarks.soak --from soak.json --svg soak.svg      # draws what was measured before
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, cast

import msgspec
import numpy as np
import uvloop
from msgspec import Struct, field

from benchmarks.hostile.house import BINARY, ROWS, SLOW, House, Short, furnish
from benchmarks.serving import cpu_seconds, post, warn_if_busy
from benchmarks.soak_verdict import Verdict, judge
from fairlead.core.admission import Limits

WARM_SECONDS, WARM_STOPS, STOPPED_SECONDS = 60, 20, 0.8
TICK = 0.001
IDLE_SECONDS = 20.0  # the side that asks closes what it does not use, before the server does
HELD_SECONDS = 0.5  # a load that was itself held up for longer is no open loop: that time is taken out, and told
MOST_CONNECTIONS = 3000
LIMITS = Limits(timeout=2.0)  # of the slow model: it admits who can be answered within half of it
QUICK, SLOWLY = "quick", "slow"
NAMES = {QUICK: BINARY, SLOWLY: SLOW}


class Second(Struct):
    """What became of the requests that were due in one second. Latencies in milliseconds, of those that were answered;
    -1 where none was. `unsure`: neither answered with 200 nor shed by the documented rule."""

    due: int = 0
    answered: int = 0
    shed: int = 0
    unsure: int = 0
    p50_ms: float = -1.0
    p99_ms: float = -1.0
    shed_p99_ms: float = -1.0


class Soak(Struct):
    """One run. `rates` are requests a second and model at rest; phases are in seconds from the beginning."""

    rates: dict[str, int]
    factor: int
    spike_at: int
    spike_ends_at: int
    timeout_seconds: float
    models: dict[str, list[Second]]
    resident_mib: list[float]
    cpu_share: list[float]
    late_ms: list[float] = field(default_factory=list)  # how late the load itself was, at most, by second
    held_up: list[tuple[int, float]] = field(default_factory=list)  # in which second it stood still, and for how long


class Taken(Struct):
    """The raw outcomes of one model: for each second the latencies of answers and of refusals, in milliseconds."""

    answered: list[list[float]]
    shed: list[list[float]]
    unsure: list[int]
    due: list[int]


class _Line(asyncio.Protocol):
    """One connection: it takes a request at a time, and tells what became of it."""

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._buffer = b""
        self._due = 0.0
        self.idle_at = 0.0
        self._transport: asyncio.Transport | None = None
        self._is_asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes, due: float) -> None:
        """Sends one."""
        assert self._transport is not None
        self._due, self._is_asked = due, True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].lower()
        at = head.find(b"content-length:") + 15
        length = int(head[at : head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else end])
        if len(self._buffer) < end + 4 + length:
            return
        self._buffer, self._is_asked = b"", False
        is_shed = head[9:12] == b"503" and b"\r\nretry-after: " in head
        self._load.told(self, self._due, head[9:12] == b"200", is_shed)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._load.lost(self, self._due if self._is_asked else None)

    def close(self) -> None:
        """Ends it."""
        if self._transport is not None:
            self._transport.close()


class _Load:
    """The requests of one model, when they are due."""

    def __init__(self, port: int, request: bytes, schedule: list[int], begun: float) -> None:
        """`schedule`: requests of each second."""
        self._port = port
        self._request = request
        self._schedule = schedule
        self._begun = begun
        self._idle: list[_Line] = []
        self._waiting: list[float] = []
        self._lines: set[_Line] = set()
        self._second, self._sent_of_it = 0, 0
        self.late_ms = [0.0] * len(schedule)
        answered: list[list[float]] = [[] for _ in schedule]
        shed: list[list[float]] = [[] for _ in schedule]
        self.taken = Taken(answered, shed, [0] * len(schedule), list(schedule))
        self._opening: set[asyncio.Task[None]] = set()

    def send_due(self, now: float) -> None:
        """Sends what is due by now."""
        while self._second < len(self._schedule):
            count = self._schedule[self._second]
            while self._sent_of_it < count:
                due = self._second + self._sent_of_it / count
                if self._begun + due > now:
                    return
                self._sent_of_it += 1
                self.late_ms[self._second] = max(self.late_ms[self._second], (now - self._begun - due) * 1e3)
                self._send(due)
            self._second, self._sent_of_it = self._second + 1, 0

    def shift(self, seconds: float) -> None:
        """Takes a time out in which nobody ran."""
        self._begun += seconds

    def told(self, line: _Line, due: float, is_answered: bool, is_shed: bool) -> None:
        """What became of a request."""
        second, ms = int(due), (time.perf_counter() - self._begun - due) * 1e3
        if is_answered:
            self.taken.answered[second].append(ms)
        elif is_shed:
            self.taken.shed[second].append(ms)
        else:
            self.taken.unsure[second] += 1
        if self._waiting:
            line.ask(self._request, self._waiting.pop(0))
        else:
            line.idle_at = time.perf_counter()
            self._idle.append(line)

    def lost(self, line: _Line, due: float | None) -> None:
        """A connection has ended."""
        self._lines.discard(line)
        if line in self._idle:
            self._idle.remove(line)
        if due is not None:
            self.taken.unsure[int(due)] += 1

    def sweep(self, now: float) -> None:
        """Ends the connections that were not used for long: the last ones used are used first."""
        while self._idle and now - self._idle[0].idle_at > IDLE_SECONDS:
            self._idle.pop(0).close()

    def close(self) -> None:
        """Ends all connections."""
        for line in list(self._idle):
            line.close()

    def _send(self, due: float) -> None:
        if self._idle:
            self._idle.pop().ask(self._request, due)
        elif len(self._lines) + len(self._opening) < MOST_CONNECTIONS:
            opening = asyncio.get_running_loop().create_task(self._open(due))
            self._opening.add(opening)
            opening.add_done_callback(self._opening.discard)
        else:
            self._waiting.append(due)

    async def _open(self, due: float) -> None:
        try:
            _, line = await asyncio.get_running_loop().create_connection(lambda: _Line(self), "127.0.0.1", self._port)
        except OSError:
            self.taken.unsure[int(due)] += 1
        else:
            self._lines.add(line)
            line.ask(self._request, due)


class Watched(NamedTuple):
    """What was seen beside the answers, second by second."""

    resident_mib: list[float]
    cpu_share: list[float]
    late_ms: list[float]
    held_up: list[tuple[int, float]]


class _Time(Struct):
    """When the run began, and which times were taken out."""

    begun: float
    held_up: list[tuple[int, float]] = field(default_factory=list)


async def _watch(house: House, clock: _Time, count: int) -> tuple[list[float], list[float]]:
    """The worker's memory in MiB and its share of a core, second by second."""
    resident, shares = [], []
    before, at = cpu_seconds(house.pid), time.perf_counter()
    for second in range(count):
        while (left := clock.begun + second + 1 - time.perf_counter()) > 0.0:  # noqa: ASYNC110
            await asyncio.sleep(left)
        spent, now = cpu_seconds(house.pid), time.perf_counter()
        resident.append(house.resident() / 2**20)
        shares.append((spent - before) / max(now - at, 1e-3))
        before, at = spent, now
    return resident, shares


async def _run(house: House, schedules: dict[str, list[int]]) -> tuple[dict[str, Taken], Watched]:
    clock = _Time(time.perf_counter() + 0.5)
    count = len(next(iter(schedules.values())))
    loads = {name: _Load(house.port, _request(name), one, clock.begun) for name, one in schedules.items()}
    watching = asyncio.ensure_future(_watch(house, clock, count))
    before = time.perf_counter()
    while (now := time.perf_counter()) < clock.begun + count:
        if now - before > HELD_SECONDS:
            clock.held_up.append((int(before - clock.begun), round(now - before, 2)))
            clock.begun += now - before
            for load in loads.values():
                load.shift(now - before)
        for load in loads.values():
            load.sweep(now)
            load.send_due(now)
        before = now
        await asyncio.sleep(TICK)
    resident, shares = await watching
    await asyncio.sleep(LIMITS.timeout + 1.0)  # whoever was admitted is answered
    for load in loads.values():
        load.close()
    late = [max(both) for both in zip(*(load.late_ms for load in loads.values()), strict=True)]
    return {name: load.taken for name, load in loads.items()}, Watched(resident, shares, late, clock.held_up)


async def _warm(house: House, schedules: dict[str, list[int]]) -> None:
    """A load, under which the worker is stopped some times, as a machine that is short of time does. All who come
    meanwhile are held at once when it goes on, and the heap keeps the most that it ever held: a mark that is reached
    soon, and is no growth."""
    loaded = asyncio.ensure_future(_run(house, schedules))
    for _ in range(WARM_STOPS):
        await asyncio.sleep(STOPPED_SECONDS * 2)
        os.kill(house.pid, signal.SIGSTOP)
        await asyncio.sleep(STOPPED_SECONDS)
        os.kill(house.pid, signal.SIGCONT)
    await loaded


def _request(name: str) -> bytes:
    return post(f"/v1/models/{NAMES[name]}/predict", msgspec.json.encode({"features": ROWS[NAMES[name]]}))


def second_of(taken: Taken, at: int) -> Second:
    """One second's figures."""
    answered, shed = taken.answered[at], taken.shed[at]
    p50, p99 = np.percentile(answered, [50, 99]).tolist() if answered else (-1.0, -1.0)
    last = float(np.percentile(shed, 99)) if shed else -1.0
    lost = taken.due[at] - len(answered) - len(shed)  # unanswered ones too
    return Second(taken.due[at], len(answered), len(shed), lost, round(p50, 3), round(p99, 3), round(last, 3))


def soak(options: argparse.Namespace) -> Soak:
    """The run: the worker is started, warmed and loaded."""
    rest, spike, after = int(options.minutes * 60), options.spike, options.after
    rates = {QUICK: options.quick, SLOWLY: options.slow}
    factors = [1] * rest + [options.factor] * spike + [1] * after
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        furnish(home, (BINARY, SLOW))
        house = House(home, Short(60.0, 75, 8 * 2**20), {SLOW: LIMITS})
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(_warm(house, {name: [rate] * WARM_SECONDS for name, rate in rates.items()}))
                schedules = {name: [rate * factor for factor in factors] for name, rate in rates.items()}
                taken, seen = runner.run(_run(house, schedules))
        finally:
            code = house.stop()
        if code or house.said():
            sys.exit(f"the worker ended with {code} and said: {house.said()[:2000]}")
    models = {name: [second_of(one, at) for at in range(len(factors))] for name, one in taken.items()}
    return Soak(
        rates,
        options.factor,
        rest,
        rest + spike,
        LIMITS.timeout,
        models,
        _rounded(seen.resident_mib),
        _rounded(seen.cpu_share),
        _rounded(seen.late_ms),
        seen.held_up,
    )


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 2) for value in values]


def tell(found: Soak, verdicts: list[Verdict]) -> bool:
    """Prints the verdicts; whether all hold."""
    late = np.percentile(found.late_ms, [50, 99]).tolist()
    print(f"the load itself was late by {late[0]:.1f} ms (worst in the median second), {late[1]:.0f} (in a bad one)")
    if found.held_up:
        long = sum(seconds for _, seconds in found.held_up)
        print(f"the load stood still {len(found.held_up)} times, {long:.0f} s in all, which are taken out")
    for one in verdicts:
        print(f"{'holds ' if one.holds else 'BROKEN'}  {one.what}: {one.said}")
    return all(one.holds for one in verdicts)


def main() -> None:
    """The benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="at rest, before the spike")
    parser.add_argument("--spike", type=int, default=60, help="seconds of it")
    parser.add_argument("--after", type=int, default=120, help="seconds at rest after it")
    parser.add_argument("--factor", type=int, default=5)
    parser.add_argument("--quick", type=int, default=400, help="requests a second to the quick model at rest")
    parser.add_argument("--slow", type=int, default=150, help="requests a second to the slow model at rest")
    parser.add_argument("--json", type=Path, help="where the figures go")
    parser.add_argument("--svg", type=Path, help="where the picture goes")
    parser.add_argument("--png", type=Path, help="the picture as a browser draws it")
    parser.add_argument("--from", dest="given", type=Path, help="figures measured before")
    options = parser.parse_args()
    if options.given:
        found = msgspec.json.decode(options.given.read_bytes(), type=Soak)
    else:
        warn_if_busy(2)
        found = soak(options)
    if options.json:
        options.json.write_bytes(msgspec.json.encode(found))
    verdicts = judge(found)
    holds = tell(found, verdicts)
    if options.svg or options.png:
        from benchmarks.soak_picture import draw, render

        picture = draw(found, verdicts)
        if options.svg:
            options.svg.write_text(picture)
        if options.png:
            render(picture, options.png)
    sys.exit(not holds)


if __name__ == "__main__":
    main()
