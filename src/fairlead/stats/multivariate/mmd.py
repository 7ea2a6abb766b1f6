"""Maximum mean discrepancy (Gretton, Borgwardt, Rasch, Schölkopf, Smola, JMLR 2012), exact, with a permutation test.

With k(a, b) = exp(-|a - b|^2 / (2 s^2)) and the unbiased estimate

    MMD^2 = mean of k(x, x') + mean of k(y, y') - 2 mean of k(x, y), over pairs of different rows,

a permutation of the pooled rows changes which entries are averaged, never an entry. Each entry is thus computed once:
the upper triangle goes by in tiles, and every permutation is a row of a 0/1 matrix Z that a tile is multiplied with.
From z' K z and z' K 1 follow all three means. Memory is one tile, whatever the rows; time is quadratic.

s is the median heuristic: the median distance between pairs of at most 1,000 pooled rows, drawn without a look at which
side a row is from, so that the permutation test stays exact. Tiles are float32 where the exponent's rounding
is below 1e-4, which is all but rows that lie far outside the others.
"""

from __future__ import annotations

from math import exp, sqrt
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.stats.multivariate.evidence import Evidence, detectable_square

Floats = NDArray[np.float64]

LIMIT = 0.05
MEDIAN_ROWS = 1_000
TILE_ROWS, TILE_COLUMNS = 512, 2_048
SINGLE = 1e3  # squared norms, in bandwidths, up to which float32 is accurate
FARTHEST = 1e6  # bandwidths beyond which a row is equally far from everything
NO_ROOM = 1e-9  # a spread that is only rounding
LARGEST = 1e150  # so that a sum of rows is finite
CENTRE = exp(-0.5)  # the kernel at the median distance: sums of what exceeds it lose no digits


class _Sums(Struct, frozen=True, eq=False):
    """For each split of the pooled rows: z' K z, z' K 1; and 1' K 1, all less CENTRE and without the diagonal."""

    within: Floats
    across: Floats
    total: float


def mmd(
    reference: Floats,
    current: Floats,
    rng: np.random.Generator,
    *,
    permutations: int = 500,
    alpha: float = 0.01,
    limit: float = LIMIT,
) -> Evidence:
    """Tests whether two samples, (n, d) and (m, d) of finite numbers, come from one distribution.

    `statistic` is the unbiased MMD^2, which is below 0 in about half of all samples without a change. `p_value` is
    (1 + permutations at least as large) / (1 + permutations): exact for exchangeable rows, whatever n, m and d.
    `effect` is sqrt(max(0, MMD^2) / (1 - mean k)): the distance of the means over the spread, in the kernel's
    feature space. For columns that are standardised it is close to the root mean square shift of a column in standard
    deviations. `alpha` enters only `detectable`. Raises `ValueError` for fewer than 2 rows on a side, other shapes,
    values that are not finite, or no permutation.

    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(100, 5)), rng.normal(0.5, 1.0, size=(80, 5))
    >>> found = mmd(x, y, rng)
    >>> round(found.p_value, 3), round(found.effect, 2)
    (0.002, 0.41)
    """
    pooled = _checked(reference, current)
    if permutations < 1 or not 0.0 < alpha < 1.0:
        raise ValueError(f"{permutations} permutations at alpha {alpha}: pass at least 1, and an alpha in (0, 1)")
    if not np.ptp(pooled, axis=0).any():
        return Evidence("mmd", statistic=0.0, effect=0.0, limit=limit, p_value=1.0, detectable=0.0)
    n, rows = len(reference), len(pooled)
    pooled = _scaled(pooled, bandwidth(pooled, rng))
    splits = np.zeros((permutations + 1, rows), dtype=np.float32)
    splits[:, :n] = 1.0
    splits[1:] = rng.permuted(splits[1:], axis=1)
    sums = _sums(pooled, splits)
    found = _unbiased(sums, n, rows - n)
    observed, null = float(found[0]), found[1:]
    spread = float(null.std())
    p_value = (1.0 + float(np.count_nonzero(null >= observed - 1e-6 * spread))) / (1.0 + permutations)
    room = 1.0 - CENTRE - sums.total / (rows * (rows - 1.0))
    warning, critical, beyond = np.quantile(null, [0.95, 0.99, 1.0 - alpha]).tolist()
    seen = relative(detectable_square(beyond, spread), room)
    return Evidence(
        method="mmd",
        statistic=observed,
        effect=relative(observed, room),
        limit=limit,
        p_value=p_value,
        detectable=seen if (permutations + 1) * alpha >= 1.0 else float("inf"),
        warning=warning,
        critical=critical,
    )


