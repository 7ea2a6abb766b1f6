"""OpenTelemetry's protocol over HTTP: the SDK's own exporter as an unmodified client, and everything wrong."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource as ResourceMessage
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.trace import Status, StatusCode

from fairlead.errors import FairleadError
from fairlead.faces.gateway.otlp import PROTOBUF, Keeps, read_spans, refusal
from fairlead.faces.gateway.wire import JSON

Running = Any  # the fixtures' value: see conftest
PROMPT, ANSWER = "what is my balance?", "it is 42 crowns"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Assistant:
    """An application whose spans an SDK exports."""

    def __init__(self, gateway: Running, compression: Compression = Compression.NoCompression) -> None:
        url = f"http://127.0.0.1:{gateway.port}/v1/traces"
        self.exporter = OTLPSpanExporter(endpoint=url, compression=compression, timeout=10)
        self.results: list[SpanExportResult] = []
        export = self.exporter.export
        self.exporter.export = lambda spans: self._noted(export(spans))  # type: ignore[method-assign]
        self.provider = TracerProvider(resource=Resource({"service.name": "assistant"}), shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    def _noted(self, result: SpanExportResult) -> SpanExportResult:
        self.results.append(result)
        return result

    def chat(self) -> None:
        """A retrieval within a chat."""
        tracer = self.provider.get_tracer("app")
        with tracer.start_as_current_span("chat") as chat:
            chat.set_attribute("gen_ai.request.model", "small")
            chat.set_attribute("gen_ai.usage.input_tokens", 12)
            chat.set_attribute("gen_ai.input.messages", PROMPT)
            chat.set_attribute("gen_ai.completion.0.content", ANSWER)
            chat.set_attribute("scores", [0.5, 0.25])
            chat.add_event("gen_ai.choice", {"content": ANSWER})
            with tracer.start_as_current_span("retrieve") as retrieve:
                retrieve.set_attribute("retrieval.documents.0.document.content", PROMPT)
                retrieve.set_status(Status(StatusCode.ERROR, PROMPT))
        self.provider.shutdown()


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_an_sdk_exports_here(gateway: Running, compression: Compression) -> None:
    """Unmodified, compressed or not; neither prompt nor answer is kept."""
    assistant = Assistant(gateway, compression)
    assistant.chat()
    assert assistant.results == [SpanExportResult.SUCCESS, SpanExportResult.SUCCESS]
    retrieve, chat = gateway.facts.kept_spans
    assert (chat.name, chat.service, chat.parent_id) == ("chat", "assistant", "")
    assert chat.attributes == {"gen_ai.request.model": "small", "gen_ai.usage.input_tokens": 12, "scores": [0.5, 0.25]}
    assert (chat.dropped, chat.events) == (2, ("gen_ai.choice",))
    assert (retrieve.parent_id, retrieve.trace_id) == (chat.span_id, chat.trace_id)
    assert (retrieve.attributes, retrieve.dropped, retrieve.status) == ({}, 1, 2)
    assert chat.started_at <= retrieve.started_at <= retrieve.ended_at <= chat.ended_at <= chat.received_at
    assert gateway.serving.tally.spans == 2


@pytest.mark.parametrize(
    ("keeps", "kept"),
    [
        (Keeps(prompts=True), {PROMPT}),
        (Keeps(responses=True), {ANSWER}),
        (Keeps(prompts=True, responses=True), {PROMPT, ANSWER}),
    ],
)
def test_prompts_and_answers_are_kept_where_the_settings_say_so(
    start_gateway: Callable[..., Running], keeps: Keeps, kept: set[str]
) -> None:
    """Each on its own."""
    gateway = start_gateway(keeps=keeps)
    Assistant(gateway).chat()
    told = {value for span in gateway.facts.kept_spans for value in span.attributes.values() if isinstance(value, str)}
    assert told - {"small"} == kept


def message(*spans: Span, service: str = "assistant") -> bytes:
    """A request of spans."""
    name = KeyValue(key="service.name", value=AnyValue(string_value=service))
    resource = ResourceSpans(resource=ResourceMessage(attributes=[name]), scope_spans=[ScopeSpans(spans=spans)])
    return ExportTraceServiceRequest(resource_spans=[resource]).SerializeToString()


def span(**changes: Any) -> Span:
    """A span."""
    plain = {"trace_id": bytes.fromhex(TRACE), "span_id": bytes.fromhex(SPAN), "name": "chat"}
    return Span(**(plain | changes))


def post(gateway: Running, body: bytes, **headers: str) -> httpx.Response:
    """A request."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    answer: httpx.Response = gateway.http.post(
        "/v1/traces", content=body, headers={"content-type": "application/x-protobuf"} | given
    )
    return answer


