"""Callers who take their time or bring too much, hundreds at once, while others want to be answered."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from socket import SO_RCVBUF, SOL_SOCKET, create_connection, socket
from typing import Any, NamedTuple

import uvloop

from benchmarks.hostile.answers import Torn, read_answer
from benchmarks.hostile.house import BINARY, ROWS, House
from benchmarks.hostile.wire import START

GIVE_UP_SECONDS = 60.0
GOOD = START.replace(b"/wire/", b"/binary/")
PIECE = b"x" * 2**16

Caller = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Ended(NamedTuple):
    """What became of the crowd: the status of each caller's answer, 0 where the connection was closed without one, -1
    where it stayed open; how often a good caller was answered meanwhile, and how often not; the most memory, in bytes,
    that the worker had resident."""

    statuses: Counter[int]
    answered: int
    failed: int
    resident: int


async def a_byte_a_second(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A right request, so slowly that it never ends."""
    for byte in START + b"content-length: 500\r\n\r\n":
        writer.write(bytes([byte]))
        await asyncio.sleep(1.0)


async def a_head_without_end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ever another field, as fast as it is taken."""
    writer.write(START)
    while True:
        writer.write(b"x-more: " + b"y" * 1000 + b"\r\n")
        await writer.drain()


async def a_body_that_never_ends(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Half of what was announced, and then nothing."""
    writer.write(START + b"content-length: 100000\r\n\r\n" + b"{" * 50_000)
    await asyncio.sleep(GIVE_UP_SECONDS)


async def chunks_without_end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ten megabytes and more, in chunks, so that no length is announced."""
    writer.write(START + b"transfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + PIECE + b"\r\n")
        await writer.drain()


async def nothing(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """A connection, and that is all."""
    await asyncio.sleep(GIVE_UP_SECONDS)


def ten_megabytes(size: int = 10 * 10**6) -> Caller:
    """A body that is whole, announced and too large, or just not too large."""

    async def call(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(START + b"content-length: %d\r\n\r\n" % size)
        for at in range(0, size, len(PIECE)):
            writer.write(PIECE[: min(len(PIECE), size - at)])
            await writer.drain()

    return call


async def _one(port: int, caller: Caller, statuses: Counter[int]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    calling = asyncio.ensure_future(caller(reader, writer))
    try:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            answer = await read_answer(reader)
            statuses[answer.status if answer else 0] += 1
    except (ConnectionError, Torn):
        statuses[0] += 1
    except TimeoutError:
        statuses[-1] += 1
    finally:
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)
        writer.close()


class _Good:
    """A caller who asks one small thing after the other."""

    def __init__(self) -> None:
        self.answered = self.failed = 0

    async def ask(self, port: int) -> None:
        """Until it is told to stop."""
        body = json.dumps({"features": ROWS[BINARY]}).encode()
        request = GOOD + b"content-length: %d\r\n\r\n" % len(body) + body
        line = create_connection(("127.0.0.1", port))
        line.sendall(request)  # at once, however busy this loop is: who connects and says nothing is closed
        reader, writer = await asyncio.open_connection(sock=line)
        try:
            while True:
                answer = await read_answer(reader)
                is_right = answer is not None and answer.status == 200
                self.answered += is_right
                self.failed += not is_right
                await asyncio.sleep(0.01)
                writer.write(request)
        finally:
            writer.close()


@asynccontextmanager
async def _watched(house: House) -> AsyncIterator[list[int]]:
    """The most memory that is resident, looked at fifty times a second."""
    most = [house.resident()]

    async def watch() -> None:
        while True:
            most[0] = max(most[0], house.resident())
            await asyncio.sleep(0.02)

    watching = asyncio.ensure_future(watch())
    yield most
    watching.cancel()


async def _gather(house: House, caller: Caller, count: int) -> Ended:
    statuses: Counter[int] = Counter()
    good = _Good()
    async with _watched(house) as most:
        asking = asyncio.ensure_future(good.ask(house.port))
        await asyncio.gather(*(_one(house.port, caller, statuses) for _ in range(count)))
        before = good.answered
        async with asyncio.timeout(GIVE_UP_SECONDS):  # whoever is good is also answered afterwards
            while good.answered == before and not asking.done():  # noqa: ASYNC110 - it is polled
                await asyncio.sleep(0.01)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    return Ended(statuses, good.answered, good.failed, most[0])


def crowd(house: House, caller: Caller, count: int) -> Ended:
    """So many callers of a kind at once, until each has been answered or closed; and a good one among them."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_gather(house, caller, count))


class Deaf:
    """Callers who ask for much, again and again, and never read an answer."""

    def __init__(self, port: int, count: int, path: bytes = b"/openapi.json") -> None:
        self._sockets = [_deaf(port) for _ in range(count)]
        self._request = b"GET " + path + b" HTTP/1.1\r\nhost: here\r\n\r\n"
        self.sent = 0

    def ask(self, times: int) -> None:
        """Sends so many requests on each connection, as far as they are taken."""
        for one in self._sockets:
            for _ in range(times):
                try:
                    self.sent += one.send(self._request)
                except (BlockingIOError, ConnectionError):
                    break

    def close(self) -> None:
        """Goes."""
        for one in self._sockets:
            one.close()


def _deaf(port: int) -> socket:
    made = socket()
    made.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096)
    made.connect(("127.0.0.1", port))
    made.setblocking(False)
    return made
