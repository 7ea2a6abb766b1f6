"""Why an alert is told to nobody for now: silenced, acknowledged, muted by a graver one, or out of hours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from fairlead.core.outbox import Key, Known, Silence
from fairlead.core.paging import Inhibition

# Until when notices of a severity wait, at an instant; None where they need not.
Quiet = Callable[[float, str], float | None]


def never_quiet(_at: float, _severity: str) -> float | None:
    """Without quiet hours."""
    return None


class Holding:
    """What holds alerts back at one instant."""

    def __init__(
        self,
        alerts: Iterable[Key],
        silences: Iterable[Silence],
        inhibit: Sequence[Inhibition],
        quiet: Quiet,
        now: float,
    ) -> None:
        """`alerts` are the keys of those that stand, `quiet` tells of quiet hours."""
        self._silences = [one for one in silences if one.starts_at <= now < one.ends_at]
        self._muting = [
            (model, rule.mutes, alert) for rule in inhibit for model, alert in alerts if fnmatchcase(alert, rule.when)
        ]
        self._quiet = quiet
        self._now = now

    def why(self, known: Known) -> str:
        """Why an alert is held back; empty where nothing holds it."""
        return self._silenced(known) or self._acknowledged(known) or self._muted(known) or self._at_night(known)

    def _silenced(self, known: Known) -> str:
        for one in self._silences:
            if covers(one, known.model, known.alert):
                return f"silenced until {_at(one.ends_at)} by {one.actor}: {one.reason}"
        return ""

    def _acknowledged(self, known: Known) -> str:
        return known.acknowledged.said if known.acknowledged and works_on(known, self._now) else ""

    def _muted(self, known: Known) -> str:
        for model, mutes, alert in self._muting:
            if model == known.model and alert != known.alert and fnmatchcase(known.alert, mutes):
                return f"{alert} stands, which mutes it"
        return ""

    def _at_night(self, known: Known) -> str:
        until = self._quiet(self._now, known.severity)
        return "" if until is None else f"quiet hours until {_at(until)}"


def covers(silence: Silence, model: str, alert: str) -> bool:
    """Whether a silence is about an alert.

    >>> night = Silence("s1", "", ("data-*",), 0.0, 1.0, "moving house", "ana")
    >>> covers(night, "hotel", "data-quality"), covers(night, "hotel", "harmful-drift")
    (True, False)
    """
    if silence.model not in ("", model):
        return False
    return not silence.alerts or any(fnmatchcase(alert, pattern) for pattern in silence.alerts)


def works_on(known: Known, now: float) -> bool:
    """Whether somebody said that they work on it, and for how long has not passed yet."""
    seen = known.acknowledged
    return seen is not None and (seen.until is None or now < seen.until)


def _at(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}Z"
