"""The journal: read it, and prove that nobody edited it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from fairlead.core.event import Entry
from fairlead.operations.context import Context


def verify(context: Context) -> int:
    """Recomputes the hash chain and returns how many entries it has. Raises `JournalBroken`."""
    return context.journal.verify()


def entries(
    context: Context, after: int = 0, model: str | None = None, kinds: Sequence[str] = (), limit: int = 1000
) -> tuple[Entry, ...]:
    """The newest facts, oldest first."""
    return tuple(deque(context.journal.read(after, model=model, kinds=kinds), maxlen=max(0, limit)))
