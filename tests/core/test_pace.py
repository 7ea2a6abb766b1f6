"""What a version's answers cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.pace import QUICK_SECONDS, SIZES, Pace, paced

SECONDS = st.floats(1e-6, 10.0)


def test_what_was_not_measured_is_quick_and_free() -> None:
    """A version without a pace is answered as before: on the event loop, alone."""
    pace = Pace()
    assert (pace.is_quick, pace.together(64), pace.seconds(10_000)) == (True, 1, 0.0)
    assert pace.rows_within(0.1) > 10**9


@pytest.mark.parametrize(("single", "quick"), [(QUICK_SECONDS * 0.99, True), (QUICK_SECONDS, False)])
def test_the_limit_of_a_quick_row_is_stated(single: float, quick: bool) -> None:
    """Below a millisecond a row."""
    assert Pace(single).is_quick is quick


@pytest.mark.parametrize(
    ("batches", "most", "together"),
    [
        (((4, 0.02), (16, 0.08), (64, 0.32)), 64, 1),  # sixteen rows cost as much as sixteen times one
        (((4, 0.0141), (16, 0.08), (64, 0.32)), 64, 1),  # just more than 70 %
        (((4, 0.0139), (16, 0.08), (64, 0.32)), 64, 4),
        (((4, 0.006), (16, 0.008), (64, 0.02)), 64, 64),
        (((4, 0.006), (16, 0.008), (64, 0.02)), 10, 10),
        (((4, 0.006), (16, 0.008), (64, 0.31)), 64, 16),  # what paid for sixteen pays no more for sixty-four
    ],
)
def test_rows_are_joined_where_that_pays(batches: tuple[tuple[int, float], ...], most: int, together: int) -> None:
    """Up to the largest measured size that costs less than 70 % of its rows one by one, never beyond the setting."""
    assert Pace(0.005, batches).together(most) == together


@given(SECONDS, st.lists(SECONDS, min_size=len(SIZES), max_size=len(SIZES)), st.integers(1, 5000), st.integers(1, 5000))
def test_more_rows_never_cost_less(single: float, spent: list[float], one: int, other: int) -> None:
    """Whatever was timed, and however noisily; what was measured is told as it was, or as its smaller neighbours'."""
    pace = paced(single, list(zip(SIZES, spent, strict=True)))
    few, many = sorted((one, other))
    assert pace.seconds(few) <= pace.seconds(many) * (1 + 1e-9)
    assert [pace.seconds(rows) for rows, _ in pace.batches] == pytest.approx([least for _, least in pace.batches])
    assert pace.seconds(1) == pytest.approx(single)


@given(SECONDS, st.lists(SECONDS, min_size=len(SIZES), max_size=len(SIZES)), SECONDS)
def test_a_slice_fits_its_time(single: float, spent: list[float], seconds: float) -> None:
    """Unless one row alone takes longer, or the slice is smaller than what was measured."""
    pace = paced(single, list(zip(SIZES, spent, strict=True)))
    rows = pace.rows_within(seconds)
    assert rows >= 1
    if rows > SIZES[-1]:
        assert pace.seconds(rows) <= seconds * (1 + 1e-9)
