"""How long a route change takes until callers feel it, under load, on the embedded board (a file in the home).

Each change publishes a table in which the other of two warm versions answers everything. It is over when every kept
connection has had an answer by it; connections are spread over all workers, which is checked, so that is the last
worker and the next request after it. Beside it: when the last worker had swapped, by its own word. Both count from
before `publish`, so they include its fsync.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import numpy as np
import uvloop

from benchmarks.serving import post, warn_if_busy
from fairlead.adapters.bundle_folder import BundleFolder
from fairlead.adapters.route_file import RouteFile
from fairlead.app.supervisor import Supervisor
from fairlead.core.route import Arm, ModelRoute, RouteTable
from fairlead.testing.candidate import Parts, formula_onnx, write_candidate

BODY = b'{"features":{"age":40.0,"nights":2.0,"city":"Bergen"}}'
WARM_CHANGES = 5
REST_SECONDS = (0.05, 0.15)  # between two changes, so that they fall anywhere between two looks at the board


class Change(NamedTuple):
    """Seconds from before the publication."""

    published: float
    swapped: float
    answered: float


class Callers:
    """Kept connections that ask again and again; `seen` is the version of each one's latest answer."""

    def __init__(self, port: int, connections: int, pause: float) -> None:
        self.seen = [0] * connections
        self.answers = 0
        self.dealt = 0  # how often the connections were made anew
        self._rng = np.random.default_rng(2)
        self._port, self._pause = port, pause
        self._request = post("/v1/models/stay/predict", BODY)

    async def run(self) -> None:
        """Asks until cancelled."""
        await asyncio.gather(*(self._ask(number) for number in range(len(self.seen))))

    async def until(self, version: int) -> float:
        """When every connection has been answered by a version, in monotonic seconds."""
        while any(seen != version for seen in self.seen):  # noqa: ASYNC110 - an event would cost each answer a look
            await asyncio.sleep(0.0005)
        return time.perf_counter()

    async def _ask(self, number: int) -> None:
        while True:
            dealt = self.dealt
            await asyncio.sleep(self._rng.uniform(0.0, 0.3))  # one worker would take all that come at once
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            while dealt == self.dealt:
                self.seen[number] = await self._answer(reader, writer)
                self.answers += 1
                await asyncio.sleep(self._pause)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        """The version that answers one request."""
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"^HTTP/1.1 200.*content-length: (\d+)", head, re.DOTALL)
        assert found is not None, head
        body = await reader.readexactly(int(found[1]))
        version = re.search(rb'"version":(\d+)', body)
        assert version is not None, body
        return int(version[1])


class Plane:
    """Supervised workers over a home with two versions."""

    def __init__(self, home: Path, workers: int) -> None:
        self.workers = workers
        self.board = RouteFile(home / "routes")
        self.generation = 0
        self._bundles = {}
        for version in (1, 2):
            draft = home / f"draft-{version}"
            draft.mkdir(parents=True)
            manifest = write_candidate(draft, Parts(portable=formula_onnx(), model=str(version).encode()))
            self._bundles[version] = BundleFolder(home / "bundles").put(draft, manifest)
        self.publish()
        self.supervisor = Supervisor(home, "127.0.0.1", 0, workers, "batch", lambda *_: None)

    def publish(self) -> int:
        """The other version answers from now on; its number."""
        self.generation += 1
        version = self.generation % 2 + 1
        route = ModelRoute((Arm("champion", version, 1.0),), self._bundles)
        self.board.publish(RouteTable(self.generation, {"stay": route}))
        return version

    def is_applied(self) -> bool:
        """Whether every worker says that it runs the table."""
        return sum(state.generation == self.generation for state in self.board.workers()) == self.workers

    def asked(self) -> dict[str, int]:
        """How many requests each worker has answered, by its number; the figures are up to a second old."""
        with urlopen(f"http://127.0.0.1:{self.supervisor.port}/metrics") as answer:
            text = answer.read().decode()
        counts: dict[str, int] = {}
        pattern = r'^fairlead_inference_requests_total\{.*code="200",worker="(\d+)"\} (\d+)'
        for worker, count in re.findall(pattern, text, re.MULTILINE):
            counts[worker] = counts.get(worker, 0) + int(count)
        return counts


@contextmanager
def plane(home: Path, workers: int) -> Iterator[Plane]:
    """Workers that are ready."""
    made = Plane(home, workers)
    made.supervisor.start()
    try:
        while not made.is_applied():
            time.sleep(0.05)
        yield made
    finally:
        made.supervisor.stop()


async def change(made: Plane, callers: Callers) -> Change:
    """One change, to its end."""
    began, began_at = time.perf_counter(), time.time()
    version = made.publish()
    published = time.perf_counter() - began
    answered = await callers.until(version) - began
    while not made.is_applied():  # noqa: ASYNC110 - workers say it in files
        await asyncio.sleep(0.001)
    swapped = max(state.applied_at for state in made.board.workers()) - began_at
    return Change(published, swapped, answered)


async def measure(made: Plane, connections: int, pause: float, changes: int) -> tuple[list[Change], float]:
    """The changes under load, and how many requests a second were answered meanwhile."""
    callers = Callers(made.supervisor.port, connections, pause)
    asking = asyncio.ensure_future(callers.run())
    await callers.until(made.generation % 2 + 1)
    before = await asyncio.to_thread(made.asked)
    while True:
        await asyncio.sleep(2.5)  # workers' counts are a second old
        now = await asyncio.to_thread(made.asked)
        if sum(count > before.get(worker, 0) for worker, count in now.items()) == made.workers:
            break
        callers.dealt += 1
        before = await asyncio.to_thread(made.asked)
    rng = np.random.default_rng(1)
    taken: list[Change] = []
    began, answers = time.perf_counter(), callers.answers
    for _ in range(WARM_CHANGES + changes):
        await asyncio.sleep(rng.uniform(*REST_SECONDS))
        taken.append(await change(made, callers))
    rate = (callers.answers - answers) / (time.perf_counter() - began)
    asking.cancel()
    return taken[WARM_CHANGES:], rate


def report(workers: int, taken: list[Change], rate: float) -> None:
    """Prints one number of workers' distribution."""
    print(f"{workers} workers, {len(taken)} changes under {rate:,.0f} requests/s; milliseconds")
    print(f"  {'':<28}{'p50':>8}{'p90':>8}{'p99':>8}{'max':>8}")
    names = ("published (fsync)", "the last worker swapped", "every connection answered")
    for name, column in zip(names, zip(*taken, strict=True), strict=True):
        cells = np.quantile(np.array(column) * 1000.0, (0.5, 0.9, 0.99, 1.0))
        print(f"  {name:<28}" + "".join(f"{cell:>8.1f}" for cell in cells))


def main() -> None:
    """The benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--changes", type=int, default=150, help="at least 100")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--pause", type=float, default=0.01, help="seconds that a connection rests between requests")
    options = parser.parse_args()
    warn_if_busy(os.cpu_count() or 1)
    for workers in options.workers:
        with (
            tempfile.TemporaryDirectory(prefix="fairlead-routes-") as name,
            plane(Path(name), workers) as made,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            work = measure(made, options.connections, options.pause, max(100, options.changes))
            report(workers, *runner.run(work))


if __name__ == "__main__":
    main()
