"""Drift of a served model over any span: a sum of slots, against the data that one asks for.

A segment that has no slots of its own is counted from the log's rows of the span, which takes longer and is said.
"""

from __future__ import annotations

from difflib import get_close_matches
from math import inf
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from fairlead.config.zones import zone_named
from fairlead.core.calendar import Zone
from fairlead.core.check import judge_drift
from fairlead.core.event import VersionRegistered
from fairlead.core.listing import counted, first_of
from fairlead.core.report import SCORE
from fairlead.core.slot import Cut, Slot, parted, total
from fairlead.core.verdict import Outcome, Verdict
from fairlead.core.window import DAY
from fairlead.errors import NotFound, StateError, TableError, UsageError
from fairlead.flows.backfill import Filling
from fairlead.flows.backfill import counted as counted_from
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.slots import NULL
from fairlead.operations.context import Context
from fairlead.operations.drift_bases import (
    Basis,
    alike,
    bare_reference,
    differences,
    kind_of,
    previous,
    season,
    training,
)
from fairlead.operations.drift_html import page
from fairlead.operations.drift_report import DriftReport
from fairlead.operations.log_answers import answers_of
from fairlead.operations.performance_clock import long, written
from fairlead.operations.report_output import as_json
from fairlead.operations.report_output import written as saved
from fairlead.operations.slot_range import span_of
from fairlead.operations.slot_store import open_slots
from fairlead.ports.slots import SlotsHeld, SlotStore
from fairlead.stats.drift import ranked
from fairlead.stats.grid import CategoryGrid
from fairlead.stats.profile import TableProfile

_NONE = TableProfile(0, ())
_NAMES = {"training": "the training data", "previous": "the time before", "season": "the same hours before"}
QUARTER = 92 * DAY


class Asked(Struct, frozen=True):
    """What is asked about a model: see `slot_range.span_of` for the span, `drift_bases.kind_of` for the reference."""

    window: str | None = None
    segment: str = ""
    reference: str = "training"
    since: str | None = None
    until: str | None = None
    at_once: bool = False  # only what slots tell, and of at most a quarter: whoever asks waits for the answer


class ModelDrift(Struct, frozen=True):
    """What moved in a span of a version's answers. `rows` of them came in `slots`, `late` of these after their windows
    had been judged: what was judged stands. Instants are seconds since 1970, UTC."""

    model: str
    version: int
    starts_at: float
    ends_at: float
    segment: str
    against: str  # what it is compared with, in words
    slots: int
    rows: int
    late: int
    notes: tuple[str, ...]
    report: DriftReport

    @property
    def verdict(self) -> Verdict:
        """Of all columns."""
        return self.report.verdict

    @property
    def said(self) -> tuple[str, ...]:
        """What is compared with what, in a few lines."""
        which = f" of {self.segment}" if self.segment else ""
        first = (
            f"{self.model}@{self.version}, {written(self.starts_at)} to {written(self.ends_at)}: "
            f"{counted(self.rows, 'row')}{which} in {counted(self.slots, 'slot')}"
        )
        late = f"{counted(self.late, 'row')} came later than the judgement, which stands: the journal has it"
        return (first, f"against {self.against}", *((late,) if self.late else ()), *self.notes)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        own = {name: getattr(self, name) for name in self.__struct_fields__ if name != "report"}
        return {**msgspec.to_builtins(own), **self.report.to_dict()}

    def to_json(self) -> str:
        """`to_dict` as one JSON document."""
        return as_json(self.to_dict())

    def save_html(self, path: str | Path) -> Path:
        """Writes one self-contained page. Raises `UsageError` where the file cannot be written."""
        one = self.report
        return saved(path, page(one.verdict, one.columns, one.reference, one.current, self.said))


