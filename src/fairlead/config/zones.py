"""Time zones by name, read from the operating system's tables or, where it has none, those of the `tzdata` package."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from fairlead.core.calendar import Zone
from fairlead.core.window import DAY
from fairlead.errors import SettingsError

_FIRST = 0
_LAST = datetime(2100, 1, 1, tzinfo=UTC).timestamp()  # afterwards clocks are taken to be changed no more


def known_zone(name: str) -> str:
    """The same name. Raises `SettingsError` for one that there is not."""
    zone_named(name)
    return name


@lru_cache(maxsize=64)
def zone_named(name: str) -> Zone | None:
    """The zone of a name such as Europe/Lisbon; None for UTC, by whose clocks everything is cut anyway.

    Raises `SettingsError` for a name that there is not.
    """
    if name.upper() in ("UTC", "Z"):
        return None
    try:
        known = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        near = get_close_matches(name, available_timezones(), 1, 0.5)
        said = f"write {near[0]}" if near else "write a name of the IANA list, such as Europe/Lisbon"
        raise SettingsError(f"there is no time zone {name!r}: {said}") from None
    instants, offsets, at = [], [_ahead(known, _FIRST)], float(_FIRST)
    while at < _LAST:
        after = at + DAY
        if _ahead(known, after) != offsets[-1]:
            instants.append(_changed(known, at, after))
            offsets.append(_ahead(known, after))
        at = after
    return Zone(name, tuple(offsets), tuple(instants))


def _ahead(known: ZoneInfo, at: float) -> float:
    offset = datetime.fromtimestamp(at, known).utcoffset()
    return (offset or timedelta()).total_seconds()


def _changed(known: ZoneInfo, low: float, high: float) -> float:
    """The whole second at which a clock was changed, in (low, high]."""
    before = _ahead(known, low)
    while high - low > 1.0:
        middle = (low + high) // 2
        low, high = (middle, high) if _ahead(known, middle) == before else (low, middle)
    return high
