"""Readings of rows that distances between distributions do not see: nulls, categories that the reference does not list,
values beyond its range, rare classes.

They count rows, so they are plain numbers per column; each takes (pairs,) arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp

import numpy as np
from scipy.special import betainc, chdtrc, gammaln

from fairlead.stats.cells import by_category
from fairlead.stats.distances.values import Readings, Z
from fairlead.stats.exact import Floats
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile

RARE = 0.02  # share of the pooled rows up to which a class is rare
FEW_VALUES = 20  # up to so many distinct numbers are classes

Pairs = Sequence[tuple[ColumnProfile, ColumnProfile]]


def null_rate(pairs: Pairs) -> Readings:
    """The current share of nulls over the reference's, with half a null added to both; 1 where neither has any.

    The p-value is chi-squared's with Yates' correction, for a rate that rose or fell; a fall exceeds no limit.
    """
    rows = [(one.rows, two.rows, one.nulls, two.nulls) for one, two in pairs]
    n, m, r, c = np.asarray(rows, dtype=np.float64).reshape(-1, 4).T
    value = ((c + 0.5) / (m + 1.0)) / ((r + 0.5) / (n + 1.0))
    variance = 1.0 / (c + 0.5) - 1.0 / (m + 1.0) + 1.0 / (r + 0.5) - 1.0 / (n + 1.0)
    spread = Z * np.sqrt(np.maximum(variance, 0.0))
    nulls, valid = r + c, n + m - r - c
    excess = np.maximum(0.0, np.abs(c * (n - r) - r * (m - c)) - (n + m) / 2.0)
    some = (n > 0) & (m > 0) & (nulls > 0)
    testable = some & (valid > 0)
    odds = np.ones_like(n)
    np.divide((n + m) * excess, n, out=odds, where=testable)
    np.divide(odds * excess, m * nulls * valid, out=odds, where=testable)
    p_value = np.where(some, 1.0, np.nan)
    p_value[testable] = chdtrc(1.0, odds[testable])
    low, high = value * np.exp(-spread), value * np.exp(spread)
    value = np.where(some, value, 1.0)
    return Readings("null_rate", value, value, p_value, np.where(some, low, 0.0), np.where(some, high, 1.0))


def unseen(pairs: Sequence[tuple[CategoryProfile, CategoryProfile]]) -> Readings:
    """The share of rows whose category the reference does not list.

    A small reference misses categories by chance: Good and Turing's estimate of that share, (categories seen once) / n,
    is taken off, with the interval of Esty (1983).

    The p-value asks whether the pooled rows were dealt at random. A category of t rows lies wholly in the current
    sample with probability at most q^t, q = m / (n + m). So, with K categories in all, some such category has q^t <= x
    with probability at most K x; and the rows in such categories, sum t [wholly current], have mean at most sum t q^t
    and, being negatively associated, obey Bernstein's inequality with variance sum t^2 q^t (1 - q^t). The smaller of
    the two bounds is doubled. Identifiers, each seen once, are no evidence; a vocabulary replaced by another one is.
    """
    rows = [
        (one.present, two.present, two.unlisted, one.seen(1), one.seen(2), 0.0 if one.grid.hashed else 1.0)
        for one, two in pairs
    ]
    n, m, news, once, twice, listed = np.asarray(rows, dtype=np.float64).reshape(-1, 6).T
    some = (n > 0) & (m > 0) & (listed > 0)
    n, m = np.maximum(n, 1.0), np.maximum(m, 1.0)
    value = news / m
    gap = value - once / n
    variance = np.maximum(once + 2.0 * twice - once * once / n, 0.0) / (n * n) + value * (1.0 - value) / m
    spread = Z * np.sqrt(np.maximum(variance, 0.0))
    low, high = np.maximum(gap - spread, 0.0), np.minimum(np.maximum(gap + spread, 0.0), 1.0)
    p_value = np.array(
        [_dealt_at_random(*pair) if tested else np.nan for pair, tested in zip(pairs, some, strict=True)]
    )
    value, gap, low, high = (np.where(some, part, 0.0) for part in (value, np.maximum(gap, 0.0), low, high))
    return Readings("unseen", value, gap, p_value, low, high)


def _dealt_at_random(reference: CategoryProfile, current: CategoryProfile) -> float:
    """The p-value of `unseen`."""
    if not current.unlisted or current.buckets or reference.buckets:
        return 1.0
    one, two = by_category(reference, current)
    total = one + two
    wholly = np.power(two.sum() / total.sum(), total)
    new = (one == 0) & (two > 0)
    if not new.any():  # each category that the grid does not list stands on the reference's side too
        return 1.0
    single = np.count_nonzero(total) * float(wholly[new].min())
    excess = float(two[new].sum() - (total * wholly).sum())
    spread = float((total * total * wholly * (1.0 - wholly)).sum())
    together = exp(-excess * excess / 2.0 / (spread + float(total[new].max()) * excess / 3.0)) if excess > 0 else 1.0
    return min(1.0, 2.0 * min(single, together))


def outside(pairs: Sequence[tuple[NumericProfile, NumericProfile]]) -> Readings:
    """The share of rows below the reference's smallest or above its largest value: a slipped unit, a broken sensor.

    The p-value is exact whatever the distribution. Under no change the k largest of all n + m rows are all current with
    probability m (m - 1) ... (m - k + 1) / ((n + m) (n + m - 1) ... (n + m - k + 1)); the smaller of the two sides'
    is doubled, ties make it conservative. `corrected` takes off the 1 / (n + 1) that each side is expected to hold.
    """
    rows = [(one.present, two.present, *_end(one, two, 0), *_end(one, two, -1)) for one, two in pairs]
    n, m, below, open_below, above, open_above = np.asarray(rows, dtype=np.float64).reshape(-1, 6).T
    ends = open_below + open_above
    some = (n > 0) & (m > 0) & (ends > 0)
    n, m = np.maximum(n, 1.0), np.maximum(m, 1.0)
    value, chance = (below + above) / m, ends / (n + 1.0)
    corrected = np.maximum(0.0, value - chance)
    spread = Z * np.sqrt(value * (1.0 - value) / m + chance / (n + 1.0))
    p_value = np.minimum(1.0, 2.0 * np.exp(np.minimum(_all_current(n, m, below), _all_current(n, m, above))))
    low, high = np.maximum(value - chance - spread, 0.0), np.minimum(corrected + spread, 1.0)
    value, corrected, low, high = (np.where(some, part, 0.0) for part in (value, corrected, low, high))
    return Readings("outside", value, corrected, np.where(some, p_value, 1.0), low, high)


def rare(pairs: Pairs) -> Readings:
    """How many times more, or less, frequent the rare class that changed most clearly became.

    A class of two rows in a thousand is merged away where cells need five expected rows, and where it is not, its
    doubling moves no distance between distributions. So each category, and each value of a number with at most 20 of
    them, that holds at most 2 % of the pooled rows is tested by itself: of its t rows each is current with probability
    m / (n + m), and the smaller tail of that binomial, which is not less than the exact hypergeometric one (Uhlmann
    1966), is doubled and multiplied by the number of rare classes. The effect is the ratio of the shares, half a row
    added to both, or its inverse where the class became rarer; 1 without a rare class.
    """
    classes = [_classes(*pair) for pair in pairs]
    sizes = [one.size for one, _ in classes]
    owner = np.repeat(np.arange(len(pairs)), sizes)
    r, c = (np.concatenate([one[side] for one in classes]) if classes else np.empty(0) for side in (0, 1))
    n, m = np.asarray([(max(one.present, 1), max(two.present, 1)) for one, two in pairs], dtype=float).reshape(-1, 2).T
    share = (m / (n + m))[owner]
    at_most = np.where(r > 0, betainc(np.maximum(r, 1.0), c + 1.0, 1.0 - share), 1.0)
    at_least = np.where(c > 0, betainc(np.maximum(c, 1.0), r + 1.0, share), 1.0)
    tail = np.minimum(at_most, at_least)
    ratio = ((c + 0.5) / (m[owner] + 1.0)) / ((r + 0.5) / (n[owner] + 1.0))
    spread = Z * np.sqrt(
        np.maximum(1.0 / (c + 0.5) + 1.0 / (r + 0.5) - 1.0 / (n[owner] + 1) - 1.0 / (m[owner] + 1), 0.0)
    )
    value, p_value, low, high = (np.full(len(pairs), start) for start in (1.0, np.nan, 1.0, 1.0))
    for pair in np.flatnonzero(sizes).tolist():
        own = np.flatnonzero(owner == pair)
        most = own[np.argmin(tail[own])]
        value[pair] = max(ratio[most], 1.0 / ratio[most])
        p_value[pair] = min(1.0, 2.0 * own.size * tail[most])
        low[pair], high[pair] = (max(1.0, value[pair] * np.exp(sign * spread[most])) for sign in (-1.0, 1.0))
    return Readings("rare", value, value, p_value, low, high)


def _classes(reference: ColumnProfile, current: ColumnProfile) -> tuple[Floats, Floats]:
    """The counts of the rare classes in both samples."""
    if isinstance(reference, CategoryProfile) and isinstance(current, CategoryProfile):
        if reference.buckets or current.buckets:
            return np.empty(0), np.empty(0)
        one, two = by_category(reference, current)
    elif isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
        if reference.filled > FEW_VALUES or current.filled > FEW_VALUES:
            return np.empty(0), np.empty(0)
        filled = np.flatnonzero(reference.counts + current.counts)
        if filled.size > FEW_VALUES:
            return np.empty(0), np.empty(0)
        one, two = reference.counts[filled].astype(float), current.counts[filled].astype(float)
    else:
        raise TypeError(f"column {reference.grid.name!r}: numbers cannot be compared with categories")
    total = one + two
    scarce = (total > 0) & (total <= RARE * total.sum())
    return one[scarce], two[scarce]


def _end(one: NumericProfile, two: NumericProfile, cell: int) -> tuple[int, int]:
    """The current rows beyond one end of the reference, and 1 if that end can be passed: no infinity lies there."""
    if one.counts.size < 2 or one.counts[cell]:
        return 0, 0
    return int(two.counts[cell]), 1


def _all_current(n: Floats, m: Floats, k: Floats) -> Floats:
    """ln P(the k most extreme of all rows are all current)."""
    found: Floats = gammaln(m + 1) - gammaln(m - k + 1) - gammaln(n + m + 1) + gammaln(n + m - k + 1)
    return found
