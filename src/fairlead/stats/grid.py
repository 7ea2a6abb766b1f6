"""The grid that a reference fixes: the cells in which every later batch of that column is counted.

Numbers. A grid is a rising list of cuts; cell i holds `cuts[i-1] < x <= cuts[i]`, the first cell is the underflow
(below the reference's minimum), the last one the overflow (above its maximum). A value that the reference repeats is an
atom: it has its own cell, because the number just below it is a cut too. A reference of at most 512 distinct values is
made of atoms alone, and Kolmogorov-Smirnov on the grid is then exact. Otherwise the cuts are about a thousand quantiles
and `|D_grid - D_exact| <= largest reference cell mass`.

Categories. The list of the reference's categories, most frequent first. A reference of more than 10,000 categories is
an open vocabulary: its grid is `hashed`, every name is counted in one of 1,024 buckets.
"""

from __future__ import annotations

from functools import cached_property
from math import inf
from zlib import crc32

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from fairlead.stats.exact import CHUNK, Floats, places, scale_of
from fairlead.stats.tally import QUANTILES, TABLE_PAYS, Lookup, Order, finite_part, lookup, ordered

CATEGORIES = 10_000
BUCKETS = 1_024
HEAVY_TAIL = 20.0  # kurtosis above which the standard deviation is no scale


class NumericGrid(Struct, frozen=True, tag="numeric", dict=True):
    """The cells of a numeric column: `len(cuts) + 1` of them.

    `scale` is what Wasserstein-1 is divided by: the reference's standard deviation, or its interquartile range / 1.349
    where its kurtosis exceeds 20; 0 where the reference is constant. Sums are kept in units of 2^-`exponent` from
    `origin`.
    """

    name: str
    cuts: tuple[float, ...]
    scale: float = 0.0
    origin: float = 0.0
    exponent: int = 0

    @cached_property
    def edges(self) -> Floats:
        """The cuts as an array."""
        return np.asarray(self.cuts, dtype=np.float64)

    @cached_property
    def places(self) -> Floats:
        """The cuts in places: units from the origin."""
        return places(self.edges, self.origin, self.exponent)

    @cached_property
    def _plain(self) -> Lookup:
        return lookup(self.edges, self.origin, self.exponent, table=False)

    @cached_property
    def _tabled(self) -> Lookup:
        return lookup(self.edges, self.origin, self.exponent, table=True)

    def lookup(self, rows: int) -> Lookup:
        """The cuts made ready for counting `rows` values; the table is built once, when it pays."""
        return self._tabled if rows >= TABLE_PAYS or "_tabled" in self.__dict__ else self._plain


class CategoryGrid(Struct, frozen=True, tag="category"):
    """The cells of a categorical column: one for each category, and what lies outside the list."""

    name: str
    categories: tuple[str, ...]
    hashed: bool = False


Grid = NumericGrid | CategoryGrid


def category_grid(name: str, totals: dict[str, int]) -> CategoryGrid:
    """The grid of a reference's categories and their counts."""
    if len(totals) > CATEGORIES:
        return CategoryGrid(name, (), hashed=True)
    return CategoryGrid(name, tuple(sorted(totals, key=lambda category: (-totals[category], category))))


def numeric_grid(name: str, values: Floats) -> NumericGrid:
    """The grid of a reference's values (n,), NaN and infinities left out. It has a scale only where that is robust."""
    count, low, high = _ends(values)
    if not count:
        return NumericGrid(name, ())
    origin, exponent = scale_of(low, high)
    order = ordered(values, (low, high), count)
    cuts = _cuts(order.quantiles, order.atoms, low)
    grid = NumericGrid(name, tuple(cuts.tolist()), _robust_scale(order), origin, exponent)
    grid.__dict__["edges"] = cuts  # what the property would make again
    return grid


def with_scale(grid: NumericGrid, scale: float) -> NumericGrid:
    """The grid with a scale, its prepared tables kept."""
    changed = replace(grid, scale=scale)
    changed.__dict__.update(grid.__dict__)
    return changed


def bucket(category: str) -> int:
    """The bucket of a category in an open vocabulary: the same everywhere and always."""
    return crc32(category.encode("utf-8", "surrogatepass")) % BUCKETS


def _cuts(quantiles: Floats, few: Floats | None, minimum: float) -> Floats:
    """The distinct quantiles, and below each atom and below the minimum the next smaller number."""
    if few is None:
        new = quantiles[1:] != quantiles[:-1]
        edges = quantiles[np.concatenate(([True], new))]
        atoms = edges[np.diff(np.flatnonzero(np.concatenate(([True], new, [True])))) > 1]
    else:
        edges = atoms = few
    with np.errstate(over="ignore"):
        below = np.nextafter(np.append(atoms, minimum), -np.inf)
    return np.unique(np.concatenate((edges, below[np.isfinite(below)])))


def _ends(values: Floats) -> tuple[int, float, float]:
    """How many values are finite, the smallest and the largest."""
    count, low, high = 0, inf, -inf
    for start in range(0, values.size, CHUNK):
        part, least, most = finite_part(values[start : start + CHUNK])
        if part.size:
            count, low, high = count + part.size, min(low, least), max(high, most)
    return count, low, high


def _robust_scale(order: Order) -> float:
    """The interquartile range / 1.349 where the kurtosis of the sample exceeds 20, else 0."""
    if kurtosis(order.sample, order.rows) <= HEAVY_TAIL:
        return 0.0
    low, high = order.quantiles[[QUANTILES // 4, 3 * QUANTILES // 4]].tolist()
    return float((high - low) / 1.349)


def kurtosis(values: Floats, rows: Floats | None = None) -> float:
    """The kurtosis (normal: 3) of values, each with its rows."""
    with np.errstate(over="ignore", invalid="ignore"):
        mean = float(np.average(values, weights=rows))
        squares = (values - mean) ** 2
        second, fourth = (float(np.average(power, weights=rows)) for power in (squares, squares * squares))
    return fourth / second / second if 0 < second < inf and fourth < inf else 0.0
