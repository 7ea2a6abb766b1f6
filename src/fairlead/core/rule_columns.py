"""A rule over whole columns: which rows surely obey it.

Columns are worked on as float64, whose sums and comparisons can differ from Python's own where numbers reach 2^53
or are not finite. Such rows, those with a null, and those that seem to break the rule are not sure: they are asked one
by one, and so both ways of asking give the same answer to every row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairlead.core.contract import Feature, Rule
from fairlead.core.rules import Logic, Value, checked

EXACT = 2.0**53
Mask = NDArray[np.bool_]


class Columns(tuple[Any, ...]):
    """What a rule sees in the place of a row: an array (n,) in each place. `doubt` (n,) grows while it is asked."""

    doubt: Mask


class _ColumnLogic(Logic):
    """Over arrays. Unlike with rows, every part is computed for every row."""

    def worked(self, work: Callable[[Any, Any], Any], left: Value, right: Value) -> Value:
        """Arithmetic, with a doubt where its result is not exact."""

        def at(columns: Any) -> Any:
            found = work(left(columns), right(columns))
            columns.doubt |= ~(np.abs(found) < EXACT)
            return found

        return at

    def gathered(self, parts: Sequence[Value], *, every: bool) -> Value:
        """All of several truths, or any."""
        gather = np.logical_and if every else np.logical_or
        return lambda columns: reduce(gather, (part(columns) for part in parts))

    def negated(self, part: Value) -> Value:
        """Not."""
        return lambda columns: np.logical_not(part(columns))

    def among(self, value: Value, known: frozenset[Any], *, inside: bool) -> Value:
        """In a list of constants, or not in it."""
        return lambda columns: reduce(np.logical_or, (value(columns) == each for each in known)) == inside


class ColumnRule:
    """One rule, ready for the columns of one contract."""

    def __init__(self, rule: Rule, features: Sequence[Feature]) -> None:
        """Raises `UsageError` for a rule that cannot be read."""
        self._check = checked(rule, features, _ColumnLogic())

    def surely_holds(self, columns: Sequence[NDArray[Any]], missing: Sequence[Mask]) -> Mask:
        """(n,) whether a row obeys beyond doubt. `columns` stand in the contract's order, numbers as numbers, texts as
        objects; `missing` (n,) each, where a value means nothing."""
        places = self._check.places
        rows = len(columns[places[0]])
        named: list[Any] = [None] * len(columns)
        doubt = np.zeros(rows, np.bool_)
        for place in places:
            values = columns[place]
            if values.dtype.kind in "iuf":
                values = values.astype(np.float64)
                doubt |= ~(np.abs(values) < EXACT)
            named[place] = values
            doubt |= missing[place]
        seen = Columns(named)
        seen.doubt = doubt
        try:
            with np.errstate(all="ignore"):
                found = np.broadcast_to(np.asarray(self._check.judge(seen), np.bool_), (rows,))
        except (OverflowError, ZeroDivisionError):  # of constants among themselves, or one that no float holds
            return np.zeros(rows, np.bool_)
        return found & ~seen.doubt
