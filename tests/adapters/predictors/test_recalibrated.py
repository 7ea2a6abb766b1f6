"""Answers that are corrected before anybody sees them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fairlead.adapters.predictors.recalibrated import recalibrated
from fairlead.core.bundle import Recalibration
from fairlead.ports.predictor import Cells, ColumnPredictor


class Echo:
    """Answers its one feature as the probability; `columns` of it."""

    def __init__(self, columns: int = 2) -> None:
        self._columns = columns

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> np.ndarray:
        """(n, k)."""
        one = np.array([row[0] for row in rows], np.float64)
        return one[:, None] if self._columns == 1 else np.stack([1 - one, one], axis=1)


class EchoColumns(Echo):
    """Takes columns, too."""

    def predict_columns(self, columns: Sequence[Cells]) -> np.ndarray:
        """(n, k)."""
        return self.predict([(value,) for value in columns[0].listed()])


def test_nothing_to_correct_is_the_model_itself() -> None:
    """Versions without a recalibration pay nothing."""
    model = Echo()
    assert recalibrated(model, None) is model


def test_log_odds_are_bent_and_probabilities_stay_ones() -> None:
    """Slope and intercept of the log odds; rows sum to 1, certainty stays finite."""
    answers = recalibrated(Echo(), Recalibration(2.0, -1.0)).predict([(0.5,), (0.8,), (0.0,), (1.0,)])
    odds = 2.0 * np.log(0.8 / 0.2) - 1.0
    assert np.allclose(answers[:2, 1], [1 / (1 + np.e), 1 / (1 + np.exp(-odds))])
    assert np.allclose(answers.sum(axis=1), 1.0)
    assert np.isfinite(answers).all()
    assert recalibrated(Echo(1), Recalibration(1.0, 0.0)).predict([(0.3,)]).shape == (1, 1)


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=30), st.floats(0.1, 5.0), st.floats(-5.0, 5.0))
def test_rows_stay_in_their_order_and_columns_answer_as_rows(scores: list[float], slope: float, bias: float) -> None:
    """A positive slope turns no two rows around, and both ways of asking answer bit for bit alike."""
    made = recalibrated(EchoColumns(), Recalibration(slope, bias))
    assert isinstance(made, ColumnPredictor)
    by_rows = made.predict([(score,) for score in scores])
    values = np.array(scores)
    by_columns = made.predict_columns([Cells(values, np.zeros(values.size, bool))])
    assert (by_rows == by_columns).all()
    order = np.argsort(values, kind="stable")
    assert (np.diff(by_rows[order, 1]) >= 0).all()


def test_who_takes_only_rows_is_not_asked_for_columns() -> None:
    """The wrapper claims no more than the model."""
    assert not isinstance(recalibrated(Echo(), Recalibration(1.0, 0.0)), ColumnPredictor)


def test_what_is_no_number_stays_none() -> None:
    """The contract refuses it, as it would have without a correction."""
    assert np.isnan(recalibrated(Echo(), Recalibration(1.0, 0.5)).predict([(np.nan,)])).all()
