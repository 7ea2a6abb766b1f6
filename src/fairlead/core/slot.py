"""Slots: what one version answered in an hour, as counts. Any window is a sum of slots.

A slot is of one version and of one segment (`region=north`), or of all its rows (an empty segment). Its edges are those
of the clock in UTC, and of the windows that were judged: a window that begins within an hour parts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor

from msgspec import Struct

from fairlead.core.window import MONDAY
from fairlead.errors import TableError
from fairlead.stats.condensed import TableSums, added, expanded
from fairlead.stats.grid import Grid
from fairlead.stats.profile import TableProfile

HOUR = 3_600.0
LONGEST_NAME = 200  # characters of a segment


class Slot(Struct, frozen=True):
    """The rows of [`starts_at`, `ends_at`), seconds since 1970, UTC. `bundle` is the digest of the version's bundle, on
    the grids of whose profile they are counted. `judged` is how many of the rows were there when the slot was first
    written, as its window was judged: what a back-fill adds came later. None where no window was judged. `by` are the
    features whose known values have slots of their own, of the same ends."""

    model: str
    version: int
    starts_at: float
    ends_at: float
    sums: TableSums
    segment: str = ""
    bundle: str = ""
    judged: int | None = None
    by: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows."""
        return self.sums.rows

    @property
    def late(self) -> int:
        """How many rows came after its window had been judged."""
        return 0 if self.judged is None else max(0, self.rows - self.judged)

    @property
    def key(self) -> tuple[int, str, float, float]:
        """What one is told from another by, within its model: version, segment, ends."""
        return self.version, self.segment, self.starts_at, self.ends_at


class Cut(Struct, frozen=True):
    """The slots of `seconds` within [`starts_at`, `ends_at`), counted from the same instant as windows are."""

    seconds: float
    starts_at: float
    ends_at: float

    def edges(self, at: float) -> tuple[float, float]:
        """The slot that an instant of the span lies in.

        >>> Cut(3600.0, 1800.0, 9000.0).edges(2000.0), Cut(3600.0, 1800.0, 9000.0).edges(7200.0)
        ((1800.0, 3600.0), (7200.0, 9000.0))
        """
        place = floor((at - MONDAY) / self.seconds)
        start, end = (MONDAY + self.seconds * one for one in (place, place + 1))
        # Division rounds: the edges, computed as others compute them, have the last word.
        if at >= end:
            start, end = end, end + self.seconds
        elif at < start:
            start, end = start - self.seconds, start
        return max(start, self.starts_at), min(end, self.ends_at)


def lasting(slots: Sequence[Slot]) -> tuple[Slot, ...]:
    """Those that count, in order of time: of two that overlap, of one version and segment, the one that comes last.

    >>> empty = TableSums(0, ())
    >>> old, new = (Slot("m", 1, 0.0, end, empty) for end in (60.0, 30.0))
    >>> lasting([old, new]) == (new,)
    True
    """
    kept: dict[tuple[int, str], list[Slot]] = {}
    for slot in reversed(slots):
        held = kept.setdefault((slot.version, slot.segment), [])
        if all(slot.ends_at <= other.starts_at or other.ends_at <= slot.starts_at for other in held):
            held.append(slot)
    found = [slot for held in kept.values() for slot in held]
    return tuple(sorted(found, key=lambda slot: (slot.starts_at, slot.version, slot.segment)))


def total(slots: Iterable[Slot], grids: Sequence[Grid]) -> TableProfile:
    """The profile of all rows of some slots of one bundle. Raises `TableError` where they are on other grids."""
    return expanded(added((slot.sums for slot in slots), grids), grids)


def segment_name(column: str, value: str) -> str:
    """A segment as people write it, and as it is stored."""
    return f"{column}={value}"[:LONGEST_NAME]


def parted(segment: str) -> tuple[str, str]:
    """Column and value of a segment. Raises `TableError` for what names none.

    >>> parted("region=north")
    ('region', 'north')
    """
    column, sign, value = segment.partition("=")
    if not (column and sign):
        raise TableError(f"{segment!r} is no segment: write COLUMN=VALUE, as in region=north")
    return column, value
