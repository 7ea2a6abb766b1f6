"""The last calm window of a version, as a second reference: what broke today stands out from what drifted long ago.

A window is calm where no column looks broken and none jumped critically against the calm window before it. A change
that lasts is the new normal: after a few windows that were not calm, the newest is taken all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from msgspec import Struct

from fairlead.core.ranking import Jump
from fairlead.core.report import SCORE
from fairlead.stats.drift import ColumnDrift, Level, compare
from fairlead.stats.profile import TableProfile
from fairlead.stats.sparse import TableCounts, dense, sparse
from fairlead.stats.symptoms import symptom_of

PATIENCE = 3  # windows that are not calm, after which what they show is what is normal


class Calm:
    """What is remembered of one version between its windows: counts without their grids, and since when what jumped
    has stood so."""

    def __init__(self) -> None:
        self.window = ""
        self.counts: TableCounts | None = None
        self.since: dict[str, str] = {}
        self.waited = 0

    def before(self, reference: TableProfile) -> TableProfile:
        """The profile of the last calm window; that of the reference where there was none yet."""
        return reference if self.counts is None else dense(self.counts, reference.grids)

    def follow(self, window: str, current: TableProfile, jumps: dict[str, Jump]) -> None:
        """Takes a closed window in: as the calm one, or as one more that was not."""
        broken = any(jump.symptom for jump in jumps.values())
        leapt = self.counts is not None and any(jump.level == Level.CRITICAL for jump in jumps.values())
        if (broken or leapt) and self.waited < PATIENCE:
            self.waited += 1
            self.since = {name: jump.since for name, jump in jumps.items()}
            return
        self.window, self.counts, self.since, self.waited = window, sparse(current), {}, 0


class Leaps(Struct, frozen=True):
    """What the columns of a window did since the last calm one, of that name; empty: since the reference."""

    calm: str = ""
    jumps: dict[str, Jump] = {}


def leaps_of(
    calm: Calm, reference: TableProfile, current: TableProfile, found: Sequence[ColumnDrift], window: str, alpha: float
) -> Leaps:
    """The features that look broken or jumped since the last calm window, which `calm` then follows. `found` is the
    comparison with the reference: only what moved there is compared once more, each column is looked at for symptoms.
    """
    before = calm.before(reference)
    were = {column.grid.name: column for column in before.columns}
    now = {column.grid.name: column for column in current.columns}
    moved = [one.name for one in found if one.level is not Level.NONE and one.name != SCORE]
    pairs = [(were[name], now[name]) for name in moved]
    again = compare(
        TableProfile(before.rows, tuple(one for one, _ in pairs)),
        TableProfile(current.rows, tuple(two for _, two in pairs)),
        alpha=alpha,
    )
    jumps = {one.name: Jump(_finite(one.effect), one.level.value) for one in again if one.level is not Level.NONE}
    for name, column in were.items():
        symptom = symptom_of(column, now.get(name)) if name != SCORE else ""
        if symptom:
            known = jumps.get(name, Jump())
            jumps[name] = Jump(known.effect, known.level, symptom)
    jumps = {
        name: Jump(jump.effect, jump.level, jump.symptom, calm.since.get(name, window)) for name, jump in jumps.items()
    }
    leaps = Leaps(calm.window, jumps)
    calm.follow(window, current, jumps)
    return leaps


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
