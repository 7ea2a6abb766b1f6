"""What a version's answers cost, and what follows: whether it may run on the event loop, and whether batches pay."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec import Struct

QUICK_SECONDS = 0.001  # a row that costs less is answered on the event loop: a thread would cost it as much again
PAYS = 0.7  # rows are answered together where that costs less than this share of answering them one by one
SIZES = (4, 16, 64)  # the batches that are measured, in rows


class Pace(Struct, frozen=True):
    """Measured costs in seconds: of one row alone, and of batches as (rows, seconds), by size. Unmeasured is free.

    >>> pace = Pace(0.005, ((16, 0.006), (64, 0.009)))
    >>> pace.is_quick, pace.together(64), round(pace.seconds(40), 6), pace.rows_within(0.018)
    (False, 64, 0.0075, 128)
    """

    single: float = 0.0
    batches: tuple[tuple[int, float], ...] = ()

    @property
    def is_quick(self) -> bool:
        """Whether one row may be answered on the event loop."""
        return self.single < QUICK_SECONDS

    def together(self, most: int) -> int:
        """How many rows of different requests to answer at once: the largest measured size that pays, at most `most`;
        1 where none does."""
        paying = [rows for rows, seconds in self.batches if seconds < PAYS * rows * self.single]
        return max(1, min(most, max(paying, default=1)))

    def seconds(self, rows: int) -> float:
        """The expected cost of a batch: between measured sizes on a line, beyond the last at its cost a row."""
        known = ((1, self.single), *self.batches)
        for (low, low_seconds), (high, high_seconds) in pairwise(known):
            if rows <= high:
                return low_seconds + (high_seconds - low_seconds) * max(0, rows - low) / (high - low)
        last, last_seconds = known[-1]
        return last_seconds * rows / last

    def rows_within(self, seconds: float) -> int:
        """The rows that fit into some seconds, at the cost a row of the largest measured batch. At least 1."""
        rows, spent = ((1, self.single), *self.batches)[-1]
        return max(1, int(rows * seconds / spent)) if spent > 0.0 else 2**31


def paced(single: float, batches: Sequence[tuple[int, float]]) -> Pace:
    """A pace from what was timed; a larger batch counts as no cheaper than a smaller one.

    >>> paced(0.002, [(4, 0.001), (16, 0.003)]).batches
    ((4, 0.002), (16, 0.003))
    """
    known: list[tuple[int, float]] = []
    least = single
    for rows, seconds in batches:
        least = max(least, seconds)
        known.append((rows, least))
    return Pace(single, tuple(known))
