"""What the shift of one feature does to the loss: held-out rows reweighted to the feature's current distribution.

Held-out rows are counted into cells of one feature, each with its mean loss m. With shares p of the held-out rows and q
of the current ones, the loss that the shift of this feature alone accounts for is

    change = sum over cells of (q - p) m,

the loss reweighted by the density ratio q / p, less the loss as it is (post-stratification; Horvitz, Thompson 1952).
Its variance has three parts: the means', sum (q - p)^2 s^2 / n; the current shares', the variance of m under q over the
current rows; the held-out shares', the variance of m under p over the held-out rows. What current rows hold in cells
without held-out rows (new categories, values beyond the range) is counted at the mean loss, and the interval reaches as
far as if all of it were as good, or as bad, as the best and worst held-out row.

It assumes that the loss given the feature stayed what it was; features that move together each answer for what they
share. So a change is an account of what a shift may have cost, not a proof of cause.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.grid import CategoryGrid, Grid, NumericGrid
from fairlead.stats.profile import CategoryProfile, ColumnProfile

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]

Z = 1.959963984540054
GROUPS = 20
FEWEST = 10  # held-out rows of a cell that supports an estimate


class CellLosses(Struct, frozen=True, eq=False):
    """Held-out losses by cell of one feature. `groups` maps each grid cell, then nulls and what is unlisted, to a cell.

    `place` is each held-out row's cell; `counts`, `means` and `variances` have one entry per cell; `low` and `high` are
    the smallest and largest loss.
    """

    name: str
    groups: Codes
    place: Codes
    counts: Floats
    means: Floats
    variances: Floats
    low: float
    high: float

    @property
    def rows(self) -> float:
        """Held-out rows."""
        return float(self.counts.sum())

    @property
    def mean(self) -> float:
        """The mean held-out loss."""
        return float((self.counts * self.means).sum() / self.rows)


class Attribution(Struct, frozen=True):
    """The change of the mean loss that a feature's shift accounts for, positive for a rise, with a 95 % interval.

    `effective_rows` is (sum w)^2 / sum w^2 of the reweighted held-out rows; `unsupported` the share of current rows in
    cells without enough held-out rows.
    """

    change: float
    low: float
    high: float
    effective_rows: float
    unsupported: float

    @property
    def harmful(self) -> bool:
        """Whether the interval excludes no change and improvement."""
        return self.low > 0.0


def cell_losses(column: Column, grid: Grid, losses: Floats) -> CellLosses | None:
    """Losses, (rows,), by cell of a feature of the held-out rows on the reference's grid.

    Numbers are grouped into at most 20 cells of neighbouring grid cells, rare categories into one; nulls are a cell of
    their own. None for a feature of another kind than its grid, for an open vocabulary, and without a row. Raises
    `ValueError` where the losses do not fit the rows.
    """
    if losses.shape != (column.rows,):
        raise ValueError(f"{losses.size} losses for {column.rows} rows of {column.name!r}: pass one a row")
    fine = _fine(column, grid)
    if fine is None or column.rows == 0:
        return None
    codes, cells = fine
    filled = np.bincount(codes, minlength=cells)
    groups = _neighbours(filled) if isinstance(grid, NumericGrid) else _rare(filled)
    count = int(groups.max()) + 1
    place = groups[codes]
    counts = np.bincount(place, minlength=count).astype(np.float64)
    safe = np.maximum(counts, 1.0)
    means = np.bincount(place, losses, count) / safe
    squares = np.bincount(place, (losses - means[place]) ** 2, count)
    # Two rows of the whole sample's variance keep a cell in which all losses are equal from looking certain.
    variances = (squares + 2.0 * float(losses.var())) / (np.maximum(counts - 1.0, 0.0) + 2.0)
    return CellLosses(column.name, groups, place, counts, means, variances, float(losses.min()), float(losses.max()))


def attribute(held: CellLosses, current: ColumnProfile) -> Attribution | None:
    """The change of the mean loss that a current profile, on the same grid, accounts for; None for one without rows.

    Raises `ValueError` for a profile on another grid.

    >>> from fairlead.stats.profile import profile_column
    >>> rng = np.random.default_rng(0)
    >>> before = NumericColumn("age", rng.integers(0, 2, 10_000).astype(float))
    >>> grid = profile_column(before).grid
    >>> held = cell_losses(before, grid, 0.1 + 0.2 * before.values)
    >>> found = attribute(held, profile_column(NumericColumn("age", np.ones(5_000)), grid))
    >>> round(found.change, 2), found.harmful
    (0.1, True)
    """
    shares = _grouped(held, current)
    m = float(shares.sum())
    if m == 0.0:
        return None
    q, p, n = shares / m, held.counts / held.rows, held.rows
    known = held.counts >= FEWEST
    lost = float(q[~known].sum())
    means = np.where(known, held.means, held.mean)
    change = float(((q - p) * means).sum())
    spread = float((((q - p) ** 2 * held.variances)[known] / held.counts[known]).sum())
    spread += _variance(q, means) / m + _variance(p, means) / n
    ratio = np.divide(q, p, out=np.zeros_like(q), where=known)
    weight = float((p * ratio).sum())
    effective = n * weight * weight / float((p * ratio * ratio).sum()) if weight > 0.0 else 0.0
    half = Z * sqrt(spread)
    return Attribution(
        change=change,
        low=change - half - lost * (held.mean - held.low),
        high=change + half + lost * (held.high - held.mean),
        effective_rows=effective,
        unsupported=lost,
    )


def attribute_auroc(held: CellLosses, truth: Floats, score: Floats, current: ColumnProfile) -> Attribution | None:
    """The fall of the AUROC of held-out rows, reweighted to a current profile; None without rows of both classes.

    `truth` (0/1) and `score` are of shape (held-out rows,), in the order that the cells were counted in. The interval
    is by the delta method: a row's influence on a weighted AUROC is w (V - A) / share of its class, V its placement
    among the other class (DeLong 1988). Rows in cells without held-out rows may rank as badly, or as well, as can be.

    >>> from fairlead.stats.profile import profile_column
    >>> rng = np.random.default_rng(0)
    >>> plan = NumericColumn("plan", rng.integers(0, 2, 4_000).astype(float))
    >>> score = rng.random(4_000)
    >>> truth = (rng.random(4_000) < np.where(plan.values > 0, score, 0.5)).astype(float)
    >>> grid = profile_column(plan).grid
    >>> held = cell_losses(plan, grid, truth)
    >>> found = attribute_auroc(held, truth, score, profile_column(NumericColumn("plan", np.zeros(2_000)), grid))
    >>> round(found.change, 1), found.harmful
    (0.2, True)
    """
    shares = _grouped(held, current)
    m, n = float(shares.sum()), held.rows
    known = held.counts >= FEWEST
    if m == 0.0 or not shares[known].sum() > 0.0:
        return None
    q, lost = shares / m, float(shares[~known].sum()) / m
    ratio = np.where(known, q / np.maximum(held.counts / n, 1e-300), 0.0)
    weight = ratio[held.place]
    before, after = _ranked(truth, score, np.ones(truth.size)), _ranked(truth, score, weight)
    if before is None or after is None:
        return None
    influence = after[1] * weight - before[1]
    slopes = np.bincount(held.place, after[1], q.size) / np.maximum(held.counts, 1.0)
    spread = float((influence**2).sum()) / (n * n) + _variance(q[known] / q[known].sum(), slopes[known]) / m
    change, half = before[0] - after[0], Z * sqrt(spread)
    pairs = 1.0 - (1.0 - lost) ** 2
    effective = float(weight.sum()) ** 2 / float((weight**2).sum())
    low, high = change - half - pairs * (1.0 - after[0]), change + half + pairs * after[0]
    return Attribution(change, low, high, effective, lost)


def _ranked(truth: Floats, score: Floats, weight: Floats) -> tuple[float, Floats] | None:
    """The weighted AUROC, and each row's influence on it for a weight of 1; None unless both classes are there."""
    _, place = np.unique(score, return_inverse=True)
    ones, zeros = np.bincount(place, weight * truth), np.bincount(place, weight * (1.0 - truth))
    positive, negative = float(ones.sum()), float(zeros.sum())
    if not (positive > 0.0 and negative > 0.0):
        return None
    below = (np.cumsum(zeros) - zeros / 2.0) / negative
    above = 1.0 - (np.cumsum(ones) - ones / 2.0) / positive
    area = float((ones * below).sum()) / positive
    total = float(weight.sum())
    influence = np.where(
        truth > 0.5, (below[place] - area) * total / positive, (above[place] - area) * total / negative
    )
    return area, np.asarray(influence * (truth.size / total), np.float64)


