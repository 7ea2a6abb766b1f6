"""How a change came about: still, sudden, gradual or recurring, from a series of one number a slot.

The series is of slot distances (see `slot_distances`), or of a loss, a rate, a mean. Families of least-squares fits
compete, each a single regressor beside the mean:

- a step (one change point; a slot that holds the change may lie between the two levels): *sudden*;
- a ramp over at least four slots between two levels: *gradual*;
- a level that comes back, or a season (the means of the phases of a given period; without one, the strongest sinusoid
  of at least three cycles, Fisher 1929): *recurring*.

Whether anything changed at all is one permutation test: under no change the slots are exchangeable, so the largest
share of variance that each family explains, and Mann and Kendall's S, are ranked among those of shuffled series; the
smallest of the five ranks is ranked again (Westfall, Young 1993), which makes the p-value exact for any distribution of
the slots and any number of families. Which family it was is the smallest BIC, T ln(RSS) + parameters ln T, with every
break counted as a parameter. The place of a step comes with Bai's interval (1997).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import erfc, log, sqrt

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from fairlead.stats.cells import shared_cells
from fairlead.stats.change.fits import SEASON, SINUSOID, Fit, Floats, explained, families, fitted, phase_means, trend
from fairlead.stats.distances.shares import js, shares_of
from fairlead.stats.profile import ColumnProfile, TableProfile

FEWEST = 8  # slots
PERMUTATIONS = 999
BAI = 11.03  # 97.5 % quantile of the argmax of a two-sided Brownian motion with drift -|t|/2 (Bai 1997)


class Form(StrEnum):
    """The shape of a change over time."""

    STILL = "still"
    SUDDEN = "sudden"
    GRADUAL = "gradual"
    RECURRING = "recurring"
    UNKNOWN = "unknown"


class Shape(Struct, frozen=True):
    """A form with its evidence. Slots are counted from 0.

    `p_value` is that of "nothing changed"; None for too few slots. `starts` is the first slot of the new level (sudden,
    recurring) or where the ramp leaves the old one, between `low` and `high` with 95 % for a sudden change; `ends` is
    where the ramp ends, or the first slot that is back. `size` is the fitted change, in units of the series;
    `explained` the share of variance of the winning fit. `slope` is Sen's, a slot, `trend_p` Mann and Kendall's
    p-value. `period` is the season's length in slots, `season` the share of variance that its phases explain.
    """

    form: Form
    reason: str
    p_value: float | None = None
    starts: int | None = None
    ends: int | None = None
    low: int | None = None
    high: int | None = None
    size: float = 0.0
    explained: float = 0.0
    slope: float = 0.0
    trend_p: float = 1.0
    period: float | None = None
    season: float = 0.0


def shape_of(
    series: Sequence[float] | Floats,
    rng: np.random.Generator,
    *,
    period: int | None = None,
    alpha: float = 0.05,
    limit: float = 0.0,
    permutations: int = PERMUTATIONS,
) -> Shape:
    """The shape of a series of shape (slots,), NaN for a slot without a value.

    `period`: the season's length in slots, if one is known. `alpha` bounds the chance that a still series of
    exchangeable slots is named otherwise; a fitted change of at most `limit` is no change. With a period, half of
    `alpha` goes to the series and half to what is left of it without the season, so that a change on top of a season
    is named by itself. Raises `ValueError` for impossible arguments.

    >>> rng = np.random.default_rng(0)
    >>> found = shape_of(np.r_[rng.normal(0, 1, 20), rng.normal(5, 1, 20)], rng)
    >>> found.form.value, found.starts, (found.low, found.high)
    ('sudden', 20, (19, 21))
    """
    x = np.asarray(series, np.float64)
    _check(x, period, alpha, permutations)
    usable = np.flatnonzero(np.isfinite(x))
    if usable.size < FEWEST:
        return Shape(Form.UNKNOWN, f"{usable.size} slots hold a value: a shape needs at least {FEWEST}")
    if period is not None and usable.size < 2 * period:
        return Shape(
            Form.UNKNOWN, f"{usable.size} slots are less than two seasons of {period}: the season is not known"
        )
    values = x[usable]
    if values.max() == values.min():
        return Shape(Form.STILL, "every slot has the same value", 1.0)
    if period is None:
        return _name(values, usable, None, rng, (alpha, limit, permutations))
    rest = values - phase_means(values, usable % period)
    phases = 1.0 - float(rest.var() / values.var())
    beneath = _name(rest, usable, None, rng, (alpha / 2, limit, permutations), harmonics=False)
    if beneath.form is not Form.STILL:
        reason = f"{beneath.reason} of what the season of {period} slots leaves ({phases:.0%} is season)"
        return replace(beneath, reason=reason, period=float(period), season=phases)
    found = _name(values, usable, period, rng, (alpha / 2, limit, permutations))
    return replace(found, period=float(period), season=phases)


def slot_distances(reference: TableProfile, slots: Sequence[TableProfile], column: str | None = None) -> Floats:
    """The distance of each slot from the reference, (slots,): the mean over columns, or that of one column.

    See `column_distances`. NaN for a slot in which no column has a value. Raises `ValueError` for a column that the
    reference lacks.
    """
    places = [i for i, name in enumerate(reference.names) if column in (None, name)]
    if not places:
        raise ValueError(f"the reference has no column {column!r}: it has {', '.join(reference.names[:10])}")
    found = np.stack([column_distances(reference.columns[i], [slot.columns[i] for slot in slots]) for i in places])
    known = np.isfinite(found)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, found, 0.0).sum(axis=0) / known.sum(axis=0), np.float64)


def column_distances(reference: ColumnProfile, slots: Sequence[ColumnProfile]) -> Floats:
    """The distance of a column in each slot from its reference, (slots,); NaN for a slot without a value.

    The root of the Jensen-Shannon divergence in bits (Endres, Schindelin 2003: a metric, linear in a small shift) less
    what chance alone adds, with the sign of the difference, so that unchanged slots scatter about 0 instead of piling
    up there.
    """
    lined = shares_of([shared_cells(reference, slot) for slot in slots])
    gap = js(lined).value - lined.freedom * lined.noise / (8.0 * log(2.0))
    empty = (lined.reference.sum(axis=1) == 0) | (lined.current.sum(axis=1) == 0)
    return np.where(empty, np.nan, np.where(lined.freedom > 0, np.sign(gap) * np.sqrt(np.abs(gap)), 0.0))


def mann_kendall(series: Sequence[float] | Floats) -> tuple[float, float, float]:
    """Mann and Kendall's S, its two-sided p-value (normal, corrected for ties), and Sen's slope a slot (1968).

    >>> s, p, slope = mann_kendall([1.0, 2.0, 2.5, 4.0, 5.5, 5.4, 7.0, 8.0])
    >>> s, round(p, 4), round(slope, 3)
    (26.0, 0.002, 1.0)
    """
    x = np.asarray(series, np.float64)
    n = x.size
    s = float(trend(x[None])[0])
    ties = np.unique(x, return_counts=True)[1]
    variance = (n * (n - 1) * (2 * n + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())) / 18.0
    z = (abs(s) - 1.0) / sqrt(variance) if variance > 0 and s else 0.0
    first, last = np.triu_indices(n, 1)
    slope = float(np.median((x[last] - x[first]) / (last - first))) if n > 1 else 0.0
    return s, erfc(max(z, 0.0) / sqrt(2.0)), slope


def _name(
    values: Floats,
    slots: np.ndarray[tuple[int], np.dtype[np.intp]],
    period: int | None,
    rng: np.random.Generator,
    levels: tuple[float, float, int],
    *,
    harmonics: bool = True,
) -> Shape:
    alpha, limit, permutations = levels
    known = families(slots, period, harmonics=harmonics)
    p_value = _p_value(values, known, rng, permutations)
    _, trend_p, slope = mann_kendall(values)
    fits = [fitted(values, slots, family) for family in known]
    best = min(fits, key=lambda fit: fit.bic(values.size))
    if best.family == SEASON:
        best = replace(best, period=period)
    if p_value > alpha or abs(best.size) <= limit:
        small = p_value <= alpha
        reason = f"the fitted change {best.size:.3g} is within {limit:g}" if small else f"no change (p = {p_value:.2g})"
        return Shape(Form.STILL, reason, p_value, slope=slope, trend_p=trend_p)
    return _shape(best, values, (p_value, trend_p, slope))


def _shape(best: Fit, values: Floats, evidence: tuple[float, float, float]) -> Shape:
    p_value, trend_p, slope = evidence
    form = {"step": Form.SUDDEN, "ramp": Form.GRADUAL}.get(best.family, Form.RECURRING)
    low, high = _interval(best, values) if best.family == "step" else (None, None)
    return Shape(
        form=form,
        reason=_reason(best),
        p_value=p_value,
        starts=best.starts,
        ends=best.ends,
        low=low,
        high=high,
        size=best.size,
        explained=best.explained,
        slope=slope,
        trend_p=trend_p,
        period=best.period,
        season=best.explained if best.period else 0.0,
    )


def _p_value(values: Floats, known: Sequence[tuple[str, Floats]], rng: np.random.Generator, permutations: int) -> float:
    """The rank of the smallest of the families' ranks, among those of shuffled series: (1 + b) / (1 + permutations)."""
    shuffled = rng.permuted(np.broadcast_to(values, (permutations, values.size)), axis=1)
    both = np.vstack([values[None], shuffled])
    scores = np.stack([*(explained(both, rows) for _, rows in known), np.abs(trend(both))])
    scores = np.round(scores / scores.max(axis=1, keepdims=True).clip(1e-300), 10)  # equal but for rounding is equal
    ordered = np.sort(scores, axis=1)
    ranks = np.stack([o.size - np.searchsorted(o, row, side="left") for o, row in zip(ordered, scores, strict=True)])
    smallest = ranks.min(axis=0)
    return float((smallest <= smallest[0]).mean())


