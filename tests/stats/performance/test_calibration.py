"""Calibration error, its interval, and Brier's two parts."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from fairlead.stats import performance as ours
from fairlead.stats.performance import Floats

SCORES = arrays(np.float64, 50, elements=st.floats(0, 1))
BITS = arrays(np.float64, 50, elements=st.sampled_from([0.0, 1.0]))


def calibrated(rng: np.random.Generator, n: int) -> tuple[Floats, Floats]:
    """Probabilities that mean what they say."""
    score = rng.beta(2, 2, n)
    return (rng.random(n) < score).astype(np.float64), score


def test_the_curve_is_that_of_scikit_learn() -> None:
    """Bins of equal width, their mean score and share of 1s, to 1e-9; empty bins are left out."""
    truth, score = calibrated(np.random.default_rng(0), 500)
    found = ours.reliability(truth, score)
    shares, scores = calibration_curve(truth, score, n_bins=10)
    assert [one.share.value for one in found] == pytest.approx(shares, abs=1e-9)
    assert [one.score for one in found] == pytest.approx(scores, abs=1e-9)
    assert sum(one.rows for one in found) == 500
    assert ours.ece(truth, score) == pytest.approx(
        sum(one.rows * abs(one.share.value - one.score) for one in found) / 500, abs=1e-9
    )


@given(BITS, SCORES)
def test_the_parts_of_brier_add_up(truth: Floats, score: Floats) -> None:
    """calibration + refinement is Brier's score, neither is below 0, and refinement is at most the base rate's."""
    parts = ours.brier_parts(truth, score)
    assert parts.calibration + parts.refinement == pytest.approx(
        brier_score_loss(truth, score, labels=[0, 1]), abs=1e-9
    )
    assert parts.calibration >= -1e-12
    assert -1e-12 <= parts.refinement <= parts.uncertainty + 1e-9


def test_a_monotone_distortion_is_all_calibration() -> None:
    """Scores squared keep their order: refinement stays, calibration pays."""
    truth, score = calibrated(np.random.default_rng(1), 3_000)
    right, wrong = ours.brier_parts(truth, score), ours.brier_parts(truth, score**2)
    assert wrong.refinement == pytest.approx(right.refinement, abs=1e-9)
    assert wrong.calibration > right.calibration + 0.01


@given(BITS, SCORES)
def test_the_interval_holds_the_estimates(truth: Floats, score: Floats) -> None:
    """Both estimates lie inside their intervals in [0, 1], and the debiased one is the smaller."""
    raw, less = ours.ece_interval(truth, score), ours.ece_debiased(truth, score)
    assert 0 <= raw.low <= raw.value <= raw.high <= 1
    assert 0 <= less.low <= less.value <= less.high <= 1
    assert less.value <= raw.value + 1e-12


def test_perfect_calibration_is_not_refuted_more_often_than_the_level_says() -> None:
    """At a true error of 0 the interval begins at 0 in at least 97.5 % of runs, give or take half a percent."""
    rng = np.random.default_rng(2)
    runs = 400
    zero = sum(ours.ece_interval(*calibrated(rng, 400)).low == 0 for _ in range(runs))
    assert binom.cdf(zero, runs, 0.97) > 1e-4


def test_the_correction_takes_bias_off() -> None:
    """At perfect calibration the debiased error is lower by a third and more; far from it, both agree."""
    rng = np.random.default_rng(3)
    runs = [calibrated(rng, 500) for _ in range(60)]
    raw = np.mean([ours.ece(*run) for run in runs])
    less = np.mean([ours.ece_debiased(*run).value for run in runs])
    assert less < 0.67 * raw
    truth, score = calibrated(rng, 20_000)
    shifted = np.minimum(score + 0.2, 1)
    assert ours.ece_debiased(truth, shifted).value == pytest.approx(ours.ece(truth, shifted), rel=0.01)


def test_nothing_to_calibrate() -> None:
    """No rows have no error, no curve and no parts; one row has an error and an interval."""
    assert not ours.ece_interval([], []).defined
    assert not ours.ece_debiased([], []).defined
    assert ours.reliability([], []) == ()
    assert isnan(ours.brier_parts([], []).refinement)
    assert ours.ece_interval([1], [0.25]).value == 0.75
