"""Where slots are kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from fairlead.core.slot import Slot


class SlotsHeld(Struct, frozen=True):
    """What a store holds of one version and segment: how many slots and rows, the first instant and the last."""

    version: int
    segment: str
    slots: int
    rows: int
    starts_at: float
    ends_at: float


class SlotStore(Protocol):
    """Slots by model and time. A call that returned is on the disk; one that raises has changed nothing that was kept.

    Several processes may use one store at the same time. What cannot be read raises `StateError` naming it: the rest
    of the store is not harmed by it.
    """

    def put(self, slots: Sequence[Slot]) -> None:
        """Keeps slots of one model. One that overlaps an older one of its version and segment takes its place."""
        ...

    def read(self, model: str, version: int, segment: str, starts_at: float, ends_at: float) -> tuple[Slot, ...]:
        """Those that begin in [`starts_at`, `ends_at`), in order of time; nothing is counted twice. Raises
        `StateError`."""
        ...

    def replace(
        self,
        model: str,
        version: int,
        span: tuple[float, float],
        fill: Callable[[tuple[Slot, ...]], Sequence[Slot]],
    ) -> tuple[Slot, ...]:
        """Puts what `fill` makes of a version's slots (of all segments) that begin in [from, to) in their place, and
        returns that. Nobody else writes in between. Raises `StateError`, and whatever `fill` raises."""
        ...

    def held(self, model: str) -> tuple[SlotsHeld, ...]:
        """What there is of a model, by version and segment. Raises `StateError`."""
        ...

    def prune(self, model: str, before: float) -> int:
        """Removes a model's days that ended before an instant; returns how many. What cannot be removed stays."""
        ...
