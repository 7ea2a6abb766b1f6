"""`POST /v1/traces`: OpenTelemetry's own protocol over HTTP, in protobuf and in JSON.

Any SDK's exporter may send here. Spans without valid ids are refused one by one (partial success); the others are
kept. Prompts, answers and headers are left out unless the settings keep them, and what is left out is counted.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import Struct

from fairlead.core.genai import PROMPT, RESPONSE, held_by
from fairlead.core.record import SpanRecord
from fairlead.core.trace import NO_SPAN, NO_TRACE
from fairlead.errors import MissingExtra
from fairlead.faces.gateway.otlp_json import OtlpRequest, OtlpSpan, OtlpValue
from fairlead.faces.gateway.tensor_body import unpack
from fairlead.faces.gateway.wire import JSON, MOST_ROWS, Header, Refusal, parse, too_large

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

PROTOBUF = b"application/x-protobuf"
MOST_ATTRIBUTES = 128  # of one span, as OpenTelemetry's own limit is
LONGEST = 4096  # characters of a text
DEEPEST = 8  # levels of a nested value
_HEX = frozenset("0123456789abcdef")


class Keeps(Struct, frozen=True):
    """What is kept of an application's own traces."""

    prompts: bool = False
    responses: bool = False


class Taken(NamedTuple):
    """The spans of a request, and how many of it are none."""

    records: list[SpanRecord]
    rejected: int


def media_of(headers: list[Header], limit: int) -> tuple[bytes, bytes | None]:
    """The body's media type and its compression, None for none. Raises `Refusal` (413, 415)."""
    kind, encoding = b"", None
    for name, value in headers:
        if name == b"content-length" and (not value.isdigit() or int(value) > limit):
            raise too_large(limit)
        if name == b"content-type":
            kind = value.lower().partition(b";")[0].strip()
        elif name == b"content-encoding" and value != b"identity":
            encoding = value
    if kind not in (PROTOBUF, JSON):
        raise Refusal(415, "the content type is not supported: send application/x-protobuf or application/json")
    if encoding not in (None, b"gzip"):
        raise Refusal(415, "the header content-encoding is not supported: send gzip or no compression")
    return kind, encoding


def read_spans(body: bytes, media: tuple[bytes, bytes | None], limit: int, now: float, keeps: Keeps) -> Taken:
    """The spans of a body. Raises `Refusal` (400 for what cannot be read, 413, 501 without the extra)."""
    kind, encoding = media
    if encoding is not None:
        body = unpack(body, encoding, limit)
    given = _from_json(body) if kind == JSON else _from_protobuf(body)
    records: list[SpanRecord] = []
    rejected = 0
    for span in given:
        if len(records) + rejected >= MOST_ROWS:
            raise Refusal(413, f"more than {MOST_ROWS} spans: send smaller batches")
        if _is_id(span.trace_id, 32, NO_TRACE) and _is_id(span.span_id, 16, NO_SPAN):
            records.append(_record(span, now, keeps))
        else:
            rejected += 1
    return Taken(records, rejected)


def answer(kind: bytes, rejected: int) -> bytes:
    """An `ExportTraceServiceResponse`."""
    said = "spans without a valid trace id and span id were refused" if rejected else ""
    if kind == JSON:
        partial = {"partialSuccess": {"rejectedSpans": str(rejected), "errorMessage": said}} if rejected else {}
        return msgspec.json.encode(partial)
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as messages

    response = messages.ExportTraceServiceResponse()
    if rejected:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = said
    return response.SerializeToString()


def refusal(kind: bytes, line: str) -> bytes:
    """A `google.rpc.Status`, which the protocol wants as the body of every error."""
    line = line.encode(errors="replace").decode()
    if kind != PROTOBUF:
        return msgspec.json.encode({"message": line})
    text = line.encode()[:1000]
    size, length = len(text), b""
    while size > 127:
        length, size = length + bytes([size & 127 | 128]), size >> 7
    return b"\x12" + length + bytes([size]) + text


