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

from fairlead.adapters.segment_reader import SegmentReader

System = Any  # the fixtures' values: see conftest
CLIENTS = 3


class Callers:
    """Callers that ask without pause, each id once; `acknowledged` are those whose answer came."""

    def __init__(self, system: System) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[int] = []
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
            thread.join(30)
            assert not thread.is_alive()

    def _ask(self, caller: int) -> None:
        row, count = self._system.row(), 0
        with httpx.Client(base_url=f"http://127.0.0.1:{self._system.port}", timeout=10.0) as http:
            while not self._over.is_set():
                count += 1
                name = f"d{caller}-{count}"
                body = {"features": row, "unit_id": name, "request_id": name}
                try:
                    status = http.post("/v1/models/stay/predict", json=body).status_code
                except httpx.HTTPError:
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


def strike(system: System, rng: random.Random) -> str:
    """Kills a worker, the controller or the supervisor itself, whichever the lot names and is alive."""
    what = rng.choice(["worker", "worker", "controller", "supervisor"])
    if what == "supervisor":
        system.process.kill()
        system.process.wait()
        system.process.stdout.close()
        system.start(system.port)
        return what
    alive = system.children(what)
    if alive:
        os.kill(rng.choice(alive), signal.SIGKILL)
    return what


def survive(system: System, rounds: int, seed: int) -> None:
    """Strikes at random moments under load; then every acknowledged id is in the log exactly once."""
    rng = random.Random(seed)
    struck: Counter[str] = Counter()
    with Callers(system) as callers:
        for _ in range(rounds):
            seen = len(callers.acknowledged)
            system.wait(lambda seen=seen: len(callers.acknowledged) > seen + 20)
            time.sleep(rng.random() * 0.3)
            struck[strike(system, rng)] += 1
        system.wait(lambda: len(system.children("worker")) == 2)
        seen = len(callers.acknowledged)
        system.wait(lambda: len(callers.acknowledged) > seen + 100)
    system.process.send_signal(signal.SIGTERM)
    assert system.process.wait(30) == 0
    found = logged(system.home)
    assert sum(struck.values()) == rounds
    assert [name for name in callers.acknowledged if found[name] != 1] == []
    assert callers.refused == []


def test_kills_lose_nothing_that_was_acknowledged(start: Callable[[], System]) -> None:
    """Four kills, of workers, controller and supervisor."""
    survive(start(), 4, seed=1)


@pytest.mark.slow
def test_two_hundred_kills_lose_nothing_that_was_acknowledged(start: Callable[[], System]) -> None:
    """Two hundred kills at random moments: each acknowledged id is in the log once, and nobody was told of an error."""
    survive(start(), 200, seed=2)
