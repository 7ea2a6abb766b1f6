"""Sends spans to an OpenTelemetry collector: OTLP over HTTP, in protobuf, from a thread of its own.

Spans wait in a bounded queue. What does not fit, and what the collector does not take, is dropped and counted; nobody
waits for a collector that is slow or gone. A delivery is repeated where the protocol says that it may help (429, 502,
503, 504, no connection), with growing pauses or after the collector's own Retry-After.
"""

from __future__ import annotations

import http.client
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from fairlead.core.trace import Span
from fairlead.errors import MissingExtra

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

BATCH = 512
EVERY_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
ATTEMPTS = 6  # of one batch; with the pauses between them about half a minute
RETRIED = (429, 502, 503, 504)
QUEUE_FULL, REFUSED, UNREACHED = "queue_full", "refused", "unreached"
_ANSWER_BYTES = 2**16


class OtlpExporter:
    """One worker's spans. `dropped` counts them by why they were lost; `sent` those that a collector took."""

    def __init__(
        self, url: str, resource: Mapping[str, str], headers: str = "", timeout: float = 10.0, queue: int = 2048
    ):
        """`resource`: who sends, by OpenTelemetry's names; `headers`: `name=value,…`, percent-encoded, as the
        environment has them. Raises `MissingExtra` without opentelemetry-proto."""
        _protocol()
        self._url = urlsplit(url)
        self._resource = dict(resource)
        self._headers = {"content-type": "application/x-protobuf", **_parsed(headers)}
        self._timeout = timeout
        self._spans: deque[Span] = deque()
        self._limit = queue
        self.sent = 0
        self.dropped = {QUEUE_FULL: 0, REFUSED: 0, UNREACHED: 0}
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otlp", daemon=True)
        self._thread.start()

    def put(self, span: Span) -> None:
        """Takes a span to be sent; drops it where too many wait. Called by one thread."""
        if len(self._spans) >= self._limit:
            self.dropped[QUEUE_FULL] += 1
        else:
            self._spans.append(span)

    def close(self, seconds: float = 2.0) -> None:
        """Sends what waits, for `seconds` at most; a collector that is gone is not waited for."""
        self._closing.set()
        self._thread.join(seconds)

    def _run(self) -> None:
        while not self._closing.wait(EVERY_SECONDS):
            while len(self._spans) >= BATCH:
                self._deliver(self._take())
            if self._spans:
                self._deliver(self._take())
        while self._spans:
            self._deliver(self._take())

    def _take(self) -> list[Span]:
        return [self._spans.popleft() for _ in range(min(BATCH, len(self._spans)))]

    def _deliver(self, spans: Sequence[Span]) -> None:
        from fairlead.adapters.otlp_spans import to_request

        body = to_request(spans, self._resource).SerializeToString()
        pause = FIRST_PAUSE
        for attempt in range(ATTEMPTS):
            status, said, after = self._post(body)
            if status == 200:
                lost = min(_rejected(said), len(spans))
                self.dropped[REFUSED] += lost
                self.sent += len(spans) - lost
                return
            if status and status not in RETRIED:
                self.dropped[REFUSED] += len(spans)
                return
            if attempt + 1 == ATTEMPTS or self._closing.wait(pause if after is None else after):
                break
            pause = min(pause * 2, LONGEST_PAUSE)
        self.dropped[UNREACHED] += len(spans)

    def _post(self, body: bytes) -> tuple[int, bytes, float | None]:
        """The status (0: no answer), the answer, and after how many seconds the collector wants to be asked again."""
        connection = _connect(self._url, self._timeout)
        try:
            connection.request("POST", self._url.path or "/v1/traces", body, self._headers)
            answer = connection.getresponse()
            after = answer.headers.get("retry-after", "")
            return answer.status, answer.read(_ANSWER_BYTES), min(float(after), 60.0) if after.isdigit() else None
        except (OSError, http.client.HTTPException):
            return 0, b"", None
        finally:
            connection.close()


def _protocol() -> type[ExportTraceServiceRequest]:
    try:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError as error:
        raise MissingExtra("opentelemetry-proto", "otel", "sending and taking traces") from error
    return ExportTraceServiceRequest


def _connect(url: SplitResult, timeout: float) -> http.client.HTTPConnection:
    made = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    return made(url.hostname or "", url.port, timeout=timeout)


def _parsed(headers: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in headers.split(",") if "=" in part)
    return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}


def _rejected(answer: bytes) -> int:
    """How many spans a collector that said 200 did not take all the same."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

    try:
        return int(ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans)
    except DecodeError:
        return 0
