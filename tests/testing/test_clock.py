"""The manual clock."""

from __future__ import annotations

import pytest

from fairlead.errors import UsageError
from fairlead.testing.clock import ManualClock, check_clock


def test_keeps_the_port() -> None:
    """It is a clock."""
    check_clock(ManualClock())


def test_time_passes_only_when_told() -> None:
    """Advancing moves both readings by the same duration; it never goes back."""
    clock = ManualClock(100.0)
    assert (clock.now(), clock.now()) == (100.0, 100.0)
    clock.advance(2.5)
    assert (clock.now(), clock.monotonic()) == (102.5, 2.5)
    with pytest.raises(UsageError, match="does not go back"):
        clock.advance(-1)
