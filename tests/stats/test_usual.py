"""What is usual: the interval keeps its promise, and says nothing without windows."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.stats.usual import LEAST, usual

ALPHA = 0.05


@pytest.mark.parametrize("windows", [LEAST, 8, 28])
def test_the_next_value_of_independent_windows_is_unusual_at_the_stated_rate(windows: int) -> None:
    """Student's interval is exact for normal values: 4,000 draws stay within four standard errors of alpha."""
    rng = np.random.default_rng(windows)
    draws = rng.normal(10.0, 2.0, (4_000, windows + 1))
    wrong = sum(not usual(row[:-1].tolist(), 0.0, ALPHA).holds(float(row[-1])) for row in draws) / len(draws)
    assert abs(wrong - ALPHA) <= 4.0 * (ALPHA * (1.0 - ALPHA) / len(draws)) ** 0.5


def test_sampling_error_alone_is_no_change() -> None:
    """Where the earlier values agree by chance, the value's own error keeps it from being called unusual."""
    assert not usual([0.1] * 6, 0.0, ALPHA).holds(0.101)
    assert usual([0.1] * 6, 0.01, ALPHA).holds(0.101)


@given(st.lists(st.floats(-1e6, 1e6), max_size=LEAST - 1), st.floats(-1e9, 1e9))
def test_too_few_windows_call_nothing_unusual(earlier: list[float], value: float) -> None:
    """With fewer than four windows before there are no ends."""
    found = usual(earlier)
    assert (found.low, found.high, found.windows) == (-inf, inf, len(earlier))
    assert found.holds(value)


@given(st.lists(st.floats(-1e6, 1e6), min_size=LEAST, max_size=12), st.floats(0.0, 10.0))
def test_the_order_of_the_windows_does_not_matter(earlier: list[float], error: float) -> None:
    """The same windows in another order give the same interval."""
    assert usual(earlier, error) == usual(earlier[::-1], error)
