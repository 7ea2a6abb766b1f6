from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fairlead.stats.multivariate.mixture import quantile, tail


@pytest.mark.parametrize(("freedom", "room"), [(1, 0.11), (2, 0.05), (5, 0.02), (50, 0.002)])
def test_equal_weights_give_chi_squared_or_a_little_more(freedom: int, room: float) -> None:
    """From a tail of 0.3 to 1e-8: never too small, and too large by at most 11 % (one weight) to 0.2 % (fifty)."""
    for level in (0.3, 0.2, 0.05, 0.01, 1e-4, 1e-8):
        value = float(stats.chi2.isf(level, freedom))
        assert level * 0.999 <= tail(np.full(freedom, 3.0), 3.0 * value) <= level * (1.0 + room)


def test_unequal_weights_agree_with_simulation() -> None:
    """Against a million draws, within 6 % of the tail of 1 %, and 12 % of that of 0.1 %."""
    rng = np.random.default_rng(0)
    weights = np.array([1.0, 0.5, 0.1, 0.05, 0.01])
    drawn = rng.chisquare(1, (1_000_000, 5)) @ weights
    for level, room in ((0.1, 0.06), (0.01, 0.06), (0.001, 0.12)):
        assert tail(weights, float(np.quantile(drawn, 1.0 - level))) == pytest.approx(level, rel=room)


@given(
    st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=20),
    st.floats(0.01, 0.99),
    st.floats(min_value=1e-6, max_value=1e6),
)
def test_the_tail_falls_and_the_quantile_inverts_it(weights: list[float], level: float, unit: float) -> None:
    """A greater value has no greater tail; quantile(level) has the tail 1 - level; units do not matter."""
    held = np.array(weights)
    value = quantile(held, level)
    assert tail(held, value) == pytest.approx(1.0 - level, abs=2e-3)
    assert tail(held, value * 1.5) <= tail(held, value) + 1e-9
    assert tail(held * unit, value * unit) == pytest.approx(tail(held, value), abs=1e-6)


def test_without_a_positive_weight_the_sum_is_zero() -> None:
    """Rounding may make an eigenvalue negative: it counts as none."""
    assert tail(np.array([-1e-18, 0.0]), 1.0) == 0.0
    assert tail(np.array([0.0]), 0.0) == 1.0
    assert quantile(np.array([-1e-18]), 0.99) == 0.0
