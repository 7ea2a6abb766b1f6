"""What came of deciding something again from the evidence that was kept: the same, something else, or nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, structs

from fairlead.core.difference import first_difference
from fairlead.core.event import canonical
from fairlead.core.listing import counted

State = Literal["same", "different", "unproven"]
BEFORE = "recorded before evidence was kept"


class Recount(Struct, frozen=True):
    """One decision, taken again. `said`: the first difference with its field's path, or why nothing can be recomputed.

    `seq` is the entry of the journal that holds the decision, `names` what it may be asked for by, beside `id`.
    """

    kind: str
    id: str
    model: str
    seq: int
    at: float
    state: State
    said: str = ""
    names: tuple[str, ...] = ()


class Tally(Struct, frozen=True):
    """The decisions of one kind: how many came out the same, how many differ, how many cannot be recomputed."""

    kind: str
    same: int
    different: int
    unproven: int
    first_difference: str = ""
    first_unproven: str = ""

    @property
    def count(self) -> int:
        """How many there are."""
        return self.same + self.different + self.unproven

    @property
    def sentence(self) -> str:
        """All of it in a line."""
        parts = [f"{self.same:,} the same byte for byte"] if self.same else []
        parts += [f"{self.different:,} different ({self.first_difference})"] if self.different else []
        parts += [f"{self.unproven:,} not recomputed ({self.first_unproven})"] if self.unproven else []
        return f"{self.kind}: {counted(self.count, 'decision')}, {', '.join(parts)}"


def tallied(kind: str, found: Iterable[Recount]) -> Tally:
    """The recounts of one kind together."""
    states = {"same": 0, "different": 0, "unproven": 0}
    first: dict[str, str] = {}
    for one in found:
        states[one.state] += 1
        first.setdefault(one.state, f"{one.id}: {one.said}")
    return Tally(kind, **states, first_difference=first.get("different", ""), first_unproven=first.get("unproven", ""))


def verdict(tallies: Iterable[Tally]) -> State:
    """The worst of them: different, then unproven, then the same."""
    listed = list(tallies)
    if any(one.different for one in listed):
        return "different"
    return "unproven" if any(one.unproven for one in listed) else "same"


def compared(journalled: bytes, again: bytes, what: str = "") -> tuple[State, str]:
    """Whether two canonical byte strings are one, and where not, their first difference; `what` goes before it."""
    if journalled == again:
        return "same", ""
    return "different", f"{what}{first_difference(journalled, again)}"


def compared_fields(journalled: Struct, again: Struct, what: str = "") -> tuple[State, str]:
    """The same of two facts, field by field: what a fact leaves out depends on where it came from."""
    return compared(canonical(structs.asdict(journalled)), canonical(structs.asdict(again)), what)
