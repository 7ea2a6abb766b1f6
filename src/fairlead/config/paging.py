"""How alerts become notices: throttle, quiet hours, what mutes what, and who is told next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from msgspec import field

from fairlead.config.fields import Section, Span
from fairlead.config.severity import Severity
from fairlead.errors import SettingsError

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
_DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Throttle(Section, frozen=True):
    """At most so many notices of new trouble in a period; what is beyond waits, and critical ones pass."""

    notices: int = 10
    per: Span = Span(3600)

    def __post_init__(self) -> None:
        """Refuses what would tell nobody."""
        if self.notices < 1 or self.per <= 0:
            raise SettingsError("alerting.throttle is a number of notices per period: write {notices: 10, per: 1h}")


class Inhibit(Section, frozen=True):
    """While an alert named by `when` stands, those of the same model that `mutes` names are held back; both are names,
    or patterns such as `unmeasured:*`."""

    when: str
    mutes: str

    def __post_init__(self) -> None:
        """Refuses a rule that mutes everything, itself included."""
        if not self.when or not self.mutes or self.mutes == "*":
            raise SettingsError("alerting.inhibit: name an alert in `when`, and in `mutes` what follows from it, not *")


class Escalate(Section, frozen=True):
    """Who is told of a page that nobody acknowledged, and how long after it."""

    after: Span
    to: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuses a step that tells nobody."""
        if self.after <= 0 or not self.to:
            raise SettingsError("alerting.escalation is {after: 15m, to: [CHANNEL]}: a time above 0, and somebody")


class QuietHours(Section, frozen=True):
    """When notices of some severities wait, by a zone's own clock: `{from: "22:00", to: "07:00", days: [sat, sun]}`.
    `days` are those on which the hours begin. Critical notices never wait."""

    begins: str = field(name="from")
    ends: str = field(name="to")
    zone: str = "UTC"
    days: tuple[Day, ...] = _DAYS
    severities: tuple[Severity, ...] = ("medium", "low")

    def __post_init__(self) -> None:
        """Refuses what is no time, no zone, no hours, and waiting with what is critical."""
        if _minute(self.begins) == _minute(self.ends):
            raise SettingsError(f"quiet hours from {self.begins} to {self.ends} are none: name two times")
        if "critical" in self.severities:
            raise SettingsError("quiet hours are not for critical notices: name high, medium or low")
        if not self.days or not self.severities:
            raise SettingsError("quiet hours name no day, or no severity: leave `days` or `severities` out for all")
        _zone(self.zone)

    def until(self, at: float) -> float | None:
        """When the hours end that an instant lies in; None outside them.

        >>> night = QuietHours("22:00", "07:00", "Europe/Lisbon")
        >>> evening = datetime(2026, 7, 1, 22, 30, tzinfo=UTC).timestamp()
        >>> datetime.fromtimestamp(night.until(evening), UTC).hour, night.until(evening - 7_200.0)
        (6, None)
        """
        zone = _zone(self.zone)
        here = datetime.fromtimestamp(at, UTC).astimezone(zone)
        begins, ends = _minute(self.begins), _minute(self.ends)
        for back in (0, 1):
            day = here.date() - timedelta(days=back)
            if _DAYS[day.weekday()] not in self.days:
                continue
            midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
            start = midnight.replace(hour=begins // 60, minute=begins % 60).timestamp()
            end_day = midnight + timedelta(days=int(ends <= begins))
            end = end_day.replace(hour=ends // 60, minute=ends % 60).timestamp()
            if start <= at < end:
                return end
        return None


def _minute(text: str) -> int:
    hour, colon, minute = text.partition(":")
    if not (colon and hour.isdecimal() and minute.isdecimal() and len(minute) == 2 and int(hour) < 24):
        raise SettingsError(f'{text!r} is no time of day: write "22:00", with the quotes')
    if int(minute) > 59:
        raise SettingsError(f'{text!r} is no time of day: write "22:00", with the quotes')
    return 60 * int(hour) + int(minute)


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SettingsError(f"{name!r} is no time zone that is known here: write one as in Europe/Lisbon") from None
