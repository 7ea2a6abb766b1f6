"""Spans in OpenTelemetry's own messages. Imported only where spans are sent: protobuf takes 6 MB of a process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message

from fairlead.core.trace import Attribute, Span

_KINDS = {"server": Message.SPAN_KIND_SERVER, "internal": Message.SPAN_KIND_INTERNAL}
_SAMPLED = 0x001
_KNOWN, _REMOTE = 0x100, 0x200  # the flags say whether the parent is remote; and it is


def to_request(spans: Sequence[Span], resource: Mapping[str, str]) -> ExportTraceServiceRequest:
    """The message that carries spans of one process."""
    scope = ScopeSpans(scope=InstrumentationScope(name="fairlead"), spans=[_message(span) for span in spans])
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=Resource(attributes=_pairs(resource)), scope_spans=[scope])]
    )


def _message(span: Span) -> Message:
    return Message(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id),
        trace_state=span.state,
        flags=_SAMPLED | _KNOWN | (_REMOTE if span.is_remote else 0),
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.started_ns,
        end_time_unix_nano=span.ended_ns,
        attributes=_pairs(span.attributes),
        links=[
            Message.Link(trace_id=bytes.fromhex(link.trace_id), span_id=bytes.fromhex(link.span_id), flags=_SAMPLED)
            for link in span.links
        ],
        status=Status(code=Status.STATUS_CODE_ERROR, message=span.error) if span.error else Status(),
    )


def _pairs(attributes: Mapping[str, Attribute]) -> list[KeyValue]:
    return [KeyValue(key=name, value=_value(value)) for name, value in attributes.items()]


def _value(value: Attribute) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    return AnyValue(double_value=value) if isinstance(value, float) else AnyValue(string_value=value)
