"""Sums that do not depend on the order of adding: values as whole multiples of a power of two.

A grid fixes an origin and a unit 2^-exponent, so fine that half the reference's range is at most 2^36 units. A value
stands at the whole number q = rint((x - origin) 2^exponent), and whole numbers add up exactly: float64 holds a chunk's
sums (65,536 rows of at most 2^37 are 2^53), int64 and Python's integers the rest. Whatever the parts a table is cut
into, and whoever adds them up, the result is the same to the last bit. The rounding, half a unit a row, is 1e-11 of the
range.

Values beyond 2^37 units take two limbs, and beyond 2^61 (thirty million reference ranges away) they stop there.
"""

from __future__ import annotations

from math import frexp, isfinite, ldexp

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

CHUNK = 65_536  # rows at a time: what is computed on the way stays in the cache, and float64 sums stay exact
PLACE_BITS = 36
FARTHEST = 2.0**61
SINGLE = 2.0**37  # up to here a chunk's sum of places is exact in float64
LIMB = 31
LIMB_MASK = (1 << LIMB) - 1
SQUARE_LIMB = 19
DOT_ROWS = 8_192  # OpenBLAS starts threads for dot products above 10,000
LARGEST_EXPONENT = 1_000  # 2^exponent must be a float


def scale_of(low: float, high: float) -> tuple[float, int]:
    """The (origin, exponent) for a reference that runs from `low` to `high`, both finite.

    >>> scale_of(0.0, 1.0)
    (0.5, 36)
    """
    origin = low / 2 + high / 2
    reach = max(high - origin, origin - low) or abs(origin) or 1.0
    return origin, min(PLACE_BITS - frexp(reach)[1], LARGEST_EXPONENT)


def places(values: Floats, origin: float, exponent: int) -> Floats:
    """The whole numbers at which finite values (n,) stand, as float64."""
    with np.errstate(over="ignore"):
        found = np.subtract(values, origin)
        np.multiply(found, ldexp(1.0, exponent), out=found)
    np.rint(found, out=found)
    return np.clip(found, -FARTHEST, FARTHEST, out=found)


def cell_sums(codes: NDArray[np.intp], at: Floats, cells: int, largest: float) -> tuple[Whole, Whole]:
    """Sums per cell of one chunk's places, as limbs (high, low): the sum is high 2^31 + low.

    `codes` (n,) are cells, `at` (n,) places of at most `largest` units from the origin, n at most 65,536.
    """
    if largest <= SINGLE:
        sums = np.bincount(codes, weights=at, minlength=cells).astype(np.int64)
        return sums >> LIMB, sums & LIMB_MASK
    high = np.floor(at * 2.0**-LIMB)
    low = np.bincount(codes, weights=at - high * 2.0**LIMB, minlength=cells).astype(np.int64)
    return np.bincount(codes, weights=high, minlength=cells).astype(np.int64) + (low >> LIMB), low & LIMB_MASK


def carried(high: Whole, low: Whole) -> tuple[Whole, Whole]:
    """Limbs in their one canonical form, the low ones in [0, 2^31)."""
    return high + (low >> LIMB), low & LIMB_MASK


def square_sum(at: Floats, largest: float, spare: Floats) -> int:
    """The exact sum of squared places of at most 65,536 rows, none of them beyond `largest`.

    `spare` is room for as many rows; `at` is overwritten.
    """
    limbs: list[Floats] = []
    rest = at
    while largest > 2.0 ** (SQUARE_LIMB - 1):
        upper = spare[: at.size] if not limbs else np.empty(at.size)
        np.multiply(rest, 2.0**-SQUARE_LIMB, out=upper)
        np.rint(upper, out=upper)
        rest -= upper * 2.0**SQUARE_LIMB
        limbs.append(rest)
        rest, largest = upper, largest * 2.0**-SQUARE_LIMB
    limbs.append(rest)
    total = 0
    for i, one in enumerate(limbs):
        total += int(dot(one, one)) << (2 * i * SQUARE_LIMB)
        for j in range(i + 1, len(limbs)):
            total += int(dot(one, limbs[j])) << ((i + j) * SQUARE_LIMB + 1)
    return total


def whole_sum(high: Whole, low: Whole) -> int:
    """The sum of all cells' limbs as one integer."""
    return (int(high.sum()) << LIMB) + int(low.sum())


def as_float(numerator: int, denominator: int, exponent: int) -> float:
    """numerator / denominator / 2^exponent, stopped at the end of float64's range: JSON has no infinity."""
    try:
        return ldexp(numerator / denominator, -exponent)
    except OverflowError:
        return float(np.finfo(np.float64).max) * (1 if numerator > 0 else -1)


def within_range(number: float) -> float:
    """The number, or the nearest finite one; nan becomes 0."""
    return number if isfinite(number) else float(np.nan_to_num(number, nan=0.0))


def dot(one: Floats, two: Floats) -> float:
    """The sum of products, without waking threads; exact where every partial sum is a whole number below 2^53."""
    full = one.size - one.size % DOT_ROWS
    total = float(np.dot(one[full:], two[full:]))
    if full:
        total += float(np.vecdot(one[:full].reshape(-1, DOT_ROWS), two[:full].reshape(-1, DOT_ROWS)).sum())
    return total
