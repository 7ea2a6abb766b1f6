"""A loaded model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


class Predictor(Protocol):
    """Answers rows. Thread-safe. Shapes: n rows in, (n, k) float64 out: class probabilities, or (n, 1) values."""

    def predict(self, rows: Sequence[tuple[Any, ...]]) -> NDArray[np.float64]:
        """`rows` are tuples in the contract's feature order; a null is None."""
        ...


class Cells(NamedTuple):
    """One feature of n rows. `values` (n,) is float64, int64, bool, or texts; where `missing` (n,) holds it is null."""

    values: NDArray[Any]
    missing: NDArray[np.bool_]

    def listed(self) -> list[Any]:
        """As rows hold them: Python values, a null is None."""
        if not self.missing.any():
            return list(self.values.tolist())
        held = self.values.astype(np.object_)
        held[self.missing] = None
        return list(held.tolist())


@runtime_checkable
class ColumnPredictor(Predictor, Protocol):
    """One that takes columns, too."""

    def predict_columns(self, columns: Sequence[Cells]) -> NDArray[np.float64]:
        """What `predict` answers to the same rows, bit for bit. At least one row; raises where `predict` would."""
        ...
