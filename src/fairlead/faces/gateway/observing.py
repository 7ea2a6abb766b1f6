"""What is told of a request once it has ended: one log line, and spans. Never a header, a query or a body.

Whether a request is sampled is drawn once, when its head is known (`begin`): one that is not has no trail, and then
costs nothing unless it fails. A failure has a line always, `failures_per_second` at most. A caller who traces decides
for its own requests, as W3C's trace context has it; so does `sample_rate` for all others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from random import getrandbits, random
from typing import Any

import msgspec
from msgspec import Raw, Struct

from fairlead.core.record import Prediction
from fairlead.core.trace import parse_traceparent, parse_tracestate
from fairlead.errors import ContractError, FairleadError
from fairlead.faces.gateway.spans import UNKNOWN, Ended, Finished, Kept, Traced, spans_of
from fairlead.faces.gateway.wire import Header, Message, Receive, Scope, Send
from fairlead.flows.serve import Arrival, ModelFailed, Overloaded
from fairlead.flows.trail import Trail
from fairlead.ports.clock import Clock

GONE = 499  # told of a caller who hung up before an answer
SHOWN = 20  # rows of a batch whose features a line may show
TRAIL, KNOWN = "trail", "known"  # what an observed scope holds of its request
LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}

Reply = Callable[[int, bytes, Header | None], None]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Traces = tuple[bytes | None, bytes]  # the headers traceparent and tracestate
NO_TRACES: Traces = (None, b"")
_encode = msgspec.json.Encoder().encode


class Access(Struct, omit_defaults=True):
    """One line. `latency_ms` runs from the request's head to its answer."""

    time: datetime
    level: str
    event: str
    process: str
    protocol: str
    method: str
    path: str  # with names in braces instead of what they stand for
    status: int
    latency_ms: float | None = None
    rows: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    request_id: str = ""
    model: str = ""
    version: int = 0
    arm: str = ""
    trace_id: str | None = None
    span_id: str = ""
    error: str = ""
    features: list[Raw] = []
    predictions: list[float | int | str | None] = []


class Rules(Struct, frozen=True):
    """What is told. Shares in [0, 1]; `trace_share` None: nothing is traced."""

    process: str
    level: str = "INFO"
    log_share: float = 0.1
    failures_per_second: int = 100
    include_features: bool = False
    trace_share: float | None = None


