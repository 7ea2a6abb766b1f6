from __future__ import annotations

from math import exp, inf, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.sequential.evidence import Evidence, first_at_least, level, log_mean

logs = st.lists(st.floats(-50.0, 50.0), max_size=30)


@given(logs, st.integers(0, 30))
def test_looks_may_be_cut_anywhere(values: list[float], cut: int) -> None:
    """One path or two halves, one look at a time or all at once: the same evidence."""
    whole = Evidence().along(np.array(values))
    assert Evidence().along(np.array(values[:cut])).along(np.array(values[cut:])) == whole
    single = Evidence()
    for value in values:
        single = single.after(value)
    assert single == whole


@given(logs)
def test_p_is_the_smallest_of_one_over_e(values: list[float]) -> None:
    """p_t = min(1, min over the looks of 1 / E): it never rises, and is at most alpha exactly where E reached 1 /
    alpha."""
    found = Evidence().along(np.array(values))
    assert found.p_value == pytest.approx(min([1.0, *(exp(-value) for value in values)]))
    assert found.reached(0.01) == (max([0.0, *values]) >= log(100))


def test_a_large_e_is_infinite_and_its_log_is_not() -> None:
    """E beyond the range of floats is infinite; p is 0 and ln E exact."""
    found = Evidence().after(5000.0)
    assert (found.e, found.p_value, found.log_e_max) == (inf, 0.0, 5000.0)
    assert Evidence().after(log(8)).e == pytest.approx(8)


def test_nan_is_no_evidence() -> None:
    """nan is refused, alone and within a path: a comparison with it would be silently false."""
    with pytest.raises(ValueError, match="nan"):
        Evidence().after(float("nan"))
    with pytest.raises(ValueError, match="nan"):
        Evidence().along(np.array([1.0, np.nan, 2.0]))


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, float("nan")])
def test_a_level_lies_between_zero_and_one(alpha: float) -> None:
    """Everything else is refused, where it is used."""
    for use in (level, Evidence().reached):
        with pytest.raises(ValueError, match="between 0 and 1"):
            use(alpha)


def test_the_first_crossing() -> None:
    """The place of the first value at or over ln(1 / alpha); None without one, and on an empty path."""
    assert first_at_least(np.array([0.0, log(20), 9.0]), 0.05) == 1
    assert first_at_least(np.array([0.0, 2.9]), 0.05) is None
    assert first_at_least(np.array([]), 0.05) is None


@given(st.lists(st.lists(st.floats(-800.0, 800.0), min_size=3, max_size=3), min_size=1, max_size=6))
def test_a_mixture_neither_overflows_nor_vanishes(rows: list[list[float]]) -> None:
    """ln of the mean of exp over the first axis, far outside the range of exp."""
    given_logs = np.array(rows)
    expected = np.logaddexp.reduce(given_logs, axis=0) - log(len(rows))
    assert log_mean(given_logs.copy()) == pytest.approx(expected, abs=1e-9)
