"""A kind of decision that can be taken again."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from fairlead.core.event import Entry
from fairlead.core.recount import Recount, State
from fairlead.operations.context import Context

Decide = Callable[[], tuple[State, str]]


class Pending(Struct, frozen=True):
    """A decision that was journalled in an entry, and what takes it again: that may read the store, or the log."""

    kind: str
    id: str
    entry: Entry
    decide: Decide
    names: tuple[str, ...] = ()

    def named(self, name: str) -> bool:
        """Whether it may be asked for by this name: its id, another of its names, or its entry's number. A digest may
        be shortened to eight of its digits."""
        if name in (self.id, str(self.entry.seq)):
            return True
        return any(name == one or (len(one) == 64 and len(name) >= 8 and one.startswith(name)) for one in self.names)

    def recounted(self) -> Recount:
        """Takes it again."""
        state, said = self.decide()
        entry = self.entry
        return Recount(self.kind, self.id, entry.fact.model, entry.seq, entry.at, state, said, self.names)


class Kind(Struct, frozen=True):
    """What of the journal is one, and how each is found: of a model, or of all."""

    name: str
    find: Callable[[Context, str | None], Iterable[Pending]]
