"""Distances between two profiles of a column on one grid, each with its null law, correction and interval.

`value` is the distance as the field defines it. Two samples of one population are never equal, so `corrected` takes off
what chance alone adds: E0 from a distance that is quadratic near zero (PSI, Jensen-Shannon), and in quadrature,
sqrt(max(0, value^2 - E0[value^2])), from one that is linear (Kolmogorov-Smirnov, Wasserstein-1, Cramer's V).
`low` and `high` are the ends of a 95 % interval by the delta method on the cells, with the null law's variance added
where the gradient vanishes at zero. n rows of the reference, m current rows, noise = 1/n + 1/m, k cells; a caller that
computes several distances passes the cells of `shared_cells` along.
"""

from __future__ import annotations

from math import exp, log, pi, sqrt

import numpy as np
from msgspec import Struct
from scipy.special import chdtrc, chdtri, chndtrinc, gammaln, kolmogorov

from fairlead.stats.cells import Cells, shared_cells
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile
from fairlead.stats.tally import Floats

Z = 1.959963984540054  # two-sided 95 %
KOLMOGOROV_SECOND = pi * pi / 12.0  # E[K^2] of Kolmogorov's law
KOLMOGOROV_VARIANCE = KOLMOGOROV_SECOND - pi / 2.0 * log(2.0) ** 2


class Limits(Struct, frozen=True):
    """The effects above which a column is worth a warning, and critical."""

    warning: float
    critical: float


class Thresholds(Struct, frozen=True):
    """The limits of every distance. Defaults are the field's."""

    psi: Limits = Limits(0.10, 0.25)
    ks: Limits = Limits(0.05, 0.10)
    js: Limits = Limits(0.05, 0.10)
    wasserstein: Limits = Limits(0.10, 0.25)
    chi_squared: Limits = Limits(0.05, 0.10)
    null_rate: Limits = Limits(2.0, 5.0)
    unseen: Limits = Limits(0.0, 0.05)
    outside: Limits = Limits(0.01, 0.05)


DEFAULT = Thresholds()


class Distance(Struct, frozen=True):
    """One distance. `p_value` is None where the distance is an effect only; limits are exceeded, not reached."""

    name: str
    value: float
    corrected: float
    p_value: float | None
    low: float
    high: float
    warning: float
    critical: float


def psi(
    reference: ColumnProfile, current: ColumnProfile, limits: Limits = DEFAULT.psi, cells: Cells | None = None
) -> Distance:
    """Population stability index, sum (a - e) ln(a / e), over the reference's deciles or the categories.

    Proportions with Jeffreys' half count. Under no change PSI ~ noise chi2(k - 1) (Yurdakul 2018).
    """
    cells = cells or shared_cells(reference, current)
    if cells.freedom == 0:
        return _nothing("psi", limits)
    e, a = cells.smoothed
    ratio = np.log(a / e)
    slopes = (1.0 - a / e - ratio, ratio + 1.0 - e / a)
    return _quadratic("psi", float(((a - e) * ratio).sum()), cells, slopes, limits)


def js(
    reference: ColumnProfile, current: ColumnProfile, limits: Limits = DEFAULT.js, cells: Cells | None = None
) -> Distance:
    """Jensen-Shannon divergence in bits, between 0 and 1 (Lin 1991), over the cells and the proportions of `psi`.

    With both samples weighted equally, JS = sum (a - e)^2 / (4 (a + e)) nats to second order, so under no change
    8 ln(2) JS / noise ~ chi2(k - 1).
    """
    cells = cells or shared_cells(reference, current)
    if cells.freedom == 0:
        return _nothing("js", limits)
    e, a = cells.smoothed
    middle = (a + e) / 2.0
    slopes = (0.5 * np.log2(e / middle), 0.5 * np.log2(a / middle))
    value = max(0.0, float((e * slopes[0] + a * slopes[1]).sum()))
    return _quadratic("js", value, cells, slopes, limits, factor=1.0 / (8.0 * log(2.0)))


