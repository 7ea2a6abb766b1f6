"""The prediction and outcome log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fairlead.core.record import OutcomeRecord, Prediction


class PredictionLog(Protocol):
    """What a gateway worker writes. A returned call has written its records: a killed process loses none of them."""

    def predictions(self, records: Sequence[Prediction]) -> None:
        """Writes predictions in one system call. Raises `StateError` when the disk is full."""
        ...

    def outcomes(self, records: Sequence[OutcomeRecord]) -> None:
        """Writes outcomes in one system call."""
        ...

    async def durable(self) -> None:
        """Returns once everything written before is on the disk (fsync, shared by all who wait)."""
        ...

    def close(self) -> None:
        """Syncs and closes."""
        ...


class LogReader(Protocol):
    """Follows the log of all workers, each record once per reader."""

    def poll(self, limit: int = 10_000) -> tuple[list[Prediction], list[OutcomeRecord]]:
        """What was added since the last call, oldest first within a worker; torn ends are left for the next call."""
        ...
