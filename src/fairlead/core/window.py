"""Tumbling windows by event time, in UTC: every instant lies in exactly one."""

from __future__ import annotations

from datetime import UTC, datetime
from math import floor

from msgspec import Struct

DAY = 86_400.0
MONDAY = 4 * DAY  # 1970-01-05: windows of whole weeks start on Mondays, windows of whole days at midnight


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
    """

    seconds: float | None = None
    lateness_seconds: float = 0.0
    origin: float = MONDAY

    def __post_init__(self) -> None:
        """Refuses lengths that cut nothing."""
        if self.seconds is not None and not self.seconds >= 1.0:
            raise ValueError(f"a window of {self.seconds} s: windows last at least a second")
        if not self.lateness_seconds >= 0.0:
            raise ValueError(f"a lateness of {self.lateness_seconds} s: it cannot be negative")

    def window_of(self, at: float) -> Window:
        """The window that an instant lies in.

        >>> WindowPlan(seconds=7 * DAY).window_of(0.0).name
        '1969-12-29'
        >>> WindowPlan().window_of(datetime(2016, 2, 29, tzinfo=UTC).timestamp()).name
        '2016-02'
        """
        if self.seconds is None:
            return _month(at)
        place = floor((at - self.origin) / self.seconds)
        # Division rounds: the edges, computed as others compute them, have the last word.
        place += (at >= self._edge(place + 1)) - (at < self._edge(place))
        starts_at, ends_at = self._edge(place), self._edge(place + 1)
        return Window(starts_at, ends_at, _name(starts_at, self.seconds))

    def after(self, window: Window) -> Window:
        """The window that follows."""
        return self.window_of(window.ends_at)

    def closed(self, window: Window, watermark: float) -> bool:
        """Whether nothing that counts can still arrive."""
        return watermark >= window.ends_at + self.lateness_seconds

    def _edge(self, place: int) -> float:
        return self.origin + place * (self.seconds or 0.0)


def _month(at: float) -> Window:
    # Whole seconds: a datetime rounds to microseconds, and could round up into the next month.
    start = datetime.fromtimestamp(floor(at), UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    last = start.month == 12
    end = start.replace(year=start.year + last, month=1 if last else start.month + 1)
    return Window(start.timestamp(), end.timestamp(), f"{start:%Y-%m}")


def _name(starts_at: float, seconds: float) -> str:
    start = datetime.fromtimestamp(starts_at, UTC)
    if seconds % DAY == 0 and starts_at % DAY == 0:
        return f"{start:%Y-%m-%d}"
    return f"{start:%Y-%m-%dT%H:%M:%S}Z"