def chi_squared(
    reference: ColumnProfile, current: ColumnProfile, limits: Limits = DEFAULT.chi_squared, cells: Cells | None = None
) -> Distance:
    """Pearson's chi-squared on the 2 x k table; the distance is Cramer's V, its p-value is chi-squared's.

    V is taken on shares, V^2 = sum (a - e)^2 / (2 (a + e)), which is Cramer's V where both samples have as many rows:
    the plain one would shrink with every row that only one side adds.
    """
    cells = cells or shared_cells(reference, current)
    if cells.freedom == 0:
        return _nothing("chi_squared", limits)
    e, a = cells.shares
    gap = (a - e) / (a + e)
    slopes = (-gap - gap * gap / 2.0, gap - gap * gap / 2.0)
    squared = _quadratic("chi_squared", float((gap * (a - e)).sum()) / 2.0, cells, slopes, limits, factor=0.25)
    balance = sqrt(cells.n / cells.m)
    table = (balance * cells.current - cells.reference / balance) ** 2 / (cells.current + cells.reference)
    return Distance(
        name="chi_squared",
        value=sqrt(squared.value),
        corrected=sqrt(squared.corrected),
        p_value=float(chdtrc(cells.freedom, float(table.sum()))),
        low=sqrt(squared.low),
        high=sqrt(squared.high),
        warning=limits.warning,
        critical=limits.critical,
    )


def ks(reference: NumericProfile, current: NumericProfile, limits: Limits = DEFAULT.ks) -> Distance:
    """Kolmogorov-Smirnov, sup |F - G|, over the grid's cuts (exact for a reference of up to 512 distinct values).

    The p-value is Kolmogorov's limit law at nm / (n + m): conservative for few rows, repeated values and a coarse grid.
    """
    n, m = reference.present, current.present
    if n == 0 or m == 0:
        return _nothing("ks", limits)
    one, two = np.cumsum(reference.counts) / n, np.cumsum(current.counts) / m
    widest = int(np.argmax(np.abs(one - two)))
    f, g = float(one[widest]), float(two[widest])
    value, noise = abs(f - g), 1.0 / n + 1.0 / m
    corrected = sqrt(max(0.0, value * value - noise * KOLMOGOROV_SECOND))
    spread = Z * sqrt(f * (1.0 - f) / n + g * (1.0 - g) / m + noise * KOLMOGOROV_VARIANCE)
    return Distance(
        name="ks",
        value=value,
        corrected=corrected,
        p_value=float(kolmogorov(value / sqrt(noise))),
        low=max(0.0, corrected - spread),
        high=min(1.0, corrected + spread),
        warning=limits.warning,
        critical=limits.critical,
    )


def null_rate(reference: ColumnProfile, current: ColumnProfile, limits: Limits = DEFAULT.null_rate) -> Distance:
    """The current share of nulls over the reference's, with half a null added to both; 1 where neither has any.

    The p-value is chi-squared's with Yates' correction, for a rate that rose or fell; a fall exceeds no limit.
    """
    n, m, r, c = reference.rows, current.rows, reference.nulls, current.nulls
    if n == 0 or m == 0 or r + c == 0:
        return Distance("null_rate", 1.0, 1.0, None, 0.0, 1.0, limits.warning, limits.critical)
    value = ((c + 0.5) / (m + 1.0)) / ((r + 0.5) / (n + 1.0))
    spread = Z * sqrt(max(1.0 / (c + 0.5) - 1.0 / (m + 1.0) + 1.0 / (r + 0.5) - 1.0 / (n + 1.0), 0.0))
    valid = n + m - r - c
    excess = max(0.0, abs(c * (n - r) - r * (m - c)) - (n + m) / 2.0)
    p_value = float(chdtrc(1, (n + m) * excess / n * excess / m / (r + c) / valid)) if valid else 1.0
    low, high = value * exp(-spread), value * exp(spread)
    return Distance("null_rate", value, value, p_value, low, high, limits.warning, limits.critical)


