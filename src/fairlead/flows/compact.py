"""segments -> table -> what may go.

A record is in the table exactly once, whatever is killed when: a commit holds rows and how far they reach, and the
next reading begins there. A segment is removed only once the commit that holds its last record is on the disk, and
not before those who follow the segments are done with it.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec import Struct

from fairlead.ports import Clock
from fairlead.ports.log import Keeping, LogTable, Pruned, Segments, Tended

KINDS = ("predictions", "outcomes")
BATCH = 50_000
_DAY = 86_400.0
MIXED = 1_000  # a batch that is nearly empty ends a round: what comes meanwhile is the next round's


class Compacted(Struct, frozen=True):
    """What a round moved. `unread` names segments that the disk did not give; `damaged` counts what was passed over."""

    predictions: int = 0
    outcomes: int = 0
    damaged: int = 0
    unread: tuple[str, ...] = ()
    pruned: Pruned = Pruned(0, 0)


class Erased(Struct, frozen=True):
    """How many of a subject's predictions, of their outcomes, and of its refused rows are gone."""

    predictions: int
    outcomes: int
    refused: int = 0


@dataclass(frozen=True)
class Compactor:
    """Moves one home's log. One process at a time: the caller holds a lock. Every method raises `StateError`, leaves
    what was done before standing, and can be called again."""

    segments: Segments
    table: LogTable
    clock: Clock
    batch: int = BATCH

    def move(self) -> Compacted:
        """Everything that the segments hold now."""
        moved: dict[str, int] = {}
        unread: list[str] = []
        damaged = 0
        for kind in KINDS:
            moved[kind], lost, missing = self._move(kind)
            damaged += lost
            unread += missing
        return Compacted(moved["predictions"], moved["outcomes"], damaged, tuple(unread))

    def prune(self, before: float) -> Pruned:
        """Removes segments that are in the table and were last written before an instant."""
        done = [self.segments.prune(kind, self.table.reached(kind), before) for kind in KINDS]
        return Pruned(sum(each.files for each in done), sum(each.size for each in done))

    def tend(self, keeping: Keeping) -> Tended:
        """Moves everything, then drops, thins and merges what is old. What the retention drops leaves the segments
        too: a quiet worker's last one lives for long."""
        self.move()
        now = self.clock.now()
        if keeping.retention is not None:
            self.segments.expire((now - keeping.retention) // _DAY * _DAY)
        return self.table.tend(keeping, now)

    def erase(self, unit: str) -> Erased:
        """Removes a subject: every prediction of the unit and the outcomes of those requests, in segments and table.

        Outcomes go first: as long as one is left, so is a prediction that names it, and a second call finishes what a
        crash cut short. A request id that another unit also used loses its outcome.
        """
        self.move()
        requests = self.segments.requests_of(unit) | self.table.requests_of(unit)
        in_table = self.table.erase(unit, requests)
        in_segments = self.segments.erase({unit}, requests)
        return Erased(max(in_table[0], in_segments[0]), max(in_table[1], in_segments[1]))

    def _move(self, kind: str) -> tuple[int, int, tuple[str, ...]]:
        moved = damaged = 0
        while True:
            batch = self.segments.read(kind, self.table.reached(kind), self.batch)
            self.table.append(batch)
            moved += len(batch.records)
            damaged += batch.damaged
            if len(batch.records) < min(self.batch, MIXED):
                return moved, damaged, batch.unread
