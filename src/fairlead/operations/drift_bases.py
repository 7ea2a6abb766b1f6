"""What a span of a served model's slots is compared with: its training data, the span before, the same hours of weeks
before, or another version's training data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from math import isnan

import msgspec
import numpy as np
from msgspec import Struct

from fairlead.adapters.arrow_dataset import open_dataset
from fairlead.core.bundle import HELDOUT, PROFILE, Manifest
from fairlead.core.calendar import Zone
from fairlead.core.listing import counted
from fairlead.core.report import SCORE
from fairlead.core.slot import Slot, parted, total
from fairlead.errors import BundleError, UsageError
from fairlead.flows.watching.features import on_grid
from fairlead.flows.watching.reference import Reference, answers
from fairlead.flows.watching.shifts import compared
from fairlead.flows.watching.slots import value_of
from fairlead.operations.performance_clock import written
from fairlead.ports import BundleStore
from fairlead.stats.columns import Column, NumericColumn
from fairlead.stats.drift import ColumnDrift
from fairlead.stats.profile import TableProfile, profile_column
from fairlead.stats.regrid import on_one_grid
from fairlead.stats.season import CYCLES, ROWS, Season, SeasonReference, compare_season, phases_of
from fairlead.stats.season import Slot as SeasonSlot

_LOG = logging.getLogger("fairlead.drift")
WEEK = 7 * 86_400.0
WEEKS = 13  # of which a season is made
KINDS = ("training", "previous", "season")
Read = Callable[[float, float], tuple[Slot, ...]]  # the slots of a span, of the segment that is asked about


class Basis(Struct, frozen=True):
    """One side of a comparison: `said` names it. `stretches` are earlier cycles of a season, which tell what is usual.
    Without a `profile` there is nothing to compare with, for a `reason`."""

    said: str
    profile: TableProfile | None = None
    reason: str = ""
    stretches: tuple[TableProfile, ...] = ()
    notes: tuple[str, ...] = ()


def kind_of(text: str) -> str | int:
    """`training`, `previous` or `season`, or the number of a pinned version. Raises `UsageError`.

    >>> kind_of("season"), kind_of("v3")
    ('season', 3)
    """
    if text in KINDS:
        return text
    number = text.removeprefix("v")
    if text != number and number.isascii() and number.isdigit() and 0 < int(number) < 10**9:
        return int(number)
    raise UsageError(f"there is no reference {text!r}: write {', '.join(KINDS)}, or a version as in v3")


def bare_reference(bundles: BundleStore, digest: str, version: int) -> Reference:
    """A version's contract and profile. Raises `BundleError`."""
    manifest = bundles.manifest(digest)
    try:
        known = msgspec.json.decode((bundles.path(digest) / PROFILE).read_bytes(), type=TableProfile)
    except (OSError, msgspec.MsgspecError) as error:
        raise BundleError(f"the profile of bundle {digest[:12]} cannot be read ({error}): register it again") from None
    return Reference(version, manifest.contract, manifest.threshold, known, {}, {})


def training(bundles: BundleStore, digest: str, reference: Reference, segment: str) -> Basis:
    """The training data; of a segment the held-out rows that are in it, which the bundle keeps."""
    said = f"the training data of version {reference.version}"
    if not segment:
        return Basis(said, reference.profile)
    manifest = bundles.manifest(digest)
    if HELDOUT not in manifest.files:
        return Basis(said, reason=f"the bundle of version {reference.version} holds no rows by which to tell {segment}")
    found = _heldout(bundles, digest, manifest, reference, segment)
    rows = f"{counted(found.rows, 'held-out row')} of {segment}"
    if not found.rows:
        return Basis(said, reason=f"version {reference.version} held out no row of {segment}")
    return Basis(rows, found)


def previous(read: Read, reference: Reference, span: tuple[float, float]) -> Basis:
    """The span of the same length just before."""
    before = (span[0] - (span[1] - span[0]), span[0])
    said = f"{written(before[0])} to {written(before[1])}"
    slots = read(*before)
    if not slots:
        return Basis(said, reason=f"nothing is kept of the time before, {said}")
    return Basis(said, total(slots, reference.profile.grids))


