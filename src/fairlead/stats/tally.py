"""Counting a column's finite values between cuts, and finding the quantiles that cuts are made of. Exact, three ways.

`Ordered` sorts. `Whole` counts whole numbers that span at most 65,536, without sorting. `Buckets` sorts next to
nothing: a value's key is its place on a line of 65,536 buckets, a rising function of the value, so all of a bucket that
holds no cut lies in one cell, and only the values that share a bucket with a cut (a few per cent) are sorted and looked
up. Columns that are short, repeat few values, or crowd around the cuts are sorted whole.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

QUANTILES = 1_022  # with the cut below the minimum and the last overflow, at most 1,024 cells of quantiles
ATOMS = 512  # up to this many distinct values each is an atom
LINE = 65_536
CHUNK = 65_536  # rows at a time, so that what is computed on the way stays in the cache
SAMPLE = 4_096
LARGE = 16 * SAMPLE  # rows from which buckets pay
EXACT = 2.0**53  # up to here every whole number is a float
SMALLEST_RANGE = 1e-290  # so that the length of a unit is finite
CROWDED = 0.25  # share of rows beside a cut from which they do not


class Ordered(Struct, frozen=True, eq=False):
    """Sorted finite values."""

    values: Floats

    def quantiles(self) -> Floats:
        """The QUANTILES equally spaced quantiles, by the inverse of the empirical distribution."""
        return self.values[_ranks(self.values.size)]

    def atoms(self) -> Floats | None:
        """The distinct values if there are at most ATOMS, else None."""
        first = np.concatenate(([True], self.values[1:] != self.values[:-1]))
        return self.values[first] if np.count_nonzero(first) <= ATOMS else None

    def count(self, cuts: Floats) -> tuple[Counts, Floats]:
        """Rows, and sums of values, in each of the `cuts.size + 1` cells; cell i is `cuts[i-1] < x <= cuts[i]`."""
        bounds = np.concatenate(([0], np.searchsorted(self.values, cuts, side="right"), [self.values.size]))
        counts = np.diff(bounds)
        sums = np.zeros(counts.size)
        filled = np.flatnonzero(counts)
        if filled.size:
            sums[filled] = np.add.reduceat(self.values, bounds[filled])
        return counts, sums


class Whole(Struct, frozen=True, eq=False):
    """Distinct sorted values, each with its rows."""

    values: Floats
    rows: Counts

    def quantiles(self) -> Floats:
        """As `Ordered.quantiles`."""
        upto = np.cumsum(self.rows)
        return self.values[np.searchsorted(upto, _ranks(int(upto[-1])), side="right")]

    def atoms(self) -> Floats | None:
        """As `Ordered.atoms`."""
        return self.values if self.values.size <= ATOMS else None

    def count(self, cuts: Floats) -> tuple[Counts, Floats]:
        """As `Ordered.count`."""
        cells = np.searchsorted(cuts, self.values, side="left")
        counts = np.zeros(cuts.size + 1, dtype=np.int64)
        np.add.at(counts, cells, self.rows)
        sums = np.zeros(cuts.size + 1)
        np.add.at(sums, cells, self.values * self.rows)
        return counts, sums


class Buckets(Struct, frozen=True, eq=False):
    """Finite values, not sorted, each with its bucket."""

    values: Floats
    keys: NDArray[np.uint16]
    line: _Line

    def quantiles(self) -> Floats:
        """As `Ordered.quantiles`: only the buckets that a quantile falls into are sorted."""
        filled = np.bincount(self.keys, minlength=LINE)
        ranks = _ranks(self.values.size)
        places = np.searchsorted(np.cumsum(filled), ranks, side="right")
        marked = np.zeros(LINE, dtype=np.bool_)
        marked[places] = True
        unsorted = np.cumsum(np.where(marked, 0, filled))
        chosen: Floats = np.sort(self.values[marked.take(self.keys)])[ranks - unsorted[places]]
        return chosen

    def atoms(self) -> None:
        """None: a sample alone has more distinct values."""
        return

    def count(self, cuts: Floats) -> tuple[Counts, Floats]:
        """As `Ordered.count`: only the buckets that a cut falls into are sorted."""
        cells = cuts.size + 1
        codes = self.line.cells(cuts).take(self.keys).astype(np.intp)
        counts = np.bincount(codes, minlength=cells + 1)[:cells]
        sums = np.bincount(codes, weights=self.values, minlength=cells + 1)[:cells]
        beside = Ordered(np.sort(self.values[codes == cells])).count(cuts)
        return counts + beside[0], sums + beside[1]


class _Line(Struct, frozen=True):
    """Where the line of buckets starts, and how many buckets a unit is long."""

    low: float
    per_unit: float

    def keys(self, values: Floats) -> NDArray[np.uint16]:
        """Each value's bucket; what lies off the line is in the first or the last."""
        keys = np.empty(values.size, dtype=np.uint16)
        room = np.empty(min(CHUNK, values.size))
        with np.errstate(over="ignore"):
            for start in range(0, values.size, CHUNK):
                part = values[start : start + CHUNK]
                here = room[: part.size]
                np.subtract(part, self.low, out=here)
                np.multiply(here, self.per_unit, out=here)
                np.clip(here, 0.0, LINE - 1.0, out=here)
                keys[start : start + CHUNK] = here
        return keys

    def cells(self, cuts: Floats) -> NDArray[np.uint16]:
        """Each bucket's cell, or `cuts.size + 1` where a cut shares the bucket."""
        places = self.keys(cuts).astype(np.intp)
        starts = np.bincount(places + 1, minlength=LINE + 1)[:LINE]  # cuts in the buckets before each
        cells = np.cumsum(starts).astype(np.uint16)
        cells[places] = cuts.size + 1
        return cells


