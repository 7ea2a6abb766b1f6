"""How the columns of one window go together: counted beside the profile, compared with the version's held-out rows.

Until its first window is compared, a version's held-out rows are not read for it; then their correlations are kept, and
of the rows nothing. They are read once more where a law is needed: for windows that look like a change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from fairlead.core.bundle import HELDOUT
from fairlead.core.report import SCORE
from fairlead.ports.dataset import Dataset
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
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
from fairlead.stats.profile import CategoryProfile, NumericProfile, TableProfile

MOST = 100  # numbers of a table, beyond which their correlations are watched only where that is asked for
_ROWS = 5_000  # held-out rows that are compared with
_PARTS = 3  # the commonest values of a category that are asked, at most
_COMMON = 0.02  # share of the rows that such a value has at least
NO_ROWS = "the bundle has no held-out rows to compare correlations with"


class Part(NamedTuple):
    """A number that is compared: a column's, or 1 where a row has a `value` of a category. With centre and scale."""

    column: str
    value: str | None
    centre: float
    scale: float

    @property
    def label(self) -> str:
        """What a reader calls it."""
        return self.column if self.value is None else f"{self.column}={self.value}"


class Bonds:
    """The correlations of one version's columns. `read` gives its held-out columns by their names."""

    def __init__(
        self,
        profile: TableProfile,
        read: Callable[[Sequence[str]], Sequence[Column]] | None = None,
        most: int = MOST,
    ) -> None:
        numbers, categories = _numbers_of(profile), _categories_of(profile)
        self.why = _why(len(numbers), len(categories), most, read)
        self._parts = () if self.why else (*numbers, *_that_fit(categories, most - len(numbers)))
        self.columns = tuple(dict.fromkeys(part.column for part in self._parts))
        self._ends = np.array([part.centre for part in self._parts]), np.array([part.scale for part in self._parts])
        self._read = read
        self._known: Dependence | None = None
        self._laws: dict[int, Law] = {}

    @property
    def pairs(self) -> int:
        """How many pairs are asked, where enough rows know both."""
        held = [sum(part.column == name for part in self._parts) for name in self.columns]
        return (sum(held) ** 2 - sum(count**2 for count in held)) // 2

    def count(self, columns: Sequence[Column]) -> Sums | None:
        """The sums of some rows; None where correlations are not watched."""
        if self.why:
            return None
        held = {column.name: column for column in columns}
        if any(name not in held for name in self.columns):
            return None
        return sums_of(_values(held, self._parts), *self._ends)

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
            labels, owners = zip(*((part.label, part.column) for part in self._parts), strict=True)
            self._known = dependence(rows, labels, *self._ends, owners)

    def _rows(self, data: Dataset | None = None) -> Floats:
        read = self._read if data is None else data.columns
        held = {} if read is None else {column.name: column for column in read(self.columns)}
        rows = _values(held, self._parts) if held else np.empty((0, len(self._parts)))
        return rows[:: max(1, -(-len(rows) // _ROWS))]

    def _law(self, drawn: int) -> Law:
        known = self._laws.get(drawn)
        if known is None:
            assert self._known is not None
            centre, scale = self._ends
            rng = np.random.default_rng(crc32(",".join((str(drawn), *(part.label for part in self._parts))).encode()))
            known = self._laws[drawn] = law_of(self._known, (self._rows() - centre) / scale, drawn, rng)
        return known


def _why(numbers: int, categories: int, most: int, read: object) -> str:
    """Why correlations are not watched; empty where they are."""
    if numbers + categories < 2:
        return "the table has fewer than two numbers or categories"
    if read is None:
        return NO_ROWS
    if not most:
        return "they are switched off: monitoring.correlations"
    if numbers > most:
        return f"{numbers:,} numbers are more than {most:,}, and cost more: ask for them by monitoring.correlations: on"
    return ""


def _numbers_of(profile: TableProfile) -> list[Part]:
    found = [one for one in profile.columns if isinstance(one, NumericProfile) and one.grid.name != SCORE]
    return [Part(one.grid.name, None, *_spread(one)) for one in found if one.finite]


def _categories_of(profile: TableProfile) -> list[list[Part]]:
    """Each category's commonest values, the last one left out: it is there where no other is."""
    found = []
    for one in profile.columns:
        if not isinstance(one, CategoryProfile):
            continue
        counted = sorted(zip(one.counts, one.grid.categories, strict=True), key=lambda held: -held[0])
        common = [held for held in counted if held[0] >= _COMMON * max(one.present, 1)][: len(counted) - 1]
        found.append([Part(one.grid.name, value, float(2 * n > one.present), 1.0) for n, value in common[:_PARTS]])
    return [parts for parts in found if parts]


def _that_fit(categories: Sequence[Sequence[Part]], room: int) -> list[Part]:
    """As many values of each as there is room for; the last columns go without where there is none for one of each."""
    fits = max((n for n in range(2, _PARTS + 1) if sum(len(one[:n]) for one in categories) <= room), default=1)
    return [part for one in categories for part in one[:fits]][: max(room, 0)]


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

    def read(names: Sequence[str]) -> Sequence[Column]:
        return open_dataset(path).columns(names)

    return Bonds(profile, read if path.exists() else None, most)


def _values(held: Mapping[str, Column], parts: Sequence[Part]) -> Floats:
    """The rows of columns by name, (n, d); nan where one is null, or is not of the kind that was profiled."""
    rows = held[parts[0].column].rows
    found = np.full((len(parts), rows), np.nan)
    for name, places in _grouped(parts).items():
        column = held[name]
        wanted = parts[places[0]].value is not None
        if isinstance(column, NumericColumn) and not wanted:
            found[places[0]] = column.values
        elif isinstance(column, CategoricalColumn) and wanted:
            found[places] = _marks(column, [parts[place].value for place in places])
    return np.ascontiguousarray(found.T)


def _grouped(parts: Sequence[Part]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, part in enumerate(parts):
        found.setdefault(part.column, []).append(place)
    return found


def _marks(column: CategoricalColumn, values: Sequence[str | None]) -> Floats:
    """1 where a row has a value, (k, n); nan where it is null, whose code is the last place."""
    listed = np.array([*column.categories, ""], dtype=object)
    marks = np.stack([listed == value for value in values]).astype(np.float64)
    marks[:, -1] = np.nan
    return np.asarray(marks[:, column.codes])
