"""Metrics against scikit-learn, and intervals against chance."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom
from sklearn import metrics as sk

from fairlead.stats import performance as ours
from fairlead.stats.performance import Floats, Measure


def sample(seed: int, n: int = 400, digits: int = 6) -> tuple[Floats, Floats]:
    """Truth and score of a fair classifier; few digits make many ties."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    truth = (rng.random(n) < 1 / (1 + np.exp(1 - 1.3 * x))).astype(np.float64)
    return truth, np.round(1 / (1 + np.exp(0.3 - 0.8 * x)), digits)


@pytest.mark.parametrize("digits", [6, 1])
@pytest.mark.parametrize("seed", [0, 1])
def test_ranking_metrics_are_those_of_scikit_learn(seed: int, digits: int) -> None:
    """AUROC (weighted or not) and average precision agree with scikit-learn, with and without ties."""
    truth, score = sample(seed, digits=digits)
    weight = np.random.default_rng(seed).random(truth.size)
    assert ours.auroc(truth, score) == pytest.approx(sk.roc_auc_score(truth, score))
    assert ours.auroc(truth, score, weight) == pytest.approx(sk.roc_auc_score(truth, score, sample_weight=weight))
    assert ours.auroc_interval(truth, score).value == pytest.approx(ours.auroc(truth, score))
    assert ours.auprc(truth, score) == pytest.approx(sk.average_precision_score(truth, score))


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("accuracy", sk.accuracy_score),
        ("precision", sk.precision_score),
        ("recall", sk.recall_score),
        ("f1", sk.f1_score),
    ],
)
def test_decision_metrics_are_those_of_scikit_learn(name: str, theirs: Callable[..., float]) -> None:
    """Accuracy, precision, recall and F1 agree with scikit-learn and lie inside their intervals."""
    truth, score = sample(2)
    decided = (score >= 0.5).astype(np.float64)
    found: Measure = getattr(ours, name)(truth, decided)
    assert found.value == pytest.approx(theirs(truth, decided))
    assert found.low < found.value < found.high


def test_probability_metrics_are_those_of_scikit_learn() -> None:
    """Log loss and Brier score agree with scikit-learn, for two classes and for three."""
    truth, score = sample(3)
    assert ours.log_loss(truth, score).value == pytest.approx(sk.log_loss(truth, score))
    assert ours.brier(truth, score).value == pytest.approx(sk.brier_score_loss(truth, score))
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([1, 2, 3], 200)
    classes = rng.integers(0, 3, 200)
    found = ours.multiclass_log_loss(classes, probabilities).value
    assert found == pytest.approx(sk.log_loss(classes, probabilities, labels=[0, 1, 2]))


def test_regression_metrics_are_those_of_scikit_learn() -> None:
    """MAE, RMSE, MAPE and R2 agree with scikit-learn; the bias is the mean of predicted minus truth."""
    rng = np.random.default_rng(4)
    truth = rng.normal(10, 2, 300)
    predicted = truth + rng.normal(0.5, 1, 300)
    assert ours.mae(truth, predicted).value == pytest.approx(sk.mean_absolute_error(truth, predicted))
    assert ours.rmse(truth, predicted).value == pytest.approx(sk.root_mean_squared_error(truth, predicted))
    assert ours.mape(truth, predicted) == pytest.approx(sk.mean_absolute_percentage_error(truth, predicted))
    assert ours.r2(truth, predicted) == pytest.approx(sk.r2_score(truth, predicted))
    assert ours.bias(truth, predicted).value == pytest.approx(float(np.mean(predicted - truth)))


def test_calibration_error_by_hand() -> None:
    """Ten bins of equal width; a probability of 1 belongs to the last."""
    assert ours.ece([0, 1, 1, 1], [0.05, 0.55, 0.55, 1.0]) == pytest.approx((0.05 + 0.9 + 0.0) / 4)


