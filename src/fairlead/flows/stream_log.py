"""The log as a stream needs it: it remembers what was written last, whatever the caller is told of it."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.ports.log import LogState, PredictionLog


class KeptLog:
    """Writes to a log, and keeps what it wrote until it is `taken`. Shadows' records are not kept."""

    def __init__(self, log: PredictionLog) -> None:
        self._log = log
        self._kept: dict[str, Prediction] = {}

    @property
    def has_any(self) -> bool:
        """Whether anything was written since."""
        return bool(self._kept)

    def taken(self) -> dict[str, Prediction]:
        """What was written since the last call, by request id."""
        kept, self._kept = self._kept, {}
        return kept

    def predictions(self, records: Sequence[Prediction]) -> None:
        """Writes predictions. Raises `StateError`, and then keeps none."""
        self._log.predictions(records)
        self._kept |= {record.request_id: record for record in records if record.shadow_of is None}

    def outcomes(self, records: Sequence[OutcomeRecord]) -> None:
        """Writes outcomes."""
        self._log.outcomes(records)

    async def durable(self) -> None:
        """Waits for the disk."""
        await self._log.durable()

    def state(self) -> LogState:
        """How the log is."""
        return self._log.state()

    def close(self) -> None:
        """Syncs and closes."""
        self._log.close()
