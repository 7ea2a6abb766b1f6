"""uvicorn's HTTP/1.1 with an end to what one connection may send, to what all may, and how long one may take."""

from __future__ import annotations

from asyncio import BaseTransport, TimerHandle, Transport
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from fairlead.faces.gateway.wire import problem

LARGE_BYTES = 2**16  # a body up to this is not counted: it is no more than the socket's buffers hold anyway
RETRY_SECONDS = 1
READ_ON_SECONDS = 0.01  # any time will do: a loop reads its sockets before it looks at the clock again
FIELD_BYTES = 32  # what a field counts beside its text, as in RFC 9113, 6.5.2: a field of no length costs memory too


class TooLong(Exception):
    """More than a connection may send, of whatever kind. It ends the parser's work."""


class LimitedProtocol(HttpToolsProtocol):
    """One connection. Beyond the limits it is answered with 431, 408 or 503, if it waits for an answer, and closed.

    `head_bytes`: the target and the fields of a request, trailers too. What is held at most is twice as much and one
    read of the socket. `read_seconds`: from the opening of a connection to its first request, and from the first byte
    of a request to its last; the time that an answer takes does not count. Between requests uvicorn's keep-alive holds.
    `write_seconds`: how long an answer waits for a caller who does not read. `most_waiting`: requests that a caller may
    send ahead of their answers. `room_bytes`: what the large bodies of all connections may take up, as they came; one
    that is alone always may. What they are decoded to, a few at a time, comes on top.
    """

    head_bytes = 64 * 2**10
    read_seconds = 60.0
    write_seconds = 60.0
    most_waiting = 100
    room_bytes = 64 * 2**20
    taken_bytes: ClassVar[int] = 0  # of the room, by all connections

    _fields = 0  # bytes of the target and the fields of the request that is being read
    _untold = 0  # bytes that came since the parser told of anything
    _is_reading = False  # a request has begun and is not whole
    _is_head = False  # and is not known to the application
    _timer: TimerHandle | None = None
    _deaf_timer: TimerHandle | None = None
    _body_bytes = 0  # of the request that is being read
    _taken = 0  # of the room, by this connection
    _running: RequestResponseCycle | None = None  # the request that the application answers

    def connection_made(self, transport: BaseTransport) -> None:
        """Begins to wait for the first request."""
        super().connection_made(cast(Transport, transport))
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more. uvicorn tells the last request of it; the one that is being answered may be another."""
        self._stop_timer()
        self.resume_writing()
        self._leave_room()
        self.pipeline.clear()
        if self._running is not None:
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)
        self._unset_keepalive_if_required()  # uvicorn leaves it where the caller reset the connection

    def pause_writing(self) -> None:
        """The caller does not read."""
        super().pause_writing()
        if self._deaf_timer is None:
            self._deaf_timer = self.loop.call_later(self.write_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The caller reads again."""
        if self._deaf_timer is not None:
            self._deaf_timer.cancel()
            self._deaf_timer = None
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Closes a connection that is not used. Who did not read the last answer by then never will."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

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
        if len(self.pipeline) >= self.most_waiting:
            raise TooLong
        self._stop_timer()
        self._body_bytes = 0
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
        """A piece of its body, which the application limits; here is limited what those of all connections are."""
        self._untold = 0
        self._body_bytes += len(body)
        if self._body_bytes > LARGE_BYTES:
            self._take_room()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """It is whole."""
        self._untold = 0
        self._is_reading = False
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The next request may have begun in the meantime."""
        super().on_response_complete()
        if self._taken:
            self._leave_room()
        if self._is_reading and not self._is_answering() and not self.transport.is_closing():
            self._start_timer()

    def send_400_response(self, msg: str) -> None:
        """Answers what the parser refused, unless the answer would be taken for that to an earlier request."""
        if self.transport.is_closing():
            return
        if self._fields > self.head_bytes:
            self._refuse(431, "the request's head is too long")
        elif self._is_busy():
            self._finish()
        else:
            super().send_400_response(msg)

    def _is_busy(self) -> bool:
        """Whether a whole request waits for its answer."""
        if self.pipeline:
            return True
        cycle = self.cycle
        return cycle is not None and not cycle.response_complete and not (self._is_reading and not self._is_head)

    def _finish(self) -> None:
        """Answers the requests that are whole, and closes the connection then."""
        if self.pipeline and self._is_reading and not self._is_head:
            self.pipeline.popleft()  # it is not whole, and never will be
        last = self.pipeline[0][0] if self.pipeline else self._running
        if last is not None:
            last.keep_alive = False
        self.flow.pause_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _take_room(self) -> None:
        others = LimitedProtocol.taken_bytes - self._taken
        if others and others + self._body_bytes > self.room_bytes:
            self._refuse(503, "too many large bodies come at a time", b"retry-after: %d\r\n" % RETRY_SECONDS)
            raise TooLong
        LimitedProtocol.taken_bytes += self._body_bytes - self._taken
        self._taken = self._body_bytes

    def _leave_room(self) -> None:
        LimitedProtocol.taken_bytes -= self._taken
        self._taken = 0

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
            self._timer = self.loop.call_later(self.read_seconds, self._time_is_over)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_over(self) -> None:
        """It may be the loop that is late: what has come meanwhile is read first."""
        self._timer = self.loop.call_later(READ_ON_SECONDS, self._late)

    def _late(self) -> None:
        self._stop_timer()  # who reads on at the last moment may have started another
        if self._is_answering():
            self._start_timer()
        elif self._is_reading:
            self._refuse(408, f"the request was not complete after {self.read_seconds:g} s")
        else:
            self.transport.close()

    def _refuse(self, status: int, reason: str, field: bytes = b"") -> None:
        """Closes the connection; with an answer, unless that would be taken for another request's."""
        if self._is_owed():
            body = problem(f"{reason}: it is not read any further")
            head = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n" % len(body)
            self.transport.write(STATUS_LINE[status] + head + field + b"\r\n" + body)
        self.transport.close()

    def _is_owed(self) -> bool:
        """Whether the next answer on this connection is that to the request that is being read."""
        if self.pipeline or not self._is_reading:
            return False
        if self._is_head:
            return self.cycle is None or self.cycle.response_complete
        return not self.cycle.response_started