def arranged(finite: Floats, cuts: Floats | None = None) -> Ordered | Whole | Buckets:
    """Finite values made ready for counting: between these cuts, or, without any, between their own quantiles."""
    if finite.size < LARGE:
        return Ordered(np.sort(finite))
    sample = np.sort(finite[:: finite.size // SAMPLE])
    whole = _whole(finite) if (sample == np.floor(sample)).all() else None
    if whole is not None:
        return whole
    line = _line(sample, cuts)
    return Ordered(np.sort(finite)) if line is None else Buckets(finite, line.keys(finite), line)


def _whole(finite: Floats) -> Whole | None:
    low, high = float(finite.min()), float(finite.max())
    if not (high / 2 - low / 2 < LINE / 2 and abs(low) < EXACT and abs(high) < EXACT):
        return None
    steps = (finite - low).astype(np.intp)
    if not np.array_equal(steps + low, finite):
        return None
    rows = np.bincount(steps)
    some = np.flatnonzero(rows)
    return Whole(some.astype(np.float64) + low, rows[some])


def _line(sample: Floats, cuts: Floats | None) -> _Line | None:
    """A line on which few values share a bucket with a cut, judged by a sorted sample; None if there is none."""
    known = sample if cuts is None else cuts
    margin = known.size // 100
    low, high = (float(known[margin]), float(known[-1 - margin])) if known.size else (0.0, 0.0)
    half = high / 2 - low / 2  # the whole range may be beyond float64
    if not half > SMALLEST_RANGE:
        return None
    line = _Line(low, (LINE - 1) / half / 2)
    if cuts is None:
        return line if np.unique(sample).size > 2 * ATOMS else None
    crowded = np.count_nonzero(line.cells(cuts).take(line.keys(sample)) == cuts.size + 1)
    return line if crowded <= CROWDED * sample.size else None


def _ranks(size: int) -> Counts:
    return -(-np.arange(1, QUANTILES + 1) * size // QUANTILES) - 1
