"""Thresholds and recalibrations: fitted on the older rows, held to the newest."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.core.adjust import RecentRows, adjust
from fairlead.core.cost import CostMatrix
from fairlead.stats.recalibrate import sigmoid


def recent(rows: int, slope: float, intercept: float, seed: int = 3, cost: CostMatrix | None = None) -> RecentRows:
    """Rows whose truth follows bent scores."""
    rng = np.random.default_rng(seed)
    z = rng.normal(-0.3, 1.5, rows)
    return RecentRows((rng.random(rows) < sigmoid(slope * z + intercept)).astype(float), sigmoid(z), 0.5, cost)


def test_a_bent_score_is_straightened_on_rows_that_it_was_not_fitted_on() -> None:
    """The log loss of the newest third falls beyond its interval."""
    found = adjust("recalibrate", recent(3000, 0.4, 1.0))
    assert found.holds, found.reason
    assert found.low > 0.0
    assert (found.fitted, found.tried) == (2000, 1000)
    assert "better beyond chance" in found.reason


def test_a_shift_moves_the_threshold() -> None:
    """More positives at every score: the threshold falls, and fewer decisions are wrong."""
    found = adjust("threshold", recent(4000, 1.0, 1.5))
    assert found.holds, found.reason
    assert 0.1 < found.threshold < 0.3


@pytest.mark.parametrize("action", ["threshold", "recalibrate"])
def test_sound_scores_are_seldom_adjusted(action: str) -> None:
    """Of 300 samples of sound scores at most a few are said to get better."""
    held = sum(adjust(action, recent(600, 1.0, 0.0, seed)).holds for seed in range(300))  # type: ignore[arg-type]
    assert held <= 15, held


def test_an_inverted_score_is_not_recalibrated() -> None:
    """A negative slope would turn the order around: that is another model."""
    found = adjust("recalibrate", recent(2000, -1.0, 0.0))
    assert not found.holds
    assert "wrong order" in found.reason


def test_too_few_rows_of_a_class_hold_nothing() -> None:
    """What cannot be tried is not done."""
    found = adjust("threshold", recent(40, 1.0, 0.0))
    assert not found.holds
    assert "fewer than 20" in found.reason


def test_costs_decide_what_a_better_threshold_is() -> None:
    """Where a miss costs little, a threshold that misses less is no gain."""
    cheap = adjust("threshold", recent(4000, 1.0, 1.5, cost=CostMatrix(10.0, 0.1)))
    assert not cheap.holds
    assert "cost a row" in cheap.reason
