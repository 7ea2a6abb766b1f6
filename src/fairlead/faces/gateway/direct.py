"""The usual request, answered without an ASGI task: one row for a quick model, on the native path.

Whatever is not usual (a batch, a slow model, a row that breaks the contract, JSON that is broken, a pin) is left to
the ASGI application, and nothing has been counted or logged for it until then; so every refusal has one place.

A client sends the same head with each request. A head that the HTTP parser has read once is known by its bytes from
then on: what the parser made of them cannot differ the next time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from fairlead.errors import FairleadError
from fairlead.faces.gateway.predict import read_single, write_answer
from fairlead.faces.gateway.refusals import V1_REFUSAL, header_of, path_of, status_of
from fairlead.faces.gateway.wire import JSON, Header, Refusal, check_caller, check_headers, problem
from fairlead.flows.dealing import dealt
from fairlead.flows.serve import Arrival, ModelFailed, Serving
from fairlead.flows.shadow import Shadows
from fairlead.flows.turn import Given, Question, Turn
from fairlead.flows.warm import LiveModel

PREFIX, SUFFIX = "/v1/models/", "/predict"
MOST_HEADS = 1024  # heads that are known at a time
HEAD_BYTES = 2048  # of the longest that is
BODY_BYTES = 2**16  # a larger body is left to the application

_OTHERWISE = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
_PREFIX, _SUFFIX = PREFIX.encode(), SUFFIX.encode()


Reply = Callable[[int, bytes, Header | None], None]


class Head(Struct, frozen=True):
    """What a request's head says: whose prediction is asked, the length of its body, the caller's trace."""

    model: str
    length: int
    trace_id: str | None


class Direct:
    """One worker's direct answers. `ready` is false where each answer waits for the disk."""

    def __init__(
        self,
        serving: Serving,
        shadows: Shadows,
        new_id: Callable[[], str],
        *,
        body_limit: int = BODY_BYTES,
        ready: bool = True,
    ) -> None:
        self.ready = ready
        self._limit = min(body_limit, BODY_BYTES)
        self.heads: dict[bytes, Head] = {}
        self._serving = serving
        self._shadows = shadows
        self._new_id = new_id
        self._turn = Turn(serving)

    def read_head(self, method: bytes, url: bytes, headers: list[Header]) -> Head | None:
        """What a parsed head asks; None where it is for the application."""
        if method != b"POST" or not url.startswith(_PREFIX) or not url.endswith(_SUFFIX):
            return None
        name = url[len(_PREFIX) : -len(_SUFFIX)]
        if not name or b"%" in name or b"?" in name or b"#" in name:
            return None
        named = dict(headers)
        length = named.get(b"content-length", b"")
        if len(named) != len(headers) or not _OTHERWISE.isdisjoint(named):
            return None
        if not length.isdigit() or len(length) > 9 or int(length) > self._limit:
            return None
        try:
            check_caller(headers)
            trace_id = check_headers(headers, self._limit)
        except Refusal:
            return None
        return Head(name.decode("ascii", "replace"), int(length), trace_id)

    def learn(self, head: bytes, read: Head) -> None:
        """Knows a head's bytes from now on."""
        if len(head) > HEAD_BYTES or read.trace_id is not None:  # a trace is told once
            return
        if len(self.heads) >= MOST_HEADS:
            self.heads.clear()
        self.heads[head] = read

    def take(self, head: Head, body: bytes, send: Reply) -> bool:
        """Whether the request will be answered by `send(status, body, header)` in this pass of the event loop.

        Where it will not be, nothing of it is counted or logged.
        """
        live = self._serving.live
        model = live.models.get(head.model) if live is not None else None
        if model is None or not model.is_quick:
            return False
        try:
            question = self._read(model, head, body, send)
        except (FairleadError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False
        if question is None:
            return False
        if self._turn.add(question):
            asyncio.get_running_loop().call_soon(self._turn.answer)
        elif self._turn.is_full:
            self._turn.answer()
        return True

    def _read(self, model: LiveModel, head: Head, body: bytes, send: Reply) -> Question | None:
        """A request's row, dealt and checked. None and many errors mean: not usual."""
        serving = self._serving
        arrival = Arrival(serving.clock.now(), serving.clock.monotonic(), head.trace_id)
        ask = read_single(body, arrival, self._new_id)
        if ask is None:
            return None
        route = dealt(model, ask, arrival)
        row, strange = model.versions[route.version].rows.decode(ask.features, ask.path)
        for value in strange:
            serving.tally.strange(model.name, route.version, value.feature, value.what)

        def told(given: Given) -> None:
            if isinstance(given, FairleadError):
                self._refuse(model.name, given, send)
                return
            send(200, write_answer(given), None)
            if route.shadows:
                self._shadows.offer(model, [given], [route])

        return Question(model, ask, route, arrival, row, told)

    def _refuse(self, model: str, error: FairleadError, send: Reply) -> None:
        status = status_of(error, V1_REFUSAL)
        if not isinstance(error, ModelFailed):  # that is counted for the version that failed
            self._serving.tally.refused(model, 0, "", status)
        send(status, problem(error.line, path_of(error)), header_of(error))


def response(status: int, body: bytes, header: Header | None, default: Sequence[Header], *, close: bool) -> bytes:
    """The bytes of an answer."""
    parts = [STATUS_LINE[status]]
    for name, value in default:
        parts += (name, b": ", value, b"\r\n")
    parts.append(b"content-type: " + JSON + b"\r\ncontent-length: %d\r\n" % len(body))
    if header is not None:
        parts += (header[0], b": ", header[1], b"\r\n")
    parts.append(b"connection: close\r\n\r\n" if close else b"\r\n")
    parts.append(body)
    return b"".join(parts)
