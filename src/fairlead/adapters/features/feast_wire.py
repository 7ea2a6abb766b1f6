"""How Feast writes keys and values into an online store, read and written without Feast.

The gateway must hold no data frame, and Feast imports one, for seconds. What is read here is its documented format: an
entity key is serialised as version 3 says, a value is a `feast.types.Value` message of one field.

>>> entity_key([("customer_id", "int64", 7)]).hex()
'01000000020000000b000000637573746f6d65725f696404000000080000000700000000000000'
>>> value(bytes.fromhex("2009")), value(bytes.fromhex("1204676f6c64")), value(b"")
(9, 'gold', None)
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from math import isfinite

# Types of a key, by their number in `feast.types.ValueType`.
_STRING, _INT32, _INT64 = 2, 3, 4
KEY_TYPES = ("string", "int32", "int64")
# Fields of a `Value` that hold one cell.
_TEXT, _WHOLE, _DOUBLE, _FLOAT, _BOOL = 2, (3, 4), 5, 6, 7
_MASK = 2**64 - 1
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5  # wire types
_DOUBLE_TAG, _DOUBLE_SIZE, _WHOLE_TAGS = _DOUBLE << 3 | _EIGHT, 9, (3 << 3, 4 << 3)
_unpack_double = struct.Struct("<d").unpack_from
VALUE_TYPES = ("string", "int32", "int64", "double", "float", "bool")

Cell = float | int | bool | str | None


def entity_key(parts: Sequence[tuple[str, str, int | str]]) -> bytes:
    """The key of an entity: of each join key its name, its type, one of `KEY_TYPES`, and its value.

    Raises `OverflowError` for a number that its type does not hold.
    """
    ordered = sorted(parts)
    names = [name.encode() for name, _, _ in ordered]
    out = [struct.pack("<I", len(names))]
    out += [struct.pack("<II", _STRING, len(name)) + name for name in names]
    return b"".join([*out, *(_key_value(kind, key) for _, kind, key in ordered)])


def value(data: bytes) -> Cell:
    """The cell of a `Value` message; None for null, for what is not finite, and for what is no single cell.

    Raises `ValueError` for what is no such message.
    """
    size = len(data)
    if size == _DOUBLE_SIZE and data[0] == _DOUBLE_TAG:  # what most are
        (number,) = _unpack_double(data, 1)
        return number if isfinite(number) else None
    if size == 2 and data[0] in _WHOLE_TAGS and data[1] < 0x80:
        return data[1]
    found: Cell = None
    at = 0
    while at < size:
        tag, at = _varint(data, at)
        field, wire = tag >> 3, tag & 7
        raw, at = _field(data, at, wire)
        found = _cell(field, raw)
    return found


def _key_value(kind: str, key: int | str) -> bytes:
    if kind == "string":
        data = str(key).encode()
        return struct.pack("<II", _STRING, len(data)) + data
    number, layout, size = (_INT32, "<IIi", 4) if kind == "int32" else (_INT64, "<IIq", 8)
    try:
        return struct.pack(layout, number, size, int(key))
    except struct.error as error:
        raise OverflowError(f"{key} is no {kind}") from error


def _varint(data: bytes, at: int) -> tuple[int, int]:
    shift = found = 0
    while at < len(data) and shift < 70:
        byte = data[at]
        at += 1
        found |= (byte & 0x7F) << shift
        if byte < 0x80:
            return found, at
        shift += 7
    raise ValueError("a number has no end")


def _field(data: bytes, at: int, wire: int) -> tuple[int | bytes, int]:
    if wire == _VARINT:
        return _varint(data, at)
    if wire == _BYTES:
        size, at = _varint(data, at)
    else:
        size = {_EIGHT: 8, _FOUR: 4}.get(wire, -1)
    if size < 0 or at + size > len(data):
        raise ValueError("a field has no end, or no type")
    return data[at : at + size], at + size


def _cell(field: int, raw: int | bytes) -> Cell:
    if isinstance(raw, int):
        if field == _BOOL:
            return bool(raw)
        return ((raw & _MASK) ^ (1 << 63)) - (1 << 63) if field in _WHOLE else None
    if field == _TEXT:
        return raw.decode()
    if field in (_DOUBLE, _FLOAT) and len(raw) == (8 if field == _DOUBLE else 4):
        (number,) = struct.unpack("<d" if field == _DOUBLE else "<f", raw)
        return number if isfinite(number) else None
    return None
