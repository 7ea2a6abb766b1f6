"""The passes over a table's parts: sample and totals first, then counts; on any engine, with the same result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TypeVar

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.adapters.compiled import scratch
from fairlead.adapters.engines.local import LocalEngine
from fairlead.errors import TableError
from fairlead.ports.engine import SLAB, TEXT, Engine, Part, Source
from fairlead.stats.columns import Column, NumericColumn
from fairlead.stats.grid import CategoryGrid, Grid, category_grid, with_scale
from fairlead.stats.profile import (
    CategoryProfile,
    ColumnProfile,
    NumericProfile,
    TableProfile,
    empty_profile,
    profile_column,
)
from fairlead.stats.sampling import SIZE, chosen

J = TypeVar("J")
R = TypeVar("R")

Progress = Callable[[int, int], None]

TOGETHER = 8  # numeric columns whose samples are in memory at once: 8 MB each; parts are read column by column


class Job(Struct, frozen=True):
    """Parts that one worker reads, about a slab of rows; `first` is the number of their first row in the table."""

    parts: tuple[Part, ...]
    first: int


class Sampled(Struct, frozen=True, eq=False):
    """Of a numeric column: the chosen rows, in order, and the ends of all finite values, None without any."""

    values: NDArray[np.float64]
    low: float | None
    high: float | None


Survey = dict[str, Sampled | ColumnProfile]


class Passes:
    """Runs passes on an engine, and tells how far they are."""

    def __init__(self, engine: Engine, progress: Progress | None = None, then: Source | None = None) -> None:
        """`progress` is called with the jobs done and the jobs in all, 0 where nobody knows.

        `then` is what will be counted after a reference: its jobs are among all from the start.
        """
        self._engine, self._progress = engine, progress
        self._done = 0
        self._total = 0 if then is None or then.rows is None else sum(1 for _ in split(then))

    def reference(self, source: Source, names: Sequence[str]) -> TableProfile:
        """Fixes the columns' grids, and counts on them. Raises `TableError` for a source without a row."""
        total = source.rows or 0
        if not total:
            raise TableError("the table has no rows: a comparison needs at least one")
        jobs = list(split(source))
        texts = [name for name in names if source.kinds[name] == TEXT]
        numbers = [name for name in names if source.kinds[name] != TEXT]
        groups = [numbers[start : start + TOGETHER] for start in range(0, len(numbers), TOGETHER)] or [[]]
        self._total += len(jobs) * sum(2 if group and total > SIZE else 1 for group in groups)
        found: dict[str, ColumnProfile] = {}
        for place, group in enumerate(groups):
            surveyed = self._survey(jobs, group, [] if place else texts, total)
            found.update(surveyed)
            if group and total > SIZE:
                counted = self._count(jobs, [surveyed[name].grid for name in group])
                found.update({one.grid.name: _scaled(one, surveyed[one.grid.name]) for one in counted.columns})
        return TableProfile(total, tuple(found[name] for name in names))

    def on_grids(self, source: Source, grids: Sequence[Grid]) -> TableProfile:
        """Counts a source on grids that are there already. Raises `TableError` for one without a row."""
        if source.rows is None:  # a stream: nobody knows how much is to come
            self._total = 0
            return self._count(split(source), grids)
        jobs = list(split(source))
        self._total = max(self._total, self._done + len(jobs))
        return self._count(jobs, grids)

    def _survey(
        self, jobs: Iterable[Job], numbers: Sequence[str], texts: Sequence[str], total: int
    ) -> dict[str, ColumnProfile]:
        """Exact profiles of texts, and of numbers the profile of the sample: its grid is what counts."""
        samples: dict[str, list[Sampled]] = {name: [] for name in numbers}
        totals: dict[str, ColumnProfile] = {}
        work = partial(survey, numbers=tuple(numbers), texts=tuple(texts), total=total, size=SIZE)
        for result in self._map(work, jobs):
            for name, one in result.items():
                if isinstance(one, Sampled):
                    samples[name].append(one)
                else:
                    totals[name] = _added(totals.get(name), one)
        joined = (_joined(name, samples.pop(name), ends=total > SIZE) for name in numbers)
        profiles = LocalEngine().map(profile_column, joined)
        return {name: _on_its_own_grid(one) for name, one in totals.items()} | {one.grid.name: one for one in profiles}

    def _count(self, jobs: Iterable[Job], grids: Sequence[Grid]) -> TableProfile:
        found: TableProfile | None = None
        for one in self._map(partial(count, grids=tuple(grids)), jobs):
            found = one if found is None else found + one
        if found is None:
            raise TableError("the table has no rows: a comparison needs at least one")
        return found

    def _map(self, work: Callable[[J], R], jobs: Iterable[J]) -> Iterator[R]:
        for result in self._engine.map(work, jobs):
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)
            yield result


