"""What becomes of rows that a contract refuses: nothing, unless this section is there."""

from __future__ import annotations

from fairlead.config.fields import Section, Size, Span
from fairlead.core.quarantine import QuarantineLimits
from fairlead.errors import SettingsError

LEAST_BYTES = 1_000_000


class QuarantineSettings(Section, frozen=True):
    """Refused rows are kept for `keep`, at most `most` bytes of them in all workers; more are dropped and counted.

    They are the caller's own bytes, personal data included, which is why nothing is kept by default.
    """

    keep: Span = Span(7 * 86400)
    most: Size = Size(100_000_000)

    def __post_init__(self) -> None:
        """Refuses what could hold nothing."""
        if self.keep < 3600.0:
            raise SettingsError("log.quarantine.keep is less than an hour: nobody would see a row in time; at least 1h")
        if self.most < LEAST_BYTES:
            raise SettingsError("log.quarantine.most is less than 1MB, which the workers share: write at least 1MB")

    def share(self, workers: int) -> QuarantineLimits:
        """What one of so many workers may keep."""
        return QuarantineLimits(float(self.keep), max(int(self.most) // workers, 1))