@given(arrays(np.float64, 40, elements=st.floats(0, 1)), arrays(np.bool_, 40))
def test_the_order_is_all_that_auroc_knows(score: Floats, truth: Floats) -> None:
    """A rising transformation changes nothing, a reversed score mirrors it, and it stays inside its interval."""
    value = ours.auroc(truth, score)
    if isnan(value):
        assert truth.all() or not truth.any()
        return
    ranks = np.unique(score, return_inverse=True)[1]
    assert ours.auroc(truth, ranks) == pytest.approx(value)
    assert ours.auroc(truth, -ranks) == pytest.approx(1 - value)
    found = ours.auroc_interval(truth, score)
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(st.integers(1, 500), st.data())
def test_a_share_lies_inside_its_interval(n: int, data: st.DataObject) -> None:
    """Wilson's interval holds its share, stays in [0, 1], and is never a point."""
    found = ours.proportion(data.draw(st.integers(0, n)), n)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_perfect_ranking_still_has_an_interval() -> None:
    """An AUROC of 1 is not certain: its lower bound lies below 1, closer with more rows."""
    few = ours.auroc_interval([0] * 5 + [1] * 5, range(10))
    many = ours.auroc_interval([0] * 500 + [1] * 500, range(1000))
    assert few.value == few.high == 1.0
    assert few.low < many.low < 1.0


def test_what_the_data_do_not_define_is_nan() -> None:
    """One class has no AUROC, no positive prediction no precision, a constant truth no R2, no rows no mean."""
    assert isnan(ours.auroc([1, 1], [0.2, 0.3]))
    assert not ours.auroc_interval([0, 0], [0.2, 0.3]).defined
    assert not ours.precision([0, 1], [0, 0]).defined
    assert not ours.accuracy([], []).defined
    assert isnan(ours.auprc([0, 0], [0.2, 0.3]))
    assert isnan(ours.ece([], []))
    assert isnan(ours.mape([0.0], [1.0]))
    assert isnan(ours.r2([1.0, 1.0], [1.0, 2.0]))
    assert isnan(ours.rmse([], []).value)
    single = ours.mae([1.0], [2.0])
    assert (single.value, single.high) == (1.0, float("inf"))


def covers(hits: int, trials: int, level: float) -> bool:
    """Whether an exact binomial test at 1 in 10,000 leaves the nominal level possible."""
    return bool(binom.cdf(hits, trials, level) > 1e-4)


def test_auroc_interval_covers() -> None:
    """DeLong's interval on the logit scale covers the true AUROC with its nominal 95 %."""
    rng = np.random.default_rng(5)
    true = 0.7602499389065233  # P(Z < 1 / sqrt 2): normal scores one standard deviation apart
    hits, trials = 0, 600
    for _ in range(trials):
        truth = (rng.random(150) < 0.3).astype(np.float64)
        found = ours.auroc_interval(truth, rng.normal(size=150) + truth)
        hits += found.low <= true <= found.high
    assert covers(hits, trials, 0.95)


def test_mean_and_share_intervals_cover() -> None:
    """The intervals of a mean error and of an F1 cover what they estimate with 95 %, give or take a percent."""
    rng = np.random.default_rng(6)
    hits = {"mae": 0, "f1": 0}
    trials = 600
    true_mae, true_f1 = sqrt(2 / np.pi), 2 * 0.24 / (0.3 + 0.24 + 0.07)
    for _ in range(trials):
        found = ours.mae(np.zeros(200), rng.normal(size=200))
        hits["mae"] += found.low <= true_mae <= found.high
        truth = rng.random(300) < 0.3
        decided = np.where(truth, rng.random(300) < 0.8, rng.random(300) < 0.1)
        f1 = ours.f1(truth, decided)
        hits["f1"] += f1.low <= true_f1 <= f1.high
    assert covers(hits["mae"], trials, 0.94)
    assert covers(hits["f1"], trials, 0.94)
