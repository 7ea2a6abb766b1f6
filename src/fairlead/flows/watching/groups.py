"""Answers by group: which columns make groups, the group of each row, and the counts of a window and of held-out rows.

Groups are of the columns that the settings name as segments, of protected ones (named in the settings, or like a
protected group), and of the first other features of few categories: six columns, of each the eight most frequent values
of the reference. Numbers, where they are asked for, are cut at the reference's quartiles. A row costs a byte a column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw, Struct
from msgspec.structs import astuple
from numpy.typing import NDArray

from fairlead.core.bundle import HELDOUT
from fairlead.core.contract import Contract, Task
from fairlead.core.gate import GatePolicy
from fairlead.core.groups import WHOLE, GroupCounts, Part, Rules, Side
from fairlead.core.inference import label_text
from fairlead.core.judge_model import protected_of
from fairlead.flows.watching.features import decoded, on_grid
from fairlead.ports.dataset import Dataset
from fairlead.stats.columns import CategoricalColumn, Column, NumericColumn
from fairlead.stats.performance import Floats
from fairlead.stats.pinpoint import Cells
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile, TableProfile

MOST = 6  # columns
VALUES = 8  # of a column
FEW = 12  # categories of a feature that makes groups unasked
_FEW_NUMBERS = 8  # different values of a number that are groups each; of more, its quarters are
OTHER = 255
MISSING = "missing"


class Grouping(Struct, frozen=True):
    """One column: the names of its groups, and of numbers where each but the first begins."""

    column: str
    names: tuple[str, ...]
    cuts: tuple[float, ...] = ()
    exact: bool = False  # each of few numbers is a group

    def cells(self, column: Column | None, rows: int) -> Cells:
        """The group of each row, (rows,): its place among the names, or 255."""
        found = np.full(rows, OTHER, np.uint8)
        missing = self.names.index(MISSING) if MISSING in self.names else OTHER
        if isinstance(column, CategoricalColumn):
            places = {name: place for place, name in enumerate(self.names)}
            codes = [*(places.get(name, OTHER) for name in column.categories), missing]
            return np.asarray(np.array(codes, np.uint8)[column.codes])
        if isinstance(column, NumericColumn) and self.cuts:
            known = ~np.isnan(column.values)
            place = np.searchsorted(self.cuts, column.values[known], side="right")
            if self.exact:
                place = np.where(np.isin(column.values[known], self.cuts), place - 1, OTHER)
            found[known], found[~known] = place.astype(np.uint8), missing
        return found


class Groups:
    """The groups of one version, and its held-out rows by them. `read` gives these rows' columns by name, and for each
    row its truth and the version's decision, (m,), nan where there is none."""

    def __init__(
        self,
        contract: Contract,
        profile: TableProfile,
        rules: Rules,
        read: Callable[[Sequence[str]], tuple[Sequence[Column], Floats, Floats]] | None = None,
    ) -> None:
        self.rules = rules
        self.classes = () if contract.task is Task.REGRESSION else contract.classes
        protected = protected_of(contract.names, GatePolicy(protected=rules.protected))
        asked = dict.fromkeys((*rules.segments, *protected))
        self.groupings = groupings(profile, tuple(asked))
        made = {one.column for one in self.groupings}
        self.protected = tuple(name for name in protected if name in made) if self.classes else ()
        named = {one.column for one in self.groupings}
        self._grids = {grid.name: grid for grid in profile.grids if grid.name in named}
        self._rows = _decoder([one.column for one in self.groupings])
        self._read = read
        self._held: Side | None = None

    def cells_of(self, features: Sequence[Raw]) -> Cells:
        """The groups of some records, (columns, records)."""
        if not self.groupings:
            return np.empty((0, len(features)), np.uint8)
        rows = self._decoded(features)
        grids = ((place, self._grids[one.column]) for place, one in enumerate(self.groupings))
        return self.cells([on_grid(grid, [row[place] for row in rows]) for place, grid in grids], len(features))

    def _decoded(self, features: Sequence[Raw]) -> list[tuple[Any, ...]]:
        """The values of the columns only: all at once, or, where a record is of another type, one by one."""
        if self._rows is not None:
            try:
                rows = self._rows.decode(b"[" + b",".join(features) + b"]")
                if len(rows) == len(features):
                    return [astuple(row) for row in rows]
            except (msgspec.MsgspecError, UnicodeDecodeError):
                pass
        return [tuple(row.get(one.column) for one in self.groupings) for row in decoded(features)]

    def cells(self, columns: Sequence[Column], rows: int) -> Cells:
        """The groups of some rows, (columns, rows)."""
        by_name = {column.name: column for column in columns}
        found = [one.cells(by_name.get(one.column), rows) for one in self.groupings]
        return np.stack(found) if found else np.empty((0, rows), np.uint8)

    def counts(self, cells: Cells, truth: Floats, decided: Floats) -> GroupCounts | None:
        """A window's rows: their groups, (columns, rows), truths and decisions, (rows,), nan where there is none. None
        where the bundle has no held-out rows to compare with."""
        if not self.classes and not self.groupings:
            return None
        if self._held is None and self._read is not None:
            columns, known, said = self._read([one.column for one in self.groupings])
            self._held, self._read = self._side(self.cells(columns, known.size), known, said), None
        if self._held is None:
            return None
        if truth.size < decided.size:  # no label has come
            truth = np.full(decided.size, np.nan)
        now = self._side(cells, truth, decided)
        return GroupCounts(now, self._held, self.classes, self.protected, self.rules)

    def _side(self, cells: Cells, truth: Floats, decided: Floats) -> Side:
        count = self._by_class if self.classes else _by_error
        (whole,) = count((WHOLE,), np.zeros(truth.size, np.uint8), truth, decided)
        if cells.shape != (len(self.groupings), truth.size):
            return Side(whole)
        columns = {
            one.column: count(one.names, row, truth, decided) for one, row in zip(self.groupings, cells, strict=True)
        }
        return Side(whole, columns)

    def _by_class(self, names: Sequence[str], cells: Cells, truth: Floats, decided: Floats) -> tuple[Part, ...]:
        """Each group's counts by class. Rows without a decision are no answers."""
        size, groups = len(self.classes), len(names)
        there = (cells < groups) & ~np.isnan(decided)
        known = there & ~np.isnan(truth)

        def table(rows: NDArray[np.bool_], classes: Floats) -> list[list[int]]:
            flat = cells[rows].astype(np.intp) * size + classes[rows].astype(np.intp)
            found: list[list[int]] = np.bincount(flat, minlength=groups * size).reshape(groups, size).tolist()
            return found

        made = table(there, decided)
        if not known.any():
            return tuple(Part(name, tuple(one)) for name, one in zip(names, made, strict=True))
        labelled = (table(known, truth), table(known, decided), table(known & (truth == decided), truth))
        return tuple(
            Part(name, tuple(said), tuple(true), tuple(chosen), tuple(both))
            for name, said, true, chosen, both in zip(names, made, *labelled, strict=True)
        )


