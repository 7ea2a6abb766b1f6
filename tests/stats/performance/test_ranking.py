"""The influence function of average precision, and rankings with next to nothing in one class."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import stdtrit
from sklearn import metrics as sk

from fairlead.stats import performance as ours
from fairlead.stats.performance import Floats
from fairlead.stats.performance.ranking import placements


def error_of(found: ours.Measure, freedom: float) -> float:
    """The standard error that an interval on the logit scale was made of."""
    half = log(found.value / (1 - found.value)) - log(found.low / (1 - found.low))
    return float(half * found.value * (1 - found.value) / stdtrit(freedom, 0.975))


@pytest.mark.parametrize("digits", [1, 6])
def test_the_influence_of_a_row_is_what_leaving_it_out_changes(digits: int) -> None:
    """The error of average precision is the jackknife's (Efron, Stein, 1981), with and without ties."""
    rng = np.random.default_rng(3)
    n = 400
    truth = (rng.random(n) < 0.3).astype(np.float64)
    score = np.round(rng.random(n) * 0.6 + 0.4 * truth * rng.random(n), digits)
    found = ours.auprc_interval(truth, score)
    left = np.array([ours.auprc(np.delete(truth, i), np.delete(score, i)) for i in range(n)])
    jackknife = sqrt((n - 1) / n * float(np.sum((left - left.mean()) ** 2)))
    assert error_of(found, truth.sum() - 1) == pytest.approx(jackknife, rel=0.03)
    assert found.value == pytest.approx(sk.average_precision_score(truth, score), abs=1e-9)


def test_the_influence_on_the_area_is_delongs() -> None:
    """Each row's influences have mean 0, and their variance is that of DeLong up to n / (n - 1)."""
    rng = np.random.default_rng(0)
    truth = (rng.random(2_000) < 0.4).astype(np.float64)
    moved = placements(truth, rng.normal(size=2_000) + truth).influence
    found = ours.auroc_interval(truth, rng.normal(size=2_000) + truth)
    assert float(moved.mean()) == pytest.approx(0, abs=1e-12)
    assert sqrt(float(moved.var()) / 2_000) == pytest.approx(error_of(found, 2_000), rel=0.05)


@given(arrays(np.float64, 40, elements=st.floats(0, 1)), arrays(np.bool_, 40))
def test_average_precision_lies_inside_its_interval(score: Floats, truth: Floats) -> None:
    """In [0, 1], and no lower than the share of 1s could be."""
    found = ours.auprc_interval(truth, score)
    assert found.defined == bool(truth.any())
    if found.defined:
        assert 0 <= found.low <= found.value <= found.high <= 1


def test_one_row_of_a_class_says_nearly_nothing() -> None:
    """A single 1 gives an interval as wide as one trial's."""
    found = ours.auroc_interval([0] * 50 + [1], range(51))
    assert (found.low < 0.25, found.value) == (True, 1.0)
    assert ours.auroc_interval([0] * 50 + [1], [*range(50), 25.5]).high - found.low > 0.7
    assert not ours.auprc_interval([0, 0], [0.1, 0.2]).defined