def model_drift(context: Context, name: str, asked: Asked) -> ModelDrift:
    """Compares a span of a model's answers (`name`, or a version's: `name@3`) with a reference.

    Unmeasured where nothing is kept of the span, or of what it is to be compared with. Raises `NotFound` for a model,
    version or feature that there is not, `UsageError` for what cannot be read, `StateError`, `BundleError`.
    """
    kind = kind_of(asked.reference)
    if asked.segment:
        check_segment(asked.segment)
    model, bundles, named = _named(context, name)
    if isinstance(kind, int) and kind not in bundles:
        there = ", ".join(f"v{one}" for one in sorted(bundles)[-5:])
        raise NotFound(f"there is no version {kind} of {model} to compare with: there are {there}")
    store, zone = open_slots(context), zone_named(context.settings.monitoring.zone)
    held = [one for one in store.held(model) if not one.segment and one.version in bundles]
    last = max((one.ends_at for one in held if named in (None, one.version)), default=context.clock.now())
    span = span_of(asked.window, asked.since, asked.until, last, zone)
    span = (Cut(float(context.settings.monitoring.slots.every), -inf, inf).edges(span[0])[0], span[1])
    if asked.at_once and span[1] - span[0] > QUARTER:
        raise UsageError("a window of more than 92 days takes long to add up: ask `fairlead drift` for it")
    rows = {one.version: _rows(store, model, one, span) for one in held}
    version = named or max(rows or bundles, key=lambda one: (rows.get(one, 0), one))
    reference = bare_reference(context.bundles, bundles[version], version)
    reading = Reading(context, store, model, (bundles[version], reference), asked)
    slots = reading.read(*span)
    basis = (
        _basis(context, kind, reading, (span, slots, zone), bundles)
        if slots
        else Basis(_NAMES.get(asked.reference, asked.reference))
    )
    if not slots:
        basis = msgspec.structs.replace(basis, reason=_nothing(asked.segment, reference, held))
    report, more = _report(basis, _sum(slots, reference), float(context.settings.monitoring.alpha))
    others = sum(count for other, count in rows.items() if other != version)
    left = (f"{counted(others, 'row')} of other versions left out: {model}@N looks at one",) if others else ()
    notes = dict.fromkeys((*left, *reading.notes, *_gaps(slots, span, asked.segment), *basis.notes, *more))
    counts = (len(slots), sum(slot.rows for slot in slots), sum(slot.late for slot in slots))
    return ModelDrift(model, version, *span, asked.segment, basis.said, *counts, tuple(notes), report)


def _basis(
    context: Context,
    kind: str | int,
    reading: Reading,
    now: tuple[tuple[float, float], tuple[Slot, ...], Zone | None],
    bundles: dict[int, str],
) -> Basis:
    """What the slots of a span are compared with."""
    span, slots, zone = now
    if kind == "previous":
        return previous(reading.read, reading.reference, span)
    if kind == "season":
        return season(reading.read, reading.reference, span, slots, zone)
    version = reading.reference.version if kind == "training" else int(kind)
    reference = reading.reference
    if version != reference.version:
        reference = bare_reference(context.bundles, bundles[version], version)
        if reading.segment:
            check_feature(reading.segment, f"{reading.model}@{version}", reference)
    return training(context.bundles, bundles[version], reference, reading.segment)


def _report(basis: Basis, current: TableProfile, alpha: float) -> tuple[DriftReport, tuple[str, ...]]:
    """The comparison; unmeasured where a side is missing."""
    if basis.profile is None:
        reason = f"not enough data yet: {basis.reason}"
        return DriftReport(Verdict(Outcome.UNMEASURED, reason), (), _NONE, current, alpha), ()
    notes: tuple[str, ...] = ()
    if basis.profile.grids != current.grids:
        left, current, notes = alike(basis.profile, current)
        basis = msgspec.structs.replace(basis, profile=left)
    columns, more = differences(basis, current, alpha)
    left = basis.profile or _NONE
    return DriftReport(judge_drift(columns), ranked(columns), left, current, alpha), (*notes, *more)


def _nothing(segment: str, reference: Reference, held: list[SlotsHeld]) -> str:
    """Why there are no rows to look at."""
    if segment:
        column, value = parted(segment)
        grid = next(grid for grid in reference.profile.grids if grid.name == column)
        known = grid.categories if isinstance(grid, CategoryGrid) else ()
        hint = f"; the training data hold {first_of(known)}" if known and value not in known else ""
        return f"no row of {segment} is kept of that time{hint}"
    if held:
        start, end = min(one.starts_at for one in held), max(one.ends_at for one in held)
        return f"nothing is kept of that time; slots run from {written(start)} to {written(end)}"
    return (
        "nothing is kept yet; a controller keeps slots as windows close, and `fairlead windows backfill` makes them "
        "from the log"
    )


def _sum(slots: tuple[Slot, ...], reference: Reference) -> TableProfile:
    return total(slots, reference.profile.grids) if slots else _NONE


def _gaps(slots: tuple[Slot, ...], span: tuple[float, float], segment: str) -> tuple[str, ...]:
    """What of the span no slot covers, and where slots reach beyond it."""
    if not slots:
        return ()
    notes = []
    if slots[-1].ends_at > span[1]:
        notes.append(f"slots are whole: the last one ends at {written(slots[-1].ends_at)}")
    missing = span[1] - span[0] - sum(min(slot.ends_at, span[1]) - slot.starts_at for slot in slots)
    if missing > 1.0 and not segment:
        notes.append(f"of {long(missing)} of it nothing is kept: nothing was answered, or no slot was made")
    return tuple(notes)


