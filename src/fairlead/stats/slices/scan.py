"""The scan: search on one half of the rows, test and measure on the other.

In the tradition of subset scans (Neill 2012; Zhang, Neill 2016) and Slice Finder (Chung et al. 2019). What is scanned:

- a loss: y = loss less its mean on the row's side. A rise that all rows share leaves y alone; a slice stands out where
  its own loss rose by more than the others', or where it holds more of the rows and loses more than the mean;
- the inputs: y = 1. A slice stands out where its share of the rows grew.

Half of either side, chosen at random, is searched: whatever number of slices was looked at, they have not seen the
other half. There each slice found (at most five, each after the rows of those before it were taken out) has one test,
normal with the first Edgeworth term for skewness (permutation variance), and Benjamini-Hochberg runs over them. Under
no change the chance of naming any slice is at most alpha, as far as that normal law holds for at least 30 rows; effects
and shares come from the other half too, so they carry no winner's curse.

How much a slice explains is measured by taking its rows out of both sides: 1 - change without them / change. For the
inputs the change is the Jensen-Shannon divergence less its expectation under no change, summed over the columns, and
the slice's current rows are weighed down to its share of the reference: had it not grown.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erfc, exp, log, pi, sqrt

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from fairlead.stats.columns import Column
from fairlead.stats.fdr import benjamini_hochberg
from fairlead.stats.slices.conditions import Coded, Condition, Flags, Floats, coded, described
from fairlead.stats.slices.search import Candidate, Rows, best_slice

Z = 1.959963984540054
MOST = 5
LEAST_ROWS = 30
LEAST_SHARE = 0.005
FEWEST = 200  # rows of each side


class Slice(Struct, frozen=True):
    """A slice with its evidence from the rows that were not searched.

    `share_reference` and `share_current` are its shares of all rows. `change` is the rise of the mean loss inside it
    (of its share of rows, for the inputs) with a 95 % interval, None where one side has less than two rows of it;
    `reference_mean` and `current_mean` are the losses, None for the inputs. `explained` is the share of the total
    change that goes away with its rows, with a 95 % interval (losses only); None where the total did not evidently
    change.
    """

    conditions: tuple[Condition, ...]
    rows_reference: int
    rows_current: int
    share_reference: float
    share_current: float
    change: float | None
    low: float | None
    high: float | None
    p_value: float
    q_value: float = 1.0
    reference_mean: float | None = None
    current_mean: float | None = None
    explained: float | None = None
    explained_low: float | None = None
    explained_high: float | None = None

    @property
    def text(self) -> str:
        """Its conditions as people write them."""
        return described(self.conditions)

    @property
    def opposes(self) -> bool:
        """Whether the total change is known, and no smaller without its rows."""
        return self.explained is not None and self.explained <= 0.0


class Scan(Struct, frozen=True):
    """What a scan found: the slices that are significant, those that explain most first, and the total change.

    `opposing` are as significant, but without their rows the total change is no smaller: they explain nothing of it, or
    work against it; the one that most does so comes first. `candidates` slices were looked at in `searched` rows;
    `tested` rows held the tests. `rejected` were found in the search and not confirmed. `short` says why there was no
    scan; else empty.
    """

    slices: tuple[Slice, ...]
    change: float
    low: float
    high: float
    candidates: int = 0
    searched: int = 0
    tested: int = 0
    rejected: int = 0
    short: str = ""
    opposing: tuple[Slice, ...] = ()

    @property
    def moved(self) -> bool:
        """Whether the interval of the total change excludes 0."""
        return self.low > 0.0 or self.high < 0.0


class _Half(Struct, frozen=True, eq=False):
    columns: tuple[Coded, ...]
    loss: Floats | None
    current: Flags


def scan(
    reference: Sequence[Column],
    current: Sequence[Column],
    rng: np.random.Generator,
    *,
    losses: tuple[Floats, Floats] | None = None,
    max_conditions: int = 3,
    alpha: float = 0.05,
) -> Scan:
    """Scans the columns that both sides share by order; `losses` are those of the reference's and the current rows.

    Without losses the inputs are scanned. Raises `ValueError` for impossible arguments.

    >>> from fairlead.stats.columns import NumericColumn
    >>> rng = np.random.default_rng(0)
    >>> x = [NumericColumn("x", rng.random(4_000)) for _ in range(2)]
    >>> losses = rng.random(4_000), rng.random(4_000) + (x[1].values > 0.8)
    >>> found = scan(x[:1], x[1:], rng, losses=losses).slices[0]
    >>> found.text[:6], round(found.change), round(found.explained)
    ('x > 0.', 1, 1)
    """
    n, m = _check(reference, current, losses, max_conditions, alpha)
    if min(n, m) < FEWEST:
        return Scan(
            (), 0.0, 0.0, 0.0, short=f"a scan needs at least {FEWEST} rows on both sides, and one has {min(n, m)}"
        )
    columns = tuple(one for one in (coded(a, b) for a, b in zip(reference, current, strict=True)) if one is not None)
    if not columns:
        return Scan((), 0.0, 0.0, 0.0, short="no column takes two values: there is nothing to tell slices by")
    first = np.concatenate([_half(n, rng), _half(m, rng)])
    whole = _Half(columns, None if losses is None else np.concatenate(losses), np.arange(n + m) >= n)
    searched, tested = _part(whole, first), _part(whole, ~first)
    sign = _direction(searched)
    found, looked = _found(searched, max_conditions, sign)
    slices = _tested(tested, found, whole, sign)
    q_values = benjamini_hochberg([one.p_value for one in slices])
    named = [replace(one, q_value=q) for one, q in zip(slices, q_values, strict=True) if q <= alpha]
    kept = sorted((one for one in named if not one.opposes), key=lambda one: -(one.explained or 0.0))
    return Scan(
        tuple(kept),
        *_total(tested),
        candidates=looked,
        searched=int(first.sum()),
        tested=int((~first).sum()),
        rejected=len(slices) - len(named),
        opposing=tuple(sorted((one for one in named if one.opposes), key=lambda one: one.explained or 0.0)),
    )


def _half(rows: int, rng: np.random.Generator) -> Flags:
    return np.asarray(rng.permutation(rows) < rows // 2, np.bool_)


def _part(whole: _Half, kept: Flags) -> _Half:
    columns = tuple(Coded(c.name, c.codes[kept], c.cells, c.conditions, c.members, c.simple) for c in whole.columns)
    return _Half(columns, None if whole.loss is None else whole.loss[kept], whole.current[kept])


def _rows(half: _Half, kept: Flags) -> Rows:
    """The rows that are left, with contributions y."""
    now = half.current[kept]
    y = np.ones(now.size)
    if half.loss is not None:
        y = half.loss[kept].astype(np.float64)
        for side in (now, ~now):
            y[side] -= y[side].mean() if side.any() else 0.0
    n, m = float((~now).sum()), float(now.sum())
    columns = tuple(Coded(c.name, c.codes[kept], c.cells, c.conditions, c.members, c.simple) for c in half.columns)
    least = max(LEAST_ROWS, int(LEAST_SHARE * now.size))
    return Rows(columns, y, now, (max(n, 1.0), max(m, 1.0)), least)


def _direction(half: _Half) -> float:
    """A fall is explained only where the loss evidently fell; otherwise a rise is looked for, or more rows."""
    return -1.0 if half.loss is not None and _mean_change(half)[2] < 0.0 else 1.0


def _found(half: _Half, most: int, sign: float) -> tuple[list[Candidate], int]:
    """Slices in the order found, each in the rows that those before it left."""
    kept = np.ones(half.current.size, np.bool_)
    found: list[Candidate] = []
    looked = 0
    while len(found) < MOST and min((kept & half.current).sum(), (kept & ~half.current).sum()) >= FEWEST // 2:
        best, count = best_slice(_rows(half, kept), sign, most)
        looked += count
        if best is None:
            break
        found.append(best)
        kept &= ~_rows(half, np.ones(kept.size, np.bool_)).mask(best.key)
    return found, looked


def _tested(half: _Half, found: Sequence[Candidate], whole: _Half, sign: float) -> list[Slice]:
    """Each slice must show both among all rows and in those that the slices before it left."""
    kept = np.ones(half.current.size, np.bool_)
    every = _rows(half, kept)
    everywhere = _rows(whole, np.ones(whole.current.size, np.bool_))
    result = []
    for candidate in found:
        inside = every.mask(candidate.key)
        p_value = max(_p_value(_rows(half, kept), inside[kept], sign), _p_value(every, inside, sign))
        both = everywhere.mask(candidate.key)
        now = int((both & whole.current).sum())
        share = 1.0 / float((~half.current).sum()), 1.0 / float(half.current.sum())
        one = Slice(
            conditions=every.conditions(candidate.key),
            rows_reference=int(both.sum()) - now,
            rows_current=now,
            share_reference=float((inside & ~half.current).sum()) * share[0],
            share_current=float((inside & half.current).sum()) * share[1],
            change=0.0,
            low=0.0,
            high=0.0,
            p_value=p_value,
        )
        result.append(_with_loss(one, half, inside) if half.loss is not None else _with_shares(one, half, inside))
        kept &= ~inside
    return result


def _p_value(rows: Rows, inside: Flags, sign: float) -> float:
    """One-sided: the normal tail of z, with the first Edgeworth term where skewness makes it heavier."""
    y, now = rows.y[inside], rows.current[inside]
    every = rows.totals[0] + rows.totals[1]
    t = sign * (float(y[now].sum()) / rows.totals[1] - float(y[~now].sum()) / rows.totals[0])
    variance = float((y * y).sum()) / every - (float(y.sum()) / every) ** 2
    if not variance > 0.0 or y.size < LEAST_ROWS:
        return 1.0
    z = t / sqrt(variance * rows.unit)
    part = rows.totals[1] / every
    spread = part * (1.0 - part)
    skewness = sign * float((y**3).sum()) * spread * (1.0 - 2.0 * part) / (float((y * y).sum()) * spread) ** 1.5
    heavier = max(0.0, float(skewness) * (z * z - 1.0) / 6.0) * exp(-z * z / 2.0) / sqrt(2.0 * pi)
    return float(min(1.0, 0.5 * erfc(z / sqrt(2.0)) + heavier))


def _with_loss(one: Slice, half: _Half, inside: Flags) -> Slice:
    assert half.loss is not None
    before, after = (half.loss[inside & side] for side in (~half.current, half.current))
    means = [float(side.mean()) if side.size else None for side in (before, after)]
    one = _with_explained(replace(one, reference_mean=means[0], current_mean=means[1]), half, inside)
    if min(before.size, after.size) < 2:
        return replace(one, change=None, low=None, high=None)
    change = float(after.mean() - before.mean())
    spread = Z * sqrt(float(after.var(ddof=1)) / after.size + float(before.var(ddof=1)) / before.size)
    return replace(one, change=change, low=change - spread, high=change + spread)


def _with_explained(one: Slice, half: _Half, inside: Flags) -> Slice:
    """The ratio of two changes by the delta method: each row's influence on it is known."""
    assert half.loss is not None
    total, low, high = _mean_change(half)
    if low <= 0.0 <= high:
        return one
    rest = ~inside
    influence = np.zeros(half.current.size)
    left = 0.0
    for side, sign in ((half.current, 1.0), (~half.current, -1.0)):
        outside = side & rest
        if not outside.any():
            return one
        mean = float(half.loss[outside].mean())
        left += sign * mean
        influence[outside] += sign * (half.loss[outside] - mean) / outside.sum()
    ratio = left / total
    for side, sign in ((half.current, 1.0), (~half.current, -1.0)):
        influence[side] -= ratio * sign * (half.loss[side] - half.loss[side].mean()) / side.sum()
    spread = Z * sqrt(float((influence**2).sum())) / abs(total)
    return replace(one, explained=1.0 - ratio, explained_low=1.0 - ratio - spread, explained_high=1.0 - ratio + spread)