def _by_error(names: Sequence[str], cells: Cells, truth: Floats, decided: Floats) -> tuple[Part, ...]:
    groups = len(names)
    there = (cells < groups) & ~np.isnan(decided)
    known = there & ~np.isnan(truth)
    error = np.abs(truth[known] - decided[known])
    places = cells[known].astype(np.intp)
    rows = np.bincount(cells[there].astype(np.intp), minlength=groups).tolist()
    sums = [np.bincount(places, weights, groups).tolist() for weights in (np.ones(error.size), error, error**2)]
    return tuple(
        Part(name, (int(made),), errors=(int(count), total, squares))
        for name, made, count, total, squares in zip(names, rows, *sums, strict=True)
    )


def groupings(profile: TableProfile, asked: Sequence[str]) -> tuple[Grouping, ...]:
    """The columns that make groups: those that are asked for, then the first features of few categories."""
    columns = {one.grid.name: one for one in profile.columns}
    first = [columns[name] for name in asked if name in columns]
    others = [
        one
        for one in profile.columns
        if isinstance(one, CategoryProfile) and 2 <= len(one.grid.categories) <= FEW and one.grid.name not in asked
    ]
    found = [made for one in (*first, *others) if (made := _grouping(one)) is not None]
    return tuple(found[: max(MOST, len(first))])


