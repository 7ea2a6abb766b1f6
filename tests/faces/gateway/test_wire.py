"""The gateway as a socket sees it, byte by byte, under the server that a worker runs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fairlead.faces.gateway.protocol import LimitedProtocol

Gateway = Any  # the fixture's value: see conftest
BODY = b'{"features":{"nights":2}}'
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"


def post(body: bytes = BODY, head: bytes = b"") -> bytes:
    """A request for a price."""
    return opening(b"content-length: %d\r\n" % len(body) + head) + body


def opening(head: bytes) -> bytes:
    """The head of a request for a price."""
    line = b"POST /v1/models/price/predict HTTP/1.1\r\n"
    return line + b"host: x\r\ncontent-type: application/json\r\n" + head + b"\r\n"


class Line:
    """One raw connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.buffer = b""

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self.socket.sendall(data)

    def answer(self) -> tuple[int, bytes, Any]:
        """The next answer: status, head, body; JSON is decoded."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, _, rest = self.buffer.partition(b"\r\n\r\n")
        status, lower = int(head.split()[1]), head.lower()
        length = int(found[1]) if (found := re.search(rb"content-length: (\d+)", lower)) else 0
        while len(rest) < length:
            self._more()
            rest = self.buffer.partition(b"\r\n\r\n")[2]
        self.buffer = rest[length:]
        body = rest[:length]
        return status, lower, json.loads(body) if b"application/json" in lower else body

    def ended(self) -> bool:
        """Whether the server closes the connection and says nothing more."""
        try:
            return self.buffer == b"" and self.socket.recv(1) == b""
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
    """Answer after answer, with a date, no connection header, and no word on what software answers."""
    for _ in range(3):
        line.send(post())
        status, head, body = line.answer()
        assert (status, body["prediction"]) == (200, 200.0)
        assert b"date: " in head
        assert b"connection" not in head
        assert b"server" not in head


def test_pipelined_requests_are_answered_in_order(line: Line) -> None:
    """As many as may wait, at once, and then as many again."""
    most = LimitedProtocol.most_waiting
    for _ in range(3):
        line.send(b"".join(post(b'{"features":{"nights":%d}}' % number) for number in range(most)))
        assert [line.answer()[2]["prediction"] for _ in range(most)] == [100.0 * number for number in range(most)]


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
    head = opening(b"transfer-encoding: chunked\r\n").replace(b"predict", b"predict?x=1")
    line.send(head + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (BODY[:7], BODY[7:])) + b"0\r\n\r\n")
    assert line.answer()[2]["prediction"] == 200.0


def test_a_slow_sender_is_no_slow_model(gateway: Gateway, line: Line) -> None:
    """The time a caller takes to send its request counts against no version."""
    request = post()
    line.send(request[:-5])
    time.sleep(0.4)
    whole_at = time.monotonic()
    line.send(request[-5:])
    assert line.answer()[0] == 200
    (record,) = gateway.log.kept_predictions
    assert record.latency_ms <= (time.monotonic() - whole_at) * 1000.0


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
    """`Expect: 100-continue` is answered at once; a body that would be refused is not asked for."""
    request = post(head=b"expect: 100-continue\r\n")
    line.send(request[: -len(BODY)])
    assert line.answer()[0] == 100
    line.send(BODY)
    assert line.answer()[0] == 200
    line.send(opening(b"content-length: 10000000\r\nexpect: 100-continue\r\n"))
    assert line.answer()[0] == 413


OFFER = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AA\r\n"


def test_an_offer_to_upgrade_is_declined(line: Line) -> None:
    """A request without a body that offers h2c is answered in HTTP/1.1, and so is the next."""
    for length in (b"", b"content-length: 0\r\n"):
        line.send(b"GET /health HTTP/1.1\r\nhost: x\r\n" + OFFER + length + b"\r\n")
        assert line.answer()[0] == 200
    line.send(post())
    assert line.answer()[0] == 200


@pytest.mark.parametrize(
    "length",
    [
        b"content-length: %d\r\n" % len(SMUGGLED),
        b"transfer-encoding: chunked\r\n",
        b"origin: http://elsewhere.example\r\ntransfer-encoding: chunked\r\n",
    ],
)
@pytest.mark.parametrize("pause", [0.0, 0.05])
@pytest.mark.parametrize("first", [b"POST /v1/models/price/predict", b"GET /health"])
def test_a_body_behind_an_offer_is_refused(line: Line, first: bytes, pause: float, length: bytes) -> None:
    """The caller is told what to set, and the connection ends: the body is never read as a request."""
    line.send(first + b" HTTP/1.1\r\nhost: x\r\n" + length + OFFER + b"\r\n")
    time.sleep(pause)
    with contextlib.suppress(ConnectionError):  # it may be closed by now
        line.send(SMUGGLED)
    status, head, body = line.answer()
    assert (status, b"connection: close" in head, "h2c" in body["error"]) == (400, True, True)
    assert line.ended()


@pytest.mark.parametrize(
    "rubbish", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"HELLO\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"]
)
def test_what_is_no_http_is_refused(gateway: Gateway, line: Line, rubbish: bytes) -> None:
    """400, and the connection is closed; the next caller is answered."""
    line.send(rubbish)
    status, _, body = line.answer()
    assert (status, b"Invalid HTTP" in body, line.ended()) == (400, True, True)
    assert gateway.predict({"features": {"nights": 1}}, model="price").status_code == 200


@pytest.mark.parametrize(
    "lengths",
    [
        b"content-length: 25\r\ncontent-length: 60\r\n",
        b"content-length: 25\r\ncontent-length: 25\r\n",
        b"content-length: 25, 60\r\n",
        b"content-length: +25\r\n",
        b"content-length: 25\r\ntransfer-encoding: chunked\r\n",
        b"transfer-encoding: chunked\r\ncontent-length: 25\r\n",
        b"transfer-encoding: chunked, identity\r\n",
        b"transfer-encoding: xchunked\r\n",
    ],
)
def test_a_body_of_two_lengths_is_refused(gateway: Gateway, line: Line, lengths: bytes) -> None:
    """A proxy in front might see another end of it: nothing is predicted, and what follows is not read as a request."""
    line.send(opening(lengths) + b"0\r\n\r\n" + BODY + SMUGGLED)
    assert line.answer()[0] == 400
    assert line.ended()
    assert gateway.predict({"features": {"nights": 1}}, model="price").status_code == 200
    assert len(gateway.log.kept_predictions) == 1


def test_what_follows_a_refused_body_is_not_part_of_it(start_gateway: Callable[..., Gateway], connect: Connect) -> None:
    """A body over the limit is read to its end and thrown away; the next request begins after it."""
    line = connect(start_gateway(body_limit=2000).port)
    line.send(post(SMUGGLED * 100) + post())
    assert [line.answer()[0], line.answer()[0]] == [413, 200]


def test_an_absolute_url_is_understood(line: Line) -> None:
    """As a proxy sends it."""
    line.send(b"GET http://x/health?a=b HTTP/1.1\r\nhost: x\r\n\r\n")
    assert line.answer()[2]["status"] == "ok"


def test_a_head_is_answered_without_a_body(line: Line) -> None:
    """It tells the length, and the next answer follows at once."""
    line.send(b"HEAD /health HTTP/1.1\r\nhost: x\r\n\r\n" + post())
    while line.buffer.count(b"\r\n\r\n") < 2:
        line.buffer += line.socket.recv(65536)
    head, _, rest = line.buffer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert b"content-length: 0" not in head
    assert rest.startswith(b"HTTP/1.1 200")


def test_a_caller_who_hangs_up_harms_nobody(gateway: Gateway, connect: Connect) -> None:
    """In the middle of a request, or before reading the answer."""
    for cut in (10, 60, len(post()) - 3, len(post())):
        line = connect(gateway.port)
        line.send(post()[:cut])
        line.socket.close()
    assert gateway.predict({"features": {"nights": 1}}, model="price").status_code == 200
