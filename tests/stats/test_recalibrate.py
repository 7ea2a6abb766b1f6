"""Recalibration: what is fitted, and how often it sees what is not there."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.stats.recalibrate import moved_threshold, recalibrate, sigmoid


def drawn(rng: np.random.Generator, rows: int, slope: float = 1.0, intercept: float = 0.0) -> tuple[np.ndarray, ...]:
    """Truths and scores; the scores would be right at slope 1 and intercept 0."""
    z = rng.normal(-0.5, 1.2, rows)
    return (rng.random(rows) < sigmoid(slope * z + intercept)).astype(float), sigmoid(z)


@pytest.mark.parametrize("seed", [1, 2])
def test_scores_that_mean_what_they_say_are_seldom_called_off(seed: int) -> None:
    """Of 1,500 calibrated samples about 5 % are below p = .05, by each of the three tests (a binomial's 4 sigma)."""
    rng, below, runs = np.random.default_rng(seed), np.zeros(3), 1500
    for _ in range(runs):
        found = recalibrate(*drawn(rng, 300))
        below += np.array([found.p_value, found.p_shift, found.p_slope]) < 0.05
    assert np.all(np.abs(below / runs - 0.05) < 4 * np.sqrt(0.05 * 0.95 / runs)), below / runs


def test_what_was_bent_is_found_again() -> None:
    """Slope and intercept come back within their errors, and a bare shift is told from a changed slope."""
    rng = np.random.default_rng(5)
    bent = recalibrate(*drawn(rng, 20_000, 0.6, 0.8))
    assert abs(bent.slope - 0.6) < 0.05
    assert abs(bent.intercept - 0.8) < 0.06
    assert bent.p_slope < 1e-6
    moved = recalibrate(*drawn(rng, 20_000, 1.0, 0.8))
    assert abs(moved.shift - 0.8) < 0.06
    assert moved.p_shift < 1e-9
    assert moved.p_slope > 0.01


def test_one_class_cannot_be_fitted() -> None:
    """Without rows of both classes there is nothing to fit."""
    with pytest.raises(ValueError, match="both classes"):
        recalibrate([1, 1], [0.2, 0.3])


def test_a_perfect_order_stays_finite() -> None:
    """Rows that are told apart entirely have no finite likelihood maximum; the fit ends all the same."""
    found = recalibrate([0] * 30 + [1] * 30, np.linspace(0.05, 0.95, 60))
    assert np.isfinite([found.slope, found.intercept]).all()
    assert found.slope > 1.0


def test_a_moved_threshold_decides_as_the_shifted_scores_would() -> None:
    """Old scores at the moved threshold and shifted scores at the old one give the same decisions."""
    score = np.linspace(0.01, 0.99, 199)
    z = np.log(score / (1 - score))
    for shift in (-1.5, 0.3, 2.0):
        assert ((score >= moved_threshold(0.4, shift)) == (sigmoid(z + shift) >= 0.4)).all()