def bandwidth(pooled: Floats, rng: np.random.Generator) -> float:
    """The median distance between different rows, of at most 1,000 drawn at random; 1.0 where all are equal.

    Where more than half of the pairs are at no distance, the mean distance stands in.

    >>> bandwidth(np.array([[0.0], [1.0], [3.0]]), np.random.default_rng(0))
    2.0
    """
    rows = pooled if len(pooled) <= MEDIAN_ROWS else pooled[rng.choice(len(pooled), MEDIAN_ROWS, replace=False)]
    largest = float(np.abs(rows).max())
    if largest == 0.0:
        return 1.0
    scaled = rows / largest
    norms = np.einsum("ij,ij->i", scaled, scaled)
    upper = np.triu_indices(len(rows), 1)
    squares = np.maximum(norms[upper[0]] + norms[upper[1]] - 2.0 * (scaled @ scaled.T)[upper], 0.0)
    middle = sqrt(float(np.median(squares)))
    if middle < 1e-7:
        middle = float(np.sqrt(squares).mean())
    return middle * largest if middle > 1e-7 else 1.0


def relative(square: float, room: float) -> float:
    """A squared distance of means as a multiple of the spread around them; 0 where there is no spread.

    >>> relative(0.04, 0.16), relative(-0.1, 0.5)
    (0.5, 0.0)
    """
    return sqrt(max(0.0, square) / room) if room > NO_ROOM else 0.0


def checked(reference: Floats, current: Floats) -> None:
    """Raises `ValueError` for samples that no kernel can compare."""
    if reference.ndim != 2 or current.ndim != 2 or reference.shape[1] != current.shape[1] or not reference.shape[1]:
        raise ValueError(f"samples of shape {reference.shape} and {current.shape}: pass (n, d) and (m, d)")
    if min(len(reference), len(current)) < 2:
        raise ValueError(f"{len(reference):,} against {len(current):,} rows: an unbiased estimate needs 2 of both")
    if not all(float(np.abs(side).max()) < LARGEST for side in (reference, current)):  # NaN is not smaller either
        raise ValueError(f"a value is missing, infinite or beyond {LARGEST:g}: leave such rows out, or fill them in")


def _checked(reference: Floats, current: Floats) -> Floats:
    checked(reference, current)
    pooled = np.concatenate([reference, current], dtype=np.float64)
    pooled -= pooled.mean(axis=0)  # distances stay, and lose fewer digits
    return pooled


def _scaled(pooled: Floats, width: float) -> Floats:
    """Rows in bandwidths; those beyond FARTHEST are drawn in, so that squares stay finite."""
    pooled /= width
    largest = np.abs(pooled).max(axis=1)
    far = largest > FARTHEST
    if far.any():
        pooled[far] *= (FARTHEST / largest[far])[:, None]
    return pooled


def _sums(pooled: Floats, splits: NDArray[np.float32]) -> _Sums:
    """Goes once through the upper triangle of the kernel matrix."""
    norms = np.einsum("ij,ij->i", pooled, pooled)
    held = np.float32 if norms.max() <= SINGLE else np.float64
    left, right = _augmented(pooled, norms, held)
    signs: NDArray[Any] = np.vstack([splits, np.ones(len(pooled), dtype=np.float32)]).astype(held, copy=False)
    within, across = np.zeros(len(signs)), np.zeros(len(signs))
    for top in range(0, len(pooled), TILE_ROWS):
        rows = slice(top, top + TILE_ROWS)
        here = signs[:, rows]
        for start in range(top, len(pooled), TILE_COLUMNS):
            tile = left[rows] @ right[start : start + TILE_COLUMNS].T
            np.exp(tile, out=tile)
            tile -= held(CENTRE)
            if start == top:
                square = tile[:, : len(tile)]
                square[:] = np.triu(square, 1)
            there = signs[:, start : start + TILE_COLUMNS]
            weighted = here @ tile
            within += 2.0 * (weighted * there).sum(axis=1, dtype=np.float64)
            across += weighted.sum(axis=1, dtype=np.float64) + there @ weighted[-1].astype(held)
    return _Sums(within[:-1], across[:-1], float(within[-1]))


def _augmented(pooled: Floats, norms: Floats, held: type[np.float32 | np.float64]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Two matrices whose product is -|a - b|^2 / 2, so that a tile is one multiplication and one exp."""
    halves, ones = -0.5 * norms[:, None], np.ones((len(pooled), 1))
    return np.hstack([pooled, halves, ones]).astype(held), np.hstack([pooled, ones, halves]).astype(held)


def _unbiased(sums: _Sums, n: int, m: int) -> Floats:
    crossing = sums.across - sums.within
    other = sums.total - sums.within - 2.0 * crossing
    return np.asarray(sums.within / (n * (n - 1.0)) + other / (m * (m - 1.0)) - 2.0 * crossing / (n * m))
