"""The machine's clock."""

from __future__ import annotations

from fairlead.adapters.system_clock import SystemClock
from fairlead.testing.clock import check_clock


def test_keeps_the_port() -> None:
    """It is a clock."""
    check_clock(SystemClock())
