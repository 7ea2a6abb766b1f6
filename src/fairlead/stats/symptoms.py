"""What a column looks like when its pipeline broke, told from two profiles of it: before, and now.

| symptom | shown by |
|---|---|
| `missing` | no value left, where there were some |
| `null` | the share of nulls at least doubled, by at least 5 % of the rows, beyond chance |
| `unseen` | at least 5 % of the rows hold categories that neither the reference nor the window before held |
| `x100` and the like | mean and spread are a power of ten times what they were, and most values lie where none lay |
| `frozen` | every row holds one value, which chance would give less than once in a million windows |

Of values around 0 the spread alone tells a factor. None of them asks for a large shift: a column that was nearly
constant can freeze. Natural change shows them rarely, since each needs the form of a fault, not its size only.
"""

from __future__ import annotations

from math import inf, isfinite, log, log10, sqrt

import numpy as np

from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile

FEWEST = 30  # rows of either side, below which nothing is called a symptom
SHARE = 0.05
CERTAIN = 1e-6
MANY = 3  # different values that a column must have held to be called frozen
SIGMAS = 5.0
BEYOND = 0.6  # of the values of one side, beyond nine tenths of the other's
CENTRED = 1.5  # standard deviations from 0, up to which a mean says nothing of a factor


def symptom_of(before: ColumnProfile, now: ColumnProfile | None, many: int = MANY) -> str:
    """The symptom of a column, empty for none. Frozen is only what held `many` different values before.

    >>> from fairlead.stats.columns import NumericColumn
    >>> from fairlead.stats.profile import profile
    >>> was = profile([NumericColumn("price", np.linspace(50.0, 150.0, 400))])
    >>> cents = profile([NumericColumn("price", 100 * np.linspace(50.0, 150.0, 400))], was.grids)
    >>> symptom_of(was.columns[0], cents.columns[0])
    'x100'
    """
    if now is None or now.present == 0:
        return "missing" if before.present > 0 else ""
    if min(before.rows, now.rows) < FEWEST:
        return ""
    if _risen(before.nulls, before.rows, now.nulls, now.rows):
        return "null"
    if min(before.present, now.present) < FEWEST:
        return ""
    return _of_values(before, now) or ("frozen" if _frozen(before, now, many) else "")


def _of_values(before: ColumnProfile, now: ColumnProfile) -> str:
    if isinstance(before, NumericProfile) and isinstance(now, NumericProfile):
        return _factor(before, now)
    if isinstance(before, CategoryProfile) and isinstance(now, CategoryProfile):
        return "unseen" if _risen(0, before.present, _new(before, now), now.present) else ""
    return ""


def _risen(before: int, rows_before: int, now: int, rows_now: int) -> bool:
    """Whether a share at least doubled, by 5 % of the rows and by five standard errors."""
    was, is_now = before / rows_before, now / rows_now
    both = (before + now) / (rows_before + rows_now)
    error = sqrt(both * (1 - both) * (1 / rows_before + 1 / rows_now))
    return is_now >= 2 * was and is_now - was >= SHARE and is_now - was > SIGMAS * error


def _new(before: CategoryProfile, now: CategoryProfile) -> int:
    """Rows whose category neither the reference nor the window before held; none of an open vocabulary."""
    return sum(rows for name, rows in now.unseen.items() if name not in before.unseen)


def _factor(before: NumericProfile, now: NumericProfile) -> str:
    """A power of ten that both mean and spread were multiplied by, as `x100` or `/100`."""
    ratios = [] if _centred(before) and _centred(now) else [_ratio(now.mean, before.mean)]
    if before.deviation or now.deviation:  # a constant has no spread to multiply
        ratios.append(_ratio(now.deviation, before.deviation))
    if not all(0 < ratio < inf for ratio in ratios):
        return ""
    power = round(log10(ratios[0]))
    near = all(abs(log10(ratio) - power) < 0.25 for ratio in ratios)
    if not power or not near or not (elsewhere(before, now) or _around(before, now)):
        return ""
    return f"x{10**power:,}" if power > 0 else f"/{10**-power:,}"


def _ratio(now: float, before: float) -> float:
    return now / before if before and isfinite(now) and isfinite(before) else 0.0


def elsewhere(before: NumericProfile, now: NumericProfile) -> bool:
    """Whether half of the values that are not 0 lie where hardly any did."""
    if before.minimum is not None and now.maximum is not None and now.maximum < before.minimum:
        return True
    if before.maximum is not None and now.minimum is not None and now.minimum > before.maximum:
        return True
    was, counts = before.counts.astype(np.float64), now.counts.astype(np.float64)  # copies
    zero = int(np.searchsorted(before.grid.edges, 0.0, side="left"))
    was[zero] = counts[zero] = 0.0
    total, held = float(was.sum()), float(counts.sum())
    if not total or not held:
        return False
    shares_was, shares = np.cumsum(was) / total, np.cumsum(counts) / held
    return bool(np.abs(shares_was - shares).max() > 0.5)


def _centred(column: NumericProfile) -> bool:
    return 0.0 < column.deviation < inf and abs(column.mean) < CENTRED * column.deviation


def _around(before: NumericProfile, now: NumericProfile) -> bool:
    """Whether most values of one side lie beyond the middle nine tenths of the other's, on whichever side of them."""
    return any(_beyond(*pair) > BEYOND for pair in ((before, now), (now, before)))


def _beyond(narrow: NumericProfile, wide: NumericProfile) -> float:
    if not narrow.present or not wide.present:
        return 0.0
    low, high = np.searchsorted(np.cumsum(narrow.counts), [0.05 * narrow.present, 0.95 * narrow.present])
    return 1.0 - float(wide.counts[low : high + 1].sum()) / wide.present


def _frozen(before: ColumnProfile, now: ColumnProfile, many: int) -> bool:
    counts, was = _values(now), _values(before)
    top = int(counts.argmax())
    if counts[top] < now.present or np.count_nonzero(was) < many:
        return False
    # Laplace's rule: a value that was never seen is not impossible.
    share = (float(was[top]) + 1.0) / (float(was.sum()) + 2.0)
    return now.present * log(share) < log(CERTAIN)


def _values(column: ColumnProfile) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Rows by cell; what a grid of categories does not list is one cell."""
    if isinstance(column, NumericProfile):
        return column.counts.astype(np.float64)
    return np.array([*column.counts, column.unlisted], np.float64)
