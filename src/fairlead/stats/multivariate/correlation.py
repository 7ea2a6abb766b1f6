"""Did the columns' dependence on each other change? Correlation matrices from co-moments that add up.

Columns are centred and scaled by the reference, once. For each pair a batch then keeps, over the rows in which both are
known, the count, both sums, both sums of squares and the sum of products: pairwise complete. Co-moments of batches add
up (counts exactly, sums up to rounding), so a side is the sum of its slots, say days.

    distance = |R_reference - R_current|_F / number of pairs

Under no change slots are exchangeable, so its law is found by dealing the slots to the two sides anew, as many to each
as before: every deal where there are few, else a random sample. Nothing is read again: a correlation is, to first
order, a mean of the slots' influences. Each deal's sum of squared changes is divided by the sum of their variances,
as the scatter between the slots of a side gives them (Chung, Romano, Annals of Statistics 2013): exact for exchangeable
slots, and right in the limit of many slots where one side's are larger or noisier than the other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import comb, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.stats.multivariate.evidence import POWER_Z, Evidence, Suspect

Floats = NDArray[np.float64]

LIMIT = 0.10
SHOWN = 10  # pairs that are named
CONSTANT = 1e-9  # variance, in the reference's, below which a column does not vary
ROOM = 4_000_000  # numbers that are held at once while slots are dealt


class Standard(Struct, frozen=True, eq=False):
    """Names, centres and scales of d columns, fixed by a reference: what every batch is standardised with."""

    names: tuple[str, ...]
    centre: Floats
    scale: Floats

    def co_moments(self, rows: Floats) -> CoMoments:
        """The co-moments of (n, d) rows; NaN and infinite values are left out, pair by pair.

        Raises `ValueError` for another number of columns.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.names):
            raise ValueError(f"rows of shape {rows.shape} for {len(self.names)} columns: pass (n, {len(self.names)})")
        known = np.isfinite(rows)
        held = np.where(known, (np.where(known, rows, 0.0) - self.centre) / self.scale, 0.0)
        there = known.astype(np.float64)
        return CoMoments(
            counts=np.rint(there.T @ there).astype(np.int64),
            sums=held.T @ there,
            squares=(held * held).T @ there,
            products=held.T @ held,
        )


class CoMoments(Struct, frozen=True, eq=False):
    """Sums over the rows in which columns i and j are both known, (d, d): of 1, of x_i, of x_i^2, of x_i x_j."""

    counts: NDArray[np.int64]
    sums: Floats
    squares: Floats
    products: Floats

    def __add__(self, other: CoMoments) -> CoMoments:
        """The co-moments of both batches together. Raises `ValueError` for another number of columns.

        >>> plain = Standard(("a", "b"), np.zeros(2), np.ones(2))
        >>> one, two = plain.co_moments(np.eye(2)), plain.co_moments(np.ones((3, 2)))
        >>> (one + two).counts.tolist()
        [[5, 5], [5, 5]]
        """
        if self.counts.shape != other.counts.shape:
            raise ValueError(f"co-moments of {len(self.counts)} and {len(other.counts)} columns cannot be added")
        return CoMoments(
            self.counts + other.counts,
            self.sums + other.sums,
            self.squares + other.squares,
            self.products + other.products,
        )

    @property
    def correlations(self) -> Floats:
        """Pearson's r for each pair, (d, d), in [-1, 1]; NaN where a column does not vary over the pair's rows.

        >>> plain = Standard(("a", "b"), np.zeros(2), np.ones(2))
        >>> plain.co_moments(np.array([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])).correlations.round(6).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
        """
        size = len(self.counts)
        upper = np.triu_indices(size)
        found = np.empty((size, size))
        found[upper] = _pearson(_stacked(self, upper))
        found[upper[::-1]] = found[upper]
        return found