def _grouping(column: ColumnProfile) -> Grouping | None:
    missing = (MISSING,) if column.nulls else ()
    if isinstance(column, NumericProfile):
        return _numbers(column, missing)
    counts = sorted(zip(column.grid.categories, column.counts, strict=True), key=lambda one: -one[1])
    names = tuple(name for name, count in counts[:VALUES] if count)
    return Grouping(column.grid.name, (*names, *missing)) if len(names) + len(missing) > 1 else None


def _numbers(column: NumericProfile, missing: tuple[str, ...]) -> Grouping | None:
    """Few different numbers are a group each; of more, the quarters."""
    cells = np.flatnonzero(column.counts)
    if not cells.size:
        return None
    if cells.size <= _FEW_NUMBERS:
        values = sorted({float(value) for value in column.sums[cells] / column.counts[cells]})
        names = tuple(label_text(int(value) if value.is_integer() else value) for value in values)
        return Grouping(column.grid.name, (*names, *missing), tuple(values), exact=True) if len(values) > 1 else None
    places = np.searchsorted(np.cumsum(column.counts), np.array([0.25, 0.5, 0.75]) * column.present)
    cuts = sorted({float(column.grid.cuts[min(int(place), len(column.grid.cuts) - 1)]) for place in places})
    names = (f"up to {cuts[0]:.6g}", *(f"above {cut:.6g}" for cut in cuts))
    return Grouping(column.grid.name, (*names, *missing), tuple(np.nextafter(cuts, np.inf).tolist()))


def _decoder(names: Sequence[str]) -> msgspec.json.Decoder[Any] | None:
    """Reads of a record what is grouped by, and passes over the rest; None where a type cannot have such a name."""
    fields = [(f"c{place}", Any, None) for place in range(len(names))]
    rename = {f"c{place}": name for place, name in enumerate(names)}
    try:
        return msgspec.json.Decoder(list[msgspec.defstruct("Row", fields, rename=rename, gc=False)])  # type: ignore[misc]
    except ValueError:
        return None


class Answered(Struct, frozen=True, eq=False):
    """A version's answers to its held-out rows whose truth is known: which rows these are, (m,), their truths and its
    decisions (numbers of classes, or values)."""

    usable: NDArray[np.bool_]
    truth: NDArray[Any]
    decided: NDArray[Any]


def answered(usable: Sequence[bool], truth: Floats, decided: Floats, task: Task) -> Answered:
    """The same in few bytes a row."""
    kind = np.float32 if task is Task.REGRESSION else np.int16
    return Answered(np.array(usable, np.bool_), truth.astype(kind), decided.astype(kind))


def groups_of(
    folder: Path,
    open_dataset: Callable[[Path], Dataset],
    known: tuple[Contract, TableProfile, Answered | None],
    rules: Rules,
) -> Groups:
    """The groups of a bundle in a folder."""
    contract, profile, said = known
    path = folder / HELDOUT
    if said is None or not path.exists():
        return Groups(contract, profile, rules)

    def read(names: Sequence[str]) -> tuple[Sequence[Column], Floats, Floats]:
        truth, decided = (np.full(said.usable.size, np.nan) for _ in range(2))
        truth[said.usable], decided[said.usable] = said.truth, said.decided
        return open_dataset(path).columns(names), truth, decided

    return Groups(contract, profile, rules, read)
