"""Did the columns' dependence on each other change? Correlation matrices from co-moments that add up.

Columns are centred and scaled by the reference, once. For each pair a batch then keeps, over the rows in which both are
known, the count, both sums, both sums of squares and the sum of products: pairwise complete. Co-moments of batches add
up (counts exactly, sums up to rounding), so a side is the sum of its slots, say days.

    distance = |R_reference - R_current|_F / number of pairs

Under no change slots are exchangeable, so its law is that of the distance after the slots are dealt to the two sides
anew, as many to each as before: every deal where there are few, else a random sample of them. Nothing is read again.
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
    the share of deals at least as far apart, the true one among them: exact for exchangeable slots. `detectable` is
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
    whole = slots.sum(axis=0)
    first = slots[: len(reference)].sum(axis=0)
    changes = _pearson(whole - first) - _pearson(first)
    known = np.flatnonzero(np.isfinite(changes))
    if not known.size:
        raise ValueError("no two columns vary together on both sides: there is no correlation to compare")
    slots, whole, changes = slots[:, :, known], whole[:, known], changes[known]
    deals = _deals(len(reference), len(slots), permutations, rng)
    null = _squares(slots, whole, deals)
    observed = float((changes**2).sum())
    p_value = float(np.count_nonzero(null >= observed * (1.0 - 1e-9))) / len(null)
    warning, critical, beyond = np.quantile(null, [0.95, 0.99, 1.0 - alpha]).tolist()
    worst = np.argsort(-np.abs(changes), kind="stable")[:SHOWN]
    return Evidence(
        method="correlation",
        statistic=sqrt(2.0 * observed) / known.size,
        effect=float(np.abs(changes).max()),
        limit=limit,
        p_value=p_value,
        detectable=_seen(null, beyond) if len(null) * alpha >= 1.0 else float("inf"),
        warning=sqrt(2.0 * warning) / known.size,
        critical=sqrt(2.0 * critical) / known.size,
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


def _squares(slots: Floats, whole: Floats, deals: Floats) -> Floats:
    """The sum of squared changes of each deal."""
    flat = slots.reshape(len(slots), -1)
    found = np.empty(len(deals))
    step = max(1, ROOM // flat.shape[1])
    for start in range(0, len(deals), step):
        one = (deals[start : start + step] @ flat).reshape(-1, *whole.shape)
        gap = _pearson(whole - one) - _pearson(one)
        found[start : start + step] = np.nansum(gap * gap, axis=-1)
    return found


def _seen(null: Floats, beyond: float) -> float:
    """A change of one correlation adds its square to the sum."""
    return min(2.0, sqrt(max(0.0, beyond + POWER_Z * float(null.std()) - float(null.mean()))))
