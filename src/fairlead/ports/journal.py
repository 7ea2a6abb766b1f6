"""The one journal of facts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from fairlead.core.event import AnyFact, Entry
from fairlead.core.standing import Standing


class Journal(Protocol):
    """Append-only and hash-chained. Several processes may write; each append is one transaction."""

    def append(
        self, facts: Sequence[AnyFact], *, actor: str, at: float, expected: Standing | None = None
    ) -> tuple[Entry, ...]:
        """Writes facts in order, all or none, and returns them as they now stand.

        With `expected` only while nothing newer stands: looking and writing are then one step for every process.
        Raises `Refused`, which says what stands now, else.
        """
        ...

    def read(self, after: int = 0, *, model: str | None = None, kinds: Sequence[str] = ()) -> Iterator[Entry]:
        """The entries after a sequence number, oldest first; of one model, or of some kinds (tags), if named."""
        ...

    def verify(self) -> int:
        """Recomputes the whole chain and returns its length. Raises `JournalBroken` naming the first bad entry."""
        ...