def season(
    read: Read, reference: Reference, span: tuple[float, float], current: Sequence[Slot], zone: Zone | None
) -> Basis:
    """The same hours of the week in the weeks before; of the day, where there are less than two such weeks."""
    earlier = read(span[0] - WEEKS * WEEK, span[0])
    said = f"the same hours of the {WEEKS} weeks before"
    if not earlier:
        return Basis(said, reason=f"nothing is kept of the {WEEKS} weeks before {written(span[0])}")
    for kind, name in ((Season.HOUR_OF_WEEK, "week"), (Season.HOUR_OF_DAY, "day")):
        stretches = _stretches(earlier, current, kind, zone, reference)
        if len(stretches) >= CYCLES and sum(one.rows for one in stretches) >= ROWS:
            cycles = counted(len(stretches), f"earlier {name}")
            return Basis(f"the same hours of the {name}, {cycles}", _sum(stretches), stretches=stretches)
    notes = ("less than two earlier days hold these hours: all that came before stands in for a season",)
    return Basis("all that was kept before", total(earlier, reference.profile.grids), notes=notes)


def differences(basis: Basis, current: TableProfile, alpha: float) -> tuple[tuple[ColumnDrift, ...], tuple[str, ...]]:
    """The comparison of a span with its basis, and what is to be said beside it."""
    assert basis.profile is not None
    if not basis.stretches:
        return compared(basis.profile, current, alpha), ()
    slots = tuple(SeasonSlot(0, place, 1, one) for place, one in enumerate(basis.stretches))
    found = compare_season(SeasonReference(Season.HOUR_OF_WEEK, slots, basis.profile), current, [0], alpha=alpha)
    if not found.calmed:
        return found.columns, ()
    return found.columns, (f"within what earlier cycles differ from each other: {', '.join(found.calmed)}",)


def alike(one: TableProfile, two: TableProfile) -> tuple[TableProfile, TableProfile, tuple[str, ...]]:
    """Two profiles on one grid, in the columns that both have and hold alike; and what was left out."""
    others = {column.grid.name: column for column in two.columns}
    pairs = [on_one_grid(column, others[column.grid.name]) for column in one.columns if column.grid.name in others]
    kept = [(left, right) for left, right in pairs if left.grid == right.grid]
    names = {left.grid.name for left, _ in kept}
    gone = sorted({*one.names, *two.names} - names)
    notes = (f"left out, as both versions do not have them alike: {', '.join(gone)}",) if gone else ()
    left = TableProfile(one.rows, tuple(pair[0] for pair in kept))
    return left, TableProfile(two.rows, tuple(pair[1] for pair in kept)), notes


def _stretches(
    earlier: Sequence[Slot], current: Sequence[Slot], kind: Season, zone: Zone | None, reference: Reference
) -> tuple[TableProfile, ...]:
    """What earlier cycles hold of the phases of the current slots, oldest first."""
    now = set(phases_of(_clocks(current, zone), kind)[0].tolist())
    phases, cycles = phases_of(_clocks(earlier, zone), kind)
    by_cycle: dict[int, list[Slot]] = {}
    for slot, phase, cycle in zip(earlier, phases.tolist(), cycles.tolist(), strict=True):
        if phase in now:
            by_cycle.setdefault(cycle, []).append(slot)
    return tuple(total(by_cycle[cycle], reference.profile.grids) for cycle in sorted(by_cycle))


def _clocks(slots: Iterable[Slot], zone: Zone | None) -> list[float]:
    return [slot.starts_at if zone is None else zone.clock(slot.starts_at) for slot in slots]


def _sum(parts: Sequence[TableProfile]) -> TableProfile:
    found = parts[0]
    for part in parts[1:]:
        found += part
    return found


def _heldout(bundles: BundleStore, digest: str, manifest: Manifest, reference: Reference, segment: str) -> TableProfile:
    column, value = parted(segment)
    names = list(manifest.contract.names)
    rows = open_dataset(bundles.path(digest) / HELDOUT).tuples(names, slice(None))
    place = names.index(column)
    kept = [row for row in rows if _text(row[place]) == value]
    columns = []
    for grid in reference.profile.grids:
        if grid.name in names:
            at = names.index(grid.name)
            columns.append(profile_column(on_grid(grid, [row[at] for row in kept]), grid))
        elif grid.name == SCORE and (score := _scores(bundles, digest, reference, kept)) is not None:
            columns.append(profile_column(score, grid))
    return TableProfile(len(kept), tuple(columns))


def _scores(
    bundles: BundleStore, digest: str, reference: Reference, rows: Sequence[tuple[object, ...]]
) -> Column | None:
    try:
        score = answers(reference, bundles.load(digest), rows)[0] if rows else np.empty(0)
    except Exception:  # noqa: BLE001 - a model may raise anything: its features are compared all the same
        _LOG.exception("version %d cannot be asked about its held-out rows", reference.version)
        return None
    return NumericColumn(SCORE, score)


def _text(value: object) -> str:
    """As a segment names it; a table's NaN is no value."""
    return value_of(None if isinstance(value, float) and isnan(value) else value)
