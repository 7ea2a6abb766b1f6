"""What units logged: business events by unit and name, each once, in the order in which they happened."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable
from math import isfinite
from typing import NamedTuple

from fairlead.core.record import EventRecord


class Told(NamedTuple):
    """An event of a unit: when, which, its value, and when it was told."""

    at: float
    event_id: str
    value: float
    received_at: float


class Shown:
    """Events of at most `most` units. Nothing depends on the order of reading: one that was told twice is one, and the
    earlier telling stands. `grain` is what is kept of a value."""

    def __init__(self, most: int, grain: Callable[[float], float] = float) -> None:
        self._most, self._grain = most, grain
        self._of: dict[str, dict[str, list[Told]]] = {}
        self._ids: dict[tuple[str, str, str], Told] = {}

    def takes(self, event: EventRecord) -> bool:
        """Whether it would be kept: it is a number, and of a unit that is known or finds room."""
        number = not isinstance(event.value, str) and isfinite(event.value)
        return number and (event.unit_id in self._of or len(self._of) < self._most)

    def add(self, event: EventRecord) -> None:
        """Keeps an event that it `takes`."""
        one = Told(event.at, event.event_id, self._grain(float(event.value)), event.received_at)
        key = event.unit_id, event.name, event.event_id
        shown, before = self._of.setdefault(event.unit_id, {}).setdefault(event.name, []), self._ids.get(key)
        if before is not None:
            if before <= one:
                return
            del shown[bisect_left(shown, before)]
        self._ids[key] = one
        insort(shown, one)

    def between(self, unit: str, name: str, at: float, end: float) -> list[Told]:
        """A unit's events of a name from `at` on and before `end`, oldest first."""
        shown = self._of.get(unit, {}).get(name, [])
        return shown[_from(shown, at) : _from(shown, end)]

    def first(self, unit: str, name: str, at: float, end: float) -> float:
        """The first value from `at` on and before `end`; 0 where there is none."""
        found = self.between(unit, name, at, end)
        return found[0].value if found else 0.0


def _from(shown: list[Told], at: float) -> int:
    return bisect_left(shown, at, key=lambda one: one.at)