def split(source: Source) -> Iterator[Job]:
    """The source's parts, short ones together: the same jobs whatever engine does them."""
    held: list[Part] = []
    first = rows = 0
    for part in source.parts():
        if held and rows + part.rows > SLAB:
            yield Job(tuple(held), first)
            held, first, rows = [], first + rows, 0
        held.append(part)
        rows += part.rows
    if held:
        yield Job(tuple(held), first)


def survey(job: Job, *, numbers: Sequence[str], texts: Sequence[str], total: int, size: int) -> Survey:
    """The first pass over a job: of numbers the chosen rows and the ends, of texts the totals by name.

    A table of at most `size` rows, `total` in all, is chosen whole.
    """
    samples: dict[str, list[Sampled]] = {name: [] for name in numbers}
    totals: dict[str, ColumnProfile] = {name: empty_profile(CategoryGrid(name, ())) for name in texts}
    first, room = job.first, scratch()
    for part in job.parts:
        places = dict.fromkeys(numbers, first)
        for column in part.read([*numbers, *texts]):
            if column.name in totals:
                known = totals[column.name]
                totals[column.name] = _added(known, profile_column(column, known.grid, room))
            else:
                if not (isinstance(column, NumericColumn) or column.empty):
                    raise TableError(f"{part.label}: column {column.name!r} holds text, it held numbers elsewhere")
                samples[column.name].append(_sample(column, places[column.name], total, size))
                places[column.name] += column.rows
        first += part.rows
    return {**{name: _merged(found) for name, found in samples.items()}, **totals}


def count(job: Job, *, grids: Sequence[Grid]) -> TableProfile:
    """The second pass over a job, or the only one where the grids are known: the profile of its rows."""
    named = {grid.name: grid for grid in grids}
    found: dict[str, ColumnProfile] = {}
    room = scratch()
    for part in job.parts:
        for column in part.read(list(named)):
            try:
                one = profile_column(column, named[column.name], room)
            except TableError as error:
                raise TableError(f"{part.label}: {error}") from error
            found[column.name] = _added(found.get(column.name), one)
    rows = sum(part.rows for part in job.parts)
    return TableProfile(rows, tuple(found.get(name) or empty_profile(grid) for name, grid in named.items()))


def _added(one: ColumnProfile | None, two: ColumnProfile) -> ColumnProfile:
    if isinstance(one, NumericProfile) and isinstance(two, NumericProfile):
        return one + two
    if isinstance(one, CategoryProfile) and isinstance(two, CategoryProfile):
        return one + two
    assert one is None, "the grid decides the kind"
    return two


def _on_its_own_grid(totals: ColumnProfile) -> ColumnProfile:
    """A reference's categories, counted by name with none listed: the list that they fix, and the counts on it."""
    assert isinstance(totals, CategoryProfile)
    if totals.buckets:
        return msgspec.structs.replace(totals, grid=CategoryGrid(totals.grid.name, (), hashed=True))
    grid = category_grid(totals.grid.name, totals.unseen)
    counts = tuple(totals.unseen[name] for name in grid.categories)
    return msgspec.structs.replace(totals, grid=grid, counts=counts, unseen={})


def _scaled(counted: ColumnProfile, sampled: ColumnProfile) -> ColumnProfile:
    """The grid's scale, where it is a standard deviation, is that of all rows: the sample only chose the cuts."""
    assert isinstance(counted, NumericProfile)
    assert isinstance(sampled, NumericProfile)
    if sampled.grid.scale != sampled.deviation:
        return counted  # a heavy tail: an interquartile range
    return msgspec.structs.replace(counted, grid=with_scale(counted.grid, counted.deviation))


def _sample(column: Column, first: int, total: int, size: int) -> Sampled:
    values = column.values if isinstance(column, NumericColumn) else np.full(column.rows, np.nan)
    if total <= size:
        return Sampled(values, None, None)
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (None, None)
    return Sampled(values[chosen(total, first, column.rows, size=size)], low, high)


def _merged(found: Sequence[Sampled]) -> Sampled:
    return Sampled(
        np.concatenate([one.values for one in found]) if found else np.empty(0),
        min((one.low for one in found if one.low is not None), default=None),
        max((one.high for one in found if one.high is not None), default=None),
    )


def _joined(name: str, found: Sequence[Sampled], *, ends: bool) -> NumericColumn:
    """A sample as a column; the ends of the whole column belong to it, so that nothing lies outside its grid."""
    whole = _merged(found)
    beyond = [end for end in (whole.low, whole.high) if ends and end is not None]
    return NumericColumn(name, np.append(whole.values, beyond) if beyond else whole.values)