def _with_shares(one: Slice, half: _Half, inside: Flags) -> Slice:
    n, m = float((~half.current).sum()), float(half.current.sum())
    e, a = one.share_reference, one.share_current
    spread = Z * sqrt(e * (1.0 - e) / n + a * (1.0 - a) / m)
    weights = np.ones(inside.size)
    if a == 1.0:  # no current row is left outside to weigh up: what the others would be like, nothing says
        return replace(one, change=a - e, low=a - e - spread, high=a - e + spread)
    if a > 0.0:
        weights[inside & half.current] = e * (1.0 - a) / (a * max(1.0 - e, 1.0 / n))
    total, left = _divergence(half, np.ones(inside.size)), _divergence(half, weights)
    explained = 1.0 - max(left, 0.0) / total if total > 0.0 else None
    return replace(one, change=a - e, low=a - e - spread, high=a - e + spread, explained=explained)


def _total(half: _Half) -> tuple[float, float, float]:
    if half.loss is not None:
        return _mean_change(half)
    change = _divergence(half, np.ones(half.current.size))
    return change, min(change, 0.0), max(change, 0.0)


def _mean_change(half: _Half) -> tuple[float, float, float]:
    if half.loss is None:
        return 0.0, 0.0, 0.0
    before, after = half.loss[~half.current], half.loss[half.current]
    change = float(after.mean() - before.mean())
    spread = Z * sqrt(float(after.var(ddof=1)) / after.size + float(before.var(ddof=1)) / before.size)
    return change, change - spread, change + spread


