"""The last calm window of a version, as a second reference: what broke today stands out from what drifted long ago.

A window is calm where no column looks broken and none jumped more than it is used to. A change that lasts is the new
normal: after a few windows that were not calm, the newest is taken all the same. While fewer than four jumps of each
column are known, every jump is told, and only broken columns keep a window from being the calm one.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

import numpy as np
from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from fairlead.core.ranking import Jump
from fairlead.core.report import SCORE
from fairlead.stats.drift import ColumnDrift, Level, compare
from fairlead.stats.habit import TWICE, Habit, Jumps, Sketch, sketch
from fairlead.stats.profile import ColumnProfile, TableProfile
from fairlead.stats.silent import silent_of
from fairlead.stats.sparse import TableCounts, dense, sparse
from fairlead.stats.symptoms import MANY, symptom_of

# Times its usual jump, by which a column moved: above the first, a jump by itself is told; above the second, the column
# is looked at for faults that keep values plausible. Either is rare by chance (tests/stats/test_habit.py).
NEWS, UNUSUAL = 2.0, 1.5
PATIENCE = 3  # windows that are not calm, after which what they show is what is normal


class Calm:
    """What is remembered of one version between its windows: counts without their grids, and since when what jumped
    has stood so."""

    def __init__(self) -> None:
        self.window = ""
        self.counts: TableCounts | None = None
        self.since: dict[str, str] = {}
        self.waited = 0
        self.habit = Habit()
        self.sketch: Sketch | None = None  # of the calm window

    def before(self, reference: TableProfile) -> TableProfile:
        """The profile of the last calm window; that of the reference where there was none yet."""
        return reference if self.counts is None else dense(self.counts, reference.grids)

    def follow(self, window: str, current: TableProfile, jumps: dict[str, Jump]) -> None:
        """Takes a closed window in: as the calm one, or as one more that was not."""
        broken = any(jump.symptom for jump in jumps.values())
        leapt = any(jump.level == Level.CRITICAL and jump.surprise is not None for jump in jumps.values())
        if (broken or leapt) and self.waited < PATIENCE:
            self.waited += 1
            self.since = {name: jump.since for name, jump in jumps.items()}
            return
        self.window, self.counts, self.since, self.waited = window, sparse(current), {}, 0


class Leaps(Struct, frozen=True):
    """What the columns of a window did since the last calm one, of that name; empty: since the reference. `habit` is
    how far they usually jump, with this window taken in: what a watch that starts anew goes on with."""

    calm: str = ""
    jumps: dict[str, Jump] = {}
    habit: bytes | UnsetType = UNSET


def leaps_of(
    calm: Calm, reference: TableProfile, current: TableProfile, found: Sequence[ColumnDrift], window: str, alpha: float
) -> Leaps:
    """The features that look broken or jumped since the last calm window, which `calm` then follows. `found` is the
    comparison with the reference: only what moved there, or more than it usually does, is compared once more; each
    column is looked at for symptoms.
    """
    before = calm.before(reference)
    seen = _Seen(calm, reference, before, current)
    were = {column.grid.name: column for column in before.columns}
    now = {column.grid.name: column for column in current.columns}
    moved = {one.name for one in found if one.level is not Level.NONE} | seen.unusual
    pairs = [(were[name], now[name]) for name in were if name in moved and name in now and name != SCORE]
    again = compare(
        TableProfile(before.rows, tuple(one for one, _ in pairs)),
        TableProfile(current.rows, tuple(two for _, two in pairs)),
        alpha=alpha,
    )
    jumps = {}
    for one in again:
        if one.level is not Level.NONE and seen.more(one.name):
            jumps[one.name] = Jump(_finite(one.effect), one.level.value if seen.tells(one.name) else "")
    for known in reference.columns:
        name = known.grid.name
        symptom = seen.symptom(known, were[name], now.get(name)) if name != SCORE else ""
        if symptom:
            jumps[name] = replace(jumps.get(name, Jump()), symptom=symptom)
    jumps = {
        name: replace(jump, since=calm.since.get(name, window), surprise=seen.surprise.get(name))
        for name, jump in jumps.items()
    }
    was = calm.window
    calm.follow(window, current, jumps)
    broken = np.array([bool(name in jumps and jumps[name].symptom) for name in reference.names])
    calm.habit = calm.habit.follow(seen.now, seen.jumps, calm=calm.window == window, broken=broken)
    calm.sketch = seen.now if calm.window == window else seen.before
    return Leaps(was, jumps, calm.habit.packed())


class _Seen:
    """How far the columns of a window moved, beside how far each usually does. `surprise` is empty where nothing is
    usual yet: then every jump is told."""

    def __init__(self, calm: Calm, reference: TableProfile, before: TableProfile, current: TableProfile) -> None:
        names, habit = reference.names, calm.habit
        self.now = sketch(reference, current)
        self.before = calm.sketch
        if self.before is None and calm.counts is not None:  # what was calm before a restart
            self.before = sketch(reference, before)
        self.jumps = None if self.before is None else Jumps(self.before, self.now)
        self.surprise: dict[str, float] = {}
        self._size = {} if self.jumps is None else dict(zip(names, self.jumps.size.tolist(), strict=True))
        if self.jumps is not None and habit.known:
            self.surprise = {
                name: round(one, 3) for name, one in zip(names, habit.surprise(self.jumps).tolist(), strict=True)
            }
        often = habit.times_constant() if habit.known else [0] * len(names)
        self._constant = {name for name, times in zip(names, often, strict=True) if times >= TWICE}
        self._never = {name for name, times in zip(names, often, strict=True) if habit.known and not times}
        self.unusual = {name for name, one in self.surprise.items() if one > UNUSUAL}

    def more(self, name: str) -> bool:
        """Whether a column moved more than it did in any of the last windows, as far as is known."""
        return not self.surprise or self.surprise.get(name, 0.0) > 1.0

    def tells(self, name: str) -> bool:
        """Whether a jump of a column is news."""
        return not self.surprise or self.surprise.get(name, 0.0) > NEWS

    def symptom(self, reference: ColumnProfile, before: ColumnProfile, now: ColumnProfile | None) -> str:
        """The symptom of a column; that it is constant is none where it often is, and one of two values is one only
        where it never was."""
        name = reference.grid.name
        found = symptom_of(before, now, 2 if name in self._never else MANY)
        if found == "frozen" and name in self._constant:
            found = ""
        if found or now is None:
            return found
        size = self._size.get(name, 0.0)
        return silent_of(reference, before, now, size=size, unusual=name in self.unusual)


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
