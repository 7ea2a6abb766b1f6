"""What one connection may send, and how long it may take, under the server that a worker runs."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import Any

import pytest

from fairlead.faces.gateway.protocol import LimitedProtocol

pytestmark = [
    pytest.mark.usefixtures("both_ways"),
    pytest.mark.parametrize("both_ways", ["directly", "by the application"], indirect=True),
]
Gateway = Any  # the fixtures' values: see conftest
House = Any
BODY = b'{"features":{"nights":2}}'
START = b"POST /v1/models/price/predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
CHUNKED = START + b"transfer-encoding: chunked\r\n\r\n"
WHOLE = START + b"content-length: %d\r\n\r\n" % len(BODY) + BODY
MOST = 4 * 2**20  # the kernel's buffers hold some of what the server does not read


class Caller:
    """One raw connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)

    def send(self, data: bytes) -> bool:
        """Whether the server still takes it."""
        try:
            self.socket.sendall(data)
        except ConnectionError:
            return False
        return True

    def heard(self) -> bytes:
        """All that comes until the server closes the connection."""
        said = b""
        try:
            while data := self.socket.recv(65536):
                said += data
        except ConnectionError:
            pass  # it was closed before all that was sent had been read
        return said


@pytest.fixture
def caller(gateway: Gateway) -> Iterator[Caller]:
    """A connection to the gateway."""
    made = Caller(gateway.port)
    yield made
    made.socket.close()


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request must be whole within two fifths of a second."""
    monkeypatch.setattr(LimitedProtocol, "read_seconds", 0.4)


def test_a_head_of_sixty_kilobytes_is_read(caller: Caller) -> None:
    """In one field or in many."""
    for head in (b"a: " + b"v" * 60_000 + b"\r\n", b"".join(b"a%d: %s\r\n" % (i, b"v" * 960) for i in range(60))):
        caller.send(START + head + WHOLE[len(START) :])
        answer = caller.socket.recv(65536)
        assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        START + b"".join(b"a%d: %s\r\n" % (i, b"v" * 1000) for i in range(70)) + b"\r\n",
        START + b"a: " + b"v" * 70_000 + b"\r\n\r\n",
        START + b"a:\r\n" * 3000 + b"\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        CHUNKED + b"2\r\n{}\r\n0\r\n" + b"".join(b"a%d: %s\r\n" % (i, b"v" * 1000) for i in range(70)) + b"\r\n",
    ],
    ids=["fields", "one field", "empty fields", "target", "trailers"],
)
def test_a_longer_head_is_refused(gateway: Gateway, caller: Caller, head: bytes) -> None:
    """431, the connection is closed, and the next caller is answered."""
    caller.send(head)
    said = caller.heard()
    assert said.startswith(b"HTTP/1.1 431 ")
    assert said.count(b"HTTP/1.1") == 1
    assert b"connection: close" in said
    assert gateway.predict({"features": {"nights": 1}}, model="price").status_code == 200


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (START + b"a: ", b"v" * 65_536),
        (START, b"a: b\r\n" * 8192),
        (b"GET /", b"a" * 65_536),
        (CHUNKED + b"2;", b"x" * 65_536),
        (CHUNKED + b"2\r\n{}\r\n0\r\na: ", b"v" * 65_536),
        (b"", b"\r\n" * 32_768),
        (WHOLE, b"\r\n" * 32_768),
    ],
    ids=["field", "fields", "target", "chunk extension", "trailer", "nothing", "nothing after a request"],
)
def test_what_never_ends_is_cut(caller: Caller, start: bytes, more: bytes) -> None:
    """Long before it fills the memory."""
    caller.send(start)
    sent = 0
    for part in repeat(more):
        if sent > MOST or not caller.send(part):
            break
        sent += len(part)
    assert sent <= MOST


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize(
    ("start", "said"),
    [
        (b"", b""),
        (b"\r\n", b""),
        (b"POST /v1", b"HTTP/1.1 408 "),
        (START, b"HTTP/1.1 408 "),
        (WHOLE[:-1], b"HTTP/1.1 408 "),
        (CHUNKED + b"2\r\n{", b"HTTP/1.1 408 "),
        (START + b"content-length: 100000000\r\n\r\n{", b"HTTP/1.1 413 "),
    ],
    ids=["nothing", "an empty line", "a word", "half a head", "half a body", "half a chunk", "a refused body"],
)
def test_a_request_that_is_never_whole_is_given_up(caller: Caller, start: bytes, said: bytes) -> None:
    """With one answer, if one is waited for; and the connection is closed."""
    caller.send(start)
    heard = caller.heard()
    assert heard.startswith(said)
    assert heard.count(b"HTTP/1.1") == bool(said)


def test_nobody_is_late_because_the_server_is(gateway: Gateway, house: House) -> None:
    """A request that came while the loop stood still is read before its caller's time is called over."""
    connections = house.server.server_state.connections
    before, standing, go_on = set(connections), threading.Event(), threading.Event()
    caller = Caller(gateway.port)
    _until(lambda: connections - before)

    def stand_still() -> None:
        standing.set()
        assert go_on.wait(60)
        for connection in connections - before:
            connection._time_is_over()

    house.loop.call_soon_threadsafe(stand_still)
    assert standing.wait(60)
    caller.send(WHOLE)
    go_on.set()
    assert caller.socket.recv(65536).startswith(b"HTTP/1.1 200")
    caller.socket.close()


