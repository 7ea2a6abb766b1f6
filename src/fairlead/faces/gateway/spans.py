"""The spans of a request that is traced: itself, and decode, predict and log where they were reached.

Names and attributes are OpenTelemetry's conventions for HTTP servers; what is ours begins with `fairlead.`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from random import getrandbits
from typing import NamedTuple

from fairlead.core.record import Prediction
from fairlead.core.trace import Attribute, Link, Span
from fairlead.flows.trail import Trail
from fairlead.ports.clock import Clock

UNKNOWN = "unknown"  # the protocol of a path that there is not
REMEMBERED = 4096  # traced requests whose shadows may still answer, and answers that wait to know of theirs
HELD_SECONDS = 5.0  # how long these wait

Traced = tuple[str, str, str]  # the trace, the request's id, and its span


class Ended(NamedTuple):
    """What is known of a request at its end. `path` is the target without its query; what of it is a name is not told.

    `records`: its answers, in order; else `model`, `version`, `arm`, `rows` and `request_id` say what is known of a
    request that failed. `error` is the type of what went wrong.
    """

    method: str
    path: str
    status: int
    received: int = 0  # bytes of the body
    sent: int = 0
    records: Sequence[Prediction] = ()
    model: str = ""
    version: int = 0
    arm: str = ""
    rows: int = 0
    request_id: str = ""
    trace_id: str | None = None
    error: str = ""


class Finished(NamedTuple):
    """When a request ended, on the monotonic clock, and where it went."""

    at: float
    protocol: str
    route: str


class Kept:
    """Where spans go. It remembers the last traced requests, for their shadows, which another process answers."""

    def __init__(self, put: Callable[[Span], None]) -> None:
        """`put` takes a span; it may not wait."""
        self._put = put
        self._traced: deque[Traced] = deque(maxlen=REMEMBERED)
        self._before: deque[Traced] = self._traced.copy()

    def keep(self, spans: Sequence[Span]) -> None:
        """Takes the spans of one request, its own first."""
        request = spans[0]
        if request_id := request.attributes.get("fairlead.request_id"):
            self._traced.append((request.trace_id, str(request_id), request.span_id))
        for span in spans:
            self._put(span)

    def traced(self) -> list[Traced]:
        """The requests that were traced since the call before the last: each is told twice, so that who looks about as
        often misses none."""
        told = [*self._before, *self._traced]
        self._before, self._traced = self._traced, deque(maxlen=REMEMBERED)
        return told


class Unseen:
    """The spans of shadows' answers to traced requests (for the first row of a batch), each in a trace of its own that
    is linked with the request's: nobody waited for it. Whether a request was traced, its worker tells a bit later."""

    def __init__(self, put: Callable[[Span], None], clock: Clock) -> None:
        """`put` takes a span; it may not wait."""
        self._put = put
        self._clock = clock
        self._held: deque[tuple[float, Prediction]] = deque(maxlen=REMEMBERED)

    def answered(self, records: Sequence[Prediction]) -> None:
        """Holds shadows' answers that may be to traced requests."""
        now = self._clock.now()
        self._held.extend((now, record) for record in records if record.trace_id is not None)

    def learn(self, traced: Iterable[Traced]) -> None:
        """Tells of the answers to these requests, and of those no more that have waited for long enough."""
        spans = {(trace_id, request_id): span_id for trace_id, request_id, span_id in traced}
        oldest = self._clock.now() - HELD_SECONDS
        held, self._held = self._held, deque(maxlen=REMEMBERED)
        for at, record in held:
            span_id = spans.get((record.trace_id or "", record.request_id))
            if span_id is not None:
                self._put(_shadow(record, at, span_id))
            elif at >= oldest:
                self._held.append((at, record))


def _shadow(record: Prediction, at: float, span_id: str) -> Span:
    """`at`: when it was answered, in seconds since 1970."""
    ended = _ns(at)
    return Span(
        f"shadow {record.model_name}",
        "internal",
        f"{getrandbits(128) or 1:032x}",
        _new_id(),
        "",
        ended - round(record.latency_ms * 1e6),
        ended,
        _subject(record) | {"fairlead.shadow_of": record.shadow_of or 0, "fairlead.status": record.status},
        error=str(record.status) if record.status >= 500 else "",
        links=(Link(record.trace_id or "", span_id),),
    )


def spans_of(trail: Trail, finished: Finished, end: Ended) -> list[Span]:
    """A request's spans, its own first."""
    attributes: dict[str, Attribute] = {
        "http.request.method": end.method,
        "http.response.status_code": end.status,
        "http.request.body.size": end.received,
        "http.response.body.size": end.sent,
        "url.scheme": "http",
        "fairlead.protocol": finished.protocol,
        "fairlead.rows": len(end.records) or end.rows,
    }
    if end.records:
        attributes |= _subject(end.records[0])
    else:
        known = (("model", end.model), ("version", end.version), ("arm", end.arm), ("request_id", end.request_id))
        attributes |= {_NAMES[name]: value for name, value in known if value}
    if end.error:
        attributes["error.type"] = end.error
    name = end.method
    if finished.protocol != UNKNOWN:
        name = f"{end.method} {finished.route}"
        attributes["http.route"] = finished.route
    is_fault = end.status >= 500
    request = Span(
        name,
        "server",
        trail.trace_id,
        trail.span_id,
        trail.parent_id,
        _ns(trail.at),
        _ns(trail.at + finished.at - trail.started),
        attributes,
        (end.error or str(end.status)) if is_fault else "",
        trail.state,
        is_remote=bool(trail.parent_id),
    )
    return [request, *_steps(trail)]


def _steps(trail: Trail) -> list[Span]:
    """What was reached, one after another."""
    instants = (trail.whole, trail.decoded, trail.predicted, trail.logged)
    return [
        Span(
            name,
            "internal",
            trail.trace_id,
            _new_id(),
            trail.span_id,
            _ns(trail.at + begun - trail.started),
            _ns(trail.at + ended - trail.started),
            {},
            state=trail.state,
        )
        for name, begun, ended in zip(("decode", "predict", "log"), instants, instants[1:], strict=False)
        if begun and ended
    ]


_NAMES = {
    "model": "fairlead.model.name",
    "version": "fairlead.model.version",
    "arm": "fairlead.arm",
    "request_id": "fairlead.request_id",
}


def _subject(record: Prediction) -> dict[str, Attribute]:
    return {
        "fairlead.model.name": record.model_name,
        "fairlead.model.version": record.model_version,
        "fairlead.arm": record.arm,
        "fairlead.request_id": record.request_id.encode(errors="replace").decode(),
    }


def _ns(seconds: float) -> int:
    return round(seconds * 1e9)


def _new_id() -> str:
    return f"{getrandbits(64) or 1:016x}"
