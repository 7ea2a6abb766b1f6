"""The HTTP server under the gateway, spoken to byte by byte."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from fairlead.faces.gateway.server import HEAD_LIMIT, HttpServer, Limits
from fairlead.faces.gateway.wire import Receive, Scope, Send

Gateway = Any  # the fixture's value: see conftest
BODY = b'{"features":{"nights":2}}'


def post(body: bytes = BODY, head: bytes = b"") -> bytes:
    """A request for a price."""
    length = b"content-length: %d\r\n" % len(body)
    return b"POST /v1/models/price/predict HTTP/1.1\r\nhost: x\r\n" + length + head + b"\r\n" + body


class Line:
    """One raw connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.socket.sendall(data)

    def answer(self) -> tuple[int, bytes, dict[str, Any]]:
        """The next answer: status, head, JSON body."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        status = int(head.split()[1])
        if status == 100:
            self.buffer = rest
            return status, head, {}
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(rest) < length:
            self._more()
            rest = self.buffer.partition(b"\r\n\r\n")[2]
        self.buffer = rest[length:]
        return status, head, json.loads(rest[:length])

    def ended(self) -> bool:
        """Whether the server closed the connection."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def _more(self) -> None:
        data = self.socket.recv(65536)
        assert data, "the server closed"
        self.buffer += data


