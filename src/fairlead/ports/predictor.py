"""A loaded model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


class Predictor(Protocol):
    """Answers rows. Thread-safe. Shapes: n rows in, (n, k) float64 out: class probabilities, or (n, 1) values."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """`rows` are tuples in the contract's feature order; a null is None."""
        ...