class Observer:
    """One worker's. Only the event loop calls it. `suppressed` counts failures that were too many for a line."""

    def __init__(
        self,
        rules: Rules,
        clock: Clock,
        line: Callable[[bytes], None],
        keep: Kept | None = None,
        draw: Callable[[], float] = random,
    ) -> None:
        """`line` takes a log line, `keep` what is traced; neither may wait. `draw` gives numbers in [0, 1)."""
        self._rules = rules
        self._clock = clock
        self._line = line
        self._keep = keep
        self._draw = draw
        self._least = LEVELS[rules.level]
        self._log_share = rules.log_share if self._least <= LEVELS["INFO"] else 0.0
        self._is_tracing = keep is not None and rules.trace_share is not None
        self._trace_share = (rules.trace_share or 0.0) if self._is_tracing else 0.0
        self._second, self._left = 0, rules.failures_per_second
        self.suppressed = 0

    def begin(self, at: float, ticks: float, traceparent: bytes | None = None, tracestate: bytes = b"") -> Trail | None:
        """The trail of a request that is sampled, None for any other. `at` and `ticks` are the clock's, as for an
        `Arrival`; the headers are as they came."""
        drawn = self._draw()
        is_logged, is_traced = drawn < self._log_share, drawn < self._trace_share
        parent = None
        if traceparent is not None and self._is_tracing:
            parent = parse_traceparent(traceparent)
            is_traced = is_traced if parent is None else parent.is_sampled
        if not is_logged and not is_traced:
            return None
        trail = Trail(at, ticks, is_logged)
        if is_traced:
            trail.span_id = f"{getrandbits(64) or 1:016x}"
            trail.trace_id = f"{getrandbits(128) or 1:032x}" if parent is None else parent.trace_id
            if parent is not None:
                trail.parent_id, trail.state = parent.span_id, parse_tracestate(tracestate)
        return trail

    def ended(self, trail: Trail | None, end: Ended) -> None:
        """Tells of a request. To be called for those with a trail, and for every status of 400 and above."""
        now = self._clock.monotonic()
        if end.method not in METHODS:
            end = end._replace(method="_OTHER")  # as OpenTelemetry has it
        if trail is not None and end.records:
            trail.predicted = trail.whole + end.records[0].latency_ms / 1000.0
            trail.logged = trail.logged or now
        if trail is not None and trail.is_traced and self._keep is not None:
            self._keep.keep(spans_of(trail, Finished(now, *place_of(end.path)), end))
        level = "INFO" if end.status < 400 else "WARNING" if end.status < 500 else "ERROR"
        if end.status >= 400:
            if LEVELS[level] >= self._least and self._may_tell(now):
                self._line(_encode(self._access(trail, end, level, now)))
        elif trail is not None and trail.is_logged:
            self._line(_encode(self._access(trail, end, level, now)))

    def traced(self) -> list[Traced]:
        """The requests that were traced lately, as `Kept.traced`."""
        return self._keep.traced() if self._keep is not None else []

    async def watch(self, app: App, scope: Scope, receive: Receive, send: Send) -> None:
        """Has an application answer a request, and tells of it. The application finds the trail in its
        scope, and leaves there what it knows (`arrived`, `note`, `note_failure`)."""
        trail = scope[TRAIL] = self._begin_of(scope)
        sent = _Sent(send)
        try:
            await app(scope, receive, sent)
        finally:
            if trail is not None or not 0 < sent.status < 400:
                self.ended(trail, _ended(scope, sent))

    def _begin_of(self, scope: Scope) -> Trail | None:
        parent, state = None, b""
        if self._is_tracing:
            for name, value in scope["headers"]:
                if name == b"traceparent":
                    parent = value
                elif name == b"tracestate":
                    state = state + b"," + value if state else value
        return self.begin(self._clock.now(), self._clock.monotonic(), parent, state)

    def _may_tell(self, now: float) -> bool:
        if int(now) != self._second:
            self._second, self._left = int(now), self._rules.failures_per_second
        if self._left <= 0:
            self.suppressed += 1
            return False
        self._left -= 1
        return True

    def _access(self, trail: Trail | None, end: Ended, level: str, now: float) -> Access:
        records = end.records
        first = records[0] if records else None
        protocol, path = place_of(end.path)
        line = Access(
            datetime.fromtimestamp(self._clock.now(), UTC),
            level,
            "request",
            self._rules.process,
            protocol,
            end.method,
            path,
            end.status,
            None if trail is None else round((now - trail.started) * 1000.0, 3),
            len(records) or end.rows,
            end.received,
            end.sent,
            _sound(first.request_id if first else end.request_id),
            first.model_name if first else end.model,
            first.model_version if first else end.version,
            first.arm if first else end.arm,
            trail.trace_id if trail is not None and trail.is_traced else first.trace_id if first else end.trace_id,
            trail.span_id if trail is not None else "",
            end.error,
        )
        if self._rules.include_features and records:
            line.features = [record.features for record in records[:SHOWN]]
            line.predictions = [record.prediction for record in records[:SHOWN]]
        return line


class Watched:
    """A direct reply to a sampled request, which is told of once it has left; a failure is told of by who refuses."""

    __slots__ = ("_length", "_observer", "_path", "_reply", "trail")

    def __init__(self, observer: Observer, trail: Trail, asked: tuple[str, int], reply: Reply) -> None:
        """`asked`: the path's template and the length of the request's body."""
        self._observer, self.trail, self._reply = observer, trail, reply
        self._path, self._length = asked

    def __call__(self, status: int, body: bytes, header: Header | None) -> None:
        """Replies."""
        self._reply(status, body, header)
        if status < 400:
            end = Ended("POST", self._path, status, self._length, len(body), self.trail.records)
            self._observer.ended(self.trail, end)


