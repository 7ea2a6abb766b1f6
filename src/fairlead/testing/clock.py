"""A clock that stands still until it is told otherwise."""

from __future__ import annotations

from fairlead.errors import UsageError
from fairlead.ports.clock import Clock


class ManualClock:
    """Time as the test's own argument."""

    def __init__(self, at: float = 1_700_000_000.0) -> None:
        """Starts at an instant (seconds since 1970, UTC)."""
        self._now = at
        self._passed = 0.0

    def now(self) -> float:
        """The instant it was set to."""
        return self._now

    def monotonic(self) -> float:
        """The seconds that `advance` has let pass."""
        return self._passed

    def advance(self, seconds: float) -> None:
        """Lets time pass. Raises `UsageError` for a negative duration."""
        if seconds < 0:
            raise UsageError(f"time does not go back by {-seconds} s: set another clock instead")
        self._now += seconds
        self._passed += seconds


def check_clock(clock: Clock) -> None:
    """What every clock keeps: plausible seconds since 1970, and a monotonic clock that never goes back."""
    assert clock.now() > 1_000_000_000.0, "now() is in seconds since 1970"
    readings = [clock.monotonic() for _ in range(100)]
    assert readings == sorted(readings), "monotonic() went back"
