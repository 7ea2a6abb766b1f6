"""Keys and values as Feast writes them."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.adapters.features.feast_wire import entity_key, value


def varint(number: int) -> bytes:
    """A whole number on the wire; a negative one as 64 bits."""
    left, out = number % 2**64, bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*out, left])


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from([3, 4]))
def test_whole_numbers_are_read(number: int, field: int) -> None:
    """Of either width, negative ones too."""
    assert value(varint(field << 3) + varint(number)) == number


@given(st.floats(), st.text())
def test_numbers_and_texts_are_read(number: float, text: str) -> None:
    """What is not finite is null."""
    assert value(b"\x29" + struct.pack("<d", number)) == (number if math.isfinite(number) else None)
    data = text.encode()
    assert value(b"\x12" + varint(len(data)) + data) == text


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", None),
        (b"\x98\x01\x00", None),  # null_val
        (b"\x38\x01", True),
        (b"\x38\x00", False),
        (b"\x35\x00\x00\xc8\x41", 25.0),
        (b"\x0a\x01a", None),  # bytes
        (b"\x40\x01", None),  # a time
        (b"\x5a\x02\x0a\x00", None),  # a list
    ],
)
def test_every_other_kind_has_an_answer(data: bytes, expected: object) -> None:
    """A truth is one and no number; what is no single cell is null."""
    found = value(data)
    assert (found, type(found)) == (expected, type(expected))


@given(st.binary(max_size=24))
def test_bytes_that_are_no_message_are_an_error_of_one_kind(data: bytes) -> None:
    """Whatever lies in a store, nothing but `ValueError` comes of it."""
    try:
        found = value(data)
    except ValueError:
        return
    assert found is None or isinstance(found, int | float | str)


def test_keys_do_not_depend_on_the_order_of_their_parts() -> None:
    """They are sorted by name, and each part says its type."""
    parts: list[tuple[str, str, int | str]] = [("city", "string", "Århus"), ("customer_id", "int64", -4)]
    assert entity_key(parts) == entity_key(parts[::-1])
    assert entity_key([("a", "int64", 1)]) != entity_key([("a", "int32", 1)]) != entity_key([("a", "string", "1")])
    for kind, number in (("int32", 2**31), ("int64", 2**63), ("int32", -(2**31) - 1)):
        with pytest.raises(OverflowError, match=f"{number} is no {kind}"):
            entity_key([("a", kind, number)])