def arrived(scope: Scope, clock: Clock, trace_id: str | None, refusal: int) -> Arrival:
    """A request that is whole now."""
    arrival = Arrival(clock.now(), clock.monotonic(), trace_id, refusal)
    trail: Trail | None = scope.get(TRAIL)
    return arrival if trail is None else followed(arrival, trail)


def followed(arrival: Arrival, trail: Trail) -> Arrival:
    """The arrival of a request that is sampled: the trace that was begun for it is its trace."""
    return Arrival(arrival.at, arrival.ticks, trail.trace_id or arrival.trace_id, arrival.refusal, trail)


def note(scope: Scope, records: Sequence[Prediction]) -> None:
    """A request's records, for its observer."""
    if scope.get(TRAIL) is not None:
        scope[KNOWN] = Ended(scope["method"], scope["path"], 200, records=records)


def note_failure(scope: Scope, model: str, error: FairleadError) -> None:
    """Why a request failed, for its observer."""
    if TRAIL in scope:
        scope[KNOWN] = about(Ended(scope["method"], scope["path"], 500), model, error)


def about(end: Ended, model: str, error: FairleadError) -> Ended:
    """What is known of a request that failed. The error's text is not told: it may hold what the caller sent."""
    kind = type(error).__name__
    if isinstance(error, ContractError) and error.what:
        kind = f"{kind}.{error.what}"
    records = error.records if isinstance(error, ModelFailed | Overloaded) else ()
    return end._replace(model=model, records=records, error=kind)


METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"))
_EXACT = {
    "/v1/models/{model}/predict": "v1",  # as the direct path names it
    "/v1/outcomes": "v1", "/v1/events": "v1", "/v1/traces": "otlp", "/invocations": "mlflow", "/ping": "mlflow",
    "/version": "mlflow", "/health": "fairlead", "/metrics": "fairlead", "/openapi.json": "fairlead", "/v2": "v2",
    "/v2/health/live": "v2", "/v2/health/ready": "v2", "/v2/repository/index": "v2",
}  # fmt: skip


def place_of(path: str) -> tuple[str, str]:
    """The protocol and the path's template: whoever reads it learns no name, and there are few.

    >>> place_of("/v1/models/churn/predict"), place_of("/v2/models/churn/versions/3/infer")
    (('v1', '/v1/models/{model}/predict'), ('v2', '/v2/models/{model}/versions/{version}/infer'))
    >>> place_of("/token/s3cret")
    ('unknown', '{path}')
    """
    known = _EXACT.get(path)
    if known is not None:
        return known, path
    match path.split("/")[1:]:
        case ["v1", "models", _, "predict"]:
            return "v1", "/v1/models/{model}/predict"
        case ["v2", "models", _, *rest]:
            return ("v2", f"/v2/models/{{model}}{end}") if (end := _v2(rest)) is not None else (UNKNOWN, "{path}")
        case ["models", _, "invocations"]:
            return "mlflow", "/models/{model}/invocations"
        case ["models", _, "versions", _, "invocations"]:
            return "mlflow", "/models/{model}/versions/{version}/invocations"
    return UNKNOWN, "{path}"


def _v2(rest: list[str]) -> str | None:
    versions = "/versions/{version}" if rest[:1] == ["versions"] and len(rest) > 1 else ""
    match rest[2:] if versions else rest:
        case []:
            return versions
        case [("infer" | "ready") as last]:
            return f"{versions}/{last}"
    return None


class _Sent:
    """A `send` that notes the status and the bytes of the body."""

    __slots__ = ("_send", "size", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.size = 0

    def __call__(self, message: Message) -> Awaitable[None]:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.size += len(message.get("body", b""))
        return self._send(message)


def _ended(scope: Scope, sent: _Sent) -> Ended:
    known: Ended | None = scope.get(KNOWN)
    length: Any = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
    received = int(length) if length.isdigit() and len(length) < 19 else 0
    status = sent.status or GONE
    if known is not None:
        return known._replace(status=status, received=received, sent=sent.size)
    return Ended(scope["method"], scope["path"], status, received, sent.size)


def _sound(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()
