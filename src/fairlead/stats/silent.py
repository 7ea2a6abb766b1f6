"""Faults that keep values plausible, told from three profiles of a column: the reference, the window before, and now.

| symptom | shown by |
|---|---|
| `default` | one value takes a tenth of the rows or more from all others, which keep their proportions |
| `renamed` | the same shares under other names: the sorted shares stand still, and the names moved |
| `fractions` | 5 % of the rows hold fractions where the reference and the window before held whole numbers only |
| `scale` | values spread five times as wide or as narrow as before, and most lie where few lay |

The first two need more than the form of a fault where a column moves by itself: who calls asks them only of a column
that moved more than it usually does.
"""

from __future__ import annotations

from math import sqrt

import numpy as np

from fairlead.stats.exact import Floats
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile
from fairlead.stats.symptoms import FEWEST, SHARE, SIGMAS, elsewhere

TAKEN = 0.1  # of the rows, that a value must take to be called a default
MUCH = 1 / 3  # of the rows, where nothing says that the column moved more than it usually does
OTHERS = 2.5  # as many others as equal ones would be, for their proportions to mean something
FEW_OTHERS = 1.5  # the same, where the column did move
PROPORTIONAL = 0.25  # how far the others may move among themselves, as a share of what was taken
SMALL = 0.05  # of the rows: who moved less, and no more than usual, is not looked at
RENAMED = 0.1  # of the rows, that must change their name
SAME = 0.25  # how much of that may be left once both are sorted
SPREAD = 5.0  # times as wide, or as narrow
FEW_CELLS = 3  # with which shares have an order to lose
_CHANCE = 0.7978845608028654  # E|z|, z standard normal
_ROUNDING = 1e-6
_FINEST = 1e-3  # a unit of sums, above which fractions cannot be seen


def silent_of(
    reference: ColumnProfile, before: ColumnProfile, now: ColumnProfile, *, size: float, unusual: bool
) -> str:
    """The symptom of a column, empty for none. `size` is how far it moved, as a share of the rows, and `unusual` says
    that this is more than it usually does.

    >>> from fairlead.stats.columns import NumericColumn
    >>> from fairlead.stats.profile import profile
    >>> was = profile([NumericColumn("nights", np.arange(400) % 9.0)])
    >>> logs = profile([NumericColumn("nights", np.log1p(np.arange(400) % 9.0))], was.grids)
    >>> silent_of(was.columns[0], was.columns[0], logs.columns[0], size=0.0, unusual=False)
    'fractions'
    """
    if isinstance(reference, NumericProfile) and isinstance(now, NumericProfile) and broken_up(reference, before, now):
        return "fractions"
    if (size < SMALL and not unusual) or min(reference.present, before.present, now.present) < FEWEST:
        return ""
    if unusual and isinstance(before, NumericProfile) and isinstance(now, NumericProfile) and _scaled(before, now):
        return "scale"
    if unusual and isinstance(before, CategoryProfile) and isinstance(now, CategoryProfile) and _renamed(before, now):
        return "renamed"
    return "default" if _defaulted(reference, before, now, moved=unusual) else ""


def broken_up(reference: NumericProfile, before: ColumnProfile, now: NumericProfile) -> bool:
    """Whether a column of whole numbers holds fractions, which the window before did not."""
    if (
        fractional(reference)
        or now.present < FEWEST
        or not now.finite
        or _is_whole(now.mean * now.finite, now.finite, now)
    ):
        return False
    return _fractions(now) >= SHARE * now.present and isinstance(before, NumericProfile) and not _fractions(before)


def fractional(profile: NumericProfile) -> bool:
    """Whether a column is anything but whole numbers, as far as its cells show. A profile remembers it."""
    known: bool | None = profile.__dict__.get("_fractional")
    if known is None:
        coarse = 2.0**-profile.grid.exponent > _FINEST
        infinite = profile.low_infinite + profile.high_infinite
        known = profile.__dict__["_fractional"] = coarse or infinite > 0 or _fractions(profile) > 0
    return known


