"""W3C trace context."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.trace import MOST_STATE, Parent, parse_traceparent, parse_tracestate

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEX = "0123456789abcdef"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"00-{TRACE}-{SPAN}-01", Parent(TRACE, SPAN, True)),
        (f"00-{TRACE}-{SPAN}-00", Parent(TRACE, SPAN, False)),
        (f"00-{TRACE}-{SPAN}-03", Parent(TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01", Parent(TRACE, SPAN, True)),
        (f"cc-{TRACE}-{SPAN}-01-what.the-future.brings", Parent(TRACE, SPAN, True)),
    ],
)
def test_a_callers_trace_is_read(value: str, expected: Parent) -> None:
    """Version 00, and later ones as far as 00 goes."""
    assert parse_traceparent(value.encode()) == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-01-more",
        f"cc-{TRACE}-{SPAN}-01.more",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE[:-1]}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0x",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00_{TRACE}_{SPAN}_01",
    ],
)
def test_a_malformed_trace_is_as_if_it_were_not_there(value: str) -> None:
    """What the standard calls invalid is no trace, and no error."""
    assert parse_traceparent(value.encode()) is None


@given(st.binary(max_size=80))
def test_no_header_breaks_the_parser(value: bytes) -> None:
    """Whatever bytes come, a parent is whole or absent."""
    parent = parse_traceparent(value)
    assert parent is None or (len(parent.trace_id), len(parent.span_id)) == (32, 16)
    assert len(parse_tracestate(value)) <= len(value)


@given(
    st.text(HEX, min_size=32, max_size=32).filter(lambda text: text.strip("0")),
    st.text(HEX, min_size=16, max_size=16).filter(lambda text: text.strip("0")),
    st.integers(0, 255),
)
def test_what_is_written_is_read_back(trace: str, span: str, flags: int) -> None:
    """The sampled flag is the lowest bit, whatever the others say."""
    assert parse_traceparent(f"00-{trace}-{span}-{flags:02x}".encode()) == Parent(trace, span, flags % 2 == 1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        (" a=1 ,\t,b=2", "a=1,b=2"),
        ("tenant@vendor=x y", "tenant@vendor=x y"),
        ("a=1,a=2", ""),
        ("A=1", ""),
        ("a=1=2", ""),
        ("a", ""),
        ("a=\x00", ""),
        ("ü=1", ""),
        (",".join(f"k{number}=1" for number in range(33)), ""),
        ("a=" + "b" * MOST_STATE, ""),
    ],
)
def test_a_tracestate_is_passed_on_whole_or_not_at_all(value: str, expected: str) -> None:
    """Members keep their order; a malformed or oversized list is dropped, as the standard allows."""
    assert parse_tracestate(value.encode()) == expected
