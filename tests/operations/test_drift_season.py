"""A season of slots: what comes back every week is no drift, and what comes on top is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from fairlead.core.contract import Contract, Feature, Kind, Task
from fairlead.core.slot import Slot
from fairlead.core.window import MONDAY
from fairlead.flows.watching.reference import Reference
from fairlead.operations.drift_bases import WEEK, Basis, differences, season
from fairlead.stats.columns import Column, NumericColumn
from fairlead.stats.drift import Level
from fairlead.stats.grouped import grouped
from fairlead.stats.profile import profile

HOUR = 3_600.0
WEEKS, ROWS = 8, 12  # weeks before, rows an hour
CONTRACT = Contract((Feature("calls", Kind.NUMBER), Feature("length", Kind.NUMBER)), Task.BINARY, "y", ("0", "1"))
SPAN = (MONDAY + WEEKS * WEEK + 9 * HOUR, MONDAY + WEEKS * WEEK + 18 * HOUR)  # a working day


def drawn(seed: int, shift: float) -> tuple[NDArray[np.float64], list[Column]]:
    """Weeks of rows: many calls in working hours, each week with a mood of its own; in the last day all are shifted."""
    rng = np.random.default_rng(seed)
    hours = np.repeat(np.arange((WEEKS + 1) * 168), ROWS)
    at = np.asarray(MONDAY + hours * HOUR, np.float64)
    busy = np.isin(hours % 24, range(9, 18)) & (hours % 168 < 120)
    mood = rng.normal(0, 0.05, WEEKS + 1)[hours // 168]
    calls = rng.normal(size=hours.size) + 3.0 * busy + mood + shift * (at >= SPAN[0])
    return at, [NumericColumn("calls", calls), NumericColumn("length", rng.normal(size=hours.size))]


def flagged(seed: int, shift: float = 0.0) -> tuple[set[str], set[str]]:
    """The columns that are flagged against the season, and against the training data."""
    at, columns = drawn(seed, shift)
    early = at < MONDAY + 2 * WEEK
    known = profile([NumericColumn(one.name, one.values[early]) for one in columns if isinstance(one, NumericColumn)])
    reference = Reference(1, CONTRACT, 0.5, known, {}, {})
    slots: list[Slot] = []
    groups = [np.flatnonzero(at == start) for start in np.unique(at)]
    for group, sums in zip(groups, grouped(columns, known.grids, groups), strict=True):
        slots.append(Slot("line", 1, float(at[group[0]]), float(at[group[0]]) + HOUR, sums))

    def read(starts_at: float, ends_at: float) -> tuple[Slot, ...]:
        return tuple(slot for slot in slots if starts_at <= slot.starts_at < ends_at)

    inside = np.flatnonzero((at >= SPAN[0]) & (at < SPAN[1]))
    rows = [NumericColumn(one.name, one.values[inside]) for one in columns if isinstance(one, NumericColumn)]
    current = profile(rows, known.grids)
    bases = season(read, reference, SPAN, read(*SPAN), None), Basis("the training data", known)
    found = [
        {one.name for one in differences(basis, current, 0.01)[0] if one.level is not Level.NONE} for basis in bases
    ]
    return found[0], found[1]


def rates(seeds: range, act: Callable[[int], tuple[set[str], set[str]]]) -> tuple[float, float]:
    """In how many draws something was flagged, against the season and against the training data."""
    found = [act(seed) for seed in seeds]
    return float(np.mean([bool(one) for one, _ in found])), float(np.mean([bool(two) for _, two in found]))


def test_working_hours_are_like_working_hours() -> None:
    """Against the training data they always differ, against the same hours of the weeks before they do not; a shift on
    top is found."""
    assert rates(range(3), flagged) == (0.0, 1.0)
    assert rates(range(2), lambda seed: flagged(seed, 0.8)) == (1.0, 1.0)


@pytest.mark.slow
def test_the_season_keeps_its_rate_of_false_flags() -> None:
    """Of 60 calm days at most one in nine (eight weeks were before, and each is as likely to be the strangest), with
    three standard deviations of the draws; shifts of .5 are found nine times in ten."""
    false, _ = rates(range(60), flagged)
    assert false <= 1 / 9 + 3 * (1 / 9 * 8 / 9 / 60) ** 0.5
    found, _ = rates(range(30), lambda seed: flagged(seed, 0.5))
    assert found >= 0.9
