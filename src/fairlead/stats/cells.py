"""Two profiles as counts on shared cells: what PSI, Jensen-Shannon and chi-squared are computed on.

Cells are merged until every one of them can be expected to hold 5 rows of the smaller sample. What is merged depends on
the two samples' total alone, never on which sample a row came from: a rule that looked at the reference only (a
category is unseen because the reference missed it) would count its own luck as drift.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from fairlead.stats.exact import Floats
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile, into_buckets

EXPECTED = 5.0


class Cells(Struct, frozen=True, eq=False):
    """Counts of shape (k,) in the same k cells; k = 0 where a sample is empty."""

    reference: Floats
    current: Floats

    @property
    def freedom(self) -> int:
        """Degrees of freedom: k - 1, and 0 for no cell."""
        return max(int(self.reference.size) - 1, 0)

    @property
    def n(self) -> float:
        """Rows of the reference."""
        return float(self.reference.sum())

    @property
    def m(self) -> float:
        """Rows of the current sample."""
        return float(self.current.sum())

    @property
    def noise(self) -> float:
        """1/n + 1/m: the variance of a difference of two shares, in units of p(1 - p)."""
        return 1.0 / self.n + 1.0 / self.m

    @property
    def shares(self) -> tuple[Floats, Floats]:
        """The two samples' proportions, plain."""
        return self.reference / self.n, self.current / self.m

    @property
    def smoothed(self) -> tuple[Floats, Floats]:
        """The two samples' proportions with Jeffreys' half a count in each cell, so that none is zero."""
        half = self.reference.size / 2.0
        return (self.reference + 0.5) / (self.n + half), (self.current + 0.5) / (self.m + half)


def shared_cells(reference: ColumnProfile, current: ColumnProfile) -> Cells:
    """The cells that two profiles on one grid are compared in. Raises `TypeError` for profiles of two kinds.

    Several distances ask for the same cells, so a profile remembers those it was last compared in.
    """
    known = current.__dict__.get("_cells")
    if known is not None and known[0] is reference:
        remembered: Cells = known[1]
        return remembered
    if isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
        cells = _bins(reference, current)
    elif isinstance(reference, CategoryProfile) and isinstance(current, CategoryProfile):
        cells = _categories(reference, current)
    else:
        raise TypeError(f"column {reference.grid.name!r}: numbers cannot be compared with categories")
    current.__dict__["_cells"] = (reference, cells)
    return cells


def _bins(reference: NumericProfile, current: NumericProfile) -> Cells:
    """Ten bins at the reference's deciles; a value that holds a tenth of the reference or more is a bin of its own."""
    if reference.present == 0 or current.present == 0:
        return Cells(np.empty(0), np.empty(0))
    starts, one = reference.tenths
    two = np.add.reduceat(current.counts, starts).astype(np.float64)
    if (one + two).min() >= _rows_needed(reference.present, current.present):
        return Cells(one, two)
    return merge_neighbours(one, two)


def _categories(reference: CategoryProfile, current: CategoryProfile) -> Cells:
    if reference.present == 0 or current.present == 0:
        return Cells(np.empty(0), np.empty(0))
    if reference.buckets or current.buckets:
        return merge_rare(np.asarray(_hashed(reference), dtype=float), np.asarray(_hashed(current), dtype=float))
    return merge_rare(*by_category(reference, current))


def by_category(reference: CategoryProfile, current: CategoryProfile) -> tuple[Floats, Floats]:
    """Counts of both samples, category by category: the grid's list, then the others by name."""
    names = sorted(reference.unseen.keys() | current.unseen.keys())
    one = [*reference.counts, *(reference.unseen.get(name, 0) for name in names)]
    two = [*current.counts, *(current.unseen.get(name, 0) for name in names)]
    return np.asarray(one, dtype=float), np.asarray(two, dtype=float)


def _hashed(one: CategoryProfile) -> tuple[int, ...]:
    listed = dict(zip(one.grid.categories, one.counts, strict=True))
    return into_buckets(one.unseen, into_buckets(listed, one.buckets))


def merge_neighbours(one: Floats, two: Floats) -> Cells:
    """Merges ordered cells with their neighbours until each can be expected to hold 5 rows of the smaller sample."""
    needed = _rows_needed(float(one.sum()), float(two.sum()))
    merged: list[list[float]] = []
    for a, b in zip(one.tolist(), two.tolist(), strict=True):
        if merged and sum(merged[-1]) < needed:
            merged[-1] = [merged[-1][0] + a, merged[-1][1] + b]
        else:
            merged.append([a, b])
    if len(merged) > 1 and sum(merged[-1]) < needed:
        a, b = merged.pop()
        merged[-1] = [merged[-1][0] + a, merged[-1][1] + b]
    counts = np.asarray(merged, dtype=float)
    return Cells(counts[:, 0], counts[:, 1])


def merge_rare(one: Floats, two: Floats) -> Cells:
    """Merges all cells that cannot be expected to hold 5 rows of the smaller sample into one.

    Where even that one is too small, the smallest of the others joins it.
    """
    needed = _rows_needed(float(one.sum()), float(two.sum()))
    total = one + two
    order = np.argsort(-total, kind="stable")
    kept = int(np.count_nonzero(total >= needed))
    if 0 < total[order[kept:]].sum() < needed and kept > 0:
        kept -= 1
    rest = order[kept:]
    if total[rest].sum() == 0:
        return Cells(one[order[:kept]], two[order[:kept]])
    return Cells(np.append(one[order[:kept]], one[rest].sum()), np.append(two[order[:kept]], two[rest].sum()))


def _rows_needed(n: float, m: float) -> float:
    return EXPECTED * (n + m) / min(n, m)
