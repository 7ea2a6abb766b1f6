"""What a writer saw before it wrote: the condition of a compare-and-swap append."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from fairlead.core.event import AliasMoved, Entry, EnvironmentEntered, StatusChanged
from fairlead.core.listing import first_of
from fairlead.errors import Refused

NEWER = 3  # entries that a refusal tells of


class Standing(Struct, frozen=True):
    """The last entry of a model, of some kinds, that a decision rests on; `seq` is 0 where there was none.

    An append under it holds only while no such entry is newer: who comes second is refused, and looks again.
    """

    model: str
    kinds: tuple[str, ...]
    seq: int


def standing(entries: Iterable[Entry], model: str, kinds: tuple[str, ...]) -> Standing:
    """The standing that these entries, in their order, lead to.

    >>> standing([], "hotel", ("alias_moved",)).seq
    0
    """
    mine = [one.seq for one in entries if one.fact.model == model and one.fact.__struct_config__.tag in kinds]
    return Standing(model, kinds, mine[-1] if mine else 0)


def moved_on(expected: Standing, newer: Iterable[Entry]) -> Refused:
    """The refusal of an append, by the entries that came in between: what stands now, and the fix."""
    said = [f"{_said(entry)} (entry {entry.seq}, by {entry.actor})" for entry in newer]
    return Refused(
        f"{expected.model} changed since it was looked at: {first_of(said, NEWER)}; nothing was written: look at "
        f"`fairlead models {expected.model}` and ask again"
    )


def _said(entry: Entry) -> str:
    fact = entry.fact
    match fact:
        case AliasMoved(alias=alias, version=None):
            return f"nobody is {alias} now"
        case AliasMoved(alias=alias, version=version):
            return f"version {version} is {alias} now"
        case StatusChanged(version=version, status=status):
            return f"version {version} has the status {status} now"
        case EnvironmentEntered(version=version, environment=environment):
            return f"version {version} entered {environment}"
        case _:
            return str(fact.__struct_config__.tag).replace("_", " ")
