"""A model that always answers the same, and what every predictor keeps."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.ports.predictor import Predictor

Row = tuple[Any, ...]


class FixedPredictor:
    """Answers every row alike; remembers what it was asked."""

    def __init__(self, *answer: float) -> None:
        """`answer` is one row: class probabilities, or one value."""
        self._answer = np.array([answer or (0.5, 0.5)], np.float64)
        self.asked: list[Row] = []

    def predict(self, rows: Sequence[Row]) -> NDArray[np.float64]:
        """(n, k) of the same row."""
        self.asked.extend(rows)
        return np.repeat(self._answer, len(rows), axis=0)


class FailingPredictor:
    """Fails on every row, as a broken model does."""

    def __init__(self, error: Exception) -> None:
        """`error` is what it raises."""
        self._error = error

    def predict(self, rows: Sequence[Row]) -> NDArray[np.float64]:  # noqa: ARG002  # the port's signature
        """Raises."""
        raise self._error


def check_predictor(predictor: Predictor, rows: Sequence[Row], width: int) -> None:
    """What every predictor keeps, on at least two rows of its contract; `width` is its number of classes, or 1."""
    together = predictor.predict(rows)
    assert together.shape == (len(rows), width), f"shape {together.shape}, not {(len(rows), width)}"
    assert together.dtype == np.float64, f"{together.dtype}, not float64"
    assert np.isfinite(together).all(), "an answer is not finite"
    if width > 1:
        assert np.allclose(together.sum(axis=1), 1.0, atol=1e-5), "probabilities do not sum to 1"
    alone = np.vstack([predictor.predict([row]) for row in rows])
    assert np.allclose(alone, together, atol=1e-5), "a row's answer depends on the rows beside it"
    assert predictor.predict([]).shape == (0, width), "no rows, no answers"
    answers: list[NDArray[np.float64]] = []
    threads = [Thread(target=lambda: answers.append(predictor.predict(rows))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4, "a thread failed"
    assert all(np.array_equal(answer, together) for answer in answers), "threads disturb each other"
