"""What a contract would have refused of a past's rows, and when somebody would have been told of it.

The gateway refuses a row before the model sees it, and so the watch of windows never does; of refused requests the
alert `refused_share` tells, which is looked at each minute over the last five, and the window's own figure, once some
windows have shown what is usual. Rules over several features are not asked here: what they refuse is not counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.config.conditions import condition
from fairlead.config.usual_alerts import STAND_INS
from fairlead.core.alarm import IMPACT
from fairlead.core.alert import PAGING
from fairlead.core.condition import Condition, Measured, evaluate
from fairlead.core.contract import Feature, Kind, Policy
from fairlead.core.impact import BOUNDS, Measure, Point, judge_figure, like_windows
from fairlead.core.verdict import Outcome
from fairlead.core.watched import REFUSED_SHARE
from fairlead.core.window import Window
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.intervals import rate_sequence

ALERT = "refused-requests"
LIVE_SECONDS, LOOK_SECONDS = 300.0, 60.0  # what live metrics are measured over where nothing is stated; between looks
ALPHA = 0.01
Mask = NDArray[np.bool_]
_INT64 = 2.0**63


class Told(Struct, frozen=True):
    """When an alert would have been told first (event time), and whether one that pages ever was. `by` names it."""

    at: float
    paged: bool
    by: str = ALERT


def refuses(feature: Feature, column: Column) -> Mask:
    """(n,) which values a feature's contract refuses: a null where it may not be one, a number beyond its range and a
    category that was never seen where their policy rejects them, and what is of no integer's type.

    >>> age = Feature("age", Kind.INTEGER, maximum=99.0, out_of_range=Policy.REJECT)
    >>> refuses(age, NumericColumn("age", np.array([30.0, np.nan, 100.0, 3.4]))).tolist()
    [False, True, True, True]
    """
    number = isinstance(column, NumericColumn)
    null = np.isnan(column.values) if isinstance(column, NumericColumn) else column.codes < 0
    found = null & (not feature.nullable and feature.missing is Policy.REJECT)
    if isinstance(column, NumericColumn) and feature.kind in (Kind.NUMBER, Kind.INTEGER):
        found |= ~null & _beyond(feature, column.values)
    if not number and feature.kind is Kind.CATEGORY and feature.categories and feature.unseen is Policy.REJECT:
        found |= _unseen(feature, column)
    return np.asarray(found, np.bool_)


def told_of(at: NDArray[np.float64], refused: Mask) -> Told | None:
    """When the usual alert would have been told of refused requests: looked at each minute in which any came, with the
    share's own interval. None: never. Rows without an event time are left out."""
    minutes, pairs = _minutes(at, refused)
    levels = [(condition(text), severity in PAGING) for text, severity in STAND_INS[REFUSED_SHARE]]
    met = [np.array([_met(one, int(k), int(n)) for k, n in pairs], np.bool_) for one, _ in levels]
    if not any(one.any() for one in met):
        return None
    first = min(float(minutes[one][0]) for one in met if one.any())
    return Told(first, any(one.any() for one, (_, pages) in zip(met, levels, strict=True) if pages))


def unusual_window(shares: Sequence[tuple[Window, int, int]], first: int) -> Told | None:
    """When the figure of a window, from the `first` on, would have been unusual beside the windows before it, which
    pages. `shares` are the windows in order, each with how many of how many were refused."""
    past = [Point(window.starts_at, refused / rows) for window, refused, rows in shares]
    for place in range(first, len(shares)):
        window, _, rows = shares[place]
        rate = past[place].value
        measure = Measure(REFUSED_SHARE, rate, rows, sqrt(rate * (1.0 - rate) / rows))
        like = like_windows(past[:place], window.starts_at, window.ends_at - window.starts_at)
        if judge_figure(measure, like, ALPHA / len(BOUNDS)).outcome is Outcome.BREACHED:
            return Told(window.ends_at, paged=True, by=IMPACT)
    return None


def _beyond(feature: Feature, values: NDArray[np.float64]) -> Mask:
    """Numbers that are none in JSON, none of an integer's type, or beyond a range that rejects."""
    low = -np.inf if feature.minimum is None else feature.minimum
    high = np.inf if feature.maximum is None else feature.maximum
    wrong = np.isinf(values)
    with np.errstate(invalid="ignore"):
        if feature.kind is Kind.INTEGER:
            wrong |= (values != np.floor(values)) | (np.abs(values) >= _INT64)
        if feature.out_of_range is Policy.REJECT:
            wrong |= (values < low) | (values > high)
    return np.asarray(wrong, np.bool_)


def _unseen(feature: Feature, column: Column) -> Mask:
    assert isinstance(column, CategoricalColumn), "numbers are no categories"
    known = frozenset(feature.categories)
    strange = np.array([*(name not in known for name in column.categories), False], np.bool_)
    return strange[column.codes]  # the last place is a null's


def _minutes(at: NDArray[np.float64], refused: Mask) -> tuple[NDArray[np.float64], Sequence[tuple[int, int]]]:
    """The minutes in which anything came, and of each how many of how many were refused in the last five."""
    known = ~np.isnan(at)
    order = np.argsort(at[known], kind="stable")
    when, bad = at[known][order], refused[known][order]
    minutes = np.unique(np.ceil(when / LOOK_SECONDS) * LOOK_SECONDS)
    total = np.concatenate(([0], np.cumsum(bad)))
    last = np.searchsorted(when, minutes, side="right")
    first = np.searchsorted(when, minutes - LIVE_SECONDS, side="right")
    return minutes, list(zip((total[last] - total[first]).tolist(), (last - first).tolist(), strict=True))


@lru_cache(maxsize=4096)
def _met(level: Condition, refused: int, requests: int) -> bool:
    if not refused or refused / requests <= level.factor:
        return False
    low, high = rate_sequence(refused, requests, ALPHA)
    seen = Measured(REFUSED_SHARE, refused / requests, low, high, requests)
    return evaluate(level, [seen]).outcome is Outcome.BREACHED
