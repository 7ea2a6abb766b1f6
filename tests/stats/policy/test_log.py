from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairlead.stats.policy.log import normalised, support, weights

shares = st.floats(0.01, 1.0)


@given(arrays(np.float64, st.integers(1, 50), elements=shares))
def test_the_policy_that_ran_weighs_every_row_alike(propensities: np.ndarray) -> None:
    """With its own probabilities all weights are 1, and every row is effective."""
    found = support(propensities, weights(propensities, propensities))
    assert found.effective == pytest.approx(propensities.size)
    assert (found.covered, found.largest) == pytest.approx((1.0, 1.0))


@given(arrays(np.float64, st.integers(1, 50), elements=shares), st.data())
def test_no_more_rows_are_effective_than_there_are(propensities: np.ndarray, data: st.DataObject) -> None:
    """Kish's size lies between 1 and n for weights that are not all 0."""
    targets = data.draw(arrays(np.float64, propensities.size, elements=shares))
    found = support(propensities, weights(propensities, targets))
    assert 1.0 - 1e-9 <= found.effective <= propensities.size * (1 + 1e-9)


@pytest.mark.parametrize(
    ("propensities", "targets", "said"),
    [
        ([0.5, 0.0], [0.5, 0.5], r"logged propensity is 0 in row 1"),
        ([0.5, 1.5], [0.5, 0.5], r"logged propensity is 1.5 in row 1"),
        ([np.nan, 0.5], [0.5, 0.5], r"logged propensity is nan in row 0"),
        ([0.5, 0.5], [-0.1, 0.5], r"under the new policy is -0.1 in row 0"),
        ([0.5, 0.5], [0.5, 2.0], r"under the new policy is 2 in row 1"),
    ],
)
def test_impossible_probabilities_are_refused(propensities: list[float], targets: list[float], said: str) -> None:
    """With the value, the row and the rule."""
    with pytest.raises(ValueError, match=said):
        weights(propensities, targets)


def test_a_policy_that_does_not_add_up_is_refused() -> None:
    """The sum and its row are named."""
    with pytest.raises(ValueError, match=r"probabilities is 1.1 in row 1"):
        normalised([[0.5, 0.5], [0.5, 0.6]])
    with pytest.raises(ValueError, match=r"new policy is 1.5 in row 0"):
        normalised([[1.5, -0.5]])


def test_an_empty_log_says_nothing() -> None:
    """No rows, no support."""
    with pytest.raises(ValueError, match="no rows"):
        support([], np.empty(0))


def test_a_deterministic_log_covers_only_what_it_did() -> None:
    """All propensities 1, and the new policy agrees in a third of the rows: a third is covered, for sure below 1."""
    targets = np.tile([1.0, 0.0, 0.0], 200)
    found = support(np.ones(600), weights(np.ones(600), targets))
    assert found.covered == pytest.approx(1 / 3)
    assert found.covered_high < 0.5
    assert found.certain == 1.0
