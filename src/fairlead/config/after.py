"""What is watched once a version serves everybody, and for how long it may still go back."""

from __future__ import annotations

import re

from msgspec import field

from fairlead.config.fields import Section, Span
from fairlead.config.grammar import span
from fairlead.core.rollout import Aftercare
from fairlead.errors import SettingsError

_EVENTS = Span(3600)
_RATE = re.compile(r"\s*(\d+)\s+per\s+(.+)")


class AfterSettings(Section, frozen=True):
    """The watch over a promoted version: `for` so long it may go back to the version before by itself, and `alarms`
    says how often, at most, that happens where nothing has changed. `events`: so long after an answer what callers log
    is waited for; 0 leaves events out."""

    seconds: Span = field(default=Span(7 * 86_400), name="for")
    alarms: str = "1 per 90d"
    events: Span = _EVENTS

    def __post_init__(self) -> None:
        """Refuses a budget that cannot be read."""
        if not self.alarm_seconds > 0.0:
            raise SettingsError("rollout.after.alarms is a budget of false alarms: write 1 per 90d")
        if self.events != _EVENTS and self.events >= self.seconds:
            raise SettingsError(
                f"rollout.after.events waits {self.events:g} s for an event, and the watch lasts {self.seconds:g} s: "
                "write a longer for, or events: 0s to leave events out"
            )

    @property
    def alarm_seconds(self) -> float:
        """The mean time to a false alarm. Raises `SettingsError`."""
        found = _RATE.fullmatch(self.alarms)
        if found is None or not int(found[1]):
            raise SettingsError(f"rollout.after.alarms is {self.alarms!r}: write how many per how long: 1 per 90d")
        return span(found[2]) / int(found[1])

    @property
    def plan(self) -> Aftercare:
        """The same, as rollouts take it."""
        return Aftercare(float(self.seconds), self.alarm_seconds, float(self.events))