def test_spans_without_ids_are_refused_one_by_one(gateway: Running) -> None:
    """The others are kept, and the sender is told how many were not."""
    bad = [span(trace_id=b""), span(trace_id=bytes(16)), span(span_id=b"1234567"), span(span_id=bytes(8))]
    answer = post(gateway, message(span(), *bad))
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-protobuf"
    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (said.rejected_spans, "valid trace id" in said.error_message) == (4, True)
    assert [each.span_id for each in gateway.facts.kept_spans] == [SPAN]
    assert ExportTraceServiceResponse.FromString(post(gateway, message(span())).content) == ExportTraceServiceResponse()


JSON_SPAN = {
    "traceId": TRACE.upper(),
    "spanId": SPAN,
    "name": "chat",
    "kind": 2,
    "startTimeUnixNano": "1700000000000000000",
    "endTimeUnixNano": 1700000001500000000,
    "attributes": [
        {"key": "tokens", "value": {"intValue": "12"}},
        {"key": "share", "value": {"doubleValue": 0.5}},
        {"key": "odd", "value": {"doubleValue": "NaN"}},
        {"key": "is_cached", "value": {"boolValue": False}},
        {"key": "list", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": 1}]}}},
        {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}},
        {"key": "input.value", "value": {"stringValue": PROMPT}},
        {"key": "http.request.header.authorization", "value": {"stringValue": "Bearer s3cret"}},
    ],
    "status": {"code": 1, "message": PROMPT},
    "events": [{"name": "first", "attributes": []}],
    "aFieldOfTheFuture": {"a": 1},
}


def document(*spans: Any) -> bytes:
    """The same as JSON."""
    service = [{"key": "service.name", "value": {"stringValue": "assistant"}}]
    resource = {"resource": {"attributes": service}, "scopeSpans": [{"scope": {"name": "x"}, "spans": list(spans)}]}
    return json.dumps({"resourceSpans": [resource]}).encode()


def test_json_is_the_same(gateway: Running) -> None:
    """Ids in hex, 64-bit numbers as text or as numbers, fields of the future ignored."""
    answer = post(gateway, document(JSON_SPAN, {**JSON_SPAN, "traceId": "zz"}), content_type="application/json")
    assert answer.json() == {
        "partialSuccess": {
            "rejectedSpans": "1",
            "errorMessage": "spans without a valid trace id and span id were refused",
        }
    }
    (kept,) = gateway.facts.kept_spans
    assert (kept.trace_id, kept.span_id, kept.kind, kept.status) == (TRACE, SPAN, 2, 1)
    assert (kept.started_at, kept.ended_at) == (1_700_000_000.0, 1_700_000_001.5)
    assert kept.attributes == {
        "tokens": 12,
        "share": 0.5,
        "odd": None,
        "is_cached": False,
        "list": ["a", 1],
        "map": {"k": "v"},
    }
    assert (kept.dropped, kept.events) == (2, ("first",))
    packed = gzip.compress(document(JSON_SPAN))
    assert post(gateway, packed, content_type="application/json", content_encoding="gzip").json() == {}


def test_whole_numbers_may_be_written_with_a_point(gateway: Running) -> None:
    """JSON, and its schemas, know no other difference; what is kept is whole. A fraction is refused."""
    pointed = [{"key": "tokens", "value": {"intValue": 12.0}}]
    whole = {**JSON_SPAN, "kind": 2.0, "status": {"code": 1.0}, "startTimeUnixNano": 1.7e18, "attributes": pointed}
    assert post(gateway, document(whole), content_type="application/json").json() == {}
    (kept,) = gateway.facts.kept_spans
    assert (kept.kind, kept.status, kept.started_at, kept.attributes) == (2, 1, 1_700_000_000.0, {"tokens": 12})
    assert [type(one) for one in (kept.kind, kept.status, kept.attributes["tokens"])] == [int, int, int]
    answer = post(gateway, document({"kind": 2.5}), content_type="application/json")
    assert (answer.status_code, "kind" in answer.json()["message"]) == (400, True)


def words(answer: httpx.Response) -> str:
    """The message of a `google.rpc.Status`, which is its second field."""
    content = answer.content
    assert content[:1] == b"\x12"
    size, at, shift = 0, 1, 0
    while True:
        size |= (content[at] & 127) << shift
        at, shift = at + 1, shift + 7
        if content[at - 1] < 128:
            break
    assert len(content) == at + size
    return content[at:].decode()


