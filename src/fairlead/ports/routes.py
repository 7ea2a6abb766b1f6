"""How a route table reaches the gateway workers, and what they say back."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from fairlead.core.route import RouteTable


class GoldenState(Struct, frozen=True):
    """How a worker's version last answered its golden rows, and when (seconds since 1970); `reason` where not as it
    was registered with."""

    model: str
    version: int
    holds: bool
    reason: str
    at: float


class WorkerState(Struct, frozen=True):
    """What a worker last said of itself. `applied_at` is when it swapped to `generation` (seconds since 1970).

    `errors` names the models that `generation` does not hold for here, and why: each is served as before, or not at
    all. `error` is all that is wrong, in one line.
    """

    worker: int
    pid: int
    generation: int
    applied_at: float
    heartbeat_at: float
    versions: dict[str, list[int]] = {}  # model -> warm versions
    error: str = ""
    errors: dict[str, str] = {}  # model -> why its newest route is not served
    golden: tuple[GoldenState, ...] = ()  # of the versions that were asked since they were loaded


class RouteBoard(Protocol):
    """One writer (the controller), many readers (the workers). Reading is cheap enough to do 50 times a second."""

    def publish(self, table: RouteTable) -> None:
        """Replaces the table atomically and durably."""
        ...

    def current(self) -> RouteTable:
        """The table as published; empty at generation 0 before the first."""
        ...

    def changed(self, generation: int) -> RouteTable | None:
        """The table if its generation is higher, else None."""
        ...

    def report(self, state: WorkerState) -> None:
        """A worker says what it runs."""
        ...

    def forget(self, worker: int) -> None:
        """A worker of this machine and home ended in order: it is not missed. Raises `StateError`."""
        ...

    def workers(self) -> tuple[WorkerState, ...]:
        """What each worker said last."""
        ...
