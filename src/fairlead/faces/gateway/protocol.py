"""uvicorn's HTTP/1.1 with an end to what one connection may send and how long it may take."""

from __future__ import annotations

from asyncio import BaseTransport, TimerHandle, Transport
from typing import cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from fairlead.faces.gateway.wire import problem

FIELD_BYTES = 32  # what a field counts beside its text, as in RFC 9113, 6.5.2: a field of no length costs memory too


class TooLong(Exception):
    """More header fields than a request may have. It ends the parser's work."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection. Beyond the limits it is answered with 431 or 408, if it waits for an answer, and closed.

    `head_bytes`: the target and the fields of a request, trailers too. What is held at most is twice as much and one
    read of the socket. `read_seconds`: from the opening of a connection to its first request, and from the first byte
    of a request to its last; the time that an answer takes does not count. Between requests uvicorn's keep-alive holds.
    """

    head_bytes = 64 * 2**10
    read_seconds = 60.0

    _fields = 0  # bytes of the target and the fields of the request that is being read
    _untold = 0  # bytes that came since the parser told of anything
    _is_reading = False  # a request has begun and is not whole
    _is_head = False  # and is not known to the application
    _timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        """Begins to wait for the first request."""
        super().connection_made(cast(Transport, transport))
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads on, and minds the limits."""
        self._untold += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._untold > self.head_bytes:
            self._refuse(431, "the request's head is too long")
        elif self._is_answering():
            self._stop_timer()
        else:
            self._start_timer()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._stop_timer()
        self._is_reading = self._is_head = True
        self._fields = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A piece of its target."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of its head, or of its trailer."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The application takes it."""
        self._is_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of its body, which the application limits."""
        self._untold = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._untold = 0
        self._is_reading = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next request may have begun in the meantime."""
        super().on_response_complete()
        if self._is_reading and not self._is_answering() and not self.transport.is_closing():
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        """Answers what the parser refused."""
        if self._fields > self.head_bytes:
            self._refuse(431, "the request's head is too long")
        else:
            super().send_400_response(msg)

    def _count(self, size: int) -> None:
        self._untold = 0
        self._fields += size + FIELD_BYTES
        if self._fields > self.head_bytes:
            raise TooLong

    def _is_answering(self) -> bool:
        """Whether a whole request is with the application: then the connection waits for it, not it for the caller."""
        if self.pipeline:
            return True
        return self.cycle is not None and not self.cycle.response_complete and not self.cycle.more_body

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.read_seconds, self._late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._stop_timer()  # who reads on at the last moment may have started another
        if self._is_answering():
            self._start_timer()
        elif self._is_reading:
            self._refuse(408, f"the request was not complete after {self.read_seconds:g} s")
        else:
            self.transport.close()

    def _refuse(self, status: int, reason: str) -> None:
        """Closes the connection; with an answer, unless that would be taken for another request's."""
        if self._is_owed():
            body = problem(f"{reason}: it is not read any further")
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + body)
        self.transport.close()

    def _is_owed(self) -> bool:
        """Whether the next answer on this connection is that to the request that is being read."""
        if self.pipeline or not self._is_reading:
            return False
        if self._is_head:
            return self.cycle is None or self.cycle.response_complete
        return not self.cycle.response_started
