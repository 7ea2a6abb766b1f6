"""Who gets which arm. An arm is 0, 1, …; arm 0 is the control.

| split | unit | use where | mind |
|---|---|---|---|
| `by_place` of random numbers | request | answers know no state | one user sees several arms |
| `by_place` of hashes | user | answers are personal | a stable, salted hash of the unit |
| `by_size` | region, shop | arms would meet in one place | few units: analyse regions, not rows |
| `by_time_block` | time block | users cannot be told apart | effects that outlast a block; analyse blocks |
| `stratified` | user, listed beforehand | subgroups must be balanced | needs the whole list |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


def by_place(places: ArrayLike, shares: Sequence[float], full: Sequence[float] | None = None) -> Codes:
    """The arm of each place on [0, 1). `shares` are those of the treatments, at most 1 in all; the rest is control.

    Treatment j holds [s, s + shares[j]) where s is the sum of the `full` shares before it (default: `shares`), so with
    the final shares as `full` every step of a ramp only adds units: who is in the 1 % set is in the 5 % set, whatever
    the number of arms. Raises `ValueError` for a place outside [0, 1), a negative share, a share above its full one, or
    shares beyond 1.

    >>> by_place([0.02, 0.3, 0.6], [0.05, 0.05], full=[0.5, 0.5]).tolist()
    [1, 0, 0]
    >>> by_place([0.02, 0.3, 0.6], [0.5, 0.5]).tolist()
    [1, 1, 2]
    """
    at, held = np.asarray(places, np.float64), np.asarray(shares, np.float64)
    whole = held if full is None else np.asarray(full, np.float64)
    if not ((at >= 0.0) & (at < 1.0)).all():
        raise ValueError("a place lies outside [0, 1): hash the unit onto it, or draw it at random")
    if held.shape != whole.shape or not (held >= 0.0).all() or not (held <= whole).all() or whole.sum() > 1.0 + 1e-9:
        raise ValueError(f"treatment shares {held.tolist()} of {whole.tolist()}: 0 or more, at most those, 1 in all")
    starts = np.concatenate(([0.0], np.cumsum(whole)))[:-1]
    stripe = np.maximum(np.searchsorted(starts, at, side="right") - 1, 0)
    inside = at < starts[stripe] + held[stripe]
    return np.where(inside, stripe + 1, 0)


def stratified(strata: ArrayLike, arms: int, rng: np.random.Generator) -> Codes:
    """Equal shares within each stratum: units (n,) in random order take the arms in turn, in permuted blocks.

    Within a stratum two arms differ by at most one unit. Every arm is equally likely for every unit.

    >>> found = stratified(["a"] * 4 + ["b"] * 6, 2, np.random.default_rng(1))
    >>> int(found[:4].sum()), int(found[4:].sum())
    (2, 3)
    """
    _arms(arms)
    _, codes = np.unique(np.asarray(strata), return_inverse=True)
    codes = codes.ravel()
    order = np.lexsort((rng.random(codes.size), codes))
    sizes = np.bincount(codes)
    place = np.arange(codes.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # within the stratum
    return _in_blocks(order, place, arms, rng)


def by_size(sizes: ArrayLike, arms: int, rng: np.random.Generator) -> Codes:
    """Clusters (n,) of known `sizes`: neighbours in size form a block, and each block's arms are permuted.

    The arms' total sizes then differ by at most the largest size, and their numbers by at most one.

    >>> by_size([100, 90, 12, 10], 2, np.random.default_rng(0)).tolist()
    [0, 1, 1, 0]
    """
    _arms(arms)
    held = np.asarray(sizes, np.float64)
    order = np.lexsort((rng.random(held.size), -held))
    return _in_blocks(order, np.arange(held.size), arms, rng)


def time_blocks(at: ArrayLike, start: float, seconds: float) -> Codes:
    """The number of the block that each instant lies in: blocks of `seconds`, the first from `start`.

    Raises `ValueError` for an instant before the start and for blocks of no length.

    >>> time_blocks([0.0, 3599.0, 3600.0], start=0.0, seconds=3600.0).tolist()
    [0, 0, 1]
    """
    held = np.asarray(at, np.float64)
    if not 0.0 < seconds < np.inf or not (held >= start).all():
        raise ValueError(f"blocks of {seconds} seconds from {start}: longer than 0, and no instant before the start")
    return np.floor((held - start) / seconds).astype(np.intp)


def by_time_block(blocks: int, arms: int, rng: np.random.Generator) -> Codes:
    """A switchback's schedule (blocks,): the arm of each time block, permuted within every `arms` successive blocks.

    So each arm gets each part of the day about equally often, and no drift of the level favours one of them.

    >>> by_time_block(6, 2, np.random.default_rng(3)).tolist()
    [1, 0, 0, 1, 0, 1]
    """
    _arms(arms)
    order = np.arange(blocks)
    return _in_blocks(order, order, arms, rng)


def settled(at: ArrayLike, start: float, seconds: float, washout: float) -> NDArray[np.bool_]:
    """Which instants lie at least `washout` seconds into their block: what the block before left behind has gone.

    >>> settled([0.0, 100.0, 700.0], start=0.0, seconds=600.0, washout=60.0).tolist()
    [False, True, True]
    """
    held = np.asarray(at, np.float64)
    return np.asarray(held - start - time_blocks(held, start, seconds) * seconds >= washout)


def _in_blocks(order: Codes, place: Codes, arms: int, rng: np.random.Generator) -> Codes:
    """Arms in the order given; `place` counts within a stratum. Each block takes a fresh permutation of all arms."""
    block = np.cumsum(place % arms == 0) - 1
    turns = rng.permuted(np.tile(np.arange(arms), (int(block[-1]) + 1 if block.size else 0, 1)), axis=1)
    found = np.empty(order.size, dtype=np.intp)
    found[order] = turns[block, place % arms]
    return found


def _arms(arms: int) -> None:
    if arms < 2:
        raise ValueError(f"{arms} arms: an experiment has a control and at least one treatment")
