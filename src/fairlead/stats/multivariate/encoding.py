"""Columns to numbers that a kernel or a model can read: both sides at once, without a look at which side a row is from.

What is fitted here (means, scales, the list of categories) is fitted to the pooled rows, in no order: a permutation of
the rows between the sides changes nothing, so a permutation test on what comes out is as exact as on the raw rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import frexp

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.grid import HEAVY_TAIL

Floats = NDArray[np.float64]

MOST_CATEGORIES = 50  # the others share one place
FARTHEST = 10.0  # deviations that any value counts for, at most
FARTHEST_RAW = 1e100
REACH = 200  # powers of two: a fourth power then stays within float64


class Encoded(Struct, frozen=True, eq=False):
    """Both sides as (n, d) and (m, d), the names of the d columns, and which of them hold codes."""

    reference: Floats
    current: Floats
    names: tuple[str, ...]
    categorical: tuple[int, ...] = ()


def for_kernel(reference: Sequence[Column], current: Sequence[Column]) -> Encoded:
    """Finite numbers in which a typical difference of any column is about the same.

    A number becomes its deviations from the mean, cut at 10 (where the kurtosis exceeds 20, from the median, in units
    of the interquartile range / 1.349); a null becomes 0, with a column that says so. A category becomes a 1 in its own
    column, the 50 most frequent having one each; a null has one too. Two rows thus differ by 2 in squared distance, in
    expectation or where their categories differ. Raises `ValueError` for columns of different kinds.

    >>> side = [NumericColumn("age", np.array([1.0, 3.0, np.nan]))]
    >>> for_kernel(side, side).reference.tolist()
    [[-1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    """
    parts: list[Floats] = []
    names: list[str] = []
    for one, two in zip(reference, current, strict=True):
        encoded = _deviations(*_numbers(one, two)) if isinstance(one, NumericColumn) else _indicators(*_codes(one, two))
        parts.append(encoded)
        names += [one.name] * encoded.shape[1]
    return _split(np.hstack(parts), reference[0].rows, tuple(names))


def for_model(reference: Sequence[Column], current: Sequence[Column]) -> Encoded:
    """Numbers as they are, NaN for null, cut at 1e100; categories as codes, the most frequent first, NaN for null.

    Raises `ValueError` for columns of different kinds.

    >>> side = [CategoricalColumn("city", np.array([1, 1, 0, -1], dtype=np.int32), ("Oslo", "Rome"))]
    >>> for_model(side, side).current[:, 0].tolist()
    [0.0, 0.0, 1.0, nan]
    """
    parts: list[Floats] = []
    categorical = []
    for place, (one, two) in enumerate(zip(reference, current, strict=True)):
        if isinstance(one, NumericColumn):
            known, cut = _numbers(one, two)
            parts.append(np.where(known | np.isinf(cut), np.clip(cut, -FARTHEST_RAW, FARTHEST_RAW), np.nan))
        else:
            codes, _ = _codes(one, two)
            parts.append(np.where(codes < 0, np.nan, codes.astype(np.float64)))
            categorical.append(place)
    names = tuple(column.name for column in reference)
    return _split(np.column_stack(parts), reference[0].rows, names, tuple(categorical))


def _numbers(one: Column, two: Column) -> tuple[NDArray[np.bool_], Floats]:
    """Where the pooled values are finite, and the values."""
    if not isinstance(one, NumericColumn) or not isinstance(two, NumericColumn):
        raise ValueError(f"column {one.name!r} holds numbers on one side only")  # noqa: TRY004
    pooled = np.concatenate([one.values, two.values])
    return np.isfinite(pooled), pooled


def _deviations(known: NDArray[np.bool_], pooled: Floats) -> Floats:
    pooled = _within_reach(known, pooled)
    finite = pooled[known]
    with np.errstate(over="ignore", invalid="ignore"):
        centre, scale = (float(finite.mean()), float(finite.std())) if finite.size else (0.0, 0.0)
        if not 0.0 < scale < float("inf") or finite.min() == finite.max():
            scale = 1.0
        elif float(np.mean(((finite - centre) / scale) ** 4)) > HEAVY_TAIL:
            low, middle, high = np.quantile(finite, [0.25, 0.5, 0.75]).tolist()
            centre, scale = (middle, (high - low) / 1.349) if high > low else (centre, scale)
        shifted = np.clip(np.nan_to_num((pooled - centre) / scale, nan=0.0), -FARTHEST, FARTHEST)
    null = np.isnan(pooled)
    return np.column_stack([shifted, null]) if null.any() else shifted[:, None]


def _within_reach(known: NDArray[np.bool_], pooled: Floats) -> Floats:
    """The values, in units of a power of two where their squares would leave float64: deviations have no unit."""
    size = frexp(float(np.abs(pooled[known]).max(initial=0.0)))[1]
    return pooled if abs(size) <= REACH else np.ldexp(pooled, -size)


def _codes(one: Column, two: Column) -> tuple[NDArray[np.int64], int]:
    """The pooled rows' codes, the most frequent category first (equally frequent: by name), and how many there are."""
    if not isinstance(one, CategoricalColumn) or not isinstance(two, CategoricalColumn):
        raise ValueError(f"column {one.name!r} holds categories on one side only")  # noqa: TRY004
    names = sorted({*one.categories, *two.categories})
    place = {name: code for code, name in enumerate(names)}
    pooled = np.concatenate([_recoded(side, place) for side in (one, two)])
    counts = np.bincount(pooled + 1, minlength=len(names) + 1)[1:]
    rank = np.empty(len(names) + 1, dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(len(names))
    rank[-1] = -1
    return rank[pooled], int(np.count_nonzero(counts))


def _recoded(side: CategoricalColumn, place: dict[str, int]) -> NDArray[np.int64]:
    table = np.array([*(place[name] for name in side.categories), -1], dtype=np.int64)
    return np.asarray(table[side.codes])


def _indicators(codes: NDArray[np.int64], count: int) -> Floats:
    width = min(count, MOST_CATEGORIES + 1)
    places = np.where(codes < 0, width, np.minimum(codes, width - 1))
    found = np.zeros((codes.size, width + int((codes < 0).any())))
    found[np.arange(codes.size), places] = 1.0
    return found


def _split(pooled: Floats, rows: int, names: tuple[str, ...], categorical: tuple[int, ...] = ()) -> Encoded:
    return Encoded(pooled[:rows], pooled[rows:], names, categorical)
