"""The tensor datatypes of the Open Inference Protocol, and their bytes in its binary tensor data extension.

Bytes are little-endian, row major, without padding; an element of BYTES is its length (4 bytes, unsigned) and then its
bytes, which are UTF-8 here; a BOOL is one byte, 0 or 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, isfinite, isnan
from struct import Struct as Packing
from struct import pack as pack_struct
from struct import unpack as unpack_struct
from typing import Any, NamedTuple, Protocol

from fairlead.faces.gateway.wire import Refusal

Bytes = bytes | memoryview
_LENGTH = Packing("<I")
_INTEGERS = frozenset((int,))
_NUMBERS = frozenset((int, float))


class Datatype(NamedTuple):
    """`code`: in the notation of `struct`, "" where it has none; `size`: bytes of an element, 0 where they differ;
    `types`: of a value in JSON; `low`, `high`: the range of its values, where it `is_bounded`."""

    code: str
    size: int
    types: frozenset[type]
    low: float = -inf
    high: float = inf
    is_bounded: bool = False


def _integer(code: str, bits: int, signed: bool) -> Datatype:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return Datatype(code, bits // 8, _INTEGERS, low, high, True)


def _floating(code: str, size: int, high: float) -> Datatype:
    return Datatype(code, size, _NUMBERS, -high, high, True)


DATATYPES = {
    "BF16": _floating("", 2, (2 - 2.0**-7) * 2.0**127),
    "BOOL": Datatype("?", 1, frozenset((bool,))),
    "BYTES": Datatype("", 0, frozenset((str,))),
    "FP16": _floating("e", 2, 65504.0),
    "FP32": _floating("f", 4, (2 - 2.0**-23) * 2.0**127),
    "FP64": Datatype("d", 8, _NUMBERS),
    "INT16": _integer("h", 16, True),
    "INT32": _integer("i", 32, True),
    "INT64": _integer("q", 64, True),
    "INT8": _integer("b", 8, True),
    "UINT16": _integer("H", 16, False),
    "UINT32": _integer("I", 32, False),
    "UINT64": _integer("Q", 64, False),
    "UINT8": _integer("B", 8, False),
}


class HasParameters(Protocol):
    """A tensor of a request."""

    @property
    def name(self) -> str:
        """What it is called."""

    @property
    def parameters(self) -> dict[str, Any] | None:
        """Of which `binary_data_size` is read here."""


def split(tensors: Sequence[HasParameters], data: Bytes) -> list[memoryview | None]:
    """Each tensor's own bytes, None for one whose data is JSON. `data`: what followed the JSON. Raises `Refusal` (400)
    for bytes that are missing or left over."""
    sizes = [_size(tensor) for tensor in tensors]
    total = sum(size for size in sizes if size is not None)
    if total != len(data):
        raise Refusal(400, f"inputs: the tensors' binary_data_size add up to {total}, {len(data)} bytes came", "inputs")
    view, start = memoryview(data), 0
    chunks: list[memoryview | None] = []
    for size in sizes:
        chunks.append(None if size is None else view[start : start + size])
        start += size or 0
    return chunks


def unpack(datatype: str, data: Bytes, name: str) -> list[Any]:
    """The values of the tensor `name`. A NaN is None: so numpy writes a number that is missing. Raises `Refusal`
    (400)."""
    if datatype == "BYTES":
        return _strings(data, name)
    spec = DATATYPES[datatype]
    if len(data) % spec.size:
        raise _refusal(name, "", f"{len(data)} bytes hold no whole number of {datatype} values")
    if datatype == "BOOL" and not set(data) <= {0, 1}:
        raise _refusal(name, "", f"a BOOL is one byte, 0 or 1, came {max(data)}")
    if datatype == "BF16":  # the upper half of an FP32
        data, spec = b"".join(b"\0\0" + data[at : at + 2] for at in range(0, len(data), 2)), DATATYPES["FP32"]
    values = list(unpack_struct(f"<{len(data) // spec.size}{spec.code}", data))
    return _finite(values, name) if spec.types is _NUMBERS and not isfinite(sum(values)) else values


def pack(datatype: str, values: Sequence[Any]) -> bytes:
    """A tensor's bytes. `values` fit the datatype, which is any but BF16: no answer of the gateway has it."""
    if datatype == "BYTES":
        encoded = [value.encode() for value in values]
        return b"".join(part for text in encoded for part in (_LENGTH.pack(len(text)), text))
    return pack_struct(f"<{len(values)}{DATATYPES[datatype].code}", *values)


def _size(tensor: HasParameters) -> int | None:
    size = tensor.parameters.get("binary_data_size") if tensor.parameters else None
    if size is None or (type(size) is int and size >= 0):
        return size
    raise _refusal(tensor.name, ".parameters.binary_data_size", "expected a number of bytes")


def _finite(values: list[float], name: str) -> list[float | None]:
    at = next((index for index, value in enumerate(values) if value in (inf, -inf)), None)
    if at is not None:
        raise _refusal(name, f"[{at}]", f"expected a finite number, came {values[at]}")
    return [None if isnan(value) else value for value in values]


def _strings(data: Bytes, name: str) -> list[str]:
    made: list[str] = []
    at, end = 0, len(data)
    while at < end:
        start = at + 4
        at = start + _LENGTH.unpack_from(data, at)[0] if start <= end else end + 1
        if at > end:
            said = "the bytes end within the element: each is its length in 4 bytes, then it"
            raise _refusal(name, f"[{len(made)}]", said)
        try:
            made.append(str(data[start:at], "utf-8"))
        except UnicodeDecodeError:
            raise _refusal(name, f"[{len(made)}]", "the bytes are not UTF-8: a category is text") from None
    return made


def _refusal(name: str, place: str, said: str) -> Refusal:
    path = f"inputs.{name[:80]}{place}"
    return Refusal(400, f"{path}: {said}", path)
