"""OpenTelemetry's request as JSON: ids in hex, 64-bit numbers as text or as numbers, unknown fields ignored."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

# JSON tells 7.0 from 7 only by looks: both are whole.
Whole = (
    Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
    | Annotated[float, Meta(multiple_of=1.0, ge=-(2.0**63) + 1024.0, le=2.0**63 - 1024.0)]
    | Annotated[str, Meta(pattern="^(-?[0-9]{1,18}|[0-9]{19})$")]
)
Small = Annotated[int, Meta(ge=0, le=2**31 - 1)] | Annotated[float, Meta(multiple_of=1.0, ge=0.0, le=2.0**31 - 1.0)]


class OtlpValue(Struct, rename="camel"):
    """Any value: the first that is there."""

    string_value: str | None = None
    bool_value: bool | None = None
    int_value: Whole | None = None
    double_value: float | Literal["NaN", "Infinity", "-Infinity"] | None = None
    bytes_value: str | None = None
    array_value: OtlpValues | None = None
    kvlist_value: OtlpPairs | None = None


class OtlpValues(Struct):
    """A list."""

    values: list[OtlpValue] = []


class OtlpPair(Struct):
    """A name and its value."""

    key: str = ""
    value: OtlpValue = msgspec.field(default_factory=OtlpValue)


class OtlpPairs(Struct):
    """An object."""

    values: list[OtlpPair] = []


class OtlpEvent(Struct):
    """Something that happened within a span."""

    name: str = ""


class OtlpStatus(Struct):
    """How a span ended."""

    code: Small = 0


class OtlpSpan(Struct, rename="camel"):
    """A piece of work."""

    trace_id: str = ""
    span_id: str = ""
    parent_span_id: str = ""
    name: str = ""
    kind: Small = 0
    start_time_unix_nano: Whole = 0
    end_time_unix_nano: Whole = 0
    attributes: list[OtlpPair] = []
    events: list[OtlpEvent] = []
    status: OtlpStatus = msgspec.field(default_factory=OtlpStatus)


class OtlpScope(Struct):
    """The spans of one library."""

    spans: list[OtlpSpan] = []


class OtlpResource(Struct):
    """Who sends."""

    attributes: list[OtlpPair] = []


class OtlpResourceSpans(Struct, rename="camel"):
    """The spans of one sender."""

    resource: OtlpResource = msgspec.field(default_factory=OtlpResource)
    scope_spans: list[OtlpScope] = []


class OtlpRequest(Struct, rename="camel"):
    """An `ExportTraceServiceRequest`."""

    resource_spans: list[OtlpResourceSpans] = []
