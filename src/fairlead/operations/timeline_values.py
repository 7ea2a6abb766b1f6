"""What a timeline holds: its windows, and how each column came to change."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cached_property

import numpy as np
from msgspec import Struct

from fairlead.core.verdict import Verdict
from fairlead.stats.drift import ColumnDrift, Level
from fairlead.stats.profile import TableProfile
from fairlead.stats.shape import Shape, shape_of

PERMUTATIONS = 499


class DriftWindow(Struct, frozen=True):
    """One window: it holds the instants from `starts_at` up to, not including, `ends_at` (seconds since 1970, UTC)."""

    starts_at: float
    ends_at: float
    rows: int
    verdict: Verdict
    columns: tuple[ColumnDrift, ...]

    @property
    def name(self) -> str:
        """The start, as text."""
        return datetime.fromtimestamp(self.starts_at, UTC).strftime("%Y-%m-%d %H:%M")


class Timeline(Struct, frozen=True, dict=True):
    """What every window showed: a verdict over all, and the windows in order.

    Each window spends `alpha` anew, as a false discovery rate over its columns. `distances` is each column's distance
    from the reference, window by window: the root of the Jensen-Shannon divergence less what chance adds, with its
    sign; NaN for a window without a value. `undated` rows had no timestamp and are in no window.
    """

    verdict: Verdict
    windows: tuple[DriftWindow, ...]
    distances: dict[str, tuple[float, ...]]
    reference: TableProfile
    seconds: float
    alpha: float
    undated: int

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """How each column that a window flags came to change: sudden, gradual, recurring (see `fairlead.stats.shape`).

        A permutation test at the level of `alpha`, seeded by the column's place.
        """
        flagged = {
            column.name for window in self.windows for column in window.columns if column.level is not Level.NONE
        }
        alpha = min(max(self.alpha, 0.01), 0.2)
        return {
            name: shape_of(values, np.random.default_rng(place), alpha=alpha, permutations=PERMUTATIONS)
            for place, (name, values) in enumerate(self.distances.items())
            if name in flagged
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, those that moved in most windows first."""
        moved: dict[str, int] = {}
        for window in self.windows:
            for column in window.columns:
                moved[column.name] = moved.get(column.name, 0) + (column.level is not Level.NONE)
        return tuple(sorted(moved, key=lambda name: (-moved[name], name)))