def _divergence(half: _Half, weights: Floats) -> float:
    """Jensen-Shannon in bits less its expectation, (filled cells - 1) noise / (8 ln 2), summed over the columns.

    Current rows are weighted; the noise is that of as many rows as they are worth, (sum w)^2 / sum w^2.
    """
    now = half.current
    n, w = float((~now).sum()), weights[now]
    noise = 1.0 / n + float((w * w).sum()) / float(w.sum()) ** 2
    found = 0.0
    for column in half.columns:
        e = np.bincount(column.codes[~now], minlength=column.cells) / n
        a = np.bincount(column.codes[now], w, column.cells) / w.sum()
        filled = (e + a) > 0
        middle = (e[filled] + a[filled]) / 2.0
        parts = [one[filled] * np.log2(np.maximum(one[filled], 1e-300) / middle) for one in (e, a)]
        found += 0.5 * float(parts[0].sum() + parts[1].sum())
        found -= (float(np.count_nonzero(filled)) - 1.0) * noise / (8.0 * log(2.0))
    return found


def _check(
    reference: Sequence[Column],
    current: Sequence[Column],
    losses: tuple[Floats, Floats] | None,
    max_conditions: int,
    alpha: float,
) -> tuple[int, int]:
    if [one.name for one in reference] != [one.name for one in current]:
        raise ValueError("the two sides have different columns: pass the shared ones, in one order")
    if not reference:
        raise ValueError("there is no column to tell slices by: pass at least one")
    if not 1 <= max_conditions <= 3:
        raise ValueError(f"max_conditions is {max_conditions}: a slice has 1 to 3 conditions")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}: it must lie between 0 and 1")
    n, m = reference[0].rows, current[0].rows
    if losses is not None and (losses[0].size, losses[1].size) != (n, m):
        raise ValueError(f"{losses[0].size} and {losses[1].size} losses for {n} and {m} rows: pass one a row")
    if losses is not None and not all(np.isfinite(one).all() for one in losses):
        raise ValueError("a loss is not a finite number: leave rows without one out")
    return n, m
