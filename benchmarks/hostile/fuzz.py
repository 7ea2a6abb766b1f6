"""Hostile bodies over every protocol: `python -m benchmarks.hostile.fuzz --bodies 100000 --seed 1`.

Each body is a right one that was changed (`requests`); beside them comes HTTP that lies about itself (`wire`). All
follows from the seed. Nothing may be answered with a status or a shape that is not stated, nothing may hang, the log
must hold what was acknowledged and no more, the process must not grow, and the models must still answer their formulas.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import uvloop
from msgspec import Struct, field

from benchmarks.hostile.answers import Answer, Torn, acknowledged, complaint, outcomes_of, read_answer, rows_of
from benchmarks.hostile.house import House, Short, furnish
from benchmarks.hostile.requests import Request, hostile
from benchmarks.hostile.wire import Heard, fire_all
from benchmarks.serving import cpu_seconds
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.core.record import Prediction

CONNECTIONS = 8
HANG_SECONDS = 60.0
CHUNKED_SHARE = 0.1
WARM_SHARE = 0.2  # of the bodies: buffers, caches and the heap have then seen every kind


class Found(Struct):
    """What came of it."""

    bodies: int = 0
    sent_bytes: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    by_protocol: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)
    predictions: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    told: dict[str, Any] = field(default_factory=dict)
    resident: list[int] = field(default_factory=list)

    def take(self, request: Request, answer: Answer) -> None:
        """Keeps one answer."""
        self.bodies += 1
        self.sent_bytes += len(request.body)
        self.statuses[answer.status] += 1
        self.by_protocol[request.protocol] += 1
        wrong = complaint(request, answer)
        if wrong is not None:
            self.complain(request, wrong)
            return
        self.predictions.update(acknowledged(request, answer))
        self.outcomes.update(outcomes_of(request, answer))
        if request.protocol in ("native", "batch") and request.plain_path.endswith("/predict") and answer.status == 200:
            self.told.update((one["request_id"], one["prediction"]) for one in rows_of(answer))

    def complain(self, request: Request, wrong: str) -> None:
        """Keeps what is wrong, with what it takes to see it again."""
        head = request.method + b" " + request.path.encode("latin-1")
        self.complaints.append(f"{wrong}, for {head!r} {request.headers!r} {request.body[:300]!r}")


class Lane:
    """One connection, made anew whenever the server ends it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, raw: bytes, *, is_head: bool) -> Answer:
        """The answer to an honest request. Raises `Torn`, and `TimeoutError` where none comes."""
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=2**20)
        self._writer.write(raw)
        async with asyncio.timeout(HANG_SECONDS):
            answer = await read_answer(self._reader, is_head=is_head)
        if answer is None:
            raise Torn("the connection was closed without an answer")
        if answer.is_last:
            self.close()
        return answer

    def close(self) -> None:
        """Ends it."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


async def _send(house: House, found: Found, seed: int, numbers: list[int]) -> None:
    lane = Lane(house.port)
    for number in numbers:
        random = Random(f"{seed}/{number}")
        request = hostile(random, number)
        raw = request.chunked(random) if random.random() < CHUNKED_SHARE else request.raw()
        try:
            found.take(request, await lane.ask(raw, is_head=request.is_head))
        except (Torn, OSError, TimeoutError) as error:
            found.complain(request, f"body {number}: {type(error).__name__} {error}")
            lane.close()
    lane.close()


def fuzz(house: House, seed: int, count: int) -> Found:
    """Sends so many bodies and keeps what comes of them. The memory is looked at a fifth at a time."""
    found = Found()
    fifth = max(1, int(count * WARM_SHARE))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for start in range(0, count, fifth):
            runner.run(_send_all(house, found, seed, range(start, min(start + fifth, count))))
            found.resident.append(house.resident())
    return found


def fire(house: House, seed: int, count: int) -> Heard:
    """Broken HTTP on so many connections."""
    heard = Heard()
    fifth = max(1, int(count * WARM_SHARE))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for start in range(0, count, fifth):
            runner.run(fire_all(house, heard, seed, range(start, min(start + fifth, count))))
            heard.resident.append(house.resident())
    return heard


async def _send_all(house: House, found: Found, seed: int, numbers: range) -> None:
    await asyncio.gather(*(_send(house, found, seed, list(numbers[lane::CONNECTIONS])) for lane in range(CONNECTIONS)))


class _Whole(SegmentReader):
    """Reads repeats too: ids are among what is changed, so two requests may bring the same one."""

    def without_repeats(self, records: Iterable[Prediction]) -> list[Prediction]:
        """All."""
        return list(records)


def logged(home: Path) -> tuple[Counter[str], Counter[str], dict[str, Any]]:
    """The ids in the log: of predictions and of outcomes; and what was predicted, by id."""
    reader = _Whole(home / "log")
    predictions: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    told: dict[str, Any] = {}
    while True:
        some, others = reader.poll()
        if not some and not others:
            return predictions, outcomes, told
        predictions.update(record.request_id for record in some)
        outcomes.update(record.request_id for record in others)
        told |= {record.request_id: record.prediction for record in some}


def differences(found: Found, home: Path) -> list[str]:
    """Where the log is not what was acknowledged."""
    predictions, outcomes, told = logged(home)
    predictions -= Counter({name: 1 for name in predictions if name not in found.predictions and _is_probe(name)})
    wrong = [f"acknowledged and not logged: {name!r}" for name in found.predictions - predictions]
    wrong += [f"logged and not acknowledged: {name!r}" for name in predictions - found.predictions]
    wrong += [f"an outcome is lost: {name!r}" for name in found.outcomes - outcomes]
    wrong += [f"an outcome too many: {name!r}" for name in outcomes - found.outcomes]
    unique = (name for name, count in found.predictions.items() if count == 1 and name in found.told)
    return wrong + [f"{name!r} was told otherwise than logged" for name in unique if told.get(name) != found.told[name]]


def _is_probe(name: str) -> bool:
    """Whether an id was made for a request of the house's own."""
    return len(name) == 32


