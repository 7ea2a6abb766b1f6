"""The channel that remembers keeps what real channels keep."""

from __future__ import annotations

from fairlead.testing.notifier import MemoryNotifier, check_failure, check_notifier


def test_the_fake_keeps_the_contract() -> None:
    """It delivers everything, and fails by name while it is broken."""
    notifier = MemoryNotifier()
    check_notifier(notifier, lambda: str(notifier.sent))
    notifier.broken = True
    check_failure(notifier)
    assert len(notifier.sent) == 1
