"""What a window's data are compared with: training data, the last calm window, a pinned version, or its season.

Nothing of earlier windows is held but where they lie: their counts are read from the evidence that was kept of them.
So a watch that is started again compares with what it would have compared with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import reduce
from operator import add

from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.compared import PREVIOUS, SEASON, TRAINING, VERSION, Against, Wanted
from fairlead.core.report import SCORE, WindowReport
from fairlead.core.window import Window, WindowPlan
from fairlead.flows.watching.previous import Calm
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.shifts import compared
from fairlead.stats.coarse import FEW_ROWS, coarse
from fairlead.stats.drift import ColumnDrift, Level
from fairlead.stats.profile import ColumnProfile, TableProfile
from fairlead.stats.regrid import on_one_grid
from fairlead.stats.season import Season, as_long, phases_of, usual_effects
from fairlead.stats.sparse import TableCounts, dense, sparse

FEWEST = 100  # rows of a season, below which it says nothing
Load = Callable[[int], Reference | str]


class Counted(Struct, frozen=True):
    """What the evidence of a window counted: all of it, and the newest slot of one that slides; and what its columns
    usually do."""

    window: TableCounts | None
    newest: TableCounts | None = None
    habit: bytes = b""


Recount = Callable[[str], Counted | None]  # by the evidence's digest; None where it is gone


class Chosen(Struct, frozen=True, eq=False):
    """What one window is compared with; without a profile, with the training data. `stretches` of a season are its
    periods, oldest first, and `calm` stands for the last calm window: the one before it was of another hour."""

    against: Against
    profile: TableProfile | None = None
    stretches: tuple[TableProfile, ...] = ()
    calm: Calm | None = None


class Met(Struct, frozen=True, eq=False):
    """A slot that may be part of a season's reference: where in it, of which version, and where its counts are."""

    phase: int
    cycle: int
    version: int
    digest: str = ""
    counts: TableCounts | None = None


class References:
    """Of one model. `recount` reads kept evidence; without it, counts are held."""

    def __init__(self, wanted: Wanted, plan: WindowPlan) -> None:
        self.wanted = wanted
        self.recount: Recount | None = None
        self._plan = plan
        self._season = Season(wanted.season) if wanted.kind == SEASON else None
        self._met: dict[float, Met] = {}  # by the slot's start
        self._pinned: dict[int, tuple[TableProfile, TableProfile]] = {}  # by the version that was served

    @property
    def seasonal(self) -> bool:
        """Whether windows are compared with their season."""
        return self._season is not None

    def choose(self, reference: Reference, slots: Sequence[Window], load: Load) -> Chosen | None:
        """What the window of these slots is compared with; None for the training data, where nothing else was asked
        for."""
        if self.wanted.kind == PREVIOUS:
            return _previous(reference)
        if self.wanted.kind == VERSION:
            return self._version(reference, load)
        return None if self._season is None else self._seasonal(self._season, reference, slots, load)

    def meet(self, slot: Window, report: WindowReport, digest: str, counts: TableCounts | None = None) -> None:
        """Takes a slot in, once it was judged for the first time: not one in which a column was broken."""
        if self._season is None or slot.starts_at in self._met or not report.rows or report.broken:
            return
        phase, cycle = self._place(self._season, slot)
        held = counts if self.recount is None or not digest else None
        if digest or held is not None:
            self._met[slot.starts_at] = Met(phase, cycle, report.version, digest, held)
        oldest = cycle - 2 * self.wanted.periods
        for start in [start for start, one in self._met.items() if one.cycle < oldest]:
            del self._met[start]

    # -- which ----------------------------------------------------------------------------------------------------

    def _version(self, reference: Reference, load: Load) -> Chosen:
        number = self.wanted.version
        if number == reference.version:
            return Chosen(Against(VERSION, f"version {number}", rows=reference.profile.rows))
        pinned = load(number)
        if isinstance(pinned, str):
            return Chosen(_instead(f"version {number} cannot be compared with ({pinned})"))
        known = self._pinned.get(reference.version)
        if known is None or known[0] is not pinned.profile:
            known = self._pinned[reference.version] = pinned.profile, _moved(pinned.profile, reference.profile)
        return Chosen(Against(VERSION, f"version {number}", rows=pinned.profile.rows), known[1])

    def _seasonal(self, season: Season, reference: Reference, slots: Sequence[Window], load: Load) -> Chosen:
        periods, found = self.wanted.periods, []
        for slot in slots:
            phase, cycle = self._place(season, slot)
            alike = [one for one in self._met.values() if one.phase == phase and one.cycle < cycle]
            newest = sorted({one.cycle for one in alike})[-periods:]
            if len(newest) < periods:
                said = f"undecided: {len(newest)} of {periods} periods seen of this {season.value.replace('_', ' ')}"
                return Chosen(_instead(said))
            found += [one for one in alike if one.cycle in newest]
        stretches = self._stretches({id(one): one for one in found}.values(), reference, load)
        if len(stretches) < periods or sum(one.rows for one in stretches) < FEWEST:
            rows = sum(one.rows for one in stretches)
            return Chosen(_instead(f"undecided: {len(stretches)} of {periods} periods can be read, of {rows} rows"))
        whole = _filled(reduce(add, stretches), reference.profile)
        told = f"the last {periods} of this {season.value.replace('_', ' ')}"
        calm = Calm()
        calm.window, calm.counts = told, sparse(whole)
        return Chosen(Against(SEASON, told, rows=whole.rows), whole, stretches, calm)

    def _place(self, season: Season, slot: Window) -> tuple[int, int]:
        phase, cycle = phases_of([self._plan.clock(slot.starts_at)], season)
        return int(phase[0]), int(cycle[0])

    def _stretches(self, found: Iterable[Met], reference: Reference, load: Load) -> tuple[TableProfile, ...]:
        """The sum of each period, on the reference's grids, of the columns that all of them have."""
        by_cycle: dict[int, list[dict[str, ColumnProfile]]] = {}
        rows: dict[int, int] = {}
        for one in found:
            profile = self._profile(one, reference, load)
            if profile is not None:
                by_cycle.setdefault(one.cycle, []).append({column.grid.name: column for column in profile.columns})
                rows[one.cycle] = rows.get(one.cycle, 0) + profile.rows
        parts = [part for each in by_cycle.values() for part in each]
        names = [grid.name for grid in reference.profile.grids if all(grid.name in part for part in parts)]
        return tuple(
            TableProfile(rows[cycle], tuple(reduce(add, (part[name] for part in by_cycle[cycle])) for name in names))
            for cycle in sorted(by_cycle)
        )

    def _profile(self, one: Met, reference: Reference, load: Load) -> TableProfile | None:
        counts = one.counts
        if counts is None and self.recount is not None:
            kept = self.recount(one.digest)
            counts = None if kept is None else kept.newest or kept.window
        known = reference if one.version == reference.version else load(one.version)
        if counts is None or isinstance(known, str):
            return None
        profile = dense(counts, known.profile.grids)
        if known is reference:
            return profile
        moved = _on_grids(profile, reference.profile)  # another version's scores are no reference of this one's
        return TableProfile(profile.rows, tuple(one for name, one in moved.items() if name != SCORE))


