"""Windows by event time, by the clocks of UTC or of a zone: tumbling, or sliding, each the sum of its last slots."""

from __future__ import annotations

from datetime import UTC, datetime
from math import floor, inf, nextafter

from msgspec import Struct

from fairlead.core.calendar import Zone, month_of, written

DAY = 86_400.0
MONDAY = 4 * DAY  # 1970-01-05: windows of whole weeks start on Mondays, windows of whole days at midnight
HOUR = 3_600.0
MOST_SLIDES = 96


class Window(Struct, frozen=True, order=True):
    """A window holds the instants from `starts_at` up to, but not including, `ends_at` (seconds since 1970, UTC)."""

    starts_at: float
    ends_at: float
    name: str = ""

    def holds(self, at: float) -> bool:
        """Whether an instant lies in the window."""
        return self.starts_at <= at < self.ends_at


class WindowPlan(Struct, frozen=True):
    """How event time is cut: windows of `seconds` counted from `origin`, or calendar months where `seconds` is None.

    A window closes once the watermark is `lateness_seconds` past its end; what comes later is too late for it.

    In a `zone`, clocks cut: a day is what its clocks call one, be it 23 or 25 hours long, and so are weeks, months and
    parts of a day. Windows of at most an hour are as long as they say, except where clocks are changed within one.

    With more than one of `slides` these windows are slots, and what is judged at the end of each is the sum of the
    last so many of them: see `over`.
    """

    seconds: float | None = None
    lateness_seconds: float = 0.0
    origin: float = MONDAY
    zone: Zone | None = None
    slides: int = 1

    def __post_init__(self) -> None:
        """Refuses lengths that cut nothing."""
        if self.seconds is not None and not self.seconds >= 1.0:
            raise ValueError(f"a window of {self.seconds} s: windows last at least a second")
        if not self.lateness_seconds >= 0.0:
            raise ValueError(f"a lateness of {self.lateness_seconds} s: it cannot be negative")
        if not 1 <= self.slides <= MOST_SLIDES:
            raise ValueError(f"{self.slides} slides in a window: 1 to {MOST_SLIDES}")
        if self.zone is not None and self.seconds is not None and self.seconds % DAY and DAY % self.seconds:
            raise ValueError(f"a window of {self.seconds} s in a zone: whole days, or a length that divides a day")

    def window_of(self, at: float) -> Window:
        """The window (of sliding ones the slot) that an instant lies in.

        >>> WindowPlan(seconds=7 * DAY).window_of(0.0).name
        '1969-12-29'
        >>> WindowPlan().window_of(datetime(2016, 2, 29, tzinfo=UTC).timestamp()).name
        '2016-02'
        """
        if self.zone is not None:
            return self._local(self.zone, at)
        if self.seconds is None:
            return _month(at)
        place = floor((at - self.origin) / self.seconds)
        # Division rounds: the edges, computed as others compute them, have the last word.
        place += (at >= self._edge(place + 1)) - (at < self._edge(place))
        starts_at, ends_at = self._edge(place), self._edge(place + 1)
        return Window(starts_at, ends_at, _name(starts_at, self.seconds))

    def after(self, window: Window) -> Window:
        """The window (or slot) that follows."""
        return self.window_of(window.ends_at)

    def before(self, window: Window) -> Window:
        """The window (or slot) that ends where this one starts."""
        return self.window_of(nextafter(window.starts_at, -inf))

    def parts(self, slot: Window) -> tuple[Window, ...]:
        """The slots of the window that ends with a slot, oldest first."""
        found = [slot]
        while len(found) < self.slides:
            found.append(self.before(found[-1]))
        return tuple(reversed(found))

    def over(self, slot: Window) -> Window:
        """The window that ends with a slot: itself, or of sliding windows the sum of the last `slides` slots. It is
        named by its start."""
        if self.slides == 1:
            return slot
        first = self.parts(slot)[0]
        clock = self.clock(first.starts_at)
        days = (self.seconds or DAY) * self.slides % DAY == 0 and clock % DAY == 0
        return Window(first.starts_at, slot.ends_at, _name(clock, DAY) if days else first.name)

    def closed(self, window: Window, watermark: float) -> bool:
        """Whether nothing that counts can still arrive."""
        return watermark >= window.ends_at + self.lateness_seconds

    @property
    def longest(self) -> float:
        """How many seconds a window lasts at most."""
        day = 0.0 if self.zone is None else 2 * HOUR  # clocks are set back by less
        return (31 * DAY if self.seconds is None else self.seconds) * self.slides + day

    def clock(self, at: float) -> float:
        """What the clocks show at an instant, as seconds since 1970 on the clock."""
        return at if self.zone is None else self.zone.clock(at)

    def place(self, window: Window) -> int:
        """The number of a window (or slot) that lasts some `seconds`: each next has the next one."""
        shown = self.clock(window.starts_at) if (self.seconds or 0.0) > HOUR else window.starts_at
        return floor((shown - self.origin) / (self.seconds or DAY))

    def _edge(self, place: int) -> float:
        return self.origin + place * (self.seconds or 0.0)

    def _local(self, zone: Zone, at: float) -> Window:
        """By the clocks of a zone."""
        clock = zone.clock(at)
        if self.seconds is not None and self.seconds <= HOUR:
            first, last = zone.since(at)
            place = floor((clock - self.origin) / self.seconds)
            offset = zone.offset(at)
            place += (at >= self._edge(place + 1) - offset) - (at < self._edge(place) - offset)
            starts_at = max(first, self._edge(place) - offset)
            return Window(starts_at, min(last, self._edge(place + 1) - offset), written(starts_at, zone))
        start, end = self._clocks(clock)
        # Where clocks go back over midnight, an instant of the next day shows the day before.
        while at >= zone.instant(end):
            start, end = self._clocks(end)
        while at < zone.instant(start):
            start, end = self._clocks(start - 1.0)
        starts_at = zone.instant(start)
        named = written(starts_at, zone) if self.seconds is not None and self.seconds % DAY else _name(start, DAY)
        return Window(starts_at, zone.instant(end), named if self.seconds is not None else named[:7])

    def _clocks(self, clock: float) -> tuple[float, float]:
        """What the clocks show at the edges of the window that shows a time."""
        if self.seconds is None:
            return month_of(clock)
        place = floor((clock - self.origin) / self.seconds)
        return self._edge(place), self._edge(place + 1)


def _month(at: float) -> Window:
    start, end = month_of(at)
    return Window(start, end, f"{datetime.fromtimestamp(start, UTC):%Y-%m}")


def _name(starts_at: float, seconds: float) -> str:
    start = datetime.fromtimestamp(starts_at, UTC)
    if seconds % DAY == 0 and starts_at % DAY == 0:
        return f"{start:%Y-%m-%d}"
    return f"{start:%Y-%m-%dT%H:%M:%S}Z"
