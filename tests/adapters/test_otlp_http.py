"""Spans on their way to a collector: a real HTTP server that decodes them with OpenTelemetry's own messages."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from fairlead.adapters import otlp_http
from fairlead.adapters.otlp_http import BATCH, QUEUE_FULL, REFUSED, UNREACHED, OtlpExporter
from fairlead.adapters.otlp_spans import to_request
from fairlead.core.trace import Link, Span
from fairlead.testing.loopback import own_port

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RESOURCE = {"service.name": "fairlead", "service.instance.id": "here-worker-0"}


def span(number: int = 1, **changes: Any) -> Span:
    """A span."""
    plain: dict[str, Any] = {
        "name": "POST /v1/models/{model}/predict",
        "kind": "server",
        "trace_id": TRACE,
        "span_id": f"{number:016x}",
        "parent_id": PARENT,
        "started_ns": 1_700_000_000_000_000_000,
        "ended_ns": 1_700_000_000_001_000_000,
        "attributes": {"http.response.status_code": 200, "fairlead.arm": "canary", "share": 0.5, "pinned": True},
    }
    return Span(**(plain | changes))


class Collector:
    """A collector. `answers` are its next statuses, with headers; then 200."""

    def __init__(self) -> None:
        self.requests: list[ExportTraceServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.body = ExportTraceServiceResponse().SerializeToString()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.requests.append(ExportTraceServiceRequest.FromString(body))
                collector.headers.append({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}})
                status, headers = collector.answers.pop(0) if collector.answers else (200, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(collector.body)))
                self.end_headers()
                self.wfile.write(collector.body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def spans(self) -> list[Message]:
        """Everything that came."""
        return [
            one for request in self.requests for r in request.resource_spans for s in r.scope_spans for one in s.spans
        ]

    def stop(self) -> None:
        """Closes it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that listens."""
    made = Collector()
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses."""
    monkeypatch.setattr(otlp_http, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(otlp_http, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(otlp_http, "LONGEST_PAUSE", 0.02)


def wait_for(condition: Callable[[], bool]) -> None:
    """Waits until a condition holds."""
    event = threading.Event()
    for _ in range(6000):
        if condition():
            return
        event.wait(0.01)
    raise AssertionError("what was waited for did not happen")


def test_a_span_arrives_as_it_was(collector: Collector) -> None:
    """Ids, parent, instants, attributes with their types, links, state, and who sends."""
    exporter = OtlpExporter(collector.url, RESOURCE, "authorization=Bearer%20abc,x-tenant=7")
    exporter.put(span(state="vendor=1", links=(Link("ab" * 16, "cd" * 8),), is_remote=True))
    exporter.put(span(2, kind="internal", name="predict", error="ModelFailed"))
    wait_for(lambda: exporter.sent == 2)
    exporter.close(60.0)
    first, second = collector.spans
    assert (first.trace_id.hex(), first.span_id.hex(), first.parent_span_id.hex()) == (TRACE, f"{1:016x}", PARENT)
    assert (first.kind, first.trace_state, first.flags) == (Message.SPAN_KIND_SERVER, "vendor=1", 0x301)
    assert first.end_time_unix_nano - first.start_time_unix_nano == 1_000_000
    values = {pair.key: pair.value for pair in first.attributes}
    assert values["http.response.status_code"].int_value == 200
    assert (values["fairlead.arm"].string_value, values["share"].double_value) == ("canary", 0.5)
    assert values["pinned"].WhichOneof("value") == "bool_value"
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in first.links] == [("ab" * 16, "cd" * 8)]
    assert (second.kind, second.status.code) == (Message.SPAN_KIND_INTERNAL, Status.STATUS_CODE_ERROR)
    resource = {
        pair.key: pair.value.string_value for pair in collector.requests[0].resource_spans[0].resource.attributes
    }
    assert resource == RESOURCE
    assert collector.headers[0]["content-type"] == "application/x-protobuf"
    assert (collector.headers[0]["authorization"], collector.headers[0]["x-tenant"]) == ("Bearer abc", "7")
    assert collector.headers[0]["path"] == "/v1/traces"


def test_many_spans_go_in_batches_and_the_rest_at_the_end(collector: Collector) -> None:
    """Each once."""
    exporter = OtlpExporter(collector.url, RESOURCE, queue=10 * BATCH)
    for number in range(1, 3 * BATCH):
        exporter.put(span(number))
    exporter.close(60.0)
    assert sorted(int(one.span_id.hex(), 16) for one in collector.spans) == list(range(1, 3 * BATCH))
    assert exporter.sent == 3 * BATCH - 1
    assert sum(exporter.dropped.values()) == 0


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_tried_again(collector: Collector, status: int) -> None:
    """The same spans, until the collector takes them."""
    collector.answers = [(status, {}), (status, {"retry-after": "0"})]
    exporter = OtlpExporter(collector.url, RESOURCE)
    exporter.put(span())
    wait_for(lambda: exporter.sent == 1)
    exporter.close(60.0)
    assert len(collector.requests) == 3
    assert sum(exporter.dropped.values()) == 0


@pytest.mark.parametrize("status", [400, 401, 404, 413, 500])
def test_what_is_refused_is_counted_and_not_repeated(collector: Collector, status: int) -> None:
    """As the protocol has it."""
    collector.answers = [(status, {})]
    exporter = OtlpExporter(collector.url, RESOURCE)
    exporter.put(span())
    wait_for(lambda: exporter.dropped[REFUSED] == 1)
    exporter.close(60.0)
    assert (len(collector.requests), exporter.sent) == (1, 0)


def test_a_partial_success_is_counted(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector says how many it did not take."""
    monkeypatch.setattr(otlp_http, "EVERY_SECONDS", 60.0)  # all three go together, at the end
    rejected = ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
    collector.body = ExportTraceServiceResponse(partial_success=rejected).SerializeToString()
    exporter = OtlpExporter(collector.url, RESOURCE)
    for number in (1, 2, 3):
        exporter.put(span(number))
    exporter.close(60.0)
    assert (exporter.sent, exporter.dropped[REFUSED]) == (1, 2)


def test_an_answer_that_is_no_message_means_taken(collector: Collector) -> None:
    """A proxy may answer 200 in its own words."""
    collector.body = b"ok"
    exporter = OtlpExporter(collector.url, RESOURCE)
    exporter.put(span())
    exporter.close(60.0)
    assert exporter.sent == 1


def test_a_collector_that_is_gone_costs_spans_only() -> None:
    """They are tried again for a while, then dropped and counted; the queue is bounded; nobody waits."""
    exporter = OtlpExporter(f"http://127.0.0.1:{own_port()}", RESOURCE, queue=10)
    for number in range(1, 100):
        exporter.put(span(number))
    wait_for(lambda: exporter.dropped[UNREACHED] >= 10)
    exporter.close(60.0)
    assert exporter.dropped[QUEUE_FULL] + exporter.dropped[UNREACHED] == 99
    assert exporter.sent == 0


def test_a_collector_that_hangs_holds_up_no_end() -> None:
    """`close` waits for as long as it is told."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        exporter = OtlpExporter(f"http://127.0.0.1:{silent.getsockname()[1]}", RESOURCE, timeout=1.0)
        exporter.put(span())
        silent.accept()[0].close()
        exporter.close(0.05)


attributes = st.dictionaries(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    max_size=4,
)


@given(attributes, st.integers(1, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_every_span_survives_the_wire(given_attributes: dict[str, Any], started: int, length: int) -> None:
    """What OpenTelemetry's own messages read is what was written."""
    one = span(attributes=given_attributes, started_ns=started, ended_ns=started + length)
    read = ExportTraceServiceRequest.FromString(to_request([one], RESOURCE).SerializeToString())
    (message,) = read.resource_spans[0].scope_spans[0].spans
    values = {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in message.attributes}
    assert values == given_attributes
    assert (message.start_time_unix_nano, message.end_time_unix_nano) == (started, started + length)