def found_by(
    chosen: Chosen, reference: TableProfile, current: TableProfile, alpha: float
) -> tuple[tuple[ColumnDrift, ...], Against]:
    """A window compared with what was chosen; of a season also with how far its own stretches lie from each other."""
    found = compared(reference if chosen.profile is None else chosen.profile, current, alpha)
    against = chosen.against
    if against.kind != SEASON:
        return found, against
    flagged = [one.name for one in found if one.level is not Level.NONE]
    stretches = as_long(chosen.stretches, current.rows) if flagged else []
    measured = {column.grid.name for one in stretches for column in one.columns}
    asked = [name for name in flagged if name in measured]
    cells = [coarse(one) for one in stretches] if current.rows <= FEW_ROWS else stretches
    usual = usual_effects(cells, asked) if asked else {}
    names = tuple(one.name for one in found if one.name in usual and one.effect <= usual[one.name])
    against = replace(against, usual=dict(sorted(usual.items())), calmed=names)
    return calmed(found, against), against


def calmed(found: Sequence[ColumnDrift], against: Against | object) -> tuple[ColumnDrift, ...]:
    """The comparison without what lies within the usual of a season."""
    names = against.calmed if isinstance(against, Against) else ()
    return tuple(replace(one, level=Level.NONE) if one.name in names else one for one in found)


def _previous(reference: Reference) -> Chosen:
    calm = reference.calm
    if calm.counts is None:
        return Chosen(_instead("undecided: no calm window before it was seen"))
    return Chosen(Against(PREVIOUS, calm.window, rows=calm.counts.rows), calm.before(reference.profile))


def _instead(said: str) -> Against:
    return Against(TRAINING, reason=f"{said}; the training data stand in")


def _on_grids(profile: TableProfile, reference: TableProfile) -> dict[str, ColumnProfile]:
    """The columns that the reference has too, on its grids; not those that cannot be brought there."""
    own = {column.grid.name: column for column in profile.columns}
    found: dict[str, ColumnProfile] = {}
    for column in reference.columns:
        name = column.grid.name
        if name in own:
            moved = on_one_grid(column, own[name])[1]
            if moved.grid == column.grid:
                found[name] = moved
    return found


def _moved(pinned: TableProfile, reference: TableProfile) -> TableProfile:
    """A pinned version's profile on the grids of the one that is served; its own scores stand for themselves."""
    moved = _on_grids(pinned, reference)
    moved.pop(SCORE, None)
    return _filled(TableProfile(pinned.rows, tuple(moved.values())), reference)


def _filled(profile: TableProfile, reference: TableProfile) -> TableProfile:
    """With the reference's own columns where it has none, in the reference's order."""
    known: Mapping[str, ColumnProfile] = {column.grid.name: column for column in profile.columns}
    return TableProfile(profile.rows, tuple(known.get(one.grid.name, one) for one in reference.columns))
