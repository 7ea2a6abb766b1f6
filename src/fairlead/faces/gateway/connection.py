"""A connection of the gateway: usual requests are answered from here (`direct`), all others by the ASGI application.

A request goes directly when its connection has nothing else under way, and when its whole head and body are there.
Its bytes are handed to the HTTP parser unless the same head has been read before.
"""

from __future__ import annotations

from asyncio import BaseTransport
from typing import Any

from fairlead.faces.gateway.direct import BODY_BYTES, HEAD_BYTES, Direct, Head, response
from fairlead.faces.gateway.protocol import LimitedProtocol
from fairlead.faces.gateway.wire import Header

_END = b"\r\n\r\n"


class Connection(LimitedProtocol):
    """One connection to an application that has a `direct`; to any other, it is as `LimitedProtocol` is."""

    _direct: Direct | None
    _asked = False  # a direct request waits for its answer: in this pass of the event loop, or one that falls back
    _is_last = False  # the connection is closed after it
    _held: Head | None = None  # a request is being parsed that may be answered directly once it is whole
    _body = b""  # its body so far
    _kept = b""  # the beginning of a request whose head is known
    _after = b""  # what came behind a direct request before its answer left
    _is_unusual = False  # the next request to be parsed is known to be for the application
    _first = b""  # the bytes with which the request that is being parsed began
    _seen = 0  # bytes that came since then, these among them
    _quiet_at = 0.0  # when a direct request was last here
    _was_asked = False  # the bytes that are being parsed held a direct request

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        direct = getattr(self.app, "direct", None)
        self._direct = direct if direct is not None and direct.ready else None

    def connection_made(self, transport: BaseTransport) -> None:
        """Begins to wait for the first request."""
        super().connection_made(transport)
        self._quiet_at = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Answers a known head's request, and has everything else parsed."""
        if self._asked:
            self._after += data
            if len(self._after) > BODY_BYTES:
                self.flow.pause_reading()
            return
        direct = self._direct
        if direct is not None and self._is_between():
            if self._kept:
                data, self._kept = self._kept + data, b""
            if self._take(direct, data):
                return
            self._first, self._seen = data, 0
        self._seen += len(data)
        super().data_received(data)
        if self._was_asked:
            self._was_asked = False
            if not self._is_reading:
                self._stop_timer()

    def on_headers_complete(self) -> None:
        """Holds a request back from the application that may do without it."""
        unusual, self._is_unusual = self._is_unusual, False
        if self._direct is not None and not unusual and self._is_between(reading=True) and self._is_whole():
            self._held = self._direct.read_head(self.parser.get_method(), self.url, self.headers)
            if self._held is not None:
                self._body = b""
                return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of its body."""
        if self._held is None:
            super().on_body(body)
            return
        self._body += body
        self._untold = 0
        if len(self._body) > BODY_BYTES:
            self._release()

    def on_message_complete(self) -> None:
        """It is whole: answered, or given to the application after all."""
        head, direct = self._held, self._direct
        if head is not None and direct is not None and self._is_alone(head):
            direct.learn(self._first[: self._seen - head.length], head)
            if self._ask(direct, head, self._body):
                self._held = None
                self._untold = 0
                self._is_reading = self._is_head = False
                return
        if head is not None:
            self._release()
        super().on_message_complete()

    def shutdown(self) -> None:
        """The server ends: a request that has begun is answered, and told that it was the last."""
        if self._asked or self._kept or self._held is not None:
            self._is_last = True
        else:
            super().shutdown()

    def timeout_keep_alive_handler(self) -> None:
        """Closes a connection that nobody used for long enough; direct requests set no timer of their own."""
        left = self._quiet_at + self.timeout_keep_alive - self.loop.time()
        if left > 0.0 and not self.transport.is_closing():
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def _is_between(self, *, reading: bool = False) -> bool:
        """Whether nothing is under way here but, with `reading`, the request whose head was just parsed."""
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            return False
        return self._is_reading is reading and not self.flow.write_paused and not self._asked

    def _is_whole(self) -> bool:
        """Whether the parsed head leaves the connection as it was: not its last request, and nothing to switch to."""
        return (
            self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and not self.expect_100_continue
        )

    def _take(self, direct: Direct, data: bytes) -> bool:
        """Whether that is a request with a known head, or its beginning. More than one request is not."""
        end = data.find(_END, 0, HEAD_BYTES) + 4
        head = direct.known(data[:end])
        if head is None:
            return False
        missing = end + head.length - len(data)
        if missing > 0:
            self._kept = data
            self._start_timer()
            return True
        if missing == 0 and self._ask(direct, head, data[end:]):
            return True
        self._is_unusual = True
        return False

    def _ask(self, direct: Direct, head: Head, body: bytes) -> bool:
        self._asked = True
        if not direct.take(head, body, self._answer):
            self._asked = False
            return False
        self._quiet_at = self.loop.time()
        self._was_asked = self._is_reading
        if self._timer is not None:
            self._stop_timer()
        return True

    def _answer(self, status: int, body: bytes, header: Header | None) -> None:
        if not self._asked:
            return
        self._asked = False
        state = self.server_state
        state.total_requests += 1
        if self.transport.is_closing():
            return
        self.transport.write(response(status, body, header, state.default_headers, close=self._is_last))
        if self._is_last:
            self.transport.close()
        elif self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        if self._after:
            data, self._after = self._after, b""
            self.flow.resume_reading()
            self.data_received(data)

    def _is_alone(self, head: Head) -> bool:
        """Whether the request is all that came, so that no other is parsed before it is answered; and whether its head
        surely is the bytes before the first empty line."""
        end = self._first.find(_END) + 4
        return end > 4 and self._first.startswith(b"POST ") and self._seen == end + head.length == end + len(self._body)

    def _release(self) -> None:
        """The application takes the request as if it had not been held."""
        self._held = None
        body, self._body = self._body, b""
        super().on_headers_complete()
        if body:
            super().on_body(body)

    def _is_busy(self) -> bool:
        return self._asked or super()._is_busy()

    def _finish(self) -> None:
        if not super()._is_busy():
            self._is_last = True
        super()._finish()

    def _is_owed(self) -> bool:
        return not self._asked and super()._is_owed()

    def _late(self) -> None:
        if self._kept:
            data, self._kept = self._kept, b""
            self._first = b""
            super().data_received(data)
        super()._late()
