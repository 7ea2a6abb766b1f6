"""Real load on a real system, disks that are small or break, and what the log holds afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from fairlead.adapters.segment_reader import SegmentReader

ROW = {"age": 40.0, "nights": 2.0, "city": "Bergen"}


class Answer(NamedTuple):
    """What came of one request. `begun` and `ended` are monotonic seconds."""

    request_id: str
    status: int
    version: int
    retry_after: str
    error: str
    begun: float
    ended: float


class Load:
    """Connections that ask without pause, each request id once, from a thread of its own.

    `broken` counts requests whose connection broke before an answer was whole. It is over when the block is left.
    """

    def __init__(
        self, port: int, connections: int, *, model: str = "stay", row: dict[str, Any] | None = None, pause: float = 0.0
    ) -> None:
        """`pause`: seconds that each connection rests between two requests."""
        self.answers: list[Answer] = []
        self.broken: list[str] = []
        self._port, self._connections, self._model = port, connections, model
        self._row = ROW if row is None else row
        self._pause = pause
        self._name = f"{time.time_ns():x}"  # ids are asked for once, whoever else asks this system
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask_all()), daemon=True)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(60)
        assert not self._thread.is_alive(), "a caller hangs"

    @property
    def statuses(self) -> Counter[int]:
        """How often each status came."""
        return Counter(answer.status for answer in list(self.answers))

    @property
    def acknowledged(self) -> list[str]:
        """The ids that were answered with 200."""
        return [answer.request_id for answer in list(self.answers) if answer.status == 200]

    def since(self, instant: float) -> list[Answer]:
        """The answers to what was asked after a monotonic instant."""
        return [answer for answer in list(self.answers) if answer.begun >= instant]

    async def _ask_all(self) -> None:
        await asyncio.gather(*(self._ask(number) for number in range(self._connections)))

    async def _ask(self, caller: int) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        count = 0
        while not self._over.is_set():
            count += 1
            name = f"{self._name}-{caller}-{count}"
            try:
                if streams is None:
                    streams = await asyncio.open_connection("127.0.0.1", self._port)
                answer, is_last = await self._one(*streams, name)
            except (OSError, EOFError, ValueError):
                self.broken.append(name)
                if streams is not None:
                    streams[1].close()
                    streams = None
                await asyncio.sleep(0.02)
                continue
            self.answers.append(answer)
            if is_last:
                streams[1].close()
                streams = None
            if self._pause or answer.status != 200:
                await asyncio.sleep(self._pause or 0.02)
        if streams is not None:
            streams[1].close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str) -> tuple[Answer, bool]:
        """One request; and whether the server closes the connection after it."""
        body = json.dumps({"features": self._row, "unit_id": name, "request_id": name}).encode()
        head = f"POST /v1/models/{self._model}/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        begun = time.monotonic()
        writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
        said = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        fields = dict(line.split(": ", 1) for line in said.split("\r\n")[1:] if line)
        whole = json.loads(await reader.readexactly(int(fields["content-length"])))
        status, retry = int(said[9:12]), fields.get("retry-after", "")
        answer = Answer(name, status, whole.get("version", 0), retry, whole.get("error", ""), begun, time.monotonic())
        return answer, fields.get("connection") == "close"


@pytest.fixture
def load() -> type[Load]:
    """See `Load`."""
    return Load


def logged(home: Path) -> Counter[str]:
    """How often each request id stands in the segments, repeats included."""
    reader, found = SegmentReader(home / "log"), Counter[str]()
    reader.without_repeats = list  # type: ignore[assignment, method-assign]  # a double must be seen
    while batch := reader.poll()[0]:
        found.update(record.request_id for record in batch)
    return found


@pytest.fixture
def log_of() -> Callable[[Path], Counter[str]]:
    """See `logged`."""
    return logged


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._run("mount", *options, str(folder))

    def again(self, options: str) -> None:
        """Changes it while it is in use."""
        self._run("mount", "-o", f"remount,{options}", str(self.folder))

    def leave(self) -> None:
        """Unmounts it, however it is used."""
        self._run("umount", "-l", str(self.folder))

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}; these tests mount disks, which takes root"


@pytest.fixture(scope="module")
def mount() -> Iterator[Callable[..., Disk]]:
    """Mounts file systems, and unmounts them at the end."""
    mounted: list[Disk] = []

    def make(folder: Path, *options: str) -> Disk:
        mounted.append(Disk(folder, *options))
        return mounted[-1]

    yield make
    for disk in reversed(mounted):
        if os.path.ismount(disk.folder):
            disk.leave()
