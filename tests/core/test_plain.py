"""Values as JSON keeps them, taken up again."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from fairlead.core.plain import kept, taken


class Reading(Struct, frozen=True):
    """Something of every sort."""

    value: float
    low: float | None
    names: tuple[str, ...]
    counts: dict[int, int]
    by_name: dict[str, float]
    inner: Reading | None = None


NUMBERS = st.floats()
READINGS = st.builds(
    Reading,
    NUMBERS,
    st.none() | NUMBERS,
    st.lists(st.text(max_size=5), max_size=3).map(tuple),
    st.dictionaries(st.integers(-9, 9), st.integers(-(2**53), 2**53), max_size=3),
    st.dictionaries(st.text(max_size=5), NUMBERS, max_size=3),
)


@given(READINGS, READINGS | st.none())
def test_what_is_kept_comes_back_through_json(outer: Reading, inner: Reading | None) -> None:
    """Any value comes back from JSON as it was, in its order, and keeps to the same bytes: numbers that JSON has no
    word for, keys that are numbers, and values within values."""
    value = msgspec.structs.replace(outer, inner=inner)
    text = msgspec.json.encode(kept(value))
    again = taken(msgspec.json.decode(text), Reading)
    assert repr(again) == repr(value)
    assert msgspec.json.encode(kept(again)) == text


def test_numbers_of_numpy_are_numbers() -> None:
    """A numpy number or array is kept as Python's."""
    assert kept({"a": np.float64(2.0), "b": np.int64(3), "c": np.array([1.0, inf])}) == {
        "a": 2.0,
        "b": 3,
        "c": [1.0, {"$float": "inf"}],
    }


@pytest.mark.parametrize("value", [{"$float": "big"}, {"$float": ["nan"]}, {"$float": "nan", "more": 1}])
def test_a_mapping_that_only_looks_like_a_number_stays_one(value: dict[str, Any]) -> None:
    """Only the three words stand for numbers."""
    assert taken(value, dict[str, Any]) == value


def test_what_cannot_be_kept_says_so() -> None:
    """An object that no JSON can hold is refused."""
    with pytest.raises(NotImplementedError, match="object cannot be kept"):
        kept({"a": object()})
    assert repr(taken(kept(nan), float)) == "nan"
