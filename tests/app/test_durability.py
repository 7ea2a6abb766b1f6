"""Nothing that was acknowledged is lost, whatever is killed when."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from fairlead.adapters.file_lock import held
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.errors import Refused
from fairlead.operations.prediction_log import LOCK, compact, history

System = Any  # the fixtures' values: see conftest
CLIENTS = 3
PATIENCE_SECONDS = 240.0  # of a machine that others use too
SETTINGS = "log: {compact_every: 1s}\n"


class Callers:
    """Callers that ask without pause, each id once; `acknowledged` are those whose answer came."""

    def __init__(self, system: System) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[int] = []
        self.cut = 0
        self._system = system
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,), daemon=True) for number in range(CLIENTS)]

    def __enter__(self) -> Callers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive()

    def _ask(self, caller: int) -> None:
        row, count = self._system.row(), 0
        with httpx.Client(base_url=f"http://127.0.0.1:{self._system.port}", timeout=60.0) as http:
            while not self._over.is_set():
                count += 1
                name = f"d{caller}-{count}"
                body = {"features": row, "unit_id": name, "request_id": name}
                try:
                    status = http.post("/v1/models/stay/predict", json=body).status_code
                except httpx.HTTPError:
                    self.cut += 1
                    time.sleep(0.02)  # nobody answered: this id is not asked for again
                    continue
                if status == 200:
                    self.acknowledged.append(name)
                else:
                    self.refused.append(status)


def logged(home: Path) -> Counter[str]:
    """How often each request id stands in the log."""
    reader, found = SegmentReader(home / "log"), Counter[str]()
    while batch := reader.poll()[0]:
        found.update(record.request_id for record in batch)
    return found


def tabled(system: System) -> Counter[str]:
    """How often each request id stands in the table and the segments beyond it."""
    compact(system.context)
    reader, found = history(system.context), Counter[str]()
    while batch := reader.poll()[0]:
        found.update(record.request_id for record in batch)
    return found


def is_compacting(home: Path) -> bool:
    """Whether a round of the compactor is under way at this moment."""
    try:
        with held(home / "log" / LOCK, "compacting"):
            return False
    except Refused:
        return True


def strike_compactor(system: System) -> str:
    """Kills the controller in the middle of a compaction, if one begins within a while."""
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline:
        if is_compacting(system.home):
            for pid in system.children("controller"):
                os.kill(pid, signal.SIGKILL)
            return "compactor"
        time.sleep(0.005)
    return "compactor at rest"


def strike(system: System, rng: random.Random) -> str:
    """Kills a worker, the controller, the compactor or the supervisor itself, whichever the lot names and is alive."""
    what = rng.choice(["worker", "worker", "controller", "supervisor", "compactor"])
    if what == "compactor":
        return strike_compactor(system)
    if what == "supervisor":
        left = {*system.children("worker"), *system.children("controller")}
        system.process.kill()
        system.process.wait()
        system.process.stdout.close()
        system.wait(lambda: left.isdisjoint(system.parents()), PATIENCE_SECONDS)  # who has the ports until it notices
        system.start(system.port)
        return what
    alive = system.children(what)
    if alive:
        os.kill(rng.choice(alive), signal.SIGKILL)
    return what


def survive(system: System, rounds: int, seed: int) -> None:
    """Strikes at random moments under load; then every acknowledged id is in the log exactly once, and in the table."""
    rng = random.Random(seed)
    struck: Counter[str] = Counter()
    with Callers(system) as callers:
        for _ in range(rounds):
            seen = len(callers.acknowledged)
            system.wait(lambda seen=seen: len(callers.acknowledged) > seen + 20, PATIENCE_SECONDS)
            time.sleep(rng.random() * 0.3)
            struck[strike(system, rng)] += 1
        system.wait(lambda: len(system.children("worker")) == 2, PATIENCE_SECONDS)
        seen = len(callers.acknowledged)
        system.wait(lambda: len(callers.acknowledged) > seen + 100, PATIENCE_SECONDS)
    system.process.send_signal(signal.SIGTERM)
    assert system.process.wait(PATIENCE_SECONDS) == 0
    print(f"{rounds} rounds: {dict(struck)}; {len(callers.acknowledged)} acknowledged, {callers.cut} cut off")
    assert sum(struck.values()) == rounds
    for found in (logged(system.home), tabled(system)):
        assert [name for name in callers.acknowledged if found[name] != 1] == []
    assert callers.refused == []


def test_kills_lose_nothing_that_was_acknowledged(start: Callable[..., System]) -> None:
    """Four kills, of workers, controller, compactor and supervisor."""
    survive(start(settings=SETTINGS), 4, seed=1)


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing_that_was_acknowledged(start: Callable[..., System]) -> None:
    """Two hundred kills at random moments: each acknowledged id is in the log once, and nobody was told of an error."""
    survive(start(settings=SETTINGS), 200, seed=2)
