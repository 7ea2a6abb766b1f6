"""replay: whatever the journal says was decided, decided again from what was kept, and compared byte for byte.

A new kind is a module of `operations.recounting`, and a line here.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from fairlead.core.listing import first_of
from fairlead.core.recount import Recount, State, Tally, tallied, verdict
from fairlead.errors import NotFound, UsageError
from fairlead.operations.context import Context
from fairlead.operations.recounting.alert import ALERTS
from fairlead.operations.recounting.experiment import EXPERIMENTS
from fairlead.operations.recounting.gate import GATES
from fairlead.operations.recounting.kind import Kind, Pending
from fairlead.operations.recounting.rollout import ROLLOUTS
from fairlead.operations.recounting.window import JUDGED

KINDS: tuple[Kind, ...] = (ROLLOUTS, GATES, JUDGED, ALERTS, EXPERIMENTS)


class Recounted(Struct, frozen=True):
    """What was asked for, decided again. `found` holds what is not the same; of a single decision, that."""

    state: State
    kinds: tuple[Tally, ...]
    found: tuple[Recount, ...]


def recount(context: Context, name: str = "", kind: str = "") -> Recounted:
    """Decides again what a name means: a decision by its id, digest or entry, or a model with all of its decisions;
    without a name all that the journal holds. `kind` leaves all other kinds out.

    Raises `JournalBroken` for an edited journal, `NotFound` and `UsageError`.
    """
    kinds = _kinds(kind)
    context.journal.verify()
    pending = [one for each in kinds for one in _sought(context, each, name)]
    if not pending:
        raise NotFound(_nothing(context, name, kinds))
    recounts = [one.recounted() for one in pending]
    tallies = tuple(
        tallied(each.name, of)
        for each in kinds
        if (of := [one for one in recounts if one.kind == each.name])
    )  # fmt: skip
    told = tuple(one for one in recounts if len(recounts) == 1 or one.state != "same")
    return Recounted(verdict(tallies), tallies, told)


def _kinds(kind: str) -> tuple[Kind, ...]:
    found = tuple(one for one in KINDS if kind in ("", one.name))
    if not found:
        raise UsageError(f"there is no kind {kind!r}: use one of {', '.join(one.name for one in KINDS)}")
    return found


def _sought(context: Context, kind: Kind, name: str) -> Iterator[Pending]:
    yield from (one for one in kind.find(context, None) if not name or name == one.entry.fact.model or one.named(name))


def _nothing(context: Context, name: str, kinds: tuple[Kind, ...]) -> str:
    what = "decision" if len(kinds) > 1 else kinds[0].name
    if not name:
        return f"the journal holds no {what} to recompute yet"
    there = [one.id for each in kinds for one in each.find(context, None)]
    hint = f"there is {first_of(there)}" if there else "the journal holds none yet"
    if len(kinds) > 1:
        return (
            f"there is no rollout {name!r}, nor another decision of that name: {hint}; a model's name means all of its"
        )
    return f"there is no {what} {name!r}: {hint}; a model's name means all of its"
