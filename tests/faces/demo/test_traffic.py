"""Live traffic: every request is answered once, however often a connection breaks."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Self

import pytest

from fairlead.faces.demo.traffic import Tally, Traffic
from fairlead.testing.loopback import own_port

Answer = Callable[[int], bytes | None]


def ok(status: int = 200) -> bytes:
    """A whole answer."""
    body = b'{"ok":true}'
    return b"HTTP/1.1 %d Said\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body


class Server:
    """Speaks HTTP/1.1 on kept-alive connections. `answer` says what the n-th request gets; None closes instead."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.seen: list[tuple[str, bytes]] = []
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = next(
                    int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length")
                )
                self.seen.append((head.split()[1].decode(), await reader.readexactly(length)))
                said = self._answer(len(self.seen))
                if said is None:
                    return
                writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()


def bodies(count: int) -> list[tuple[str, bytes]]:
    """Requests r0, r1, …"""
    return [(f"r{n}", json.dumps({"request_id": f"r{n}"}).encode()) for n in range(count)]


def play(answer: Answer, act: Callable[[Traffic, Server], Awaitable[None]], connections: int = 4) -> Server:
    """Runs an act between a server and its traffic."""

    async def run() -> Server:
        async with Server(answer) as server:
            traffic = Traffic("127.0.0.1", server.port, connections)
            try:
                await act(traffic, server)
            finally:
                traffic.close()
        return server

    return asyncio.run(run())


def test_every_request_is_sent_once_over_few_connections() -> None:
    """Kept alive; the address and body are those that were asked for."""
    tallies: list[Tally] = []

    async def act(traffic: Traffic, _: Server) -> None:
        await traffic.predict("hotel", bodies(200))
        tallies.append(traffic.tally)

    server = play(lambda _: ok(), act)
    assert server.connections == 4
    assert {path for path, _ in server.seen} == {"/v1/models/hotel/predict"}
    assert sorted(body for _, body in server.seen) == sorted(body for _, body in bodies(200))
    tally = tallies[0]
    assert (tally.requested, len(tally.answered), tally.reconnects, tally.non_2xx) == (200, 200, 0, 0)


@pytest.mark.parametrize("cut", [None, b"HTTP/1.1 200 OK\r\ncontent-le", ok()[:-4]])
def test_a_dropped_connection_asks_again_under_the_same_id(cut: bytes | None) -> None:
    """Before the answer, in the middle of its head or its body: each id is answered, and none is invented."""
    closing: set[int] = set()

    def answer(number: int) -> bytes | None:
        if number % 7 == 0:
            closing.add(number)
            return cut
        return ok()

    class Cutting(Server):
        """Closes after a part of an answer."""

        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            write = writer.write

            def then_close(data: Any) -> None:
                write(data)
                if data == cut:
                    writer.close()

            writer.write = then_close  # type: ignore[method-assign]  # this connection only
            await super()._serve(reader, writer)

    async def run() -> tuple[Cutting, Tally]:
        async with Cutting(answer) as server:
            traffic = Traffic("127.0.0.1", server.port, 3)
            await traffic.predict("hotel", bodies(60))
            traffic.close()
            return server, traffic.tally

    server, tally = asyncio.run(run())
    asked = Counter(json.loads(body)["request_id"] for _, body in server.seen)
    assert set(asked) == tally.answered == {name for name, _ in bodies(60)}
    assert sum(asked.values()) == 60 + len(closing)
    assert tally.reconnects == len(closing) > 5
    assert tally.requested == 60


def test_a_gateway_that_comes_late_is_waited_for() -> None:
    """The port may be closed when the first request is sent."""

    async def run() -> Tally:
        port = own_port()
        traffic = Traffic("127.0.0.1", port, 2)
        asking = asyncio.ensure_future(traffic.predict("hotel", bodies(10)))
        await asyncio.sleep(0.1)
        late = Server(lambda _: ok())
        late.port = port
        async with late:
            await asking
            traffic.close()
        return traffic.tally

    tally = asyncio.run(run())
    assert len(tally.answered) == 10
    assert tally.reconnects > 0


def test_a_gateway_that_never_comes_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patience ends with the connection's own error."""
    monkeypatch.setattr("fairlead.faces.demo.traffic._PATIENCE_SECONDS", 0.1)

    async def run() -> None:
        await Traffic("127.0.0.1", own_port(), 1).predict("hotel", bodies(1))

    with pytest.raises(OSError, match="Connect call failed"):
        asyncio.run(run())


def test_an_error_is_an_answer() -> None:
    """It is counted and not asked again: only a lost answer is."""
    tallies: list[Tally] = []

    async def act(traffic: Traffic, _: Server) -> None:
        await traffic.predict("hotel", bodies(30))
        tallies.append(traffic.tally)

    server = play(lambda number: ok(500 if number % 3 == 0 else 201), act)
    assert len(server.seen) == 30
    assert tallies[0].non_2xx == 10
    assert tallies[0].statuses == {500: 10, 201: 20}
    assert len(tallies[0].answered) == 20


def test_another_request_gives_its_status() -> None:
    """Outcomes go the same way, and count as no prediction."""

    async def act(traffic: Traffic, server: Server) -> None:
        assert await traffic.post("/v1/outcomes", b"[]") == 400
        assert server.seen == [("/v1/outcomes", b"[]")]
        assert traffic.tally == Tally()

    play(lambda _: ok(400), act)


def test_no_requests_are_no_traffic() -> None:
    """An empty day."""

    async def act(traffic: Traffic, server: Server) -> None:
        await traffic.predict("hotel", [])
        assert server.connections == 0

    play(lambda _: ok(), act)
