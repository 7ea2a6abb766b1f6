"""Where refused rows go."""

from __future__ import annotations

from typing import Protocol

from fairlead.core.quarantine import Quarantined


class Quarantine(Protocol):
    """Keeps rows that a contract refused. It never raises and never waits: what cannot be kept is dropped, counted."""

    def keep(self, row: Quarantined) -> None:
        """Takes a row, or drops it."""
        ...

    def counts(self) -> dict[str, int]:
        """How many rows were kept (`kept`) and dropped, by reason (see `core.quarantine.DROPS`)."""
        ...

    def close(self) -> None:
        """Writes what was taken and closes."""
        ...