@pytest.mark.usefixtures("hurried")
def test_a_byte_now_and_then_buys_no_time(caller: Caller) -> None:
    """The time is that of the whole request."""
    for byte in WHOLE[:-1]:
        if not caller.send(bytes([byte])):
            break
        time.sleep(0.02)
    else:
        pytest.fail("the request was read to its last byte but one")


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("cut", [10, len(START), len(WHOLE) - 1], ids=["word", "head", "body"])
def test_an_unfinished_request_behind_a_whole_one_is_given_up(start_gateway: Callable[..., Gateway], cut: int) -> None:
    """The first is answered, though it takes longer than a request may; then the second one's time begins."""
    gateway = start_gateway(sync=True)
    gateway.log.durable = lambda: asyncio.sleep(0.8)
    caller = Caller(gateway.port)
    caller.send(WHOLE + WHOLE[:cut])
    heard = caller.heard()
    assert heard.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in heard
    assert heard.count(b"HTTP/1.1") == 2
    caller.socket.close()


@pytest.mark.usefixtures("hurried")
def test_the_time_between_requests_is_uvicorns(caller: Caller) -> None:
    """A connection that is kept for the next request is not cut by this clock."""
    for _ in range(3):
        caller.send(WHOLE)
        assert caller.socket.recv(65536).startswith(b"HTTP/1.1 200")
        time.sleep(0.6)


# -- what comes behind a request, and what all connections may bring ----------------------------------------------


@pytest.mark.parametrize("sync", [False, True], ids=["direct", "by the application"])
@pytest.mark.parametrize(
    "tail",
    [b"\x00", b"GET", START + b"content-length: x\r\n\r\n", CHUNKED + b"zz\r\n"],
    ids=["0", "word", "length", "chunk"],
)
@pytest.mark.usefixtures("hurried")
def test_what_is_no_request_costs_those_before_it_nothing(
    start_gateway: Callable[..., Gateway], tail: bytes, sync: bool
) -> None:
    """Two requests and then garbage, at once: the two are answered, first, and the connection is closed."""
    gateway = start_gateway(sync=sync)
    caller = Caller(gateway.port)
    caller.send(WHOLE + WHOLE + tail)
    heard = caller.heard()
    assert [part[1:4] for part in heard.split(b"HTTP/1.1")[1:3]] == [b"200", b"200"]
    assert heard.count(b"HTTP/1.1 200") == 2
    assert len(gateway.log.kept_predictions) == 2
    caller.socket.close()


def test_who_sends_too_far_ahead_is_answered_so_far(
    start_gateway: Callable[..., Gateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request is answered and three may wait: of ten, four are answered, and the connection is closed."""
    monkeypatch.setattr(LimitedProtocol, "most_waiting", 3)
    gateway = start_gateway(sync=True)
    gateway.log.durable = lambda: asyncio.sleep(0.05)
    caller = Caller(gateway.port)
    caller.send(WHOLE * 10)
    heard = caller.heard()
    assert (heard.count(b"HTTP/1.1 200"), heard.count(b"HTTP/1.1")) == (4, 4)
    assert len(gateway.log.kept_predictions) == 4
    caller.socket.close()


def test_who_does_not_read_is_closed(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once an answer has waited for it long enough, though it goes on asking."""
    monkeypatch.setattr(LimitedProtocol, "write_seconds", 0.3)
    caller = Caller(gateway.port)
    deadline = time.monotonic() + 60
    while caller.send(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 20):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert gateway.predict({"features": {"nights": 1}}, model="price").status_code == 200
    caller.socket.close()


def test_large_bodies_share_a_room(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one takes most of it, another is told to come again, and a small one is answered; once the first has gone,
    there is room."""
    monkeypatch.setattr(LimitedProtocol, "room_bytes", 300_000)
    half = START + b"content-length: 400000\r\n\r\n" + b" " * 200_000
    first, second, third = (Caller(gateway.port) for _ in range(3))
    first.send(half)
    _until(lambda: LimitedProtocol.taken_bytes >= 150_000)
    second.send(half)
    heard = second.heard()
    assert heard.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in heard
    assert b"too many large bodies" in heard
    assert gateway.predict({"features": {"nights": 1}}, model="price").status_code == 200
    first.socket.close()
    _until(lambda: LimitedProtocol.taken_bytes == 0)
    third.send(half + b" " * 199_975 + BODY)
    assert third.socket.recv(65536).startswith(b"HTTP/1.1 200")
    _until(lambda: LimitedProtocol.taken_bytes == 0)
    for caller in (second, third):
        caller.socket.close()


def test_the_largest_body_has_room_when_it_is_alone(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """However small the room is."""
    monkeypatch.setattr(LimitedProtocol, "room_bytes", 1)
    answer = gateway.predict(b" " * 500_000 + BODY, model="price")
    assert answer.status_code == 200


def _until(condition: Callable[[], bool]) -> None:
    """Waits."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)