@pytest.mark.parametrize(
    ("body", "headers", "status", "said"),
    [
        (b"\xff\xff\xff", {}, 400, "no ExportTraceServiceRequest"),
        (b"{}", {"content_type": "text/plain"}, 415, "content type"),
        (b"{}", {"content_type": ""}, 415, "content type"),
        (b"", {"content_encoding": "br"}, 415, "content-encoding"),
        (b"not gzip", {"content_encoding": "gzip"}, 400, "gzip"),
        (b"x" * 2000, {}, 413, "larger than 1000 bytes"),
        (gzip.compress(bytes(100_000)), {"content_encoding": "gzip"}, 413, "larger than 1000 bytes"),
        (b"{", {"content_type": "application/json"}, 400, ""),
        (b"[]", {"content_type": "application/json"}, 400, "object"),
        (b'{"resourceSpans": 7}', {"content_type": "application/json"}, 400, "resourceSpans"),
        (document({**JSON_SPAN, "startTimeUnixNano": "soon"})[:999], {"content_type": "application/json"}, 400, ""),
        (document({"startTimeUnixNano": "soon"}), {"content_type": "application/json"}, 400, "startTimeUnixNano"),
        (document({"startTimeUnixNano": "9" * 30}), {"content_type": "application/json"}, 400, "startTimeUnixNano"),
        (document({"startTimeUnixNano": 2**63}), {"content_type": "application/json"}, 400, "startTimeUnixNano"),
        (document({"kind": 10**30}), {"content_type": "application/json"}, 400, "kind"),
        (document({"status": {"code": -1}}), {"content_type": "application/json"}, 400, "code"),
    ],
)
def test_what_cannot_be_read_is_refused(
    start_gateway: Callable[..., Running], body: bytes, headers: dict[str, str], status: int, said: str
) -> None:
    """With the status in the sender's own form, and nothing is kept."""
    gateway = start_gateway(body_limit=1000)
    answer = post(gateway, body, **headers)
    assert answer.status_code == status
    is_protobuf = answer.headers["content-type"] == "application/x-protobuf"
    assert said in (words(answer) if is_protobuf else answer.json()["message"])
    assert gateway.facts.kept_spans == []


def test_a_chunked_body_is_bounded_too(start_gateway: Callable[..., Running]) -> None:
    """Whether or not its length was told."""
    gateway = start_gateway(body_limit=1000)
    headers = {"content-type": "application/x-protobuf"}
    answer = gateway.http.post("/v1/traces", content=iter([bytes(600), bytes(600)]), headers=headers)
    assert answer.status_code == 413


def test_a_full_disk_asks_the_sender_to_come_again(gateway: Running) -> None:
    """503, which exporters repeat; other methods are refused."""
    gateway.facts.full = True
    assert post(gateway, message(span())).status_code == 503
    assert gateway.serving.tally.log_failures == 1
    assert gateway.http.get("/v1/traces").status_code == 405


def test_a_durable_gateway_waits_for_the_disk(start_gateway: Callable[..., Running]) -> None:
    """As for an outcome."""
    gateway = start_gateway(sync=True)
    assert post(gateway, message(span())).status_code == 200
    assert gateway.facts.synced == 1


def test_what_is_kept_of_a_span_is_bounded(gateway: Running) -> None:
    """Attributes, texts and levels; what is left out is counted."""
    deep = AnyValue(string_value="bottom")
    for _ in range(20):
        deep = AnyValue(array_value=ArrayValue(values=[deep]))
    pairs = [KeyValue(key=f"k{number}", value=AnyValue(int_value=number)) for number in range(200)]
    pairs[0] = KeyValue(key="deep", value=deep)
    pairs[1] = KeyValue(key="long", value=AnyValue(string_value="x" * 10_000))
    assert post(gateway, message(span(attributes=pairs, name="n" * 10_000))).status_code == 200
    (kept,) = gateway.facts.kept_spans
    assert (len(kept.attributes), kept.dropped, len(kept.name)) == (128, 72, 4096)
    assert len(kept.attributes["long"]) == 4096
    assert "bottom" not in json.dumps(kept.attributes["deep"])


@given(st.binary(max_size=200), st.sampled_from([PROTOBUF, JSON]), st.sampled_from([None, b"gzip"]))
def test_no_body_breaks_the_reader(body: bytes, kind: bytes, encoding: bytes | None) -> None:
    """It is read or refused."""
    said = b""
    try:
        taken = read_spans(body, (kind, encoding), 10_000, 1.7e9, Keeps())
    except FairleadError as error:
        said = refusal(kind, error.line)
    assert said or taken.rejected >= 0
