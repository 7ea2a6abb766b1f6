"""The datatypes as bytes: numpy and Triton's client are the judges."""

from __future__ import annotations

import struct
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml_dtypes import bfloat16
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from fairlead.faces.gateway.binary_tensors import DATATYPES, pack, unpack
from fairlead.faces.gateway.wire import Refusal

NUMPY = {
    **{f"{sign}INT{bits}": f"<{code}{bits // 8}" for sign, code in (("", "i"), ("U", "u")) for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
    "BOOL": "?",
}


def values_of(datatype: str) -> st.SearchStrategy[list[Any]]:
    """Lists of what a datatype can hold."""
    if datatype == "BOOL":
        return st.lists(st.booleans())
    if datatype == "BYTES":
        return st.lists(st.text(st.characters(exclude_categories=["Cs"])))
    if datatype.startswith("FP"):
        return st.lists(st.floats(allow_nan=False, allow_infinity=False, width=int(datatype[2:])))  # type: ignore[arg-type]
    return st.lists(st.integers(int(DATATYPES[datatype].low), int(DATATYPES[datatype].high)))


@pytest.mark.parametrize("datatype", sorted(NUMPY))
@given(data=st.data())
def test_numbers_are_those_of_numpy(datatype: str, data: st.DataObject) -> None:
    """The same bytes, little-endian, and back."""
    values = data.draw(values_of(datatype))
    packed = np.array(values, NUMPY[datatype]).tobytes()
    assert pack(datatype, values) == packed
    back = unpack(datatype, packed, "x")
    assert back == values
    assert {type(value) for value in back} <= DATATYPES[datatype].types


@given(values_of("BYTES"))
def test_texts_are_those_of_triton(values: list[str]) -> None:
    """Length and bytes, and back."""
    packed = pack("BYTES", values)
    if values:
        assert packed == serialize_byte_tensor(np.array(values, np.object_)).item()
    assert [one.decode() for one in deserialize_bytes_tensor(packed)] == values
    assert unpack("BYTES", packed, "x") == values


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=16)))
def test_bf16_is_read(values: list[float]) -> None:
    """As ml_dtypes writes it."""
    array = np.array(values, np.float32).astype(bfloat16)
    assert unpack("BF16", array.tobytes(), "x") == array.astype(np.float64).tolist()


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64"])
def test_a_nan_is_missing_and_infinity_is_refused(datatype: str) -> None:
    """As numpy's users mean it; the place is named. Large numbers are not taken for infinity."""
    assert unpack(datatype, np.array([1.0, nan], NUMPY[datatype]).tobytes(), "x") == [1.0, None]
    with pytest.raises(Refusal, match=r"x\[1\]: expected a finite number, came -inf"):
        unpack(datatype, np.array([nan, -inf, 1.0], NUMPY[datatype]).tobytes(), "x")
    largest = float(np.finfo(NUMPY[datatype]).max)
    assert unpack(datatype, pack(datatype, [largest] * 3), "x") == [largest] * 3


@pytest.mark.parametrize(
    ("datatype", "data", "said"),
    [
        ("BOOL", b"\x00\x02", "a BOOL is one byte, 0 or 1, came 2"),
        ("INT32", b"\x00" * 7, "7 bytes hold no whole number of INT32 values"),
        ("BYTES", b"\x01\x00\x00\x00a\x01\x00", r"x\[1\]: the bytes end within the element"),
        ("BYTES", b"\x05\x00\x00\x00abc", r"x\[0\]: the bytes end within the element"),
        ("BYTES", struct.pack("<I", 2**32 - 1), r"x\[0\]: the bytes end within the element"),
        ("BYTES", b"\x02\x00\x00\x00\xff\xfe", r"x\[0\]: the bytes are not UTF-8"),
    ],
)
def test_wrong_bytes_are_refused(datatype: str, data: bytes, said: str) -> None:
    """400 with the path."""
    with pytest.raises(Refusal, match=said) as caught:
        unpack(datatype, memoryview(data), "x")
    assert (caught.value.status, caught.value.path[:8]) == (400, "inputs.x")


def attempt(datatype: str, data: bytes) -> list[Any] | int:
    """The values, or the status of the refusal."""
    try:
        return unpack(datatype, data, "x")
    except Refusal as refusal:
        return refusal.status


@given(st.sampled_from(sorted(DATATYPES)), st.binary(max_size=40))
def test_any_bytes_are_read_or_refused(datatype: str, data: bytes) -> None:
    """Never another error, and what is read is of the datatype, or missing."""
    values, spec = attempt(datatype, data), DATATYPES[datatype]
    present = [] if isinstance(values, int) else [value for value in values if value is not None]
    assert isinstance(values, list) or values == 400
    assert all(type(value) in spec.types for value in present)
    assert not spec.is_bounded or all(spec.low <= value <= spec.high for value in present)
