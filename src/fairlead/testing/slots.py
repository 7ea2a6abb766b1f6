"""A store of slots in memory, and what every store of slots keeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from msgspec.structs import replace

from fairlead.core.slot import Slot, lasting
from fairlead.core.window import DAY
from fairlead.errors import StateError
from fairlead.ports.slots import SlotsHeld, SlotStore
from fairlead.stats.columns import NumericColumn
from fairlead.stats.condensed import TableSums, condensed
from fairlead.stats.profile import profile

HOUR = 3_600.0
START = 1_451_865_600.0  # Monday, 4 January 2016, midnight


class MemorySlots:
    """Keeps slots as long as it lives. `broken` makes it refuse to write."""

    def __init__(self) -> None:
        """Starts empty."""
        self.slots: list[Slot] = []
        self.broken = False

    def put(self, slots: Sequence[Slot]) -> None:
        """Keeps slots."""
        self._check()
        self.slots += slots

    def read(self, model: str, version: int, segment: str, starts_at: float, ends_at: float) -> tuple[Slot, ...]:
        """Those that begin in the span."""
        mine = [one for one in self.slots if (one.model, one.version, one.segment) == (model, version, segment)]
        return lasting([one for one in mine if starts_at <= one.starts_at < ends_at])

    def replace(
        self,
        model: str,
        version: int,
        span: tuple[float, float],
        fill: Callable[[tuple[Slot, ...]], Sequence[Slot]],
    ) -> tuple[Slot, ...]:
        """Puts others in their place."""
        self._check()
        mine = [
            one
            for one in self.slots
            if (one.model, one.version) == (model, version) and span[0] <= one.starts_at < span[1]
        ]
        filled = tuple(fill(lasting(mine)))
        self.slots = [one for one in self.slots if one not in mine] + list(filled)
        return filled

    def held(self, model: str) -> tuple[SlotsHeld, ...]:
        """What there is of a model."""
        keys = sorted({(one.version, one.segment) for one in self.slots if one.model == model})
        found = []
        for version, segment in keys:
            mine = self.read(model, version, segment, -np.inf, np.inf)
            ends = (min(one.starts_at for one in mine), max(one.ends_at for one in mine))
            found.append(SlotsHeld(version, segment, len(mine), sum(one.rows for one in mine), *ends))
        return tuple(found)

    def prune(self, model: str, before: float) -> int:
        """Removes old days."""
        old = {
            one.starts_at // DAY
            for one in self.slots
            if one.model == model and (one.starts_at // DAY + 1) * DAY <= before
        }
        self.slots = [one for one in self.slots if one.model != model or one.starts_at // DAY not in old]
        return len(old)

    def _check(self) -> None:
        if self.broken:
            raise StateError("slots cannot be kept in memory: set `broken` to False")


def make_slot(hour: int = 0, rows: int = 3, *, model: str = "hotel", version: int = 1, segment: str = "") -> Slot:
    """The slot of an hour, counted from a Monday in 2016, of a column of numbers."""
    return Slot(model, version, START + hour * HOUR, START + (hour + 1) * HOUR, _sums(rows), segment, "b" * 64, rows)


def check_slots(store: SlotStore, again: Callable[[], SlotStore]) -> None:
    """What every store of slots keeps, given an empty one, and a function that opens it again."""
    slots = [make_slot(hour) for hour in (0, 1, 30)]
    store.put(slots)
    store.put(
        [make_slot(0, 5, segment="region=north / süd"), make_slot(2, 7, version=2), make_slot(1, 9, model="../x")]
    )
    for one in (store, again()):
        assert list(one.read("hotel", 1, "", START, START + 31 * HOUR)) == slots, "slots come back as they were put"
        assert [each.rows for each in one.read("hotel", 1, "", START + HOUR, START + 30 * HOUR)] == [3], (
            "by their start"
        )
        assert one.read("hotel", 1, "region=south", START, START + DAY) == (), "a segment that is not there is none"
        assert [each.rows for each in one.read("hotel", 2, "", START, START + DAY)] == [7], "versions are apart"
        assert [each.rows for each in one.read("../x", 1, "", START, START + DAY)] == [9], "a model is any text"
    store.put([make_slot(1, 8)])
    assert _rows(again()) == [3, 8, 3], "what is put again takes its place"
    store.put([replace(make_slot(0, 4), ends_at=START + 1.5 * HOUR)])
    assert _rows(again()) == [4, 3], "nothing is counted twice, however slots are cut"
    _check_replacing(store, again)
    held = [(one.version, one.segment, one.rows) for one in again().held("hotel")]
    assert held == [(1, "", 9), (1, "region=north / süd", 6), (2, "", 7)], "what there is, by version and segment"
    assert store.prune("hotel", START + DAY) == 1, "a day that has ended goes"
    assert _rows(again()) == [3], "and younger ones stay"
    assert [one.rows for one in again().read("../x", 1, "", START, START + DAY)] == [9], "so do others'"


def _check_replacing(store: SlotStore, again: Callable[[], SlotStore]) -> None:
    seen: list[Sequence[Slot]] = []
    fresh = [make_slot(0, 6), make_slot(0, 6, segment="region=north / süd")]

    def fill(before: tuple[Slot, ...]) -> Sequence[Slot]:
        seen.append(before)
        return fresh

    assert list(store.replace("hotel", 1, (START, START + 2 * HOUR), fill)) == fresh, "what was made is given back"
    assert sorted((one.segment, one.rows) for one in seen[0]) == [("", 4), ("region=north / süd", 5)], (
        "all that counted"
    )
    assert _rows(again()) == [6, 3], "a span is replaced, and nothing else"

    def fail(_before: tuple[Slot, ...]) -> Sequence[Slot]:
        raise StateError("no log")

    try:
        store.replace("hotel", 1, (START, START + 2 * DAY), fail)
    except StateError:
        assert _rows(again()) == [6, 3], "one that fails changes nothing"
    else:
        raise AssertionError("what the filling raises is raised")


def _rows(store: SlotStore) -> list[int]:
    return [one.rows for one in store.read("hotel", 1, "", START, START + 2 * DAY)]


def _sums(rows: int) -> TableSums:
    grid = profile([NumericColumn("x", np.arange(10.0))]).grids
    return condensed(profile([NumericColumn("x", np.arange(float(rows)))], grid))