def _fine(column: Column, grid: Grid) -> tuple[Codes, int] | None:
    """Grid cell of each row; nulls come after the grid's cells, then what the grid does not list."""
    if isinstance(column, NumericColumn) and isinstance(grid, NumericGrid):
        cells = len(grid.cuts) + 1
        codes = np.searchsorted(np.asarray(grid.cuts, np.float64), column.values, side="left")
        return np.where(np.isnan(column.values), cells, codes), cells + 2
    if isinstance(column, CategoricalColumn) and isinstance(grid, CategoryGrid) and not grid.hashed:
        cells = len(grid.categories)
        places = {name: place for place, name in enumerate(grid.categories)}
        mine = np.array([*(places.get(name, cells + 1) for name in column.categories), cells])
        return np.asarray(mine[column.codes], np.intp), cells + 2
    return None


def _neighbours(filled: Codes) -> Codes:
    """Grid cells merged with their neighbours into at most 20 of about equally many rows; ends without rows apart."""
    cells = filled[:-2]
    total = int(cells.sum())
    groups = np.zeros(filled.size, np.intp)
    if total:
        groups[:-2] = np.minimum((2 * np.cumsum(cells) - cells) * GROUPS // (2 * total), GROUPS - 1)
    groups[-2], groups[-1] = GROUPS, GROUPS + 1
    for end in (0, cells.size - 1):
        if cells[end] == 0:
            groups[end] = GROUPS + 1
    return np.asarray(np.unique(groups, return_inverse=True)[1], np.intp)


def _rare(filled: Codes) -> Codes:
    """Categories with enough rows as cells of their own, the listed rest as one, nulls, and what is unlisted."""
    listed = filled[:-2]
    groups = np.zeros(filled.size, np.intp)
    own = np.flatnonzero(listed >= FEWEST)
    groups[own] = np.arange(1, own.size + 1)
    groups[-2], groups[-1] = own.size + 1, own.size + 2
    return np.asarray(np.unique(groups, return_inverse=True)[1], np.intp)


def _grouped(held: CellLosses, current: ColumnProfile) -> Floats:
    unlisted = current.unlisted if isinstance(current, CategoryProfile) else 0
    fine = np.array([*current.counts, current.nulls, unlisted], np.float64)
    if fine.size != held.groups.size:
        raise ValueError(f"column {held.name!r} is on another grid: profile it on the reference's")
    return np.asarray(np.bincount(held.groups, fine, held.counts.size), np.float64)


def _variance(shares: Floats, values: Floats) -> float:
    mean = float((shares * values).sum())
    return float((shares * (values - mean) ** 2).sum())
