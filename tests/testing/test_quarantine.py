"""The quarantine in memory keeps what the real one keeps."""

from __future__ import annotations

from fairlead.testing.quarantine import MemoryQuarantine, check_quarantine


def test_the_fake_keeps_the_contract() -> None:
    """Up to its bound."""
    quarantine = MemoryQuarantine()
    check_quarantine(quarantine, lambda: quarantine.rows)
