"""A cohort's rows counted by the hour: the window's profile is the sum of its slots, and the slots stay.

Counted are all rows, and apart from them the rows of each segment: of the features that the settings name, then of
those of few categories, as long as they fit into a bounded number of cells. A segment of any other feature can still be
counted from the log.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import inf, nan
from operator import itemgetter
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.core.inference import label_text
from fairlead.core.record import Prediction
from fairlead.core.report import SCORE
from fairlead.core.slot import HOUR, Cut, Slot, segment_name
from fairlead.core.window import MONDAY, Window
from fairlead.errors import FairleadError
from fairlead.flows.watching.reference import Reference
from fairlead.ports.slots import SlotStore
from fairlead.stats.columns import CategoricalColumn, Column
from fairlead.stats.condensed import TableSums, added, condensed
from fairlead.stats.grid import CategoryGrid
from fairlead.stats.grouped import grouped
from fairlead.stats.performance import Floats
from fairlead.stats.profile import TableProfile

_LOG = logging.getLogger("fairlead.watch")
CELLS = 12
NULL = "null"  # the value of a segment of rows without one


class SlotPlan(Struct, frozen=True):
    """How rows are counted: slots of `seconds`, which part a day; `segments` are features whose values are told apart
    first, `cells` how many values in all."""

    seconds: float = HOUR
    segments: tuple[str, ...] = ()
    cells: int = CELLS


class SlotCounter:
    """Counts the rows of one version in one window, and of some values of its features."""

    def __init__(self, reference: Reference, cut: Cut, values: Mapping[str, frozenset[str]]) -> None:
        self._reference = reference
        self._cut = cut
        self._values = values
        self._held: dict[tuple[str, float, float], TableSums] = {}
        self._columns: tuple[Column, ...] = ()

    @property
    def version(self) -> int:
        """Whose rows they are."""
        return self._reference.version

    def look(self, columns: Sequence[Column]) -> None:
        """Sees the columns of the rows that are added next."""
        self._columns = tuple(columns)

    def add(self, at: Floats, profile: TableProfile) -> None:
        """Takes rows in: the instants (n,) that they were answered at, and their profile, whose columns were seen."""
        grids, slots = self._reference.profile.grids, list(self._by_slot(at))
        keys = [("", *edges) for edges, _ in slots] if len(slots) > 1 else []
        groups = [rows for _, rows in slots] if len(slots) > 1 else []
        for segment, inside in _segments(self._columns, self._values, at.size):
            for edges, rows in slots:
                mine = rows[inside[rows]]
                if mine.size:
                    keys.append((segment, *edges))
                    groups.append(mine)
        if len(slots) == 1:
            self._keep(("", *slots[0][0]), condensed(profile))
        for key, sums in zip(keys, grouped(self._columns, grids, groups) if groups else (), strict=True):
            self._keep(key, sums)
        self._columns = ()

    def slots(self, model: str, bundle: str = "", *, judged: bool = True) -> Iterator[Slot]:
        """What was counted, one slot after the other. `judged`: its window is judged from these rows."""
        by = tuple(self._values)
        for (segment, start, end), sums in sorted(self._held.items(), key=itemgetter(0)):
            yield Slot(model, self.version, start, end, sums, segment, bundle, sums.rows if judged else None, by)

    def _by_slot(self, at: Floats) -> Iterator[tuple[tuple[float, float], NDArray[np.intp]]]:
        seconds = self._cut.seconds
        first, last = (int((end - MONDAY) // seconds) for end in (at.min(), at.max()))
        edges = MONDAY + seconds * np.arange(first - 1, last + 3)
        place = np.searchsorted(edges, at, side="right") - 1
        for one in np.unique(place).tolist():
            low, high = max(float(edges[one]), self._cut.starts_at), min(float(edges[one + 1]), self._cut.ends_at)
            yield (low, high), np.flatnonzero(place == one)

    def _keep(self, key: tuple[str, float, float], sums: TableSums) -> None:
        known = self._held.get(key)
        self._held[key] = sums if known is None else added([known, sums], self._reference.profile.grids)


class Counted(Protocol):
    """Rows of one version that are counted by the hour, too."""

    slots: SlotCounter | None

    def profile(self) -> TableProfile | None:
        """Of all rows."""
        ...


class SlotKeeping:
    """Keeps the slots of one model's windows as they are judged."""

    def __init__(self, store: SlotStore, plan: SlotPlan, since: float = inf) -> None:
        """What was received after `since` and came too late for its window is noted; before, a log is read again."""
        self._store = store
        self._plan = plan
        self._since = since
        self._late: tuple[float, float] | None = None

    def counter(self, reference: Reference, window: Window) -> SlotCounter:
        """What counts a version's rows of a window."""
        return counter_of(reference, (window.starts_at, window.ends_at), self._plan)

    def late(self, record: Prediction) -> None:
        """Notes an answer that came after its window had been judged: its slot lacks it."""
        if record.received_at > self._since and record.status == 200:
            first, last = self._late or (record.timestamp, record.timestamp)
            self._late = (min(first, record.timestamp), max(last, record.timestamp))

    def behind(self) -> tuple[float, float] | None:
        """From when until when answers have come late since this was last asked; None for none."""
        found, self._late = self._late, None
        return found

    def keep(self, model: str, window: Window, cohorts: Iterable[Counted], bundles: Mapping[int, str]) -> None:
        """Keeps what was counted of a window that is judged now. A store that refuses leaves the window without slots,
        never without a verdict."""
        for cohort in cohorts:
            cohort.profile()  # counts what has not been counted yet
        counters = [cohort.slots for cohort in cohorts if cohort.slots is not None]
        slots = [slot for one in counters for slot in one.slots(model, bundles.get(one.version, ""))]
        try:
            if slots:
                self._store.put(slots)
        except FairleadError as error:
            _LOG.warning("the counts of window %s of %s are not kept: %s", window.name, model, error.line)


