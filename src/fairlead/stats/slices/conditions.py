"""What a slice may be made of: a category, an interval between quantiles, missing; and columns as small codes.

Every column becomes codes of at most 17 cells: the 15 most frequent categories and the rest of them, or ten quantile
cells of the pooled rows, then the cell of missing values. A condition is a set of cells of one column: one category, a
run of neighbouring quantile cells, or the missing ones; never all cells, and never the rest of the categories, which
has no name.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]

BINS = 10
CATEGORIES = 15


class Condition(Struct, frozen=True):
    """One condition: a `category`, or `low < x <= high` with None for an open end, or `missing`.

    >>> Condition("age", low=30.0).text, Condition("city", category="Porto").text
    ('age > 30', 'city = Porto')
    """

    column: str
    category: str | None = None
    low: float | None = None
    high: float | None = None
    missing: bool = False

    @property
    def text(self) -> str:
        """As people write it."""
        if self.missing:
            return f"{self.column} is missing"
        if self.category is not None:
            return f"{self.column} = {self.category}"
        if self.low is None:
            return f"{self.column} <= {_number(self.high)}"
        if self.high is None:
            return f"{self.column} > {_number(self.low)}"
        return f"{_number(self.low)} < {self.column} <= {_number(self.high)}"

    def holds(self, column: Column) -> Flags:
        """The rows of a column, (rows,), that meet the condition."""
        if isinstance(column, CategoricalColumn):
            if self.missing:
                return np.asarray(column.codes < 0, np.bool_)
            named = np.array([name == self.category for name in (*column.categories, None)])
            return np.asarray(named[column.codes], np.bool_) & (column.codes >= 0)
        if self.missing:
            return np.isnan(column.values)
        found = ~np.isnan(column.values)
        if self.low is not None:
            found &= column.values > self.low
        if self.high is not None:
            found &= column.values <= self.high
        return found


class Coded(Struct, frozen=True, eq=False):
    """A column as codes of shape (rows,), below `cells`; `conditions` with the cells of each, (conditions, cells).

    `simple` marks conditions that name one bound, one category or missing.
    """

    name: str
    codes: Codes
    cells: int
    conditions: tuple[Condition, ...]
    members: Floats
    simple: Flags


def coded(reference: Column, current: Column) -> Coded | None:
    """Both samples' rows as codes, the reference's first; None for a column that offers no condition.

    Raises `ValueError` where one holds numbers and the other categories.
    """
    if isinstance(reference, NumericColumn) and isinstance(current, NumericColumn):
        return _numbers(reference.name, np.concatenate([reference.values, current.values]))
    if isinstance(reference, CategoricalColumn) and isinstance(current, CategoricalColumn):
        return _categories(reference, current)
    raise ValueError(f"column {reference.name!r} holds numbers on one side and categories on the other")


def _numbers(name: str, values: Floats) -> Coded | None:
    null = np.isnan(values)
    known = np.sort(values[~null])
    cuts = _cuts(known)
    codes = np.searchsorted(cuts, values, side="left")
    bins = cuts.size + 1
    codes[null] = bins
    conditions, members, simple = [], [], []
    for first in range(bins):
        for last in range(first, bins):
            if (first, last) == (0, bins - 1):
                continue
            low = None if first == 0 else float(cuts[first - 1])
            high = None if last == bins - 1 else float(cuts[last])
            conditions.append(Condition(name, low=low, high=high))
            members.append((np.arange(bins + 1) >= first) & (np.arange(bins + 1) <= last))
            simple.append(low is None or high is None)
    return _with_missing(name, codes, bins, (conditions, members, simple), some=bool(null.any()))


def _cuts(known: Floats) -> Floats:
    """Inner quantiles, without the largest value: the last cell must not be empty."""
    if known.size == 0:
        return np.empty(0)
    places = (np.arange(1, BINS) * known.size) // BINS
    cuts = np.unique(known[np.maximum(places - 1, 0)])
    return np.asarray(cuts[cuts < known[-1]], np.float64)


def _categories(reference: CategoricalColumn, current: CategoricalColumn) -> Coded | None:
    names = {name: place for place, name in enumerate(dict.fromkeys((*reference.categories, *current.categories)))}
    wide = len(names)
    codes = np.concatenate([_recoded(reference, names), _recoded(current, names)])
    counts = np.bincount(codes, minlength=wide + 1)
    order = np.argsort(-counts[:wide], kind="stable")[:CATEGORIES]
    order = order[counts[order] > 0]
    place = np.full(wide + 1, order.size)
    place[order] = np.arange(order.size)
    place[wide] = order.size + 1
    listed = list(names)
    conditions = [Condition(reference.name, category=listed[one]) for one in order]
    members = [np.arange(order.size + 2) == one for one in range(order.size)]
    some = bool(counts[wide])
    if order.size == 1 and counts[order[0]] == codes.size:
        return None
    parts = (conditions, members, [True] * order.size)
    return _with_missing(reference.name, place[codes], order.size + 1, parts, some=some)


def _recoded(column: CategoricalColumn, names: dict[str, int]) -> Codes:
    mine = np.array([*(names[name] for name in column.categories), len(names)])
    return np.asarray(mine[column.codes], np.intp)  # null is -1: the last


def _with_missing(
    name: str,
    codes: Codes,
    cells: int,
    parts: tuple[list[Condition], list[Flags], list[bool]],
    *,
    some: bool,
) -> Coded | None:
    conditions, members, simple = parts
    if some and conditions:
        # A condition of all values but the missing ones is worth naming only by its opposite.
        conditions = [*conditions, Condition(name, missing=True)]
        members = [*members, np.arange(cells + 1) == cells]
        simple = [*simple, True]
    if not conditions:
        return None
    flags = np.asarray(members, np.float64)
    return Coded(name, codes.astype(np.intp), cells + 1, tuple(conditions), flags, np.asarray(simple, np.bool_))


def described(conditions: Sequence[Condition]) -> str:
    """A conjunction as people write it.

    >>> described([Condition("hotel", category="City"), Condition("lead", low=120.0)])
    'hotel = City and lead > 120'
    """
    return " and ".join(one.text for one in conditions)


def _number(value: float | None) -> str:
    return f"{value:.6g}"
