"""Season-matched references: nights are compared with nights before anything is called drift.

A reference whose rows carry their time is cut into slots of one phase and one cycle: Mondays from 9 to 10 of one week.
All are profiled on one grid, so the reference of any phases is the sum of their slots. A current batch is compared with
the sum of the phases that it spans.

Two guards keep a matched comparison honest. A phase needs at least two cycles and enough rows, or a coarser season
stands in (hour of week, hour of day, the whole), with the reason. And rows of one night are no independent draws: each
night has its own weather. Under no change the current batch is one more stretch of time, exchangeable with the
reference's stretches of as many rows, so its distance from the others ranks uniformly among theirs (conformal
prediction; Vovk et al. 2005). A column is flagged only where `compare` flags it and its effect is beyond that of every
stretch left out in turn: on top of what `compare` guarantees for independent rows, a false flag has a probability of at
most 1 / (stretches + 1), whatever the dependence within a stretch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from functools import reduce
from itertools import accumulate

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.distances import DEFAULT, Thresholds
from fairlead.stats.drift import ColumnDrift, Level, compare
from fairlead.stats.profile import TableProfile, profile

Codes = NDArray[np.int64]
Seconds = NDArray[np.float64]

HOUR, DAY, WEEK = 3_600, 86_400, 7 * 86_400
MONDAY = 4 * DAY  # the first Monday of 1970, in seconds
CYCLES = 2
ROWS = 100
STRETCHES = 26  # a longer reference is cut into this many stretches of equally many cycles


class Season(StrEnum):
    """What comes back: the hour of the week (168 phases), of the day (24), the day of the week (7), the month (12)."""

    HOUR_OF_WEEK = "hour_of_week"
    HOUR_OF_DAY = "hour_of_day"
    DAY_OF_WEEK = "day_of_week"
    MONTH = "month"


class Slot(Struct, frozen=True):
    """The rows of one phase in one stretch of the reference, which is one cycle or a few; stretches rise with time."""

    phase: int
    stretch: int
    cycles: int
    profile: TableProfile


class Matched(Struct, frozen=True):
    """The reference of some phases, the sum of its stretches. `reason` says why it is coarser than asked; else empty.

    `season` is None where the whole reference stands in, which has no stretches.
    """

    profile: TableProfile
    stretches: tuple[TableProfile, ...]
    cycles: int
    season: Season | None
    reason: str = ""


class SeasonDrift(Struct, frozen=True):
    """A matched comparison. `usual` is the largest effect of a stretch of the reference against the others, by column
    that `compare` flagged; `calmed` names those that lie within it. `stretches` were compared: none where the reference
    is less than twice as long as the current batch, and then nothing is calmed."""

    columns: tuple[ColumnDrift, ...]
    matched: Matched
    usual: dict[str, float]
    calmed: tuple[str, ...]
    stretches: int


class SeasonReference(Struct, frozen=True):
    """A reference cut by season; `whole` is the sum of all slots."""

    season: Season
    slots: tuple[Slot, ...]
    whole: TableProfile

    def matched(self, phases: Iterable[int], *, least_cycles: int = CYCLES, least_rows: int = ROWS) -> Matched:
        """The reference of these phases.

        Falls back to the hour of the day, then to the whole, where fewer than `least_cycles` cycles (at least 2) hold
        the phases, or their rows are fewer than `least_rows`. Raises `ValueError` for no phase, or fewer than 2 cycles.
        """
        wanted = sorted(set(phases))
        if not wanted:
            raise ValueError("no phase was named: pass those that the current rows span")
        if least_cycles < CYCLES:
            raise ValueError(f"least_cycles is {least_cycles}: one cycle says nothing of what is usual")
        found, reason = self._sum(self.season, wanted, (least_cycles, least_rows))
        if found is not None:
            return found
        if self.season is Season.HOUR_OF_WEEK:
            hours = sorted({phase % 24 for phase in wanted})
            coarse, again = self._sum(Season.HOUR_OF_DAY, hours, (least_cycles, least_rows))
            if coarse is not None:
                return replace(coarse, reason=f"{reason}: hours of the day stand in")
            reason = f"{reason}; {again}"
        return Matched(self.whole, (), 0, None, f"{reason}: the whole reference stands in")

    def _sum(self, season: Season, phases: list[int], least: tuple[int, int]) -> tuple[Matched | None, str]:
        coarse = season is not self.season
        found = [slot for slot in self.slots if (slot.phase % 24 if coarse else slot.phase) in phases]
        rows, name = sum(slot.profile.rows for slot in found), season.value.replace("_", " ")
        spans = {slot.stretch: 0 for slot in found}
        for slot in found:
            spans[slot.stretch] = max(spans[slot.stretch], slot.cycles)
        cycles = sum(spans.values())
        if cycles < least[0]:
            return (
                None,
                f"the reference holds {cycles} cycle{'s' * (cycles != 1)} of this {name}, {least[0]} are needed",
            )
        if rows < least[1]:
            return None, f"the reference holds {rows} row{'s' * (rows != 1)} of this {name}, {least[1]} are needed"
        parts = tuple(_total([slot.profile for slot in found if slot.stretch == one]) for one in sorted(spans))
        return Matched(_total(parts), parts, cycles, season), ""


def phases_of(seconds: Seconds | Sequence[float], season: Season, *, offset: float = 0.0) -> tuple[Codes, Codes]:
    """Phase and cycle, each (n,), of instants in seconds since 1970 UTC; `offset` seconds lead to local time.

    Weeks begin on Monday. The cycle of hours and days of the week is the week, of hours of the day the day, of months
    the year. Raises `ValueError` for an instant that is no number.

    >>> phase, cycle = phases_of([0.0, 4 * 86_400.0 + 3_600.0], Season.HOUR_OF_WEEK)
    >>> phase.tolist(), cycle.tolist()
    ([72, 1], [-1, 0])
    """
    local = np.asarray(seconds, np.float64) + offset
    if not np.isfinite(local).all():
        raise ValueError("an instant is not a number: leave rows without a time out")
    whole = np.floor(local).astype(np.int64)
    if season is Season.MONTH:
        months = whole.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64)
        return months % 12, months // 12
    if season is Season.HOUR_OF_DAY:
        return whole % DAY // HOUR, whole // DAY
    within, week = (whole - MONDAY) % WEEK, (whole - MONDAY) // WEEK
    return within // (HOUR if season is Season.HOUR_OF_WEEK else DAY), week


def season_reference(
    columns: Sequence[Column], seconds: Seconds | Sequence[float], season: Season, *, offset: float = 0.0
) -> SeasonReference:
    """Cuts a reference's columns by the season of its rows' instants, (rows,), on the grids of the whole.

    Raises `ValueError` where there is no row, or an instant is missing.

    >>> hours = np.arange(4 * 168) * 3600.0
    >>> load = NumericColumn("load", np.where(hours / 3600 % 24 < 6, 1.0, 5.0))
    >>> found = season_reference([load], hours, Season.HOUR_OF_DAY).matched([3], least_rows=20)
    >>> found.profile.rows, found.profile.columns[0].mean, found.cycles, len(found.stretches)
    (28, 1.0, 28, 14)
    """
    phase, cycle = phases_of(seconds, season, offset=offset)
    if not columns or columns[0].rows != phase.size or phase.size == 0:
        raise ValueError(f"{phase.size} instants do not fit the columns: pass one for each of at least one row")
    whole = profile(columns)
    known, place = np.unique(cycle, return_inverse=True)
    stretch = place // -(-known.size // STRETCHES)
    order = np.lexsort((place, phase, stretch))
    marks = np.flatnonzero(np.diff(phase[order]) | np.diff(stretch[order])) + 1
    slots = []
    for rows in np.split(order, marks):
        part = profile([_rows(column, rows) for column in columns], whole.grids)
        slots.append(Slot(int(phase[rows[0]]), int(stretch[rows[0]]), int(np.unique(place[rows]).size), part))
    return SeasonReference(season, tuple(slots), whole)


def compare_season(
    reference: SeasonReference,
    current: TableProfile,
    phases: Iterable[int],
    *,
    alpha: float = 0.01,
    thresholds: Thresholds = DEFAULT,
) -> SeasonDrift:
    """Compares a batch, profiled on the reference's grids, with the reference of the phases that it spans.

    Raises as `compare` and `SeasonReference.matched`.
    """
    matched = reference.matched(phases)
    found = compare(matched.profile, current, alpha=alpha, thresholds=thresholds)
    flagged = {one.name for one in found if one.level is not Level.NONE}
    stretches = as_long(matched.stretches, current.rows)
    usual = usual_effects(stretches, flagged, thresholds) if flagged else {}
    calmed = tuple(one.name for one in found if one.name in usual and one.effect <= usual[one.name])
    columns = tuple(replace(one, level=Level.NONE) if one.name in calmed else one for one in found)
    return SeasonDrift(columns, matched, usual, calmed, len(stretches))


def usual_effects(
    stretches: Sequence[TableProfile], names: Iterable[str], thresholds: Thresholds = DEFAULT
) -> dict[str, float]:
    """The largest effect of a stretch against the sum of the others, for the named columns; empty below two stretches.

    All sums with one left out come from two running ones, forward and backward: additions, never a subtraction.
    """
    if len(stretches) < CYCLES:
        return {}
    wanted = set(names)
    narrow = [_only(one, wanted) for one in stretches]
    before, after = list(accumulate(narrow[:-1])), list(accumulate(narrow[:0:-1]))[::-1]
    others = [after[0], *(one + two for one, two in zip(before[:-1], after[1:], strict=True)), before[-1]]
    worst = dict.fromkeys(wanted, 0.0)
    for rest, one in zip(others, narrow, strict=True):
        for found in compare(rest, one, thresholds=thresholds):
            worst[found.name] = max(worst[found.name], found.effect)
    return worst


def as_long(stretches: Sequence[TableProfile], rows: int) -> list[TableProfile]:
    """Neighbours merged until each has as many rows as the current batch; what is left over joins the last."""
    merged: list[TableProfile] = []
    for one in stretches:
        if merged and merged[-1].rows < rows:
            merged[-1] += one
        else:
            merged.append(one)
    if len(merged) > 1 and merged[-1].rows < rows:
        last = merged.pop()
        merged[-1] += last
    return merged if len(merged) >= CYCLES else []


def _total(parts: Sequence[TableProfile]) -> TableProfile:
    return reduce(lambda one, two: one + two, parts)


def _only(one: TableProfile, names: set[str]) -> TableProfile:
    return TableProfile(one.rows, tuple(column for column in one.columns if column.grid.name in names))


def _rows(column: Column, rows: NDArray[np.intp]) -> Column:
    if isinstance(column, NumericColumn):
        return NumericColumn(column.name, column.values[rows])
    return CategoricalColumn(column.name, column.codes[rows], column.categories)