def unseen(reference: CategoryProfile, current: CategoryProfile, limits: Limits = DEFAULT.unseen) -> Distance:
    """The share of rows whose category the reference does not list.

    A small reference misses categories by chance: Good and Turing's estimate of that share, (categories seen once) / n,
    is taken off, with the interval of Esty (1983). An effect only: chi-squared tests the same rows.
    """
    n, m = reference.present, current.present
    if n == 0 or m == 0 or reference.grid.hashed:
        return _nothing("unseen", limits, p_value=None)
    counts = np.asarray(reference.counts)
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    value = current.unlisted / m
    gap = value - once / n
    variance = max(once + 2.0 * twice - once * once / n, 0.0) / (n * float(n)) + value * (1.0 - value) / m
    spread = Z * sqrt(variance)
    low, high = max(0.0, gap - spread), min(1.0, max(0.0, gap + spread))
    return Distance("unseen", value, max(0.0, gap), None, low, high, limits.warning, limits.critical)


def outside(reference: NumericProfile, current: NumericProfile, limits: Limits = DEFAULT.outside) -> Distance:
    """The share of rows below the reference's smallest or above its largest value: a slipped unit, a broken sensor.

    The p-value is exact whatever the distribution. Under no change the k largest of all n + m rows are all current with
    probability m (m - 1) ... (m - k + 1) / ((n + m) (n + m - 1) ... (n + m - k + 1)); the smaller of the two sides'
    is doubled, ties make it conservative. `corrected` takes off the 1 / (n + 1) that each side is expected to hold.
    """
    n, m = reference.present, current.present
    ends = [cell for cell in (0, -1) if len(reference.counts) > 1 and reference.counts[cell] == 0]
    if n == 0 or m == 0 or not ends:
        return _nothing("outside", limits)
    beyond = [current.counts[cell] for cell in ends]
    logs = [gammaln(m + 1) - gammaln(m - k + 1) - gammaln(n + m + 1) + gammaln(n + m - k + 1) for k in beyond]
    value, chance = sum(beyond) / m, len(ends) / (n + 1.0)
    corrected = max(0.0, value - chance)
    spread = Z * sqrt(value * (1.0 - value) / m + chance / (n + 1.0))
    return Distance(
        name="outside",
        value=value,
        corrected=corrected,
        p_value=min(1.0, 2.0 * exp(min(0.0, *logs))),
        low=max(0.0, value - chance - spread),
        high=min(1.0, corrected + spread),
        warning=limits.warning,
        critical=limits.critical,
    )


def detectable_psi(cells: Cells, alpha: float, power: float = 0.8) -> float:
    """The smallest PSI that a test at `alpha` finds with probability `power` on these rows; infinite for no rows.

    Under a change PSI / noise is close to a noncentral chi2(k - 1), with noncentrality PSI / noise.
    """
    if cells.n == 0 or cells.m == 0:
        return float("inf")
    freedom = max(cells.freedom, 1)
    return float(chndtrinc(chdtri(freedom, alpha), freedom, 1.0 - power)) * cells.noise


def _quadratic(
    name: str, value: float, cells: Cells, slopes: tuple[Floats, Floats], limits: Limits, factor: float = 1.0
) -> Distance:
    """A distance that is `factor * noise * chi2(k - 1)` under no change. `slopes`: by the shares e and a."""
    unit = factor * cells.noise
    gap = value - cells.freedom * unit
    e, a = cells.shares
    variance = _variance(e, slopes[0]) / cells.n + _variance(a, slopes[1]) / cells.m + 2.0 * cells.freedom * unit * unit
    spread = Z * sqrt(variance)
    return Distance(
        name=name,
        value=value,
        corrected=max(0.0, gap),
        p_value=float(chdtrc(cells.freedom, value / unit)),
        low=max(0.0, gap - spread),
        high=max(0.0, gap + spread),
        warning=limits.warning,
        critical=limits.critical,
    )


def _variance(shares: Floats, numbers: Floats) -> float:
    mean = float((shares * numbers).sum())
    return float((shares * (numbers - mean) ** 2).sum())


def _nothing(name: str, limits: Limits, p_value: float | None = 1.0) -> Distance:
    """One cell, or none: no distance can be seen."""
    return Distance(name, 0.0, 0.0, p_value, 0.0, 0.0, limits.warning, limits.critical)