Connect = Callable[[int], Line]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Opens connections, and closes them."""
    lines: list[Line] = []

    def open_line(port: int) -> Line:
        lines.append(Line(port))
        return lines[-1]

    yield open_line
    for line in lines:
        line.socket.close()


@pytest.fixture
def line(gateway: Gateway, connect: Connect) -> Line:
    """A connection to the gateway."""
    return connect(gateway.port)


def test_a_connection_is_kept(line: Line) -> None:
    """Answer after answer, with a date and no connection header."""
    for _ in range(3):
        line.send(post())
        status, head, body = line.answer()
        assert (status, body["prediction"]) == (200, 200.0)
        assert b"date: " in head
        assert b"connection" not in head


def test_pipelined_requests_are_answered_in_order(line: Line) -> None:
    """However many come at once."""
    line.send(b"".join(post(b'{"features":{"nights":%d}}' % number) for number in range(300)))
    assert [line.answer()[2]["prediction"] for _ in range(300)] == [100.0 * number for number in range(300)]


def test_requests_that_wait_for_the_disk_keep_their_order(
    start_gateway: Callable[..., Gateway], connect: Connect
) -> None:
    """Under `sync` the answers wait; pipelined ones are still answered in order."""
    gateway = start_gateway(sync=True)

    async def slow() -> None:
        await asyncio.sleep(0.002)

    gateway.log.durable = slow
    line = connect(gateway.port)
    line.send(b"".join(post(b'{"features":{"nights":%d}}' % number) for number in range(100)))
    assert [line.answer()[2]["prediction"] for _ in range(100)] == [100.0 * number for number in range(100)]


def test_a_request_may_come_byte_by_byte_and_chunked(line: Line) -> None:
    """The body is put together."""
    for byte in post():
        line.send(bytes([byte]))
    assert line.answer()[0] == 200
    head = b"POST /v1/models/price/predict?x=1 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
    line.send(head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:])) + b"0\r\n\r\n")
    assert line.answer()[2]["prediction"] == 200.0


@pytest.mark.parametrize(
    ("head", "line_of"),
    [(b"connection: close\r\n", b"HTTP/1.1"), (b"", b"HTTP/1.0"), (b"connection: keep-alive\r\n", b"HTTP/1.0")],
)
def test_a_connection_is_closed_when_asked(line: Line, head: bytes, line_of: bytes) -> None:
    """And for HTTP/1.0."""
    line.send(post(head=head).replace(b"HTTP/1.1", line_of))
    status, answered, _ = line.answer()
    assert (status, b"connection: close" in answered, line.ended()) == (200, True, True)


def test_a_client_may_ask_before_it_sends_the_body(line: Line) -> None:
    """`Expect: 100-continue` is answered at once."""
    request = post(head=b"expect: 100-continue\r\n")
    line.send(request[: -len(BODY)])
    assert line.answer()[0] == 100
    line.send(BODY)
    assert line.answer()[0] == 200


def test_an_offer_to_upgrade_is_declined(line: Line) -> None:
    """Java's client offers h2c with its first request: it is answered in HTTP/1.1, and so is the next."""
    for _ in range(2):
        line.send(post(head=b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"))
        assert line.answer()[0] == 200
    line.send(post() + post())
    assert [line.answer()[0], line.answer()[0]] == [200, 200]


@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_http_is_refused(line: Line, rubbish: bytes) -> None:
    """400, and the connection is closed."""
    line.send(rubbish)
    status, _, body = line.answer()
    assert (status, "not HTTP" in body["error"], line.ended()) == (400, True, True)


def test_an_endless_head_is_refused(line: Line) -> None:
    """431 once it is over the limit."""
    line.send(
        b"GET /health HTTP/1.1\r\n" + b"x-filler: " + b"y" * 60_000 + b"\r\nx-more: " + b"z" * HEAD_LIMIT + b"\r\n"
    )
    assert line.answer()[0] == 431
    assert line.ended()


def test_an_absolute_url_is_understood(line: Line) -> None:
    """As a proxy sends it."""
    line.send(b"GET http://x/health?a=b HTTP/1.1\r\nhost: x\r\n\r\n")
    assert line.answer()[2]["status"] == "ok"


def test_a_slow_sender_and_an_idle_line_are_closed(start_gateway: Callable[..., Gateway], connect: Connect) -> None:
    """A request that never ends is told 408; a silent connection is closed."""
    gateway = start_gateway(limits=Limits(idle_seconds=0.2, request_seconds=0.2))
    slow, idle = connect(gateway.port), connect(gateway.port)
    slow.send(post()[:40])
    idle.send(post())
    assert slow.answer()[0] == 408
    assert slow.ended()
    assert idle.answer()[0] == 200
    assert idle.ended()


def test_a_caller_who_hangs_up_harms_nobody(gateway: Gateway, connect: Connect) -> None:
    """In the middle of a request, or before reading the answer."""
    for cut in (10, 60, len(post())):
        line = connect(gateway.port)
        line.send(post()[:cut])
        line.socket.close()
    assert gateway.predict({"features": {"nights": 1}}, model="price").status_code == 200


def serve(app: Any, limits: Limits) -> tuple[int, Callable[[], None], threading.Thread]:
    """Any application on a server of its own: the port, how to stop it, its thread."""
    made: dict[str, Any] = {}
    ready = threading.Event()

    async def run() -> None:
        made.update(stop=asyncio.Event(), loop=asyncio.get_running_loop())
        listener = socket.create_server(("127.0.0.1", 0))
        made["port"] = listener.getsockname()[1]
        ready.set()
        await HttpServer(app, limits).serve(listener, made["stop"])

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    assert ready.wait(10)
    return made["port"], lambda: made["loop"].call_soon_threadsafe(made["stop"].set), thread


async def patient(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that waits as long as its path says, in milliseconds; 0 fails at once, 1 while it waits."""
    milliseconds = int(scope["path"][1:])
    if milliseconds == 0:
        raise RuntimeError("secret")
    await asyncio.sleep(milliseconds / 1000)
    if milliseconds == 1:
        raise RuntimeError("secret")
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


def test_stopping_answers_what_is_under_way(connect: Connect) -> None:
    """A request that waits is answered, idle connections are closed, new ones are not taken."""
    port, stop, thread = serve(patient, Limits())
    idle, busy = connect(port), connect(port)
    busy.send(b"GET /300 HTTP/1.1\r\nhost: x\r\n\r\n")
    time.sleep(0.1)
    stop()
    assert idle.ended()
    status, head, _ = busy.answer()
    assert (status, b"connection: close" in head, busy.ended()) == (200, True, True)
    thread.join(10)
    assert not thread.is_alive()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_stopping_does_not_wait_for_ever(connect: Connect) -> None:
    """What takes longer than the drain is cut."""
    port, stop, thread = serve(patient, Limits(drain_seconds=0.1))
    busy = connect(port)
    busy.send(b"GET /60000 HTTP/1.1\r\nhost: x\r\n\r\n")
    time.sleep(0.1)
    stop()
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("path", ["/0", "/1"])
def test_an_application_that_raises_is_answered_in_one_line(path: str) -> None:
    """500 without internals, at once or after a wait; the server lives on."""
    port, stop, thread = serve(patient, Limits())
    response = httpx.get(f"http://127.0.0.1:{port}{path}")
    assert (response.status_code, "secret" in response.text) == (500, False)
    assert httpx.get(f"http://127.0.0.1:{port}/2").status_code == 200
    stop()
    thread.join(10)