def report(found: Found, seconds: float, cpu: float, wrong: list[str]) -> None:
    """Tells the figures."""
    print(f"{found.bodies:,} bodies, {found.sent_bytes / 2**20:,.0f} MiB, {seconds:.0f} s, server CPU {cpu:.0f} s")
    print("protocols: " + ", ".join(f"{name} {count:,}" for name, count in sorted(found.by_protocol.items())))
    print("statuses: " + ", ".join(f"{status} {count:,}" for status, count in sorted(found.statuses.items())))
    print("resident MiB after each fifth: " + ", ".join(f"{size / 2**20:.1f}" for size in found.resident))
    print(f"acknowledged {found.predictions.total():,} predictions, {found.outcomes.total():,} outcomes")
    print(f"complaints {len(found.complaints)}, differences from the log {len(wrong)}")
    for line in (*found.complaints[:40], *wrong[:20]):
        print("  " + line)


def main() -> None:
    """The run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bodies", type=int, default=100_000)
    parser.add_argument("--shots", type=int, default=10_000, help="connections with broken HTTP")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        is_bad = run_bodies(Path(name) / "bodies", options.seed, options.bodies)
        is_bad |= run_shots(Path(name) / "wire", options.seed, options.shots)
    sys.exit(is_bad)


def run_bodies(home: Path, seed: int, count: int) -> bool:
    """Bodies over honest HTTP, to a worker with the usual limits. Whether anything was wrong."""
    furnish(home)
    house = House(home, Short(60.0, 75))
    begun, spent = time.monotonic(), cpu_seconds(house.pid)
    try:
        found = fuzz(house, seed, count)
        figures = time.monotonic() - begun, cpu_seconds(house.pid) - spent
        right = house.are_right()
    finally:
        code = house.stop()
    wrong = differences(found, home)
    report(found, *figures, wrong)
    print(f"the models answer rightly: {right}; exit code {code}; the error stream: {house.said()[:2000] or 'empty'}\n")
    return bool(found.complaints or wrong or code or house.said() or not right)


def run_shots(home: Path, seed: int, count: int) -> bool:
    """Broken HTTP, to a worker whose patience is short. Whether anything was wrong."""
    furnish(home)
    house = House(home, Short(1.0, 1))
    begun, spent = time.monotonic(), cpu_seconds(house.pid)
    try:
        heard = fire(house, seed, count)
        figures = time.monotonic() - begun, cpu_seconds(house.pid) - spent
        right = house.are_right()
    finally:
        code = house.stop()
    lost = heard.acknowledged - logged(home)[0]
    print(f"{heard.shots:,} shots of broken HTTP, {figures[0]:.0f} s, server CPU {figures[1]:.0f} s")
    print("kinds: " + ", ".join(f"{name} {number:,}" for name, number in sorted(heard.kinds.items())))
    print("statuses: " + ", ".join(f"{status} {number:,}" for status, number in sorted(heard.statuses.items())))
    print("resident MiB after each fifth: " + ", ".join(f"{size / 2**20:.1f}" for size in heard.resident))
    print(f"acknowledged {heard.acknowledged.total():,}, lost {lost.total()}, complaints {len(heard.complaints)}")
    for line in heard.complaints[:40]:
        print("  " + line)
    print(f"the models answer rightly: {right}; exit code {code}; the error stream: {house.said()[:2000] or 'empty'}")
    return bool(heard.complaints or lost or code or house.said() or not right)


if __name__ == "__main__":
    main()
