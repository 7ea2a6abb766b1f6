"""What a training set may give away: rows that were seen before, and features that tell the target by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from math import isnan, nan
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.performance import Floats, auroc

Hashes = NDArray[np.uint64]
SKETCH = 1_000  # distinct rows of a table that are remembered
CELLS = 50  # of equal rows, in which a number is looked at


class Sketch(Struct, frozen=True):
    """Which rows a table held: the hashes below a bound, of the distinct ones the least. `columns` were hashed."""

    columns: tuple[str, ...]
    below: int  # 2^64 where every row is remembered
    hashes: tuple[int, ...]


def row_hashes(columns: Sequence[Column]) -> Hashes:
    """A hash (n,) of each row, whatever the order of the columns; equal rows of two tables have equal ones.

    A number is hashed by its value as float64 (any null is one value, and so are 0 and -0), a category by its text.

    >>> one = row_hashes([NumericColumn("a", np.array([1.0, 1.0, 2.0]))])
    >>> bool(one[0] == one[1]), bool(one[0] == one[2])
    (True, False)
    """
    if not columns:
        return np.zeros(0, np.uint64)
    total = np.zeros(columns[0].rows, np.uint64)
    for column in columns:
        total += _mixed(_cells(column) ^ _name_hash(column.name))
    return _mixed(total)


def twins(own: Hashes, other: Hashes | None = None) -> NDArray[np.bool_]:
    """Which rows have an equal one in the other table; without one, elsewhere in the same table.

    >>> some = np.array([1, 2, 2], np.uint64)
    >>> twins(some).tolist(), twins(some, np.array([1], np.uint64)).tolist()
    ([False, True, True], [True, False, False])
    """
    if other is not None:
        return np.isin(own, other)
    _, place, counts = np.unique(own, return_inverse=True, return_counts=True)
    return np.asarray(counts[place] > 1, np.bool_)


def sketch(names: Sequence[str], hashes: Hashes, size: int = SKETCH) -> Sketch:
    """The rows of the least hashes: a random sample of the distinct rows, the same in every table."""
    distinct = np.unique(hashes)
    kept = distinct[:size]
    below = 2**64 if distinct.size <= size else int(kept[-1]) + 1
    return Sketch(tuple(sorted(names)), below, tuple(kept.tolist()))


def remembered(known: Sketch, hashes: Hashes) -> tuple[int, int]:
    """Of some rows, how many the sketch can tell of, and how many of those the table held."""
    asked = hashes if known.below >= 2**64 else hashes[hashes < np.uint64(known.below)]
    return int(asked.size), int(np.isin(asked, np.array(known.hashes, np.uint64)).sum())


def single_score(column: Column, truth: Floats, *, classes: int) -> float:
    """How well one column (n,) tells the truth by itself, on rows that were not learned from: AUROC from 0.5 to 1 for
    two classes, the best class's for several; for `classes` 0 the share of variance explained, 0 to 1. nan where the
    truth does not vary.

    The even rows give each category, or each of 50 cells of a number, its mean, and score the odd rows; then the other
    way round, and the lesser counts. So an identifier, whose values never come twice, tells nothing.

    >>> x = np.arange(400.0); y = (x % 7 > 3).astype(float)
    >>> [round(single_score(NumericColumn("", column), y, classes=2), 1) for column in (y, x)]
    [1.0, 0.5]
    """
    cells = _coded(column)
    if classes == 0:
        return _explained(cells, truth)
    if classes == 2:
        return _ranked(cells, truth)
    found = [_ranked(cells, (truth == place).astype(np.float64)) for place in range(classes)]
    return max((each for each in found if not isnan(each)), default=nan)


def copies(columns: Sequence[Column], truth: Floats) -> tuple[str, ...]:
    """The columns that are the truth under other names: each of their values goes with one truth, and each truth with
    one value. A column without a value in every row is none, and neither is one that does not vary."""
    found = []
    for column in columns:
        codes = _whole(column)
        if codes is None or not codes.size:
            continue
        _, own = np.unique(codes, return_inverse=True)
        _, other = np.unique(truth, return_inverse=True)
        kinds = int(own.max()) + 1
        if kinds > 1 and kinds == int(other.max()) + 1 == np.unique(own * kinds + other).size:
            found.append(column.name)
    return tuple(found)


def _ranked(cells: NDArray[np.intp], truth: Floats) -> float:
    found = [auroc(truth[test], _means(cells, truth, learn)[cells[test]]) for learn, test in _halves(truth.size)]
    known = [each for each in found if not isnan(each)]
    return max(min(known), 0.5) if known else nan


def _explained(cells: NDArray[np.intp], truth: Floats) -> float:
    found = []
    for learn, test in _halves(truth.size):
        spread = float(((truth[test] - truth[test].mean()) ** 2).sum()) if test.any() else 0.0
        if spread > 0:
            rest = float(((truth[test] - _means(cells, truth, learn)[cells[test]]) ** 2).sum())
            found.append(max(0.0, 1.0 - rest / spread))
    return min(found, default=nan)


def _halves(rows: int) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    even = np.arange(rows) % 2 == 0
    return [(even, ~even), (~even, even)]


def _means(cells: NDArray[np.intp], truth: Floats, learn: NDArray[np.bool_]) -> Floats:
    """The mean truth of each cell, with one row of the mean of all put into each."""
    size = int(cells.max()) + 1 if cells.size else 0
    counts = np.bincount(cells[learn], minlength=size)
    sums = np.bincount(cells[learn], truth[learn], size)
    every = float(truth[learn].mean()) if learn.any() else 0.0
    return np.asarray((sums + every) / (counts + 1.0), np.float64)


def _coded(column: Column) -> NDArray[np.intp]:
    """A cell number for each row, 0 for a null: categories as they are, numbers by their values or in 50 cells."""
    if isinstance(column, CategoricalColumn):
        return np.asarray(column.codes + 1, np.intp)
    known = column.values[~np.isnan(column.values)]
    kinds = np.unique(known)
    if kinds.size > CELLS:
        kinds = np.unique(np.quantile(known, np.arange(1, CELLS) / CELLS, method="higher"))
    found = np.searchsorted(kinds, np.nan_to_num(column.values, nan=0.0), side="right") + 1
    found[np.isnan(column.values)] = 0
    return np.asarray(found, np.intp)


def _whole(column: Column) -> NDArray[Any] | None:
    """A column's values, where every row has one."""
    if isinstance(column, NumericColumn):
        return None if np.isnan(column.values).any() else column.values
    return None if (column.codes < 0).any() else column.codes


def _cells(column: Column) -> Hashes:
    if isinstance(column, CategoricalColumn):
        known = np.array([_name_hash(text) for text in column.categories] + [0], np.uint64)
        return known[column.codes]  # -1, a null, is the last
    values = column.values + 0.0  # -0 is 0
    values[np.isnan(values)] = np.nan
    return values.view(np.uint64)


def _name_hash(text: str) -> np.uint64:
    return np.uint64(int.from_bytes(sha256(text.encode("utf-8", "surrogatepass")).digest()[:8], "little"))


def _mixed(values: Hashes) -> Hashes:
    """Steele, Lea and Flood's finaliser (SplitMix64, 2014)."""
    z = values + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)), np.uint64)
