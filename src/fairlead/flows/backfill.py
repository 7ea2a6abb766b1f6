"""backfill: the log's rows of a span -> slots, in the place of those that were there.

What comes out depends on the rows alone, not on their order, nor on how often it is done. A slot's edges are those that
the watch gives it. Of a slot that the log no longer holds all rows of, the old counts stay. What was judged stands as
well: the rows that a slot had when its window was judged are remembered, so that what came later can be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from msgspec import Raw, Struct
from msgspec.structs import replace

from fairlead.core.slot import Cut, Slot
from fairlead.core.window import WindowPlan
from fairlead.flows.watching.features import profile_rows
from fairlead.flows.watching.reference import Reference
from fairlead.flows.watching.slots import SlotCounter
from fairlead.ports.slots import SlotStore
from fairlead.stats.performance import Floats


class Answers(Struct, frozen=True, eq=False):
    """What one version answered, each request once: instants and scores (n,) and features, in any order."""

    at: Floats
    score: Floats
    features: Sequence[Raw]


class Filling(Struct, frozen=True, eq=False):
    """How a version's answers become slots: `seconds` long at the most, cut at the windows of `plan`; `values` of
    features get slots of their own."""

    model: str
    bundle: str
    reference: Reference
    plan: WindowPlan
    seconds: float
    values: Mapping[str, frozenset[str]] = {}


class Filled(Struct, frozen=True):
    """What a back-fill left in a span: slots and rows of all, `late` rows that came after their windows were judged,
    and how many old slots stayed because the log no longer holds all their rows."""

    model: str
    version: int
    starts_at: float
    ends_at: float
    slots: int
    rows: int
    late: int = 0
    stayed: int = 0


def counted(filling: Filling, answers: Answers) -> tuple[Slot, ...]:
    """The slots of answers."""
    found: list[Slot] = []
    for starts_at, ends_at, rows in _windows(filling.plan, answers.at):
        counter = SlotCounter(filling.reference, Cut(filling.seconds, starts_at, ends_at), filling.values)
        features = [answers.features[row] for row in rows.tolist()]
        counter.add(
            answers.at[rows], profile_rows(features, answers.score[rows], filling.reference.profile, counter.look)
        )
        found += counter.slots(filling.model, filling.bundle, judged=False)
    return tuple(found)


def fill(
    store: SlotStore, filling: Filling, answers: Answers, span: tuple[float, float], *, shrink: bool = False
) -> Filled:
    """Puts the slots of a version's answers of a span in the place of those there; `shrink` also where they have fewer
    rows than those. The span begins and ends where slots do. Raises `StateError`."""
    fresh = counted(filling, answers)
    stayed: list[int] = []

    def instead(before: tuple[Slot, ...]) -> tuple[Slot, ...]:
        kept, old = merged(before, fresh, shrink=shrink)
        stayed[:] = [old]
        return kept

    version = filling.reference.version
    found = [slot for slot in store.replace(filling.model, version, span, instead) if not slot.segment]
    rows, late = sum(slot.rows for slot in found), sum(slot.late for slot in found)
    return Filled(filling.model, version, *span, len(found), rows, late, stayed[0])


def merged(before: Sequence[Slot], fresh: Sequence[Slot], *, shrink: bool = False) -> tuple[tuple[Slot, ...], int]:
    """What is kept of old and new slots of one version, and how many old ones stayed as they were.

    Where they overlap, the new ones are, unless they have fewer rows. They remember how many rows were judged.
    """
    found: list[Slot] = []
    stayed = 0
    for old, new in _together(before, fresh):
        held, counts = (sum(slot.rows for slot in side if not slot.segment) for side in (old, new))
        if held > counts and not shrink:
            found += old
            stayed += sum(not slot.segment for slot in old)
        else:
            judged = {slot.key: slot.judged for slot in old}
            found += [replace(slot, judged=judged.get(slot.key)) for slot in new]
    return tuple(found), stayed


def _together(before: Iterable[Slot], fresh: Iterable[Slot]) -> Iterator[tuple[list[Slot], list[Slot]]]:
    """Old and new slots, parted where none of either overlaps."""
    sides: tuple[list[Slot], list[Slot]] = ([], [])
    end = -np.inf
    for slot, side in sorted(
        [*((slot, 0) for slot in before), *((slot, 1) for slot in fresh)], key=lambda pair: pair[0].starts_at
    ):
        if slot.starts_at >= end and (sides[0] or sides[1]):
            yield sides
            sides = ([], [])
        end = max(end, slot.ends_at)
        sides[side].append(slot)
    if sides[0] or sides[1]:
        yield sides


def _windows(plan: WindowPlan, at: Floats) -> Iterator[tuple[float, float, np.ndarray[tuple[int], np.dtype[np.intp]]]]:
    """The windows that hold rows, with the places of their rows."""
    order = np.argsort(at, kind="stable")
    sorted_at = at[order]
    first = 0
    while first < at.size:
        window = plan.window_of(float(sorted_at[first]))
        last = int(np.searchsorted(sorted_at, window.ends_at, side="left"))
        yield window.starts_at, window.ends_at, order[first:last]
        first = last
