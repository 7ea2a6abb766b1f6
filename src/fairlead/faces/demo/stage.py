"""The demo's stage: a real `fairlead up` beside this process, real traffic, and the journal to see what came of it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from fairlead.core.event import Entry
from fairlead.errors import StateError
from fairlead.faces.demo.bookings import Bookings, Day
from fairlead.faces.demo.home import MODEL
from fairlead.faces.demo.traffic import Traffic
from fairlead.operations.context import Context

T = TypeVar("T")

_START_SECONDS = 60.0
_STOP_SECONDS = 15.0
_OUTCOMES_PER_POST = 500


@contextmanager
def running(home: Path, config: Path, *, keep: bool) -> Iterator[subprocess.Popen[bytes]]:
    """`fairlead up` in a process of its own; stopped at the end, unless the demo succeeded and is to be kept."""
    log = (home / "up.log").open("wb")
    command = [sys.executable, "-m", "fairlead.app.main", "--home", str(home), "--config", str(config), "up"]
    process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True)
    done = False
    try:
        yield process
        done = True
    finally:
        log.close()
        if not (keep and done):
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """Stops `fairlead up` and waits for it."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Facts:
    """Follows the journal while the demo goes on."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._read = 0
        self.entries: list[Entry] = []

    def refresh(self) -> list[Entry]:
        """All entries, up to now."""
        for entry in self._context.journal.read(self._read):
            self._read = entry.seq
            self.entries.append(entry)
        return self.entries

    def of(self, kind: type[T]) -> list[T]:
        """All facts of a kind, oldest first."""
        return [entry.fact for entry in self.refresh() if isinstance(entry.fact, kind)]

    async def wait(self, ready: Callable[[], bool], what: str, seconds: float) -> None:
        """Waits until something is so. Raises `StateError` naming what never came."""
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                raise StateError(f"the demo waited {seconds:.0f} s for {what} in vain: up.log in its home says more")
            await asyncio.sleep(0.02)


class Play:
    """Plays bookings as live traffic, a day of event time after the other, and kills a worker when told."""

    def __init__(self, bookings: Bookings, traffic: Traffic, context: Context, advance: Callable[[int], None]) -> None:
        self._bookings = bookings
        self._traffic = traffic
        self._context = context
        self._advance = advance
        self.workers_killed = 0
        self._kill_at: int | None = None

    def kill_a_worker_at(self, requests: int) -> None:
        """A worker is killed (SIGKILL) as soon as so many predictions were asked for."""
        self._kill_at = requests

    async def ready(self) -> None:
        """Waits until the gateway serves the model."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            body = b'{"instances": []}'
            if await self._traffic.post(f"/v1/models/{MODEL}/predict", body) == 400:
                return
            await asyncio.sleep(0.05)
        raise StateError("the gateway did not become ready: up.log in the demo's home says why")

    async def day(self, day: Day) -> None:
        """A day: the outcomes that became known, and the predictions of its arrivals."""
        await self.outcomes(day.outcomes)
        killing = asyncio.ensure_future(self._kill()) if self._due(len(day.requests)) else None
        await self._traffic.predict(MODEL, day.requests)
        if killing is not None:
            await killing
        self._advance(len(day.requests))

    async def outcomes(self, outcomes: list[dict[str, object]]) -> None:
        """Tells outcomes."""
        for start in range(0, len(outcomes), _OUTCOMES_PER_POST):
            body = msgspec.json.encode(outcomes[start : start + _OUTCOMES_PER_POST])
            status = await self._traffic.post("/v1/outcomes", body)
            if not 200 <= status < 300:
                raise StateError(f"the gateway refused outcomes with status {status}")

    def _due(self, coming: int) -> bool:
        return self._kill_at is not None and self._traffic.tally.requested + coming >= self._kill_at

    async def _kill(self) -> None:
        """Kills one worker while its requests are in flight."""
        self._kill_at = None
        await asyncio.sleep(0.005)
        living = [state.pid for state in self._context.board.workers() if state.pid > 0]
        if living:
            os.kill(living[0], signal.SIGKILL)
            self.workers_killed += 1
