"""Whether labels that come early are like those that come late, as the windows that matured have shown."""

from __future__ import annotations

from collections import deque
from math import sqrt

import numpy as np
from msgspec import Struct

from fairlead.core.early import FEWEST_EARLY
from fairlead.stats.performance import LEVEL, UNDEFINED, Floats, Measure, difference
from fairlead.stats.performance.measure import z_of

REMEMBERED = 8  # windows that matured: what older ones say is of another time


class Sums(Struct, frozen=True):
    """Rows, the sum of their values, and of the squares of these."""

    rows: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: Sums) -> Sums:
        """Of both."""
        return Sums(self.rows + other.rows, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> Measure:
        """With its normal interval; undefined below two rows."""
        if self.rows < 2:
            return UNDEFINED
        mean = self.total / self.rows
        spread = max(0.0, self.squares / self.rows - mean**2) / (self.rows - 1)
        half = z_of(LEVEL) * sqrt(spread)
        return Measure(mean, mean - half, mean + half)


class EarlySeen:
    """What of their loss the scores do not explain, of labels that were there when their window closed and of those
    that came later: of the last few windows of a version that have matured."""

    def __init__(self) -> None:
        self._seen: deque[tuple[Sums, Sums]] = deque(maxlen=REMEMBERED)

    def add(self, early: Floats, late: Floats) -> None:
        """A window's: (n,) and (m,) values."""
        self._seen.append((_sums(early), _sums(late)))

    @property
    def gap(self) -> tuple[Measure, int]:
        """Early minus late, with its interval, and how many late labels it rests on; undefined below 50 of either."""
        early = sum((one for one, _ in self._seen), Sums())
        late = sum((one for _, one in self._seen), Sums())
        if min(early.rows, late.rows) < FEWEST_EARLY:
            return UNDEFINED, 0
        return difference(early.mean, late.mean), late.rows


def _sums(values: Floats) -> Sums:
    return Sums(values.size, float(values.sum()), float(np.square(values).sum()))
