"""The predictors for tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.testing.predictor import FailingPredictor, FixedPredictor, check_predictor

ROWS = [(1,), (2,), (3,)]


def test_keeps_the_port() -> None:
    """It is a predictor, of classes or of a value."""
    check_predictor(FixedPredictor(0.2, 0.3, 0.5), ROWS, 3)
    check_predictor(FixedPredictor(7.0), ROWS, 1)


def test_remembers_what_it_was_asked() -> None:
    """A test can see the rows that reached the model."""
    predictor = FixedPredictor()
    predictor.predict(ROWS)
    assert predictor.asked == ROWS


def test_fails_as_told() -> None:
    """A broken model raises what the test wants."""
    with pytest.raises(RuntimeError, match="broken"):
        FailingPredictor(RuntimeError("broken")).predict(ROWS)


class _Mean:
    """A wrong predictor: a row's answer depends on the rows beside it."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        values = np.array(rows, np.float64)
        return values - (values.mean() if len(rows) else 0.0)


@pytest.mark.parametrize(
    ("predictor", "width", "what"),
    [
        (FixedPredictor(0.5, 0.5), 3, "shape"),
        (FixedPredictor(0.5, 0.6), 2, "sum to 1"),
        (FixedPredictor(float("nan")), 1, "finite"),
        (_Mean(), 1, "beside it"),
    ],
)
def test_the_check_finds_a_wrong_predictor(predictor: Any, width: int, what: str) -> None:
    """The contract check is not satisfied with anything."""
    with pytest.raises(AssertionError, match=what):
        check_predictor(predictor, ROWS, width)