class _Given(Struct):
    """A span as either form has it: ids in hex, instants in nanoseconds, attributes as plain values."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    service: str
    started_ns: int
    ended_ns: int
    kind: int
    status: int
    attributes: Iterable[tuple[str, Any]]
    events: list[str]


def _record(span: _Given, now: float, keeps: Keeps) -> SpanRecord:
    attributes: dict[str, Any] = {}
    dropped = 0
    for name, value in span.attributes:
        held = held_by(name)
        is_kept = not held or (held == PROMPT and keeps.prompts) or (held == RESPONSE and keeps.responses)
        if is_kept and len(attributes) < MOST_ATTRIBUTES:
            attributes[_sound(name)] = value
        else:
            dropped += 1
    return SpanRecord(
        span.trace_id,
        span.span_id,
        span.parent_id if _is_id(span.parent_id, 16, NO_SPAN) else "",
        _sound(span.name),
        _sound(span.service),
        span.started_ns / 1e9,
        span.ended_ns / 1e9,
        now,
        span.kind,
        span.status,
        attributes,
        tuple(_sound(name) for name in span.events[:MOST_ATTRIBUTES]),
        dropped,
    )


def _is_id(text: str, length: int, none: str) -> bool:
    return len(text) == length and text != none and _HEX.issuperset(text)


def _sound(text: str) -> str:
    return text[:LONGEST].encode(errors="replace").decode()


# -- protobuf ------------------------------------------------------------------------------------------------------


def _from_protobuf(body: bytes) -> Iterator[_Given]:
    try:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    except ImportError:
        raise Refusal(501, MissingExtra("opentelemetry-proto", "otel", "taking traces in protobuf").line) from None
    from google.protobuf.message import DecodeError

    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError:
        raise Refusal(400, "the body is no ExportTraceServiceRequest") from None
    for resource in request.resource_spans:
        service = next((each.value.string_value for each in resource.resource.attributes if each.key == _SERVICE), "")
        for scope in resource.scope_spans:
            yield from (_of_message(span, service) for span in scope.spans)


_SERVICE = "service.name"


def _of_message(span: Span, service: str) -> _Given:
    return _Given(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        service,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        int(span.kind),
        int(span.status.code),
        ((pair.key, _plain(pair.value, DEEPEST)) for pair in span.attributes),
        [event.name for event in span.events],
    )


def _plain(value: AnyValue, depth: int) -> Any:
    kind = value.WhichOneof("value")
    if kind is None or depth == 0:
        return None
    if kind == "array_value":
        return [_plain(each, depth - 1) for each in value.array_value.values]
    if kind == "kvlist_value":
        return {_sound(pair.key): _plain(pair.value, depth - 1) for pair in value.kvlist_value.values}
    return _scalar(getattr(value, kind))


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return _sound(value)
    if isinstance(value, bytes):
        return b64encode(value).decode()[:LONGEST]
    return None if isinstance(value, float) and value - value != 0.0 else value  # no JSON has NaN or infinity


# -- JSON ----------------------------------------------------------------------------------------------------------

_decoder = msgspec.json.Decoder(OtlpRequest)


def _from_json(body: bytes) -> Iterator[_Given]:
    request: OtlpRequest = parse(_decoder, body)
    for resource in request.resource_spans:
        services = (each.value.string_value for each in resource.resource.attributes if each.key == _SERVICE)
        service = next(services, None) or ""
        for scope in resource.scope_spans:
            yield from (_of_struct(span, service) for span in scope.spans)


def _of_struct(span: OtlpSpan, service: str) -> _Given:
    return _Given(
        span.trace_id.lower(),
        span.span_id.lower(),
        span.parent_span_id.lower(),
        span.name,
        service,
        int(span.start_time_unix_nano),
        int(span.end_time_unix_nano),
        int(span.kind),
        int(span.status.code),
        [(pair.key, _of_value(pair.value, DEEPEST)) for pair in span.attributes],
        [event.name for event in span.events],
    )


def _of_value(value: OtlpValue, depth: int) -> Any:
    if depth == 0:
        return None
    if value.array_value is not None:
        return [_of_value(each, depth - 1) for each in value.array_value.values]
    if value.kvlist_value is not None:
        return {_sound(pair.key): _of_value(pair.value, depth - 1) for pair in value.kvlist_value.values}
    if value.int_value is not None:
        return int(value.int_value)
    if isinstance(value.double_value, str):  # NaN, Infinity
        return None
    plain = (value.string_value, value.bool_value, value.double_value, value.bytes_value)
    return _scalar(next((each for each in plain if each is not None), None))
