"""Decisions of two classes against scikit-learn."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics as sk

from fairlead.stats import performance as ours
from fairlead.stats.performance import Floats

BITS = arrays(np.float64, 30, elements=st.sampled_from([0.0, 1.0]))


def sample(seed: int = 0, n: int = 500) -> tuple[Floats, Floats]:
    """Truth and decision, right three times in four."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(n) < 0.3).astype(np.float64)
    return truth, np.where(rng.random(n) < 0.75, truth, 1 - truth)


def test_values_are_those_of_scikit_learn() -> None:
    """Specificity, balanced accuracy and Matthews' correlation agree to 1e-9 and lie inside their intervals."""
    truth, decided = sample()
    wanted = {
        "specificity": sk.recall_score(truth, decided, pos_label=0),
        "balanced_accuracy": sk.balanced_accuracy_score(truth, decided),
        "mcc": sk.matthews_corrcoef(truth, decided),
    }
    for name, value in wanted.items():
        found = getattr(ours, name)(truth, decided)
        assert found.value == pytest.approx(value, abs=1e-9), name
        assert found.low < found.value < found.high


@given(BITS, BITS)
def test_balanced_accuracy_and_correlation_stay_in_their_ranges(truth: Floats, decided: Floats) -> None:
    """Intervals hold their values, and swapping the classes of both changes neither."""
    one, two = ours.balanced_accuracy(truth, decided), ours.mcc(truth, decided)
    assert one.defined == (0 < truth.sum() < truth.size)
    if one.defined:
        assert 0 <= one.low <= one.value <= one.high <= 1
        assert ours.balanced_accuracy(1 - truth, 1 - decided).value == pytest.approx(one.value)
    if two.defined:
        assert -1 <= two.low <= two.value <= two.high <= 1
        assert ours.mcc(1 - truth, 1 - decided).low == pytest.approx(two.low)


def test_a_perfect_decision_is_not_certain() -> None:
    """Without an error the intervals still have a length, shorter with more rows."""
    few, many = (ours.mcc([0, 1] * n, [0, 1] * n) for n in (10, 1000))
    assert few.value == pytest.approx(1.0)
    assert few.high == pytest.approx(1.0)
    assert few.low < many.low < 1
    assert ours.balanced_accuracy([0, 1] * 10, [0, 1] * 10).low < 1


def test_what_one_class_leaves_undefined() -> None:
    """One class of truths has no balanced accuracy, one class of either no correlation; no rows have nothing."""
    assert not ours.balanced_accuracy([1, 1], [0, 1]).defined
    assert not ours.mcc([1, 1], [0, 1]).defined
    assert not ours.mcc([], []).defined
    assert isnan(ours.specificity([1, 1], [0, 1]).value)


def test_costs_are_added_up_by_kind_of_decision() -> None:
    """Each kind has its price, what is not named is free, a gain is a negative cost."""
    truth, decided = [0, 0, 1, 1], [0, 1, 1, 0]
    assert ours.cost_per_row(truth, decided, {"false_positive": 5, "false_negative": 200}).value == 51.25
    assert ours.cost_per_row(truth, decided, {"true_positive": -8, "true_negative": 4}).value == -1.0
    with pytest.raises(ValueError, match="'falsepositive'"):
        ours.cost_per_row(truth, decided, {"falsepositive": 5})
    with pytest.raises(ValueError, match="finite"):
        ours.cost_per_row(truth, decided, {"false_positive": float("inf")})


def test_a_level_outside_its_range_is_refused() -> None:
    """A level of 95 is a slip for 0.95, and said."""
    with pytest.raises(ValueError, match="level is 95"):
        ours.accuracy([0, 1], [0, 1], 95)
