"""How the numbers of one window go together: counted beside the profile, compared with the version's held-out rows.

Until its first window is compared, a version's held-out rows are not read for it; then their correlations are kept, and
of the rows nothing. They are read once more where a law is needed: for windows that look like a change.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np

from fairlead.core.bundle import HELDOUT
from fairlead.core.report import SCORE
from fairlead.ports.dataset import Dataset
from fairlead.stats.columns import Column, NumericColumn
from fairlead.stats.multivariate.dependence import (
    FEWEST,
    Compared,
    Dependence,
    Law,
    Sums,
    compare_window,
    dependence,
    law_of,
    spread_of,
    sums_of,
)
from fairlead.stats.performance import Floats
from fairlead.stats.profile import NumericProfile, TableProfile

MOST = 100  # numbers of a table, beyond which their correlations are watched only where that is asked for
_ROWS = 5_000  # held-out rows that are compared with
NO_ROWS = "the bundle has no held-out rows to compare correlations with"


class Bonds:
    """The correlations of one version's numbers. `read` gives its held-out rows, (m, d), by the columns' names."""

    def __init__(
        self,
        profile: TableProfile,
        read: Callable[[Sequence[str]], Floats] | None = None,
        most: int = MOST,
    ) -> None:
        found = [one for one in profile.columns if isinstance(one, NumericProfile) and one.grid.name != SCORE]
        found = [one for one in found if one.finite]
        self.names = tuple(one.grid.name for one in found)
        self.why = _why(len(found), most, read)
        ends = [] if self.why else [_spread(one) for one in found]
        self._ends = np.array([low for low, _ in ends]), np.array([scale for _, scale in ends])
        self._read = read
        self._known: Dependence | None = None
        self._laws: dict[int, Law] = {}

    def count(self, columns: Sequence[Column]) -> Sums | None:
        """The sums of some rows; None where correlations are not watched."""
        if self.why:
            return None
        by_name = {column.name: column for column in columns}
        values = [one.values for name in self.names if isinstance(one := by_name.get(name), NumericColumn)]
        return None if len(values) < len(self.names) else sums_of(np.stack(values, axis=1), *self._ends)

    def compare(self, window: Sums | None, alpha: float) -> Compared | str:
        """A window against the held-out rows at its share of alpha; or why not."""
        if window is None:
            return self.why or "the window has no rows"
        if self._known is None:
            self.ready()
        return self.why if self._known is None else compare_window(self._known, window, alpha, self._law)

    def ready(self, data: Dataset | None = None) -> None:
        """Reads the held-out rows, of `data` where somebody has read them already: the first window need not wait."""
        if self.why or self._known is not None:
            return
        rows = self._rows(data)
        if len(rows) < FEWEST:
            self.why = NO_ROWS
        else:
            self._known = dependence(rows, self.names, *self._ends)

    def _rows(self, data: Dataset | None = None) -> Floats:
        if data is not None:
            rows = _numbers(data, self.names)
        else:
            rows = np.empty((0, len(self.names))) if self._read is None else self._read(self.names)
        return rows[:: max(1, -(-len(rows) // _ROWS))]

    def _law(self, drawn: int) -> Law:
        known = self._laws.get(drawn)
        if known is None:
            assert self._known is not None
            centre, scale = self._ends
            rng = np.random.default_rng(crc32(",".join((str(drawn), *self.names)).encode()))
            known = self._laws[drawn] = law_of(self._known, (self._rows() - centre) / scale, drawn, rng)
        return known


def _why(numbers: int, most: int, read: object) -> str:
    """Why correlations are not watched; empty where they are."""
    if numbers < 2:
        return "the table has fewer than two numbers"
    if read is None:
        return NO_ROWS
    if not most:
        return "they are switched off: monitoring.correlations"
    if numbers > most:
        return f"{numbers:,} numbers are more than {most:,}, and cost more: ask for them by monitoring.correlations: on"
    return ""


def _spread(column: NumericProfile) -> tuple[float, float]:
    """Centre and scale, by the cells in which the first, the fifth and the last decile lie: a value that repeats is its
    cell's upper end."""
    counts = column.counts
    places = np.searchsorted(np.cumsum(counts), np.array([0.1, 0.5, 0.9]) * counts.sum())
    cuts = column.grid.cuts
    low, middle, high = (float(cuts[min(int(place), len(cuts) - 1)]) for place in places)
    return spread_of(low, middle, high, column.deviation)


def bonds_of(folder: Path, open_dataset: Callable[[Path], Dataset], profile: TableProfile, most: int = MOST) -> Bonds:
    """The correlations of a bundle in a folder: of its held-out rows, where it has some."""
    path = folder / HELDOUT

    def read(names: Sequence[str]) -> Floats:
        return _numbers(open_dataset(path), names)

    return Bonds(profile, read if path.exists() else None, most)


def _numbers(data: Dataset, names: Sequence[str]) -> Floats:
    held = [one.values if isinstance(one, NumericColumn) else np.full(data.rows, np.nan) for one in data.columns(names)]
    return np.stack(held, axis=1)