def _interval(best: Fit, values: Floats) -> tuple[int, int]:
    """Bai's interval: (11.03 variance / jump^2, rounded down) + 1 slots on both sides, as places of the series."""
    place, slots = best.place, best.slots
    variance = float(((values - best.fit) ** 2).sum()) / max(values.size - 3, 1)
    half = int(min(BAI * variance / (best.size * best.size), values.size)) + 1
    return int(slots[max(place - half, 0)]), int(slots[min(place + half, values.size - 1)])


def _reason(best: Fit) -> str:
    share = f"{best.explained:.0%} of the variance"
    if best.family == "step":
        return f"one step at slot {best.starts} explains {share}"
    if best.family == "ramp":
        return f"a trend from slot {best.starts} to {best.ends} explains {share}"
    if best.family == "return":
        return f"a level that comes at slot {best.starts} and is gone at slot {best.ends} explains {share}"
    kind = "a wave" if best.family == SINUSOID else "a season"
    return f"{kind} of {best.period:.3g} slots explains {share}"


def _check(x: Floats, period: int | None, alpha: float, permutations: int) -> None:
    if x.ndim != 1:
        raise ValueError(f"the series has shape {x.shape}: pass one number a slot")
    if np.isinf(x).any():
        raise ValueError("the series holds an infinity: pass NaN for a slot without a value")
    if period is not None and period < 2:
        raise ValueError(f"the period is {period}: a season has at least 2 slots")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}: it must lie between 0 and 1")
    if permutations < 19:
        raise ValueError(f"{permutations} permutations: at least 19 are needed for a p-value of 5 %")
