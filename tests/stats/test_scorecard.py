"""Scorecards: every metric of a task under its name."""

from __future__ import annotations

import numpy as np
import pytest

from fairlead.stats import performance as metrics
from fairlead.stats.scorecard import binary_card, multiclass_card, regression_card


def test_binary_card() -> None:
    """The card holds what the single metrics give, the primary metric first."""
    rng = np.random.default_rng(0)
    truth, score = (rng.random(200) < 0.4).astype(float), rng.random(200)
    card = binary_card(truth, score, score >= 0.5)
    assert next(iter(card)) == "auroc"
    assert card["auroc"] == metrics.auroc_interval(truth, score)
    assert card["brier"].value == pytest.approx(float(np.mean((truth - score) ** 2)))
    assert set(card) == {"auroc", "accuracy", "precision", "recall", "f1", "auprc", "log_loss", "brier", "ece"}


def test_other_cards() -> None:
    """Classes by number have an accuracy; values have errors, each by name."""
    assert multiclass_card([0, 1, 2, 2], [0, 1, 2, 1])["accuracy"].value == 0.75
    card = regression_card([1.0, 2.0, 3.0], [1.0, 2.5, 3.5])
    assert card["mae"].value == pytest.approx(1 / 3)
    assert card["bias"].value == pytest.approx(1 / 3)
    assert list(card) == ["mae", "rmse", "mape", "r2", "bias"]