class Reading:
    """Reads a version's slots, of all rows or of a segment; `notes` says where the log was read instead."""

    def __init__(
        self, context: Context, store: SlotStore, model: str, version: tuple[str, Reference], asked: Asked
    ) -> None:
        """Raises `NotFound` for a segment of no feature."""
        self._context = context
        self._store = store
        self.model = model
        self.bundle, self.reference = version
        self.segment = asked.segment
        self._at_once = asked.at_once
        self.notes: tuple[str, ...] = ()
        if asked.segment:
            check_feature(asked.segment, f"{model}@{self.reference.version}", self.reference)

    def read(self, starts_at: float, ends_at: float) -> tuple[Slot, ...]:
        """The slots that begin in a span. Raises `UsageError` for a segment that only the log tells."""
        version = self.reference.version
        whole = self._of(self._store.read(self.model, version, "", starts_at, ends_at))
        if not self.segment:
            return whole
        column, value = parted(self.segment)
        grid = next(grid for grid in self.reference.profile.grids if grid.name == column)
        known = isinstance(grid, CategoryGrid) and value in (NULL, *grid.categories)
        if known and all(column in slot.by for slot in whole):
            return self._of(self._store.read(self.model, version, self.segment, starts_at, ends_at))
        return self._from_log((starts_at, ends_at), whole)

    def _from_log(self, span: tuple[float, float], whole: tuple[Slot, ...]) -> tuple[Slot, ...]:
        if self._at_once:
            raise UsageError(
                f"no slots are kept of {self.segment}: `fairlead drift` counts its rows from the log, and the setting "
                "monitoring.slots.cells says how many values are kept"
            )
        column, value = parted(self.segment)
        found = answers_of(self._context, self.model, *span).get(self.reference.version)
        rows, kept = 0 if found is None else found.at.size, sum(slot.rows for slot in whole)
        said = f"no slots are kept of {self.segment}: its rows were counted from the log"
        if rows < kept:
            said += f", which holds {rows:,} of the {kept:,} rows of that time"
        self.notes = tuple(dict.fromkeys((*self.notes, said)))
        if found is None:
            return ()
        monitoring = self._context.settings.monitoring
        values = {column: frozenset({value})}
        every = float(monitoring.slots.every)
        filling = Filling(self.model, self.bundle, self.reference, monitoring.plan, every, values)
        return tuple(slot for slot in counted_from(filling, found) if slot.segment == self.segment)

    def _of(self, slots: tuple[Slot, ...]) -> tuple[Slot, ...]:
        """Slots that are on this bundle's grids. Raises `StateError`."""
        other = next((slot for slot in slots if slot.bundle not in ("", self.bundle)), None)
        if other is not None:
            raise StateError(
                f"the slots of {self.model}@{self.reference.version} were counted for bundle {other.bundle[:12]}, and "
                f"the journal has {self.bundle[:12]}: move them away, and back-fill from the log"
            )
        return slots


def _named(context: Context, name: str) -> tuple[str, dict[int, str], int | None]:
    """The model, its versions' bundles, and the version that was named. Raises `NotFound`."""
    model, sign, which = name.partition("@")
    bundles = {
        entry.fact.version: entry.fact.bundle
        for entry in context.journal.read(model=model, kinds=["version_registered"])
        if isinstance(entry.fact, VersionRegistered)
    }
    if not bundles:
        raise NotFound(f"there is no model {model!r}: `fairlead models` lists them")
    if not sign:
        return model, bundles, None
    if not (which.isascii() and which.isdigit() and int(which[:9]) in bundles):
        there = ", ".join(map(str, sorted(bundles)[-5:]))
        raise NotFound(
            f"{model} has no version {which or 'of that name'}: there are {there}; write {model}@{there[-1]}"
        )
    return model, bundles, int(which)


def _rows(store: SlotStore, model: str, one: SlotsHeld, span: tuple[float, float]) -> int:
    if one.ends_at <= span[0] or one.starts_at >= span[1]:
        return 0
    return sum(slot.rows for slot in store.read(model, one.version, "", *span))


def check_segment(text: str) -> None:
    """Raises `UsageError` for what names no column and value."""
    try:
        parted(text)
    except TableError as error:
        raise UsageError(f"--segment: {error}") from None


def check_feature(segment: str, which: str, reference: Reference) -> None:
    """Raises `NotFound` for a segment of no feature of a version."""
    column, _ = parted(segment)
    names = [grid.name for grid in reference.profile.grids if grid.name != SCORE]
    if column not in names:
        near = get_close_matches(column, names, 1)
        raise NotFound(
            f"{which} has no feature {column!r}: " + (f"did you mean {near[0]}?" if near else first_of(names))
        )
