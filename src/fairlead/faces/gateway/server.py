"""A small HTTP/1.1 server for the gateway: httptools parses, a whole request in memory is answered in one write.

A general ASGI server pays for each request with a task, an event and two writes, because an application may stream.
The gateway never does, and it rarely waits. So its coroutine is stepped at once, on the spot; only when it really
waits (for the disk, under `sync`) does it become a task. The application stays plain ASGI, and runs under any server.

Guarded here: the size of head and body, slow senders, idle connections, pipelining, and readers that do not read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import unquote

import httptools

from fairlead.faces.gateway.wire import BODY_LIMIT, JSON, Message, Receive, Scope, Send, problem

App = Callable[[Scope, Receive, Send], Coroutine[Any, Any, None]]

HEAD_LIMIT = 64 * 2**10
QUEUE_LIMIT = 64  # pipelined requests that wait; beyond it the connection is not read
SWEEP_SECONDS = 1.0
_OFFER = (b"upgrade", b"connection", b"http2-settings")

_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_log = logging.getLogger("fairlead.gateway")


class Limits(NamedTuple):
    """`idle_seconds` between requests, `request_seconds` for sending one, `drain_seconds` to finish at the end."""

    body_bytes: int = BODY_LIMIT
    idle_seconds: float = 75.0
    request_seconds: float = 30.0
    drain_seconds: float = 10.0


class HttpServer:
    """Serves one application on one listening socket."""

    def __init__(self, app: App, limits: Limits | None = None) -> None:
        self.app = app
        self.limits = limits or Limits()
        self.connections: set[_Connection] = set()
        self.stopping = False
        self._closed = asyncio.Event()
        self.date = b""

    async def serve(self, listener: socket.socket, stop: asyncio.Event) -> None:
        """Answers until `stop` is set; then takes no more, finishes what is under way, and closes."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(self), sock=listener, backlog=2048)
        sweeper = loop.create_task(self._sweep())
        try:
            await stop.wait()
        finally:
            self.stopping = True
            server.close()
            await self._drain()
            sweeper.cancel()

    async def _drain(self) -> None:
        for connection in list(self.connections):
            connection.finish()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.limits.drain_seconds):
                await self._wait_empty()
        for connection in list(self.connections):
            connection.abort()

    async def _wait_empty(self) -> None:
        while self.connections:
            self._closed.clear()
            await self._closed.wait()

    def opened(self, connection: _Connection) -> None:
        """Counts a connection in."""
        self.connections.add(connection)

    def closed(self, connection: _Connection) -> None:
        """Counts a connection out."""
        self.connections.discard(connection)
        self._closed.set()

    async def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self.date = b"date: " + formatdate(usegmt=True).encode() + b"\r\n"
            now = loop.time()
            for connection in list(self.connections):
                connection.expire(now)
            await asyncio.sleep(SWEEP_SECONDS)


class _Request(NamedTuple):
    scope: Scope
    body: bytes
    keep_alive: bool


