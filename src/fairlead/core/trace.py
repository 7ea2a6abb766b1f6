"""W3C trace context as callers send it, and what a span is before anyone exports it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct

_PARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MEMBER = re.compile(r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]")
MOST_MEMBERS, MOST_STATE = 32, 512  # of a tracestate: members and characters, as the standard has them
NO_TRACE, NO_SPAN = "0" * 32, "0" * 16

Attribute = str | int | float | bool


class Parent(NamedTuple):
    """Who calls: the trace, the caller's span, and whether the caller keeps it."""

    trace_id: str
    span_id: str
    is_sampled: bool


class Link(NamedTuple):
    """Another span that this one belongs with."""

    trace_id: str
    span_id: str


class Span(Struct, frozen=True):
    """What one piece of work took. Instants are nanoseconds since 1970; ids are lower-case hex.

    `kind`: server | internal. `error` is empty, or why the span failed: a status or an error's type, never its text.
    """

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    started_ns: int
    ended_ns: int
    attributes: Mapping[str, Attribute]
    error: str = ""
    state: str = ""
    links: tuple[Link, ...] = ()
    is_remote: bool = False  # whether the parent is another process's span


def parse_traceparent(value: bytes) -> Parent | None:
    """The caller's trace, None for a header that the standard calls invalid: it is as if it were not there.

    >>> parse_traceparent(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").is_sampled
    True
    >>> parse_traceparent(b"00-00000000000000000000000000000000-00f067aa0ba902b7-01") is None
    True
    """
    found = _PARENT.fullmatch(value)
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == b"ff" or (version == b"00" and more is not None):
        return None
    trace, span = trace_id.decode(), span_id.decode()
    if trace == NO_TRACE or span == NO_SPAN:
        return None
    return Parent(trace, span, bool(int(flags, 16) & 1))


def parse_tracestate(value: bytes) -> str:
    """The caller's tracestate to pass on; empty for one that is malformed or too long.

    >>> parse_tracestate(b"vendor=1 , other@x=b")
    'vendor=1,other@x=b'
    >>> parse_tracestate(b"no state")
    ''
    """
    if len(value) > MOST_STATE or not value.isascii():
        return ""
    members = [member for part in value.decode().split(",") if (member := part.strip(" \t"))]
    names = {member.partition("=")[0] for member in members}
    if len(members) > MOST_MEMBERS or len(names) < len(members):
        return ""
    return ",".join(members) if all(map(_MEMBER.fullmatch, members)) else ""
