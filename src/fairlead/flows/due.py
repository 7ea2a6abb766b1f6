"""Whose turn it is: a heap of instants, so that a thousand models that wait cost as much as none."""

from __future__ import annotations

import heapq
from math import inf


class Due:
    """Names with the instant at which each is to be looked at. A name has one instant: the earliest that was asked for
    since it was last taken."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def ask(self, name: str, at: float) -> None:
        """Looks at a name at `at`, unless it is looked at earlier. Infinity asks for nothing."""
        if at < self._at.get(name, inf):
            self._at[name] = at
            heapq.heappush(self._heap, (at, name))

    def take(self, now: float) -> list[str]:
        """The names whose instant has come, the longest due first; each is given once.

        >>> due = Due()
        >>> due.ask("b", 2.0), due.ask("a", 1.0), due.ask("b", 3.0)
        (None, None, None)
        >>> due.take(2.5), due.take(4.0)
        (['a', 'b'], [])
        """
        found = []
        while self._heap and self._heap[0][0] <= now:
            at, name = heapq.heappop(self._heap)
            if self._at.get(name) == at:  # else it was asked for earlier, and has been taken since
                del self._at[name]
                found.append(name)
        return found
