"""Calibration: monotone, honest at the ends, right in the limit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fairlead.stats.calibrate import calibrate, cells, redrawn
from fairlead.stats.performance import Floats


@given(arrays(np.float64, 30, elements=st.floats(0, 1)), arrays(np.bool_, 30), st.integers(0, 2**32 - 1))
def test_the_curve_is_monotone_and_never_certain(score: Floats, truth: Floats, seed: int) -> None:
    """A higher score never gets a lower probability, no probability is 0 or 1, and the rows' order does not matter."""
    curve = calibrate(truth, score)
    probabilities = curve(np.linspace(-1, 2, 50))
    assert (np.diff(probabilities) >= -1e-12).all()
    assert 0 < probabilities[0] <= probabilities[-1] < 1
    order = np.random.default_rng(seed).permutation(30)
    assert np.allclose(calibrate(truth[order], score[order])(score), curve(score))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans(), st.integers(1, 3)), min_size=1, max_size=20))
def test_a_weight_is_a_repetition(rows: list[tuple[float, bool, int]]) -> None:
    """A row of weight three counts as three rows."""
    score, truth = [row[0] for row in rows], [row[1] for row in rows]
    weight = [row[2] for row in rows]
    repeated = calibrate(np.repeat(truth, weight), np.repeat(score, weight))
    assert np.allclose(calibrate(truth, score, weight)(score), repeated(score))


def test_the_true_probabilities_are_found() -> None:
    """A classifier that halves every probability is corrected to within 2 points on average."""
    rng = np.random.default_rng(0)
    chance = rng.random(20_000)
    truth = rng.random(20_000) < chance
    found = calibrate(truth, chance / 2)(chance / 2)
    assert np.mean(np.abs(found - chance)) < 0.02


def test_one_class_and_one_row_are_calibrated_too() -> None:
    """A single class gives a flat curve below certainty; no rows, or none of weight, are refused."""
    assert calibrate([1, 1, 1], [0.1, 0.5, 0.9])([0.0, 1.0]).tolist() == pytest.approx([0.75, 0.75], abs=0.13)
    assert calibrate([1], [0.5])([0.5]).tolist() == [0.75]
    for rows in ([], [0.0]):
        with pytest.raises(ValueError, match="at least one held-out row"):
            calibrate(rows, rows, np.zeros(len(rows)))


@given(arrays(np.float64, 40, elements=st.floats(0, 1)), arrays(np.bool_, 40))
def test_the_mean_is_kept(score: Floats, truth: Floats) -> None:
    """Over the held-out rows the curve's mean is their share of 1s, but for half a row at each end."""
    curve = calibrate(truth, score)
    assert abs(float(np.sum(curve(score)) - np.sum(truth))) < 0.5 + 1e-9


def test_many_scores_share_cells() -> None:
    """Scores that hardly repeat are gathered in at most twice the root of their number; repeated ones are not."""
    rng = np.random.default_rng(3)
    score = rng.random(10_000)
    assert cells(score > 0.5, score).score.size == 200
    rounded = np.round(score, 2)
    found = cells(rounded > 0.5, rounded)
    assert found.first.tolist() == np.unique(rounded).tolist()
    assert found.rows.sum() == 10_000
    assert (found.first == found.last).all()


def test_the_bootstrap_redraws_around_the_curve() -> None:
    """Replicates scatter by the binomial deviation of a cell, and weights that are worth fewer rows scatter more."""
    truth, score = np.tile([0.0, 1.0], 200), np.full(400, 0.5)
    rng = np.random.default_rng(4)
    drawn = [redrawn(cells(truth, score), rng)([0.5])[0] for _ in range(400)]
    assert np.mean(drawn) == pytest.approx(0.5, abs=0.005)
    assert np.std(drawn) == pytest.approx(0.025, abs=0.003)
    weight = np.where(np.arange(400) < 100, 3.0, 1 / 3)  # worth about 160 rows
    wide = [redrawn(cells(truth, score, weight), rng)([0.5])[0] for _ in range(400)]
    assert np.std(wide) == pytest.approx(0.5 / np.sqrt(weight.sum() ** 2 / (weight**2).sum()), rel=0.15)


def test_a_single_first_row_does_not_lift_the_rest() -> None:
    """One 0 at the lowest score is drawn in no further than the block above it."""
    curve = calibrate([0, *[0] * 38, 1], [0.0, *[1.0] * 39])
    assert list(curve.levels) == pytest.approx([1 / 39, 1 / 39])
    assert calibrate([0, 1], [0.0, 1.0]).levels == (0.25, 0.75)
