"""The smallest segment that explains why losses rose.

Rows lie in cells of several features. Of a segment (one cell, or a cell of one feature within a cell of another) the
excess is the loss of its rows less what held-out rows of that cell lost. A segment explains the rise if it holds at
least 60 % of the whole excess in less than half of the rows, and its own excess is beyond chance: z above the normal
quantile of 0.01 over the number of segments looked at (Bonferroni), with the larger of the two variances, expected and
seen. Of those that explain it, the one of the fewest rows is the smallest.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import sqrt
from statistics import NormalDist

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Cells = NDArray[np.uint8]

FEWEST = 30  # rows of a segment
SHARE = 0.6
LARGEST = 0.5
ALPHA = 0.01
WIDTH = 256


class Segment(Struct, frozen=True):
    """A segment by the numbers of its features and their cells, its rows, mean loss, what was expected of it, and its
    share of the whole excess."""

    features: tuple[int, ...]
    cells: tuple[int, ...]
    rows: int
    loss: float
    expected: float
    share: float


def smallest(cells: Cells, losses: Floats, expected: Floats) -> Segment | None:
    """The smallest segment that explains the rise; None where none does. `cells` and `expected` are (features, rows),
    `losses` (rows,): in which cell each row lies, and what held-out rows of that cell lost in the mean.

    >>> cells = np.arange(1000, dtype=np.uint8)[None, :] % 4
    >>> losses = np.where(cells[0] == 3, 0.5, 0.1) * np.ones(1000)
    >>> found = smallest(cells, losses, np.full((1, 1000), 0.1))
    >>> (found.cells, found.rows, round(found.share, 2))
    ((3,), 250, 1.0)
    """
    found = list(_segments(cells, losses, expected))
    if not found:
        return None
    least = NormalDist().inv_cdf(1.0 - ALPHA / len(found))
    explaining = [one for one, z in found if z > least and one.share >= SHARE]
    return min(explaining, key=lambda one: (one.rows, len(one.features), -one.share), default=None)


def _segments(cells: Cells, losses: Floats, expected: Floats) -> Iterator[tuple[Segment, float]]:
    """Every segment of enough rows, with the z of its excess."""
    numbers = range(len(cells))
    for features in [*((one,) for one in numbers), *combinations(numbers, 2)]:
        code = np.zeros(losses.size, np.int64)
        for feature in features:
            code = code * WIDTH + cells[feature]
        hoped = np.max(expected[list(features)], axis=0)
        excess = float((losses - hoped).sum())
        if excess > 0.0:
            yield from _cut(features, code, losses, hoped, excess)


def _cut(
    features: tuple[int, ...], code: NDArray[np.int64], losses: Floats, hoped: Floats, excess: float
) -> Iterator[tuple[Segment, float]]:
    values, place = np.unique(code, return_inverse=True)
    counts = np.bincount(place)
    lost, due, squares = (np.bincount(place, one) for one in (losses, hoped, losses**2))
    for number in np.flatnonzero((counts >= FEWEST) & (counts < LARGEST * losses.size)).tolist():
        rows, loss, mean = int(counts[number]), float(lost[number]), float(due[number]) / int(counts[number])
        seen = float(squares[number]) / rows - (loss / rows) ** 2
        error = sqrt(rows * max(mean * (1.0 - mean), seen, 1e-9))
        beyond = loss - float(due[number])
        value = int(values[number])
        parts = (value,) if len(features) == 1 else divmod(value, WIDTH)
        yield Segment(features, parts, rows, loss / rows, mean, beyond / excess), beyond / error