def _segments(
    columns: Sequence[Column], values: Mapping[str, frozenset[str]], rows: int
) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """The segments that there may be, of these values of these columns, each with whether a row (n,) is in it. Callers
    could send any number of other values."""
    named = {column.name: column for column in columns if column.rows == rows}
    for name, known in values.items():
        for value, inside in sorted(_values(named[name], known), key=itemgetter(0)) if name in named else ():
            yield segment_name(name, value), inside


def _values(column: Column, known: frozenset[str]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    if isinstance(column, CategoricalColumn):
        for code, value in enumerate(column.categories):
            if value in known:
                yield value, column.codes == code
        if NULL in known and NULL not in column.categories:
            yield NULL, column.codes == -1
        return
    for value in known:
        yield value, np.isnan(column.values) if value == NULL else column.values == _number(value)


def _number(value: str) -> float:
    """The number that a segment names; nan, which equals none, for what is no number."""
    try:
        return {"true": 1.0, "false": 0.0}[value] if value in ("true", "false") else float(value)
    except ValueError:
        return nan


def values_of(reference: TableProfile, columns: Sequence[str]) -> dict[str, frozenset[str]]:
    """The values of these columns that have segments: those that the reference knows, and none at all."""
    grids = {grid.name: grid for grid in reference.grids if isinstance(grid, CategoryGrid)}
    return {name: frozenset((*grids[name].categories, NULL)) for name in columns if name in grids}


def value_of(value: object) -> str:
    """A feature's value as a segment names it.

    >>> value_of(None), value_of("north"), value_of(True)
    ('null', 'north', 'true')
    """
    return NULL if value is None else label_text(value)


def parted_by(reference: TableProfile, plan: SlotPlan) -> tuple[str, ...]:
    """The features whose values have slots of their own: those named, then the others of few categories, each whole,
    as long as their categories fit into the plan's cells."""
    sizes = {grid.name: len(grid.categories) for grid in reference.grids if isinstance(grid, CategoryGrid)}
    others = sorted((name for name in sizes if name not in plan.segments and name != SCORE), key=sizes.__getitem__)
    found, left = [], plan.cells
    for name in (*plan.segments, *others):
        if 2 <= sizes.get(name, 0) <= left:
            found.append(name)
            left -= sizes[name]
    return tuple(found)


def counter_of(reference: Reference, window: tuple[float, float], plan: SlotPlan) -> SlotCounter:
    """What counts a version's rows of a window, from its start to its end."""
    values = values_of(reference.profile, parted_by(reference.profile, plan))
    return SlotCounter(reference, Cut(plan.seconds, *window), values)
