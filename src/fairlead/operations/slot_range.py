"""Which span of time is asked about, as people write it: a length back from its end, or two instants."""

from __future__ import annotations

from datetime import datetime

from fairlead.core.calendar import Zone
from fairlead.errors import UsageError
from fairlead.operations.performance_clock import instant, seconds_of, written

WEEK = 7 * 86_400.0


def span_of(
    window: str | None, since: str | None, until: str | None, last: float, zone: Zone | None = None
) -> tuple[float, float]:
    """From when until when: a `window` (default: a week) that ends at `until` (default: `last`), or from `since`.

    Raises `UsageError` for a window of no time, one beside both ends, what is no instant, and an end before its start.

    >>> span_of("1d", None, None, 200_000.0), span_of(None, "1970-01-02", "1970-01-03T12:00Z", 0.0)
    ((113600.0, 200000.0), (86400.0, 216000.0))
    """
    if window is not None and since is not None and until is not None:
        raise UsageError("a window beside both of its ends says one of them twice: leave --window, --from or --to out")
    seconds = seconds_of(window)
    start = None if since is None else at_clock(since, zone)
    end = last if start is None or seconds is None else start + seconds
    if until is not None:
        end = at_clock(until, zone)
    if start is None:
        start = end - (WEEK if seconds is None else seconds)
    if not start < end:
        raise UsageError(f"from {written(start)} to {written(end)} is no time: give an end after the start")
    return start, end


def at_clock(text: str, zone: Zone | None) -> float:
    """An instant; one without an offset is read from the clocks of the zone. Raises `UsageError`."""
    found = instant(text)
    if zone is None or datetime.fromisoformat(text).tzinfo is not None:
        return found
    return zone.instant(found)
