"""Local time as data: from which instants on a place's clocks are how far ahead of UTC.

Nothing is read here: the transitions of a zone come from outside (`fairlead.config.zones`).
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from math import floor

from msgspec import Struct

_FAR = 2 * 86_400.0  # no clock was ever changed by more


class Zone(Struct, frozen=True):
    """A time zone. `offsets` are seconds ahead of UTC: the first before `instants[0]` (seconds since 1970, UTC,
    ascending), each next from its instant on; one more than there are instants."""

    name: str
    offsets: tuple[float, ...]
    instants: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what fits no clock."""
        rising = all(one < two for one, two in zip(self.instants, self.instants[1:], strict=False))
        if len(self.offsets) != len(self.instants) + 1 or not rising:
            raise ValueError(f"the zone {self.name} has {len(self.offsets)} offsets for {len(self.instants)} instants")

    def offset(self, at: float) -> float:
        """How many seconds the clocks are ahead of UTC at an instant.

        >>> LISBON.offset(0.0), LISBON.offset(1_785_000_000.0)
        (0.0, 3600.0)
        """
        return self.offsets[bisect_right(self.instants, at)]

    def clock(self, at: float) -> float:
        """What the clocks show at an instant, as seconds since 1970 on the clock."""
        return at + self.offset(at)

    def since(self, at: float) -> tuple[float, float]:
        """From when until when (not included) the clocks run on at an instant without being changed."""
        place = bisect_right(self.instants, at)
        first = self.instants[place - 1] if place else float("-inf")
        return first, self.instants[place] if place < len(self.instants) else float("inf")

    def instant(self, clock: float) -> float:
        """The first instant at which the clocks show this or later: an hour that they show twice begins the first
        time, one that they leap over when they leap.

        >>> LISBON.instant(1_774_746_000.0) == LISBON.instant(1_774_749_600.0) == LISBON.instants[0]
        True
        """
        place = bisect_right(self.instants, clock - _FAR)
        while place < len(self.instants):
            begun = self.instants[place - 1] if place else float("-inf")
            found = max(begun, clock - self.offsets[place])
            if found < self.instants[place]:
                return found
            place += 1
        return max(self.instants[-1], clock - self.offsets[-1]) if self.instants else clock - self.offsets[0]


LISBON = Zone("Europe/Lisbon, 2026", (0.0, 3600.0, 0.0), (1_774_746_000.0, 1_792_890_000.0))  # for examples


def month_of(clock: float) -> tuple[float, float]:
    """The beginning of a month on the clock, and of the next.

    >>> [datetime.fromtimestamp(at, UTC).strftime("%d.%m.%Y") for at in month_of(951_782_400.0)]
    ['01.02.2000', '01.03.2000']
    """
    # Whole seconds: a datetime rounds to microseconds, and could round up into the next month.
    start = datetime.fromtimestamp(floor(clock), UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last = start.month == 12
    end = start.replace(year=start.year + last, month=1 if last else start.month + 1)
    return start.timestamp(), end.timestamp()


def written(at: float, zone: Zone | None) -> str:
    """An instant as the clocks show it, with its distance from UTC.

    >>> written(1_792_890_000.0, LISBON), written(0.0, None)
    ('2026-10-25T01:00:00+00:00', '1970-01-01T00:00:00Z')
    """
    offset = timedelta(seconds=0.0 if zone is None else zone.offset(at))
    local = datetime.fromtimestamp(at, UTC) + offset
    if zone is None:
        return f"{local:%Y-%m-%dT%H:%M:%S}Z"
    minutes = floor(offset.total_seconds() / 60)
    sign, ahead = ("-", -minutes) if minutes < 0 else ("+", minutes)
    return f"{local:%Y-%m-%dT%H:%M:%S}{sign}{ahead // 60:02}:{ahead % 60:02}"
