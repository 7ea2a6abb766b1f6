"""A schedule: five fields as cron has them, in UTC, or a word for the usual ones.

| word | fields | when |
|---|---|---|
| hourly | `0 * * * *` | at each full hour |
| daily | `0 0 * * *` | at midnight |
| weekly | `0 0 * * 1` | on Mondays at midnight |
| monthly | `0 0 1 * *` | on the first day at midnight |
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import Struct

from fairlead.errors import SettingsError

WORDS = {"hourly": "0 * * * *", "daily": "0 0 * * *", "weekly": "0 0 * * 1", "monthly": "0 0 1 * *"}
_RANGES = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7))
_DAYS_BACK = 366 * 8 + 2  # 29 February may be eight years away
_EXPECTED = f"write one of {', '.join(WORDS)}, or five fields as in '30 2 * * 1-5' (minute hour day month weekday, UTC)"


class Schedule(Struct, frozen=True):
    """When: the minutes, hours, days of a month, months and weekdays (0 is Sunday) that match. As cron does, a day
    matches by either of day and weekday where both are restricted."""

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    either_day: bool = False

    def last(self, at: float) -> float | None:
        """The last instant of the schedule at or before `at` (seconds since 1970); None where there was none in eight
        years.

        >>> schedule("weekly").last(86_400.0 * 10)  # Sunday, 11 January 1970
        345600.0
        """
        now = datetime.fromtimestamp(at, UTC)
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(_DAYS_BACK):
            if self._takes(day):
                found = self._last_of_day(day, now)
                if found is not None:
                    return found.timestamp()
            day -= timedelta(days=1)
        return None

    def _takes(self, day: datetime) -> bool:
        in_month, weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        matches = (in_month or weekday) if self.either_day else (in_month and weekday)
        return matches and day.month in self.months

    def _last_of_day(self, day: datetime, now: datetime) -> datetime | None:
        for hour in reversed(self.hours):
            for minute in reversed(self.minutes):
                found = day.replace(hour=hour, minute=minute)
                if found <= now:
                    return found
        return None


def schedule(text: str) -> Schedule:
    """Reads a schedule. Raises `SettingsError`.

    >>> schedule("0 6,18 * * 1-5").hours
    (6, 18)
    """
    fields = WORDS.get(text.strip().lower(), text).split()
    if len(fields) != len(_RANGES):
        raise SettingsError(f"{text!r} is not a schedule: {_EXPECTED}")
    read = [_field(field, *limits, text) for field, limits in zip(fields, _RANGES, strict=True)]
    weekdays = tuple(sorted({day % 7 for day in read[4]}))
    either = fields[2] != "*" and fields[4] != "*"
    found = Schedule(" ".join(text.split()), read[0], read[1], read[2], read[3], weekdays, either)
    if found.last(1.6e9) is None:
        raise SettingsError(f"{text!r} is never: no month has that day")
    return found


def _field(field: str, name: str, least: int, most: int, text: str) -> tuple[int, ...]:
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step = part.partition("/")
        low, dash, high = (str(least), "-", str(most)) if span == "*" else span.partition("-")
        numbers = (low, high or low, step or "1")
        if not all(number.isascii() and number.isdigit() for number in numbers) or (slash and not step):
            raise SettingsError(f"{text!r} is not a schedule: {part!r} is no {name}; {_EXPECTED}")
        first, last, every = map(int, numbers)
        if slash and not dash:
            last = most
        if not least <= first <= last <= most or every < 1:
            raise SettingsError(f"{text!r} is not a schedule: a {name} is {least} to {most}, not {part!r}")
        found.update(range(first, last + 1, every))
    return tuple(sorted(found))
