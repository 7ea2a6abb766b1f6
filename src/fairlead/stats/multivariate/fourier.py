"""Maximum mean discrepancy in linear time, from sketches that add up (Rahimi, Recht 2007; Zhao, Meng 2015).

By Bochner's theorem exp(-|a - b|^2 / (2 s^2)) = E cos(w' (a - b)) for w ~ N(0, I / s^2). With D such frequencies,
drawn once, a row's features are phi = (cos w_j' x, sin w_j' x), each over sqrt(D), and phi(a)' phi(b) is the kernel's
estimate: itself a kernel, so the test is valid for any D, and only its power depends on it.

A sketch of n rows is n, the sum of phi, and the sum of phi phi'. Sketches add up: counts exactly, sums up to rounding.
|phi| = 1, so the unbiased mean of k over pairs of different rows is (|sum phi|^2 - n) / (n (n - 1)).
Under no change, with N = n m / (n + m), the central limit theorem gives

    N |mean phi(x) - mean phi(y)|^2  ->  sum of l_i chi2_i(1),

l_i the eigenvalues of the covariance of phi, estimated within the two sides.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.stats.multivariate.evidence import Evidence, detectable_square
from fairlead.stats.multivariate.mixture import quantile, tail
from fairlead.stats.multivariate.mmd import LIMIT, bandwidth, checked, relative

Floats = NDArray[np.float64]

FREQUENCIES = 256
CHUNK = 4_096


class FourierBasis(Struct, frozen=True, eq=False):
    """What both sides are measured with, fixed by the reference. `frequencies` has shape (d, D), `centre` (d,)."""

    frequencies: NDArray[np.float32]
    centre: Floats

    def features(self, rows: Floats) -> NDArray[np.float32]:
        """The features of (n, d) finite rows, (n, 2 D), each of length 1."""
        angles = (rows - self.centre).astype(np.float32) @ self.frequencies
        count = angles.shape[1]
        found = np.empty((len(rows), 2 * count), dtype=np.float32)
        np.cos(angles, out=found[:, :count])
        np.sin(angles, out=found[:, count:])
        found *= np.float32(1.0 / sqrt(count))
        return found

    def sketch(self, rows: Floats) -> FourierSketch:
        """The sketch of (n, d) finite rows, in memory that does not depend on n."""
        size = 2 * self.frequencies.shape[1]
        total, products = np.zeros(size), np.zeros((size, size))
        for start in range(0, len(rows), CHUNK):
            part = self.features(rows[start : start + CHUNK])
            total += part.sum(axis=0, dtype=np.float64)
            products += part.T @ part
        return FourierSketch(len(rows), total, products)


class FourierSketch(Struct, frozen=True, eq=False):
    """A batch of rows on a basis: their number, the sum of their features (2 D,), and of its products (2 D, 2 D)."""

    rows: int
    total: Floats
    products: Floats

    def __add__(self, other: FourierSketch) -> FourierSketch:
        """The sketch of both batches together. Raises `ValueError` for sketches of different sizes.

        >>> basis = fourier_basis(np.eye(3), np.random.default_rng(0))
        >>> (basis.sketch(np.eye(3)) + basis.sketch(np.zeros((2, 3)))).rows
        5
        """
        if self.total.shape != other.total.shape:
            raise ValueError(f"sketches of {self.total.size} and {other.total.size} features: use one basis")
        return FourierSketch(self.rows + other.rows, self.total + other.total, self.products + other.products)

    @property
    def likeness(self) -> float:
        """The unbiased mean of the kernel over pairs of different rows; 2 rows at least."""
        return (float(self.total @ self.total) - self.rows) / (self.rows * (self.rows - 1.0))

    @property
    def scatter(self) -> Floats:
        """The sum of (phi - mean)(phi - mean)', (2 D, 2 D)."""
        return np.asarray(self.products - np.outer(self.total, self.total) / self.rows)


def fourier_basis(reference: Floats, rng: np.random.Generator, frequencies: int = FREQUENCIES) -> FourierBasis:
    """Draws the frequencies, with the bandwidth by the reference's median distance. Raises `ValueError` for none.

    >>> fourier_basis(np.eye(3), np.random.default_rng(0), 8).features(np.eye(3)).shape
    (3, 16)
    """
    if frequencies < 1 or reference.ndim != 2 or not reference.size:
        raise ValueError(f"{frequencies} frequencies for a reference of shape {reference.shape}: pass (n, d), n > 0")
    centre = reference.mean(axis=0, dtype=np.float64)
    width = bandwidth(reference - centre, rng)
    drawn = rng.standard_normal((reference.shape[1], frequencies)) / width
    return FourierBasis(drawn.astype(np.float32), centre)


def fourier_mmd(
    reference: Floats,
    current: Floats,
    rng: np.random.Generator,
    *,
    alpha: float = 0.01,
    limit: float = LIMIT,
) -> Evidence:
    """As `mmd`, in time linear in the rows: for samples of thousands of rows. Raises `ValueError` as `mmd`.

    >>> rng = np.random.default_rng(0)
    >>> found = fourier_mmd(rng.normal(size=(3_000, 5)), rng.normal(0.1, 1.0, size=(3_000, 5)), rng)
    >>> found.p_value < 1e-9, round(found.effect, 2)
    (True, 0.07)
    """
    checked(reference, current)
    basis = fourier_basis(reference, rng)
    return compare_sketches(basis.sketch(reference), basis.sketch(current), alpha=alpha, limit=limit)


def compare_sketches(
    reference: FourierSketch, current: FourierSketch, *, alpha: float = 0.01, limit: float = LIMIT
) -> Evidence:
    """Tests whether the rows of two sketches on one basis come from one distribution.

    `statistic`, `effect` and `detectable` are those of `mmd`, for the kernel's estimate. `p_value` is the limit law's.
    Raises `ValueError` for fewer than 2 rows on a side, or an `alpha` outside (0, 1).
    """
    n, m = reference.rows, current.rows
    if min(n, m) < 2 or not 0.0 < alpha < 1.0:
        raise ValueError(f"{n:,} against {m:,} rows at alpha {alpha}: pass 2 of both at least, and an alpha in (0, 1)")
    gap = reference.total / n - current.total / m
    weights = np.asarray(np.linalg.eigvalsh((reference.scatter + current.scatter) / (n + m - 2.0)), np.float64)
    harmonic = n * m / (n + m)
    across = float(reference.total @ current.total) / (n * m)
    square = reference.likeness + current.likeness - 2.0 * across
    both = reference + current
    room = 1.0 - both.likeness
    mean = float(weights.clip(0.0).sum())
    warning, critical, beyond = ((quantile(weights, level) - mean) / harmonic for level in (0.95, 0.99, 1.0 - alpha))
    spread = sqrt(2.0 * float((weights**2).sum())) / harmonic
    return Evidence(
        method="mmd",
        statistic=square,
        effect=relative(square, room),
        limit=limit,
        p_value=tail(weights, harmonic * float(gap @ gap)),
        detectable=relative(detectable_square(beyond, spread), room),
        warning=warning,
        critical=critical,
    )