def _fractions(profile: NumericProfile) -> int:
    """Rows of the cells whose sum is no whole number, beyond rounding."""
    counts = profile.counts
    filled = np.flatnonzero(counts)
    sums, rows = profile.sums[filled], counts[filled]
    apart = np.abs(sums - np.rint(sums)) > rows * 2.0**-profile.grid.exponent + 1e-9 * np.abs(sums) + _ROUNDING
    return int(rows[apart].sum())


def _is_whole(total: float, rows: int, profile: NumericProfile) -> bool:
    rounding = rows * 2.0**-profile.grid.exponent + 1e-9 * abs(total) + _ROUNDING
    return abs(total - round(total)) <= rounding


def _scaled(before: NumericProfile, now: NumericProfile) -> bool:
    was, is_now = before.deviation, now.deviation
    if not was or not is_now:
        return False
    return not 1.0 / SPREAD < is_now / was < SPREAD and elsewhere(before, now)


def _renamed(before: CategoryProfile, now: CategoryProfile) -> bool:
    """Whether the sorted shares stand still while those of the names moved."""
    was, is_now = shares_of(before), shares_of(now)
    if np.count_nonzero(was + is_now) < FEW_CELLS - 1:
        return False
    moved = 0.5 * float(np.abs(was - is_now).sum())
    sorted_moved = 0.5 * float(np.abs(np.sort(was) - np.sort(is_now)).sum())
    chance = _chance(was, before.present, now.present)
    return moved - chance >= RENAMED and max(sorted_moved - chance, 0.0) <= SAME * (moved - chance)


def _defaulted(reference: ColumnProfile, before: ColumnProfile, now: ColumnProfile, *, moved: bool) -> bool:
    """Whether one cell took rows from all others, which kept their proportions: some rows where the column `moved` more
    than it usually does, else a third of them from so many others that chance would not have kept their proportions."""
    was, is_now = shares_of(before), shares_of(now)
    known = was if moved else np.maximum(was, shares_of(reference))
    top = int(np.argmax(is_now - known))
    base = float(known[top])
    taken = (float(is_now[top]) - base) / (1.0 - base) if base < 1.0 else 0.0
    error = sqrt(max(base * (1.0 - base), 1.0 / now.present) * (1.0 / before.present + 1.0 / now.present))
    if taken < (TAKEN if moved else MUCH) or is_now[top] - base < SIGMAS * error:
        return False
    rows = (before.present, now.present)
    return _proportional(was, is_now, top, rows, taken, FEW_OTHERS if moved else OTHERS)


def _proportional(was: Floats, is_now: Floats, top: int, rows: tuple[int, int], taken: float, others: float) -> bool:
    """Whether the cells other than `top` stand to each other as they did, by at most a share of what was taken, chance
    left out; and whether there are so many, as equal ones count."""
    rest_was, rest_now = was.copy(), is_now.copy()
    rest_was[top] = rest_now[top] = 0.0
    left, left_now = float(rest_was.sum()), float(rest_now.sum())
    if not left or not left_now:
        return False
    starts = np.arange(0, was.size, -(-was.size // _PARTS))
    one, two = np.add.reduceat(rest_was / left, starts), np.add.reduceat(rest_now / left_now, starts)
    if 1.0 / float(np.square(0.5 * (one + two)).sum()) < others:
        return False
    chance = _chance(one, max(1, round(left * rows[0])), max(1, round(left_now * rows[1])))
    return 0.5 * float(np.abs(one - two).sum()) - chance <= PROPORTIONAL * taken


_PARTS = 32  # cells that proportions are compared in


def _chance(shares: Floats, before: int, now: int) -> float:
    """The total variation that chance alone shows."""
    return 0.5 * _CHANCE * float(np.sqrt(shares * (1.0 - shares) * (1.0 / before + 1.0 / now)).sum())


def shares_of(column: ColumnProfile) -> Floats:
    """The shares of a column's cells among its values; what a grid of categories does not list is the last."""
    counts = column.counts if isinstance(column, NumericProfile) else (*column.counts, column.unlisted)
    return np.asarray(counts, np.float64) / column.present
