from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.exact import FARTHEST, as_float, carried, cell_sums, dot, places, scale_of, square_sum, whole_sum

wholes = st.lists(st.integers(-(2**61), 2**61), min_size=1, max_size=50)


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_a_scale_puts_a_reference_within_its_places(one: float, two: float) -> None:
    """Whatever a reference spans, its ends stand at most 2^36 units from the origin."""
    low, high = min(one, two), max(one, two)
    origin, exponent = scale_of(low, high)
    at = places(np.array([low, high]), origin, exponent)
    assert (np.abs(at) <= 2.0**36).all()


@given(wholes)
def test_sums_and_squares_are_exact(numbers: list[int]) -> None:
    """As Python's integers add up, one limb or two, near or far."""
    at = np.array([float(number) for number in numbers])
    exact = [int(value) for value in at]
    largest = float(np.abs(at).max()) + 1.0
    high, low = cell_sums(np.zeros(at.size, dtype=np.intp), at, 1, largest)
    assert whole_sum(*carried(high, low)) == sum(exact)
    assert square_sum(at.copy(), largest, np.empty(at.size)) == sum(value * value for value in exact)


@given(st.lists(st.tuples(st.integers(-(2**60), 2**60), st.integers(-(2**60), 2**60)), min_size=1, max_size=9))
def test_limbs_have_one_canonical_form(pairs: list[tuple[int, int]]) -> None:
    """Equal sums are equal limbs, so equal profiles are equal bytes."""
    high = np.array([pair[0] >> 31 for pair in pairs])
    low = np.array([pair[1] for pair in pairs])
    upper, lower = carried(high, low)
    assert ((lower >= 0) & (lower < 2**31)).all()
    assert whole_sum(upper, lower) == whole_sum(high, low)


def test_places_stop_at_the_farthest() -> None:
    """A value beyond thirty million reference ranges counts as that far."""
    assert places(np.array([-1e300, 1e300]), 0.0, 40).tolist() == [-FARTHEST, FARTHEST]


def test_a_ratio_beyond_float64_stops_at_its_end() -> None:
    """JSON has no infinity."""
    assert as_float(10**400, 1, 0) == np.finfo(float).max
    assert as_float(-(10**400), 1, -2_000) == -np.finfo(float).max
    assert as_float(3, 2, 1) == float(Fraction(3, 4))


def test_a_long_dot_product_is_that_of_its_parts() -> None:
    """Rows beyond a multiple of the part are counted too."""
    values = np.arange(20_001.0)
    assert dot(values, values) == pytest.approx(float((values * values).sum()), rel=1e-14)