def standard(reference: Floats, names: Sequence[str]) -> Standard:
    """Fixes centres and scales by the finite values of (n, d) rows: the mean and the standard deviation.

    A column without a finite value, or with one only, gets the scale 1. Raises `ValueError` for other shapes.

    >>> standard(np.array([[1.0, 5.0], [3.0, np.nan]]), ["a", "b"]).centre.tolist()
    [2.0, 5.0]
    """
    if reference.ndim != 2 or reference.shape[1] != len(names):
        raise ValueError(f"rows of shape {reference.shape} for {len(names)} names: pass (n, {len(names)})")
    known = np.isfinite(reference)
    counts = np.maximum(known.sum(axis=0), 1)
    centre = np.where(known, reference / counts, 0.0).sum(axis=0)
    largest = np.abs(np.where(known, reference - centre, 0.0)).max(axis=0, initial=0.0)
    unit = np.where(largest > 0.0, largest, 1.0)  # so that no square overflows
    scale = unit * np.sqrt((np.where(known, (reference - centre) / unit, 0.0) ** 2).sum(axis=0) / counts)
    return Standard(tuple(names), centre, np.where(scale > 0.0, scale, 1.0))


def correlation_shift(
    reference: Sequence[CoMoments],
    current: Sequence[CoMoments],
    names: Sequence[str],
    rng: np.random.Generator,
    *,
    permutations: int = 500,
    alpha: float = 0.01,
    limit: float = LIMIT,
) -> Evidence:
    """Compares the correlations of two sides, each a list of slots.

    `statistic` is the distance; `warning` and `critical` are the 95 % and 99 % points of its null. `effect` is the
    largest change of a correlation; `suspects` are the ten pairs that changed most, named "a ~ b", signed. `p_value` is
    the share of deals at least as far apart for their scatter, the true one among them. `detectable` is
    the change of a single correlation that would have been seen, infinite where too few slots can be dealt for `alpha`.
    Pairs that are constant, or never known together, on a side are left out. Raises `ValueError` for fewer than 2 slots
    on a side, and where no pair is left.
    """
    if min(len(reference), len(current)) < 2:
        raise ValueError(f"{len(reference)} against {len(current)} slots: dealing them anew needs 2 on each side")
    if permutations < 1 or not 0.0 < alpha < 1.0:
        raise ValueError(f"{permutations} permutations at alpha {alpha}: pass at least 1, and an alpha in (0, 1)")
    pairs = np.triu_indices(len(names), 1)
    slots = np.stack([_stacked(slot, pairs) for slot in (*reference, *current)])
    changes = _pearson(slots[len(reference) :].sum(axis=0)) - _pearson(slots[: len(reference)].sum(axis=0))
    known = np.flatnonzero(np.isfinite(changes))
    if not known.size:
        raise ValueError("no two columns vary together on both sides: there is no correlation to compare")
    changes = changes[known]
    deals = _deals(len(reference), len(slots), permutations, rng)
    null, variances = _ratios(slots[:, :, known], deals)
    p_value = float(np.count_nonzero(null >= null[0] * (1.0 - 1e-9))) / len(null)
    observed = sqrt(2.0 * float((changes**2).sum())) / known.size
    warning, critical, beyond = np.quantile(null, [0.95, 0.99, 1.0 - alpha]).tolist()
    unit = observed / sqrt(null[0]) if null[0] > 0.0 else 0.0
    worst = np.argsort(-np.abs(changes), kind="stable")[:SHOWN]
    return Evidence(
        method="correlation",
        statistic=observed,
        effect=float(np.abs(changes).max()),
        limit=limit,
        p_value=p_value,
        detectable=_seen(null, beyond, variances) if len(null) * alpha >= 1.0 else float("inf"),
        warning=unit * sqrt(warning),
        critical=unit * sqrt(critical),
        suspects=tuple(
            Suspect(f"{names[pairs[0][known[place]]]} ~ {names[pairs[1][known[place]]]}", float(changes[place]))
            for place in worst.tolist()
        ),
    )


def _stacked(one: CoMoments, pairs: tuple[NDArray[np.intp], NDArray[np.intp]]) -> Floats:
    """Count, both sums, both squares and the product of each pair, (6, pairs)."""
    i, j = pairs
    parts = (one.counts[i, j], one.sums[i, j], one.sums[j, i], one.squares[i, j], one.squares[j, i], one.products[i, j])
    return np.stack([np.asarray(part, dtype=np.float64) for part in parts])


