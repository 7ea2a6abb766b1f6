"""A journal of what is known so far of a past that is looked back upon: kept nowhere, with one model's facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NoReturn

from fairlead.core.event import AnyFact, Entry
from fairlead.core.standing import Standing


class PastFacts:
    """What live code follows or writes, in memory."""

    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def append(
        self,
        facts: Sequence[AnyFact],
        *,
        actor: str,
        at: float,
        expected: Standing | None = None,  # noqa: ARG002 - nobody else writes to it
    ) -> tuple[Entry, ...]:
        """Adds facts."""
        new = [Entry(len(self._entries) + place, at, actor, fact, "", "") for place, fact in enumerate(facts, 1)]
        self._entries += new
        return tuple(new)

    def read(
        self,
        after: int = 0,
        *,
        model: str | None = None,  # noqa: ARG002 - there is one
        kinds: Sequence[str] = (),  # noqa: ARG002 - there are no others
    ) -> Iterator[Entry]:
        """What came after a place."""
        yield from self._entries[after:]

    def verify(self) -> NoReturn:
        """There is no chain."""
        raise NotImplementedError("a past that is looked back upon has no chain")


class PastClock:
    """Shows the instant that is looked back upon."""

    def __init__(self) -> None:
        self.at = 0.0

    def now(self) -> float:
        """That instant."""
        return self.at

    def monotonic(self) -> float:
        """The same."""
        return self.at
