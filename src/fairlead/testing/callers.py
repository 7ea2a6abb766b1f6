"""Callers of a gateway, from a thread of their own: what each was answered, by which version, and when."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from fairlead.testing.candidate import CONTRACT, draw

_REST_SECONDS = 0.02  # after what was no answer, at least: a server that refuses is not asked in a tight loop
_STRIDE = 17  # connections meet the rows in other orders

Row = Mapping[str, Any]


class Answer(NamedTuple):
    """What came of one request. `begun` and `ended` are seconds since 1970; `version` is 0 where an error does not tell
    it; `error` and `retry_after` are empty where there are none."""

    request_id: str
    status: int
    version: int
    retry_after: str
    error: str
    begun: float
    ended: float


class Callers:
    """Connections that ask for predictions, each request id once and for a unit of its own, until the block is left.

    `answers` grows while they ask. `broken` has the ids of requests whose connection ended before their answer was
    whole; such a caller connects again.
    """

    def __init__(
        self,
        port: int,
        connections: int = 8,
        *,
        model: str = "stay",
        rows: Sequence[Row] | None = None,
        pause: float = 0.01,
    ) -> None:
        """`port` is one on loopback, `rows` are asked in turn (default: those of `testing.candidate`'s model), `pause`
        is how many seconds a connection rests between two requests."""
        self.answers: list[Answer] = []
        self.broken: list[str] = []
        self._port, self._connections, self._pause = port, connections, pause
        self._rows = stays() if rows is None else rows
        head = f"POST /v1/models/{model}/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        self._head = head.encode()
        self._name = f"{time.time_ns():x}"  # ids are asked for once, whoever else asks this system
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._ask_all()), daemon=True)

    def __enter__(self) -> Callers:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Every caller has its last answer. Raises `AssertionError` where one has none after a minute."""
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
        """The answers to what was asked after an instant."""
        return [answer for answer in list(self.answers) if answer.begun >= instant]

    def by(self, version: int) -> list[Answer]:
        """What a version answered, failures included that tell it."""
        return [answer for answer in list(self.answers) if answer.version == version]

    async def _ask_all(self) -> None:
        await asyncio.gather(*(self._ask(number) for number in range(self._connections)))

    async def _ask(self, caller: int) -> None:
        streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        count, answered = 0, False
        while not self._over.is_set():
            count += 1
            name, row = f"{self._name}-{caller}-{count}", self._rows[(caller + _STRIDE * count) % len(self._rows)]
            try:
                if streams is None:
                    streams = await asyncio.open_connection("127.0.0.1", self._port)
                answer, is_last = await self._one(*streams, name, row)
                self.answers.append(answer)
                answered = answer.status == 200
            except (OSError, EOFError, ValueError):
                self.broken.append(name)
                answered, is_last = False, True
            if is_last and streams is not None:
                streams[1].close()
                streams = None
            await asyncio.sleep(self._pause if answered else max(self._pause, _REST_SECONDS))
        if streams is not None:
            streams[1].close()

    async def _one(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, row: Row
    ) -> tuple[Answer, bool]:
        """One request; and whether the server closes the connection after it."""
        body = json.dumps({"features": row, "unit_id": name, "request_id": name}).encode()
        begun = time.time()
        writer.write(self._head + b"content-length: %d\r\n\r\n" % len(body) + body)
        said = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        fields = dict(line.split(": ", 1) for line in said.split("\r\n")[1:] if line)
        whole = json.loads(await reader.readexactly(int(fields["content-length"])))
        status, retry = int(said[9:12]), fields.get("retry-after", "")
        answer = Answer(name, status, whole.get("version", 0), retry, whole.get("error", ""), begun, time.time())
        return answer, fields.get("connection") == "close"


@cache
def stays() -> tuple[Row, ...]:
    """4,000 rows of the model by formula."""
    return tuple(dict(zip(CONTRACT.names, row, strict=True)) for row in draw(4000, seed=11)[0])