def _pearson(stacked: Floats) -> Floats:
    """(…, 6, pairs) to (…, pairs)."""
    count, x, y, xx, yy, xy = (stacked[..., place, :] for place in range(6))
    with np.errstate(divide="ignore", invalid="ignore"):
        vx, vy = xx - x * x / count, yy - y * y / count
        varies = (vx > CONSTANT * np.maximum(xx, count)) & (vy > CONSTANT * np.maximum(yy, count))
        found = np.clip((xy - x * y / count) / np.sqrt(vx * vy), -1.0, 1.0)
    return np.where(varies, found, np.nan)


def _deals(first: int, slots: int, permutations: int, rng: np.random.Generator) -> Floats:
    """Which slots go to the reference, one deal a row: all deals, or the true one and a sample of the others."""
    if comb(slots, first) <= permutations + 1:
        chosen = np.array(list(combinations(range(slots), first)))
        deals = np.zeros((len(chosen), slots))
        np.put_along_axis(deals, chosen, 1.0, axis=1)
        return deals
    deals = np.zeros((permutations + 1, slots))
    deals[:, :first] = 1.0
    deals[1:] = rng.permuted(deals[1:], axis=1)
    return deals


def _ratios(slots: Floats, deals: Floats) -> tuple[Floats, Floats]:
    """For each deal the sum of squared changes over the sum of their variances; and the first deal's variances."""
    influence = _influence(slots)
    count = slots[:, 0]
    flat = np.concatenate([count, influence, influence**2, count * influence, count**2], axis=1)
    ratios, variances = np.zeros(len(deals)), np.zeros(count.shape[1])
    step = max(1, ROOM // flat.shape[1])
    for start in range(0, len(deals), step):
        part = slice(start, start + step)
        (one, noise), (two, other) = (_side(side, flat) for side in (deals[part], 1.0 - deals[part]))
        noise += other
        total = noise.sum(axis=1)
        np.divide(((two - one) ** 2).sum(axis=1), total, out=ratios[part], where=total > 0.0)
        variances = variances if start else noise[0]
    return ratios, variances


def _side(deals: Floats, flat: Floats) -> tuple[Floats, Floats]:
    """The correlations of the slots dealt to one side, less the pooled ones, and their variances; (deals, pairs)."""
    count, total, squares, crossed, counts = np.split(deals @ flat, 5, axis=1)
    slots = deals.sum(axis=1, keepdims=True)
    known = np.maximum(count, 1.0)
    mean = total / known
    scatter = np.maximum(squares - 2.0 * mean * crossed + mean**2 * counts, 0.0)
    return mean, scatter * slots / (slots - 1.0) / known**2


def _influence(slots: Floats) -> Floats:
    """What each slot adds to the pooled correlation, times the rows, to first order; (slots, pairs).

    Sum over rows of z_x z_y - r (z_x^2 + z_y^2) / 2, z standardised by the pooled rows.
    """
    whole = slots.sum(axis=0)
    n, x, y, xx, yy, xy = (slots[:, place] for place in range(6))
    mx, my = whole[1] / whole[0], whole[2] / whole[0]
    vx, vy = whole[3] / whole[0] - mx**2, whole[4] / whole[0] - my**2
    squared = [(xx - 2.0 * mx * x + n * mx**2) / vx, (yy - 2.0 * my * y + n * my**2) / vy]
    crossed = (xy - mx * y - my * x + n * mx * my) / np.sqrt(vx * vy)
    return np.asarray(crossed - _pearson(whole) * (squared[0] + squared[1]) / 2.0)


def _seen(null: Floats, beyond: float, variances: Floats) -> float:
    """The change d of one correlation that is seen with 80 % power, at most 2.

    It adds d^2 to the expected sum of squares, and 4 d^2 v to its variance, v being that of one pair's difference: the
    noisiest pair's. Dealt slots differ by d as well, which adds d^2 / slots or less to the null; the sum of squares'
    own spread is taken at twice its size for it. Solved by iteration from below.
    """
    unit = float(variances.sum())
    excess, variance = (beyond - float(null.mean())) * unit, 4.0 * float(null.var()) * unit * unit
    square = 0.0
    for _ in range(50):
        square = max(0.0, excess + POWER_Z * sqrt(variance + 4.0 * square * float(variances.max())))
    return min(2.0, sqrt(square))
