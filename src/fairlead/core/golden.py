"""Which rows make the golden set: the ends of every feature first, then rows at random."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from fairlead.stats.columns import Column, NumericColumn

_RARE = 10  # rarest categories taken of each feature


def choose(columns: Sequence[Column], size: int, rng: np.random.Generator) -> tuple[int, ...]:
    """At most `size` row numbers, ascending: up to half of them rows at an extreme (least, greatest, missing, rare
    category), each feature having its turn, the rest drawn at random.

    Rows that hold an infinity are left out, because JSON cannot carry them. The same columns and generator choose the
    same rows.

    >>> column = NumericColumn("age", np.array([40.0, 20.0, np.nan, 90.0, 41.0, 42.0]))
    >>> choose([column], 6, np.random.default_rng(0))
    (0, 1, 2, 3, 4, 5)
    """
    rows = columns[0].rows if columns else 0
    usable = np.ones(rows, bool)
    for column in columns:
        if isinstance(column, NumericColumn):
            usable &= ~np.isinf(column.values)
    chosen: dict[int, None] = {}
    for turn in zip_longest(*(_ends(column, usable) for column in columns)):
        for row in turn:
            if row is not None and len(chosen) < size // 2:
                chosen[row] = None
    rest = np.setdiff1d(np.flatnonzero(usable), np.fromiter(chosen, np.int64))
    drawn = rng.permutation(rest)[: size - len(chosen)].tolist()
    return tuple(sorted([*chosen, *drawn]))


def _ends(column: Column, usable: NDArray[np.bool_]) -> Iterator[int]:
    """The rows where a column is missing, least, greatest, or rarest."""
    if isinstance(column, NumericColumn):
        missing = np.isnan(column.values)
        yield from _first(missing & usable)
        known = np.flatnonzero(usable & ~missing)
        if known.size:
            values = column.values[known]
            yield int(known[values.argmin()])
            yield int(known[values.argmax()])
        return
    yield from _first((column.codes < 0) & usable)
    codes = column.codes[usable & (column.codes >= 0)]
    counts = np.bincount(codes, minlength=len(column.categories))
    seen = np.flatnonzero(counts)
    for code in seen[np.argsort(counts[seen], kind="stable")][:_RARE]:
        yield from _first((column.codes == code) & usable)


def _first(where: NDArray[np.bool_]) -> Iterator[int]:
    if where.any():
        yield int(where.argmax())
