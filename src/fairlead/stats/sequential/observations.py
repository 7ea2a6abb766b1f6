"""What a stream may hold. A missing value would void a guarantee silently, so each of these refuses it, with its place.

All take anything array-like with time on the last axis and return float arrays. An empty batch is allowed: it is no
observation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def unit_interval(values: ArrayLike, what: str = "value") -> Floats:
    """Values in [0, 1], or `ValueError` with the first that is not.

    >>> unit_interval([0, 0.5, True])
    array([0. , 0.5, 1. ])
    """
    found = np.asarray(values, dtype=np.float64)
    # One pass and no temporary: nan fails both comparisons of its minimum.
    if found.size and not (found.min() >= 0.0 and found.max() <= 1.0):
        at, value = _first(found, (found >= 0.0) & (found <= 1.0))
        raise ValueError(
            f"{what} {at} is {value}, outside 0 to 1: scale by the largest possible value, drop what is nan"
        )
    return found


def zero_one(values: ArrayLike, what: str = "outcome") -> Floats:
    """Values that are 0 or 1 (or booleans), or `ValueError` with the first that is not."""
    given = np.asarray(values)
    if given.dtype == np.bool_:
        return given.astype(np.float64)
    found = given.astype(np.float64)
    fits = (found == 0.0) | (found == 1.0)
    if not fits.all():
        at, value = _first(found, fits)
        raise ValueError(f"{what} {at} is {value}: it must be 0 or 1")
    return found


def marks(values: ArrayLike, what: str = "mark") -> Floats:
    """Values that are 1, 0 or -1 (for "no such observation"), or `ValueError` with the first that is not."""
    found = np.asarray(values, dtype=np.float64)
    fits = (found == 0.0) | (found == 1.0) | (found == -1.0)
    if not fits.all():
        at, value = _first(found, fits)
        raise ValueError(f"{what} {at} is {value}: it must be 1, 0, or -1 where there was none")
    return found


def finite(values: ArrayLike, what: str = "value") -> Floats:
    """Finite values, or `ValueError` with the first that is nan or infinite."""
    found = np.asarray(values, dtype=np.float64)
    if not np.isfinite(found).all():
        at, value = _first(found, np.isfinite(found))
        raise ValueError(f"{what} {at} is {value}: count what is missing elsewhere, and leave it out here")
    return found


def open_shares(values: ArrayLike, like: Floats) -> Floats:
    """The canary's share of traffic at each observation, in (0, 1); one number stands for all. `like` gives the shape.

    A share of 0 or 1 is refused: with one arm there is nothing to compare.

    >>> open_shares(0.05, np.zeros(2))
    array([0.05, 0.05])
    """
    found = np.asarray(values, dtype=np.float64)
    if found.size and not (found.min() > 0.0 and found.max() < 1.0):
        at, value = _first(found, (found > 0.0) & (found < 1.0))
        raise ValueError(
            f"share {at} of the canary is {value}: with 0 or 1 one arm alone answers, so leave that time out"
        )
    return _like(found, like)


def closed_shares(values: ArrayLike, like: Floats) -> Floats:
    """As `open_shares`, with 0 and 1 allowed."""
    return _like(unit_interval(values, "share"), like)


def cells(values: ArrayLike, count: int) -> Ints:
    """Places of cells, 0 to `count` - 1, or `ValueError` with the first that is not one."""
    given = np.asarray(values)
    if given.size and given.dtype.kind not in "iub":
        raise ValueError(f"cells are {given.dtype}: give each observation the place of its cell, an integer")
    found = given.astype(np.int64, copy=False)
    if found.size and not (found.min() >= 0 and found.max() < count):
        at, value = _first(found, (found >= 0) & (found < count))
        raise ValueError(f"cell {at} is {value}: there are {count} cells, counted from 0")
    return found


def _like(found: Floats, like: Floats) -> Floats:
    if found.ndim and found.shape[-1] != like.shape[-1]:
        raise ValueError(f"{found.shape[-1]} shares for {like.shape[-1]} observations: give one each, or one for all")
    spread: Floats = np.broadcast_to(found, like.shape)
    return spread


def _first(found: NDArray[np.float64] | Ints, fits: NDArray[np.bool_]) -> tuple[int, float]:
    at = int(np.argmin(fits.ravel()))
    return at, found.ravel()[at].item()
