"""Live traffic for the demo: real HTTP over kept-alive connections, and no request given up.

A connection that dies (a worker was killed) is opened again and its request repeated under the same request id: the
log knows one prediction by one id, so asking twice is asking once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import httptools

_PATIENCE_SECONDS = 30.0


@dataclass
class Tally:
    """What the clients saw. `answered` are the request ids that got a 2xx answer."""

    requested: int = 0
    answered: set[str] = field(default_factory=set)
    statuses: Counter[int] = field(default_factory=Counter)
    reconnects: int = 0

    @property
    def non_2xx(self) -> int:
        """Answers other than a success."""
        return sum(count for status, count in self.statuses.items() if not 200 <= status < 300)


class _Connection(asyncio.Protocol):
    """One kept-alive HTTP/1.1 connection with one request in flight."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._waiter: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the protocol's signature
        self._transport = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError("the connection was closed before the answer"))

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        self._parser = httptools.HttpResponseParser(self)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(status)

    async def send(self, request: bytes) -> int:
        """The status of the answer. Raises `ConnectionError` when there will be none."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("not connected")
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiter

    def close(self) -> None:
        """Closes at once."""
        if self._transport is not None:
            self._transport.abort()


class Traffic:
    """A pool of connections to one gateway."""

    def __init__(self, host: str, port: int, connections: int = 8) -> None:
        self._host = host
        self._port = port
        self._size = connections
        self._pool: list[_Connection | None] = [None] * connections
        self.tally = Tally()

    async def predict(self, model: str, bodies: Sequence[tuple[str, bytes]]) -> None:
        """Sends predict requests, given as (request id, JSON body), as fast as the pool allows; waits for all."""
        self.tally.requested += len(bodies)
        head = f"POST /v1/models/{model}/predict HTTP/1.1\r\nhost: {self._host}:{self._port}\r\n"
        work = iter(bodies)

        async def worker(slot: int) -> None:
            for request_id, body in work:
                status = await self._ask(slot, _request(head, body))
                self.tally.statuses[status] += 1
                if 200 <= status < 300:
                    self.tally.answered.add(request_id)

        await asyncio.gather(*(worker(slot) for slot in range(self._size)))

    async def post(self, path: str, body: bytes) -> int:
        """Sends one other request and returns its status."""
        return await self._ask(0, _request(f"POST {path} HTTP/1.1\r\nhost: {self._host}:{self._port}\r\n", body))

    def close(self) -> None:
        """Closes all connections."""
        for connection in self._pool:
            if connection is not None:
                connection.close()

    async def _ask(self, slot: int, request: bytes) -> int:
        deadline = asyncio.get_running_loop().time() + _PATIENCE_SECONDS
        while True:
            try:
                connection = self._pool[slot] or await self._connect(slot)
                return await connection.send(request)
            except (ConnectionError, OSError):
                self._pool[slot] = None
                self.tally.reconnects += 1
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.02)

    async def _connect(self, slot: int) -> _Connection:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(_Connection, self._host, self._port)
        self._pool[slot] = connection
        return connection


def _request(head: str, body: bytes) -> bytes:
    return f"{head}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
