"""By how much the primary metric got worse, and what that costs.

Against the reference stand the realised metric where enough labels have matured, else the estimate. With values a and b
and intervals [la, ua], [lb, ub] of independent rows, the interval of a - b is

    [d - sqrt((a - la)^2 + (ub - b)^2), d + sqrt((ua - a)^2 + (b - lb)^2)],    d = a - b,

which keeps the skew of either (Zou, Donner 2008: the method of variance estimates recovery).
"""

from __future__ import annotations

from math import sqrt

from fairlead.core.quadrant import Band, oriented
from fairlead.core.report import Change, MetricReading, Performance
from fairlead.stats.performance import HIGHER_IS_BETTER

COST = "cost"  # the reading of what a decision costs in the mean
PER = 1_000  # predictions that money is given for


def change_of(performance: Performance | None, *, ripe: bool) -> Change | None:
    """The change of the primary metric, positive for worse; None where either side is unknown. `ripe`: enough labels
    have matured, so that the realised metric is taken, not the estimate."""
    if performance is None:
        return None
    found = _worse(performance, ripe=ripe)
    if found is None:
        return None
    paid = next((one for one in performance.also if one.metric == COST), None)
    money = None if paid is None else _worse(paid, ripe=ripe)
    change = Change(performance.metric, found.value, found.low, found.high, realised=ripe)
    if money is None:
        return change
    return Change(
        change.metric,
        change.value,
        change.low,
        change.high,
        money.value * PER,
        money.low * PER,
        money.high * PER,
        realised=ripe,
    )


def less(one: Band, two: Band) -> Band:
    """The difference of two independent bands.

    >>> less(Band(0.8, 0.77, 0.83), Band(0.7, 0.66, 0.74)).low
    0.05
    """
    value = one.value - two.value
    low = value - sqrt((one.value - one.low) ** 2 + (two.high - two.value) ** 2)
    high = value + sqrt((one.high - one.value) ** 2 + (two.value - two.low) ** 2)
    return Band(round(value, 12), round(low, 12), round(high, 12))


def _worse(reading: MetricReading, *, ripe: bool) -> Band | None:
    """How much worse than the reference, oriented so that positive is worse."""
    if ripe:
        now = _band(reading.metric, reading.realised, reading.low, reading.high)
    else:
        now = _band(reading.metric, reading.estimated, reading.estimated_low, reading.estimated_high)
    before = _band(reading.metric, reading.reference, reading.reference_low, reading.reference_high)
    return None if before is None or now is None else less(before, now)


def _band(metric: str, value: float | None, low: float | None, high: float | None) -> Band | None:
    if value is None or low is None or high is None:
        return None
    return oriented(value, low, high, higher_is_better=metric in HIGHER_IS_BETTER)
