"""A column, whatever table it came from: numbers, or codes of categories."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

LARGEST = 1e70  # from here on a value counts as infinite where means are formed: its powers, summed, leave float64
SMALLEST = 1.0 / LARGEST  # nearer to 0, nothing is divided by a value


class NumericColumn(Struct, frozen=True, eq=False):
    """Numbers. `values` is float64 of shape (rows,), NaN is null.

    An infinity is a value, not a null: it is counted in the under- or overflow cell and left out of the moments.
    """

    name: str
    values: NDArray[np.float64]

    @property
    def rows(self) -> int:
        """How many rows, nulls included."""
        return int(self.values.size)

    @property
    def empty(self) -> bool:
        """Whether every value is null."""
        return bool(np.isnan(self.values).all())


class CategoricalColumn(Struct, frozen=True, eq=False):
    """Categories. `codes` is int32 of shape (rows,), an index into `categories`, -1 is null.

    A category may be listed and have no row, and may be listed twice: its rows are added up.
    """

    name: str
    codes: NDArray[np.int32]
    categories: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many rows, nulls included."""
        return int(self.codes.size)

    @property
    def empty(self) -> bool:
        """Whether every value is null."""
        return bool((self.codes < 0).all())


Column = NumericColumn | CategoricalColumn
