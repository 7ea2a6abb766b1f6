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

from math import isfinite
from zlib import crc32

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

QUANTILES = 1_022  # with the cut below the minimum and the last overflow, at most 1,024 cells of quantiles
ATOMS = 512  # up to this many distinct values each is an atom
CATEGORIES = 10_000
BUCKETS = 1_024
HEAVY_TAIL = 20.0  # kurtosis above which the standard deviation is no scale

Floats = NDArray[np.float64]


class NumericGrid(Struct, frozen=True, tag="numeric"):
    """The cells of a numeric column: `len(cuts) + 1` of them.

    `scale` is what Wasserstein-1 is divided by: the reference's standard deviation, or its interquartile range / 1.349
    where its kurtosis exceeds 20; 0 where the reference is constant.
    """

    name: str
    cuts: tuple[float, ...]
    scale: float = 0.0


class CategoryGrid(Struct, frozen=True, tag="category"):
    """The cells of a categorical column: one for each category, and what lies outside the list."""

    name: str
    categories: tuple[str, ...]
    hashed: bool = False


Grid = NumericGrid | CategoryGrid


class Moments(Struct, frozen=True):
    """Of finite values: how many, their mean, the sum of squared deviations, and the kurtosis (normal: 3)."""

    count: int
    mean: float
    m2: float
    kurtosis: float = 0.0


def category_grid(name: str, totals: dict[str, int]) -> CategoryGrid:
    """The grid of a reference's categories and their counts."""
    if len(totals) > CATEGORIES:
        return CategoryGrid(name, (), hashed=True)
    return CategoryGrid(name, tuple(sorted(totals, key=lambda category: (-totals[category], category))))


def numeric_grid(name: str, ordered: Floats, found: Moments) -> NumericGrid:
    """The grid of a reference's finite values, which must be sorted."""
    return NumericGrid(name, tuple(_cuts(ordered).tolist()), _scale(ordered, found))


def finite_sorted(ordered: Floats) -> Floats:
    """The finite part of sorted values (a view): NaN sorts behind the infinities."""
    first = int(np.searchsorted(ordered, -np.inf, side="right"))
    return ordered[first : int(np.searchsorted(ordered, np.inf, side="left"))]


def moments(values: Floats, *, fourth: bool = False) -> Moments:
    """Moments of finite values; sums beyond the range of float64 stop at its end. Kurtosis only where `fourth`.

    Sums, not dot products: a threaded BLAS would keep every core spinning for a second's hundredth of work.
    """
    if values.size == 0:
        return Moments(0, 0.0, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = within_range(float(values.mean()))
        powers = values - mean
        np.multiply(powers, powers, out=powers)
        m2 = within_range(float(powers.sum()))
        if not fourth:
            return Moments(int(values.size), mean, m2)
        np.multiply(powers, powers, out=powers)
        m4 = within_range(float(powers.sum()))
    kurtosis = values.size * (m4 / m2) / m2 if m2 > 0 else 0.0
    return Moments(int(values.size), mean, m2, kurtosis)


def within_range(number: float) -> float:
    """The number, or the nearest finite one: JSON has no infinity."""
    return number if isfinite(number) else float(np.nan_to_num(number, nan=0.0))


def bucket(category: str) -> int:
    """The bucket of a category in an open vocabulary: the same everywhere and always."""
    return crc32(category.encode("utf-8", "surrogatepass")) % BUCKETS


def _cuts(ordered: Floats) -> Floats:
    size = ordered.size
    if size == 0:
        return np.empty(0)
    ranks = -(-np.arange(1, QUANTILES + 1) * size // QUANTILES) - 1  # inverse of the empirical distribution
    edges, repeats = np.unique(ordered[ranks], return_counts=True)
    atoms = edges[repeats > 1]
    if edges.size <= ATOMS:
        distinct = ordered[np.concatenate(([True], ordered[1:] != ordered[:-1]))]
        if distinct.size <= ATOMS:
            edges = atoms = distinct
    with np.errstate(over="ignore"):
        below = np.nextafter(np.append(atoms, ordered[0]), -np.inf)
    return np.union1d(edges, below[np.isfinite(below)])


def _scale(ordered: Floats, found: Moments) -> float:
    if found.count == 0 or ordered[0] == ordered[-1]:  # rounding gives a constant column a tiny, meaningless m2
        return 0.0
    if found.kurtosis > HEAVY_TAIL:
        low, high = ordered[[(found.count - 1) // 4, (3 * (found.count - 1)) // 4]]
        if high > low:
            return float((high - low) / 1.349)
    return float(np.sqrt(found.m2 / found.count))
