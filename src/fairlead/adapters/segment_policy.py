"""What a worker does when its disk takes no more: it sheds, which is the log as it is, or serves on unlogged.

To shed is the default: an answer that is not logged is not given, so the log is the truth. To serve unlogged keeps the
callers served, and the records are missing from evidence, windows and joins: each is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.errors import StateError
from fairlead.ports.log import LogState, PredictionLog


class UnloggedWhenFull:
    """A log that lets predictions go where they cannot be written. Outcomes are refused as before: whoever sends one
    can send it again."""

    def __init__(self, log: PredictionLog, lost: Callable[[int], None]) -> None:
        """`lost` is told how many predictions were answered and not logged, at each failure."""
        self._log = log
        self._lost = lost

    def predictions(self, records: Sequence[Prediction]) -> None:
        """Writes predictions, or counts them as lost."""
        try:
            self._log.predictions(records)
        except StateError:
            self._lost(len(records))

    def outcomes(self, records: Sequence[OutcomeRecord]) -> None:
        """Writes outcomes. Raises `StateError`."""
        self._log.outcomes(records)

    async def durable(self) -> None:
        """Waits for the disk; where it refuses, what was written is in the kernel's hands and nothing is lost yet."""
        try:
            await self._log.durable()
        except StateError:
            self._lost(0)

    def state(self) -> LogState:
        """How the log is; nothing is refused for it."""
        return msgspec.structs.replace(self._log.state(), sheds=False)

    def close(self) -> None:
        """Syncs and closes."""
        self._log.close()
