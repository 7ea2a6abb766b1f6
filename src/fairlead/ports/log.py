"""The prediction and outcome log."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from fairlead.core.record import OutcomeRecord, Prediction


class LogState(Struct, frozen=True):
    """How a log is. `refused`: why it takes nothing now, one line, empty when it does; `sheds`: whether answers are
    refused for it. `behind`: seconds since the sync began that is under way; a disk that keeps up stays near 0."""

    refused: str = ""
    behind: float = 0.0
    sheds: bool = False


class PredictionLog(Protocol):
    """What a gateway worker writes. A returned call has written its records: a killed process loses none of them."""

    def predictions(self, records: Sequence[Prediction]) -> None:
        """Writes predictions in one system call. Raises `StateError` when the disk is full."""
        ...

    def outcomes(self, records: Sequence[OutcomeRecord]) -> None:
        """Writes outcomes in one system call."""
        ...

    async def durable(self) -> None:
        """Returns once everything written before is on the disk (fsync, shared by all who wait).

        Raises `StateError` when the disk refuses, or takes too long."""
        ...

    def state(self) -> LogState:
        """How it is. A log that has failed is tried by this call, so asking now and then is how it is known again."""
        ...

    def close(self) -> None:
        """Syncs and closes."""
        ...


class LogReader(Protocol):
    """Follows the log of all workers, each record once per reader."""

    def poll(self, limit: int = 10_000) -> tuple[list[Prediction], list[OutcomeRecord]]:
        """What was added since the last call, oldest first within a worker; torn ends are left for the next call."""
        ...


class Batch(Struct, frozen=True):
    """Records on their way from segments into the table, of one kind, each with its place.

    `reached` is how far each source (one worker's start) has been read once these are taken: a number that only grows.
    """

    kind: str  # predictions | outcomes
    segments: tuple[str, ...]
    offsets: tuple[int, ...]
    records: tuple[Prediction, ...] | tuple[OutcomeRecord, ...]
    reached: Mapping[str, int]
    damaged: int = 0  # frames and files passed over because they could not be read
    unread: tuple[str, ...] = ()  # segments that the disk did not give: tried again at the next reading


class Pruned(Struct, frozen=True):
    """Segments that were removed."""

    files: int
    size: int  # bytes


class Keeping(Struct, frozen=True):
    """What stays in the table: everything younger than `retention` seconds (None: for ever), thinned to the share
    `rest` once it is older than `thin_after` seconds."""

    retention: float | None = None
    rest: float = 1.0
    thin_after: float = 30 * 86_400.0


class Tended(Struct, frozen=True):
    """What looking after the table did."""

    dropped_days: int = 0
    thinned_days: int = 0
    thinned_rows: int = 0
    merged_files: int = 0
    removed_files: int = 0


class Segments(Protocol):
    """The write-ahead segments, as what moves them into a table sees them."""

    def read(self, kind: str, reached: Callable[[str], int], limit: int) -> Batch:
        """At most about `limit` records beyond what was reached, each worker's in its order. Raises `StateError`."""
        ...

    def prune(self, kind: str, reached: Callable[[str], int], before: float) -> Pruned:
        """Removes segments that were read to the end, are not the newest of their worker, and were last written before
        an instant. Raises `StateError`."""
        ...

    def erase(self, units: Container[str], requests: Container[str]) -> tuple[int, int]:
        """Overwrites the predictions of units and the outcomes of requests; returns how many of each."""
        ...

    def expire(self, before: float) -> int:
        """Overwrites what was received before an instant and is in a segment all the same; returns how many records.
        Only what the table has may expire."""
        ...

    def requests_of(self, unit: str) -> set[str]:
        """The request ids of a unit's predictions."""
        ...


class LogTable(Protocol):
    """The log beyond the segments. One process writes; a call that returned is on the disk."""

    def reached(self, kind: str) -> Callable[[str], int]:
        """How far each source stands in the table; 0 for one that it does not know. Raises `StateError`."""
        ...

    def append(self, batch: Batch) -> None:
        """Takes a batch and how far it reaches in one commit: all of it or nothing. Raises `StateError`."""
        ...

    def tend(self, keeping: Keeping, now: float) -> Tended:
        """Drops and thins old days, merges small files, removes what nothing names. Raises `StateError`."""
        ...

    def requests_of(self, unit: str) -> set[str]:
        """The request ids of a unit's predictions."""
        ...

    def erase(self, unit: str, requests: Container[str]) -> tuple[int, int]:
        """Removes the outcomes of requests, then a unit's predictions, and their bytes; returns how many of each."""
        ...