class _Connection(asyncio.Protocol):
    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._transport: Any = None
        self._queue: deque[_Request] = deque()
        self._busy = False
        self._since = self._loop.time()  # when it fell idle, or its unfinished request began
        self._receiving = False
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size, self._in_head = 0, False
        self._body: list[bytes] = []
        self._body_size = 0

    # From the transport.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._server.opened(self)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._server.closed(self)
        self._queue.clear()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refuse(400, "this is not HTTP/1.1")
        if self._in_head:
            self._head_size += len(data)
            if self._head_size > HEAD_LIMIT:
                self._refuse(431, f"the head is larger than {HEAD_LIMIT} bytes")

    def _decline(self, rest: bytes) -> None:
        """Reads the request again without its offer of another protocol (h2c, websocket), which nobody must accept."""
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._refuse(405, "CONNECT is not taken here: this is no proxy")
            return
        kept = [b"%b: %b\r\n" % header for header in self._headers if header[0] not in _OFFER]
        self._parser = httptools.HttpRequestParser(self)
        self.data_received(b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, self._url, b"".join(kept), rest))

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    # From the parser.

    def on_message_begin(self) -> None:
        self._url, self._headers, self._head_size, self._in_head = b"", [], 0, True
        self._body, self._body_size = [], 0
        self._receiving, self._since = True, self._loop.time()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        self._headers.append((name, value))
        if name == b"expect" and value.lower() == b"100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_headers_complete(self) -> None:
        self._in_head = False

    def on_body(self, body: bytes) -> None:
        # One byte over the limit is enough for the application to refuse; the rest is not kept.
        if self._body_size <= self._server.limits.body_bytes:
            self._body.append(body)
        self._body_size += len(body)

    def on_message_complete(self) -> None:
        parser = self._parser
        if parser.should_upgrade() or self._transport.is_closing():
            return
        self._receiving = False
        scope = {
            "type": "http",
            "method": parser.get_method().decode("latin-1"),
            "path": _path(self._url),
            "headers": self._headers,
        }
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        keep_alive = parser.should_keep_alive() and parser.get_http_version() == "1.1"
        request = _Request(scope, body, keep_alive)
        if self._busy:
            self._queue.append(request)
            if len(self._queue) >= QUEUE_LIMIT:
                self._transport.pause_reading()
        else:
            self._start(request)

    # The exchange.

    def _start(self, request: _Request) -> None:
        """Steps the application at once; makes it a task only when it waits."""
        self._busy = True
        exchange = _Exchange(self, request)
        running = self._server.app(request.scope, exchange.receive, exchange.send)
        try:
            waits_for = running.send(None)
        except StopIteration:
            self._done(request, exchange)
        except Exception:  # noqa: BLE001 - an application that raises is logged whole; the caller gets one line
            self._fail(exchange)
        else:
            task = self._loop.create_task(self._rest(running, waits_for, request, exchange))
            exchange.task = task

    async def _rest(
        self, running: Coroutine[Any, Any, None], waits_for: Any, request: _Request, exchange: _Exchange
    ) -> None:
        try:
            await _Started(running, waits_for)
        except Exception:  # noqa: BLE001 - as in `_start`
            self._fail(exchange)
        else:
            self._done(request, exchange)

    def _done(self, request: _Request, exchange: _Exchange) -> None:
        self._busy = False
        self._since = self._loop.time()
        if not exchange.answered or not request.keep_alive or self._server.stopping:
            self._transport.close()
        elif self._queue:
            following = self._queue.popleft()
            if len(self._queue) < QUEUE_LIMIT:
                self._transport.resume_reading()
            self._start(following)

    def _fail(self, exchange: _Exchange) -> None:
        _log.exception("the application failed")
        self._busy = False
        if exchange.answered:
            self._transport.close()
        else:
            self._refuse(500, "the gateway failed: the operator's log has the details")

    def write(self, request: _Request, start: Message, body: bytes) -> None:
        """One answer, in one write."""
        if self._transport.is_closing():
            return
        parts = [_LINES[start["status"]], self._server.date]
        for name, value in start["headers"]:
            parts += (name, b": ", value, b"\r\n")
        if not request.keep_alive or self._server.stopping:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        if request.scope["method"] != "HEAD":
            parts.append(body)
        self._transport.write(b"".join(parts))

    def _refuse(self, status: int, said: str) -> None:
        """Answers what never became a request, and closes."""
        if self._transport.is_closing():
            return
        headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(body := problem(said)))]
        nobody = _Request({"method": "GET"}, b"", keep_alive=False)
        self.write(nobody, {"status": status, "headers": headers}, body)
        self._transport.close()

    # From the server.

    def finish(self) -> None:
        """Closes now when idle, else after the answer."""
        if not self._busy and not self._receiving:
            self._transport.close()

    def abort(self) -> None:
        """Closes now."""
        self._transport.abort()

    def expire(self, now: float) -> None:
        """Closes a connection that is idle, or slow to send its request, for too long."""
        limits = self._server.limits
        allowed = limits.request_seconds if self._receiving else limits.idle_seconds
        if not self._busy and now - self._since > allowed:
            if self._receiving:
                self._refuse(408, f"the request was not complete after {limits.request_seconds:g} s")
            self._transport.close()


class _Exchange:
    """The two ends that the application is given. Whole answers only: the gateway never streams."""

    __slots__ = ("_connection", "_request", "_start", "_taken", "answered", "task")

    def __init__(self, connection: _Connection, request: _Request) -> None:
        self._connection = connection
        self._request = request
        self._start: Message = {}
        self._taken = False
        self.answered = False
        self.task: asyncio.Task[None] | None = None  # the loop itself holds tasks weakly

    async def receive(self) -> Message:
        """The whole body, once."""
        if self._taken:
            return {"type": "http.disconnect"}
        self._taken = True
        return {"type": "http.request", "body": self._request.body, "more_body": False}

    async def send(self, message: Message) -> None:
        """Keeps the start, writes with the body."""
        if message["type"] == "http.response.start":
            self._start = message
        else:
            self.answered = True
            self._connection.write(self._request, self._start, message["body"])


class _Started(Awaitable[None]):
    """Goes on with a coroutine that has been stepped to its first wait."""

    def __init__(self, running: Coroutine[Any, Any, None], waits_for: Any) -> None:
        self._running = running
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, None]:
        waits_for = self._waits_for
        while True:
            try:
                value = yield waits_for
            except BaseException as error:  # noqa: BLE001 - cancellation too belongs to the coroutine
                step = partial(self._running.throw, error)
            else:
                step = partial(self._running.send, value)
            try:
                waits_for = step()
            except StopIteration:
                return


def _path(url: bytes) -> str:
    raw = url.partition(b"?")[0] if url.startswith(b"/") else httptools.parse_url(url).path or b"/"
    path: str = raw.decode("latin-1")
    return unquote(path) if "%" in path else path
