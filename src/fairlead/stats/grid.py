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

from fairlead.stats.tally import CHUNK, QUANTILES, Buckets, Floats, Ordered, Whole

CATEGORIES = 10_000
BUCKETS = 1_024
HEAVY_TAIL = 20.0  # kurtosis above which the standard deviation is no scale


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
    """Of finite values: how many, their mean, the sum of squared deviations, their ends, the kurtosis (normal: 3)."""

    count: int
    mean: float
    m2: float
    minimum: float
    maximum: float
    kurtosis: float = 0.0


def category_grid(name: str, totals: dict[str, int]) -> CategoryGrid:
    """The grid of a reference's categories and their counts."""
    if len(totals) > CATEGORIES:
        return CategoryGrid(name, (), hashed=True)
    return CategoryGrid(name, tuple(sorted(totals, key=lambda category: (-totals[category], category))))


def numeric_grid(name: str, arranged: Ordered | Whole | Buckets, found: Moments) -> NumericGrid:
    """The grid of a reference's finite values."""
    if found.count == 0:
        return NumericGrid(name, ())
    quantiles = arranged.quantiles()
    return NumericGrid(
        name, tuple(_cuts(quantiles, arranged.atoms(), found.minimum).tolist()), _scale(quantiles, found)
    )


def moments(values: Floats, *, fourth: bool = False) -> Moments:
    """Moments of finite values; sums beyond the range of float64 stop at its end. Kurtosis only where `fourth`.

    Sums, not dot products: a threaded BLAS would keep every core spinning for a moment's work.
    """
    if values.size == 0:
        return Moments(0, 0.0, 0.0, 0.0, 0.0)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, m2, m4 = within_range(float(values.mean())), 0.0, 0.0
        for start in range(0, values.size, CHUNK):
            powers = values[start : start + CHUNK] - mean
            np.multiply(powers, powers, out=powers)
            m2 += float(powers.sum())
            if fourth:
                np.multiply(powers, powers, out=powers)
                m4 += float(powers.sum())
    m2, m4 = within_range(m2), within_range(m4)
    kurtosis = values.size * (m4 / m2) / m2 if m2 > 0 else 0.0
    return Moments(int(values.size), mean, m2, float(values.min()), float(values.max()), kurtosis)


def within_range(number: float) -> float:
    """The number, or the nearest finite one: JSON has no infinity."""
    return number if isfinite(number) else float(np.nan_to_num(number, nan=0.0))


def bucket(category: str) -> int:
    """The bucket of a category in an open vocabulary: the same everywhere and always."""
    return crc32(category.encode("utf-8", "surrogatepass")) % BUCKETS


def _cuts(quantiles: Floats, few: Floats | None, minimum: float) -> Floats:
    edges, repeats = np.unique(quantiles, return_counts=True)
    atoms = edges[repeats > 1]
    if few is not None:
        edges = atoms = few
    with np.errstate(over="ignore"):
        below = np.nextafter(np.append(atoms, minimum), -np.inf)
    return np.union1d(edges, below[np.isfinite(below)])


def _scale(quantiles: Floats, found: Moments) -> float:
    if found.minimum == found.maximum:  # rounding gives a constant column a tiny, meaningless m2
        return 0.0
    if found.kurtosis > HEAVY_TAIL:
        low, high = quantiles[[QUANTILES // 4, 3 * QUANTILES // 4]].tolist()
        if high > low:
            return float((high - low) / 1.349)
    return float(np.sqrt(found.m2 / found.count))
