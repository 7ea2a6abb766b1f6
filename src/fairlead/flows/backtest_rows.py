"""A past, window by window: rows counted on the reference's grids, in any order and in parts that add up.

Drift is of all rows, and so is the mean loss that decides what was harmful. What needs single rows (AUROC, the estimate
without labels, the test of the loss) is judged on every `step`-th row of each part, at most 50,000 a window.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.core.contract import Task
from fairlead.core.groups import GroupCounts
from fairlead.core.report import SCORE
from fairlead.core.window import Window, WindowPlan
from fairlead.flows.watching.cohort import Cohort, Labelled, Placed
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.segments import cells_in
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.multivariate.dependence import Sums
from fairlead.stats.performance import Floats
from fairlead.stats.pinpoint import Cells
from fairlead.stats.profile import TableProfile, empty_profile, profile_column
from fairlead.stats.tally import Scratch

JUDGED_ROWS = 50_000


class Rows(Struct, frozen=True, eq=False):
    """Answered requests in any order, n of them: `at` their event times, `features` their columns (n,), `score` and
    `decided` as a log holds them, `truth` nan without a label, `observed_at` when each label came (inf: never)."""

    at: Floats
    features: dict[str, Column]
    score: Floats
    decided: Floats
    truth: Floats
    observed_at: Floats

    @property
    def size(self) -> int:
        """How many."""
        return int(self.at.size)

    def take(self, places: NDArray[np.intp]) -> Rows:
        """Some of the rows."""
        parts = (self.score[places], self.decided[places], self.truth[places], self.observed_at[places])
        return Rows(self.at[places], {name: taken(one, places) for name, one in self.features.items()}, *parts)

    def every(self, step: int) -> Rows:
        """Every `step`-th of them."""
        if step == 1:
            return self
        parts = (one[::step] for one in (self.score, self.decided, self.truth, self.observed_at))
        return Rows(self.at[::step], {name: _every(one, step) for name, one in self.features.items()}, *parts)


class Losses(Struct, frozen=True):
    """Of all labelled rows: how many, the sum of their losses, and of the squares."""

    labels: int = 0
    total: float = 0.0
    squares: float = 0.0

    def __add__(self, other: Losses) -> Losses:
        return Losses(self.labels + other.labels, self.total + other.total, self.squares + other.squares)


class Tally(Struct, frozen=True, eq=False):
    """One window's rows so far: counts of all, and some rows of their own: (5, k) event time, score, decision, truth,
    instant of the label. Of these too: `groups` (columns, k) and `cells` (features, k), by which answers are told apart
    and harm is looked for, and `sums`, how their numbers go together; None where that is not watched."""

    window: Window
    profile: TableProfile
    losses: Losses
    some: Floats
    groups: Cells
    cells: Cells
    sums: Sums | None = None

    def __add__(self, other: Tally) -> Tally:
        some = np.concatenate((self.some, other.some), axis=1)
        groups = np.concatenate((self.groups, other.groups), axis=1)
        cells = np.concatenate((self.cells, other.cells), axis=1)
        known = [one for one in (self.sums, other.sums) if one is not None]
        sums = None if not known else known[0] if len(known) == 1 else known[0] + known[1]
        return Tally(self.window, self.profile + other.profile, self.losses + other.losses, some, groups, cells, sums)


def tallied(
    rows: Rows, reference: Reference, plan: WindowPlan, step: int, scratch: Scratch | None = None
) -> list[Tally]:
    """The rows counted by window. Rows without an event time are left out."""
    found = []
    for window, part in _by_window(rows, plan):
        columns = []
        for grid in reference.profile.grids:
            column = NumericColumn(SCORE, part.score) if grid.name == SCORE else part.features.get(grid.name)
            columns.append(empty_profile(grid, part.size) if column is None else profile_column(column, grid, scratch))
        known = ~(np.isnan(part.truth) | np.isnan(part.decided))
        losses = reference.losses(part.truth[known], part.decided[known])
        sums = Losses(int(losses.size), float(losses.sum()), float((losses * losses).sum()))
        found.append(_tally(window, TableProfile(part.size, tuple(columns)), sums, part.every(step), reference))
    return found


def _tally(window: Window, counts: TableProfile, losses: Losses, some: Rows, reference: Reference) -> Tally:
    """With what is counted of some rows one by one."""
    held = np.stack((some.at, some.score, some.decided, some.truth, some.observed_at))
    columns = tuple(some.features.values())
    none = np.empty((0, some.size), np.uint8)
    groups = none if reference.groups is None else reference.groups.cells(columns, some.size)
    cells = none if reference.groups is None else cells_in(some.features, reference.profile, some.size)
    sums = None if reference.bonds is None else reference.bonds.count(columns)
    return Tally(window, counts, losses, held, groups, cells, sums)


def _every(column: Column, step: int) -> Column:
    if isinstance(column, NumericColumn):
        return NumericColumn(column.name, column.values[::step])
    return CategoricalColumn(column.name, column.codes[::step], column.categories)


def taken(column: Column, places: NDArray[np.intp]) -> Column:
    """Some rows of a column."""
    if isinstance(column, NumericColumn):
        return NumericColumn(column.name, column.values[places])
    return CategoricalColumn(column.name, column.codes[places], column.categories)


class PastCohort(Cohort):
    """A window's rows as the watch's judge takes them, as known at an instant."""

    def __init__(self, reference: Reference, tally: Tally, known_at: float) -> None:
        """At most 50,000 rows are judged one by one, evenly spaced in order of event time."""
        super().__init__(reference, profiled=False)
        order = np.argsort(tally.some[0], kind="stable")
        order = order[:: -(-order.size // JUDGED_ROWS) or 1]
        self._past, self._past_order = tally, order
        self._past_at, self._past_score, self._past_decided, truth, seen = tally.some[:, order]
        self._past_truth = np.where(seen <= known_at, truth, np.nan)
        self._past_seen = np.where(np.isnan(self._past_truth), -np.inf, seen)

    @property
    def rows(self) -> int:
        """All of them."""
        return self._past.profile.rows

    @property
    def units(self) -> int:
        """A table does not say who was answered."""
        return 0

    def profile(self) -> TableProfile | None:
        """Of all rows."""
        return self._past.profile

    def sums(self) -> Sums | None:
        """Of the rows that are kept one by one."""
        return self._past.sums

    def cells(self) -> Cells:
        """Of the rows that are judged one by one."""
        return self._past.cells[:, self._past_order]

    def groups(self) -> GroupCounts | None:
        """The same by class and by group."""
        known = self.reference.groups
        if known is None or not self._past_at.size:
            return None
        return known.counts(self._past.groups[:, self._past_order], self.truths(), self.places_decided())

    def scores(self) -> Floats:
        """Of the rows that are judged one by one."""
        return np.asarray(self._past_score[~np.isnan(self._past_score)], np.float64)

    def decisions(self) -> Floats:
        """The same of the decisions."""
        return np.asarray(self._past_decided[~np.isnan(self._past_decided)], np.float64)

    def placed(self) -> Placed:
        """The rows that are judged one by one, labelled or not."""
        return Placed(self._past_at, self._past_truth, self._past_score, self._past_decided, self._past_seen)

    def truths(self) -> Floats:
        """Their truths."""
        return np.asarray(self._past_truth, np.float64)

    def places_decided(self) -> Floats:
        """Their decisions."""
        return np.asarray(self._past_decided, np.float64)

    def labelled(self) -> Labelled:
        """The same of those whose label was known."""
        score = self._past_score
        if self.reference.contract.task is not Task.BINARY and np.isnan(score).all():
            score = np.zeros(score.size)  # a table of decisions alone
        known = ~np.isnan(self._past_truth)
        usable = known & ~np.isnan(score) & ~np.isnan(self._past_decided)
        share = float(known.mean()) if known.size else 0.0
        return Labelled(
            self._past_truth[usable],
            score[usable],
            self._past_decided[usable],
            share,
            int(known.sum() - usable.sum()),
        )

    def ripe_at(self, share: float, latest: float) -> float:
        """When so large a share of the labels had come, or `latest`."""
        seen = np.sort(self._past.some[4])
        place = int(np.ceil(share * seen.size)) - 1
        return min(latest, float(seen[place])) if seen.size else latest


def _by_window(rows: Rows, plan: WindowPlan) -> Iterator[tuple[Window, Rows]]:
    at = rows.at
    dated = np.isfinite(at)
    if not dated.any():
        return
    low, high = float(at[dated].min()), float(at[dated].max())
    window = plan.window_of(low)
    if dated.all() and window.holds(high):
        yield window, rows
        return
    order = np.argsort(np.where(dated, at, np.inf), kind="stable")[: int(dated.sum())]
    ordered = at[order]
    start = 0
    while start < order.size:
        window = plan.window_of(float(ordered[start]))
        end = int(np.searchsorted(ordered, window.ends_at, side="left"))
        yield window, rows.take(order[start:end])
        start = end
