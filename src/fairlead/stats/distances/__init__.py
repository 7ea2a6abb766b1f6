"""Distances between two profiles of a column on one grid, each with its null law, correction and interval.

`value` is the distance as the field defines it. Two samples of one population are never equal, so `corrected` takes off
what chance alone adds: E0 from a distance that is quadratic near zero (PSI, Jensen-Shannon), and in quadrature,
sqrt(max(0, value^2 - E0[value^2])), from one that is linear (Kolmogorov-Smirnov, Wasserstein-1, Cramer's V). `low` and
`high` are the ends of a 95 % interval by the delta method on the cells.

    shares      psi, js, chi_squared: on the reference's deciles, or the categories
    cumulative  ks, wasserstein: on the grid's cuts
    health      null_rate, unseen, outside, rare: what distances between distributions do not see

Those modules take many pairs at once. The functions here take one pair of profiles.
"""

from __future__ import annotations

from fairlead.stats.cells import Cells, shared_cells
from fairlead.stats.distances import cumulative, health, shares
from fairlead.stats.distances.values import DEFAULT, Distance, Limits, Readings, Thresholds, Z
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile

__all__ = [
    "DEFAULT",
    "Distance",
    "Limits",
    "Readings",
    "Thresholds",
    "Z",
    "chi_squared",
    "detectable_psi",
    "js",
    "ks",
    "null_rate",
    "outside",
    "psi",
    "rare",
    "unseen",
    "wasserstein",
]


def psi(reference: ColumnProfile, current: ColumnProfile, limits: Limits = DEFAULT.psi) -> Distance:
    """Population stability index; see `shares.psi`."""
    return _one(shares.psi(_shares(reference, current)), limits)


def js(reference: ColumnProfile, current: ColumnProfile, limits: Limits = DEFAULT.js) -> Distance:
    """Jensen-Shannon divergence in bits; see `shares.js`."""
    return _one(shares.js(_shares(reference, current)), limits)


def chi_squared(reference: ColumnProfile, current: ColumnProfile, limits: Limits = DEFAULT.chi_squared) -> Distance:
    """Cramer's V with the p-value of Pearson's chi-squared; see `shares.chi_squared`."""
    return _one(shares.chi_squared(_shares(reference, current)), limits)


def ks(reference: NumericProfile, current: NumericProfile, limits: Limits = DEFAULT.ks) -> Distance:
    """Kolmogorov-Smirnov; see `cumulative.ks`."""
    return _one(cumulative.ks(cumulative.steps_of([(reference, current)])), limits)


def wasserstein(reference: NumericProfile, current: NumericProfile, limits: Limits = DEFAULT.wasserstein) -> Distance:
    """Wasserstein-1 over the reference's spread; see `cumulative.wasserstein`."""
    return _one(cumulative.wasserstein(cumulative.steps_of([(reference, current)])), limits)


def null_rate(reference: ColumnProfile, current: ColumnProfile, limits: Limits = DEFAULT.null_rate) -> Distance:
    """The current null rate over the reference's; see `health.null_rate`."""
    return _one(health.null_rate([(reference, current)]), limits)


def unseen(reference: CategoryProfile, current: CategoryProfile, limits: Limits = DEFAULT.unseen) -> Distance:
    """The share of rows in categories that the reference lacks; see `health.unseen`."""
    return _one(health.unseen([(reference, current)]), limits)


def outside(reference: NumericProfile, current: NumericProfile, limits: Limits = DEFAULT.outside) -> Distance:
    """The share of rows beyond the reference's range; see `health.outside`."""
    return _one(health.outside([(reference, current)]), limits)


def rare(reference: ColumnProfile, current: ColumnProfile, limits: Limits = DEFAULT.rare) -> Distance:
    """How many times more or less frequent a rare class became; see `health.rare`."""
    return _one(health.rare([(reference, current)]), limits)


def detectable_psi(cells: Cells, alpha: float, power: float = 0.8) -> float:
    """The smallest PSI that a test at `alpha` finds with probability `power` on these rows; infinite for no rows."""
    if cells.n == 0 or cells.m == 0:
        return float("inf")
    return float(shares.detectable_psi(cells.freedom, cells.noise, alpha, power))


def _shares(reference: ColumnProfile, current: ColumnProfile) -> shares.Shares:
    return shares.shares_of([shared_cells(reference, current)])


def _one(readings: Readings, limits: Limits) -> Distance:
    return readings.distances(limits)[0]
