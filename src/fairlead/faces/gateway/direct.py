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

from fairlead.core.route import Route
from fairlead.core.trace import parse_traceparent
from fairlead.errors import FairleadError
from fairlead.faces.gateway.observing import NO_TRACES, Observer, Traces, Watched, about, followed
from fairlead.faces.gateway.predict import read_single, write_answer, write_answers
from fairlead.faces.gateway.refusals import V1_REFUSAL, header_of, path_of, status_of
from fairlead.faces.gateway.spans import Ended
from fairlead.faces.gateway.wire import JSON, Header, Refusal, check_caller, check_headers, problem
from fairlead.flows.dealing import dealt
from fairlead.flows.fallback import recovered
from fairlead.flows.serve import Arrival, Ask, ModelFailed, Serving
from fairlead.flows.turn import FAULT, Fault, Given, Question, Turn
from fairlead.flows.warm import LiveModel

PREFIX, SUFFIX = "/v1/models/", "/predict"
TEMPLATE = PREFIX + "{model}" + SUFFIX
MOST_HEADS = 1024  # heads that are known at a time
HEAD_BYTES = 2048  # of the longest that is
BODY_BYTES = 2**16  # a larger body is left to the application

_OTHERWISE = frozenset((b"transfer-encoding", b"expect", b"upgrade"))
_TRACE = b"\r\ntraceparent: "  # as clients spell it; another spelling is parsed each time
TRACE_BYTES = 55  # of its value
_PREFIX, _SUFFIX = PREFIX.encode(), SUFFIX.encode()

Reply = Callable[[int, bytes, Header | None], None]


class Head(Struct, frozen=True):
    """What a request's head says: whose prediction is asked, the length of its body, the caller's trace (and the
    headers that tell it)."""

    model: str
    length: int
    trace_id: str | None
    traces: Traces = NO_TRACES


class Direct:
    """One worker's direct answers. `ready` is false where each answer waits for the disk."""

    def __init__(
        self,
        serving: Serving,
        new_id: Callable[[], str],
        *,
        body_limit: int = BODY_BYTES,
        ready: bool = True,
        observer: Observer | None = None,
    ) -> None:
        self.ready = ready
        self._limit = min(body_limit, BODY_BYTES)
        self.heads: dict[bytes, Head] = {}
        self._serving = serving
        self._new_id = new_id
        self._turn = Turn(serving)
        self._observer = observer
        self._rescues: set[asyncio.Task[None]] = set()

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
        traces = (named[b"traceparent"], named.get(b"tracestate", b"")) if trace_id is not None else NO_TRACES
        return Head(name.decode("ascii", "replace"), int(length), trace_id, traces)

    def learn(self, head: bytes, read: Head) -> None:
        """Knows a head's bytes from now on; but for the caller's trace, which is another each time."""
        if read.trace_id is not None:
            parts = _cut_trace(head)
            if parts is None or read.traces != (parts[1], b""):
                return
            head, read = parts[0], Head(read.model, read.length, None)
        if len(head) > HEAD_BYTES:
            return
        if len(self.heads) >= MOST_HEADS:
            self.heads.clear()
        self.heads[head] = read

    def known(self, head: bytes) -> Head | None:
        """What a head asks whose bytes are known; None for any other."""
        found = self.heads.get(head)
        if found is not None:
            return found
        parts = _cut_trace(head)
        found = self.heads.get(parts[0]) if parts is not None else None
        parent = parse_traceparent(parts[1]) if found is not None and parts is not None else None
        if found is None or parts is None or parent is None:
            return None
        return Head(found.model, found.length, parent.trace_id, (parts[1], b""))

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
        if self._observer is not None:
            trail = self._observer.begin(arrival.at, arrival.ticks, *head.traces)
            if trail is not None:
                arrival, send = followed(arrival, trail), Watched(self._observer, trail, (TEMPLATE, head.length), send)
        ask = read_single(body, arrival, self._new_id)
        if ask is None:
            return None
        route = dealt(model, ask, arrival)
        row, strange = model.versions[route.version].rows.decode(ask.features, ask.path)
        if arrival.trail is not None:
            arrival.trail.read(arrival.ticks, serving.clock.monotonic())
        for value in strange:
            serving.tally.strange(model.name, route.version, value.feature, value.what)

        return Question(model, ask, route, arrival, row, self._teller(model, (ask, route, arrival), send))

    def _teller(self, model: LiveModel, asked: tuple[Ask, Route, Arrival], send: Reply) -> Callable[[Given], None]:
        """What answers a question's caller."""
        ask, route, arrival = asked

        def told(given: Given) -> None:
            if isinstance(given, FairleadError):
                if isinstance(given, ModelFailed) and model.name in self._serving.on_failure:
                    self._rescue(model, (ask, route, arrival), given, send)
                else:
                    self._refuse(model.name, given, send)
                return
            if arrival.trail is not None:
                arrival.trail.records = (given,)
            send(200, write_answer(given), None)

        return told

    def _rescue(self, model: LiveModel, asked: tuple[Ask, Route, Arrival], fault: ModelFailed, send: Reply) -> None:
        """Asks who stands in for a version that failed; others are answered meanwhile."""
        ask, route, arrival = asked

        async def rescued() -> None:
            try:
                records = await recovered(self._serving, model, [ask], arrival, [route], fault)
            except FairleadError as error:
                self._refuse(model.name, error, send)
            except Exception:
                self._refuse(model.name, Fault(FAULT), send)
                raise
            else:
                if arrival.trail is not None:
                    arrival.trail.records = records
                send(200, write_answers(records, False), None)

        task = asyncio.get_running_loop().create_task(rescued())
        self._rescues.add(task)
        task.add_done_callback(self._rescues.discard)

    def _refuse(self, model: str, error: FairleadError, send: Reply) -> None:
        status = status_of(error, V1_REFUSAL)
        if not isinstance(error, ModelFailed):  # that is counted for the version that failed
            self._serving.tally.refused(model, 0, "", status)
        answer = problem(error.line, path_of(error))
        send(status, answer, header_of(error))
        if self._observer is not None:
            trail = send.trail if isinstance(send, Watched) else None
            self._observer.ended(trail, about(Ended("POST", TEMPLATE, status, 0, len(answer)), model, error))


def _cut_trace(head: bytes) -> tuple[bytes, bytes] | None:
    """A head without the value of its `traceparent`, and that value; None where it has none."""
    at = head.find(_TRACE)
    if at < 0:
        return None
    start, end = at + len(_TRACE), at + len(_TRACE) + TRACE_BYTES
    return (head[:start] + head[end:], head[start:end]) if head[end : end + 2] == b"\r\n" else None


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
