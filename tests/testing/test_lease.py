"""The lease in memory."""

from __future__ import annotations

from fairlead.testing.lease import MemoryLease, Seat, check_lease


def test_keeps_the_port() -> None:
    """It is a lease."""
    seat = Seat()
    check_lease(lambda name: MemoryLease(seat, name))


def test_who_was_deposed_stays_so() -> None:
    """Another may lead, and the old leader is told that it does not."""
    seat = Seat()
    old, new = MemoryLease(seat, "old"), MemoryLease(seat, "new")
    assert old.take()
    old.depose()
    assert not old.take()
    assert new.take()
    new.leave()
    assert not old.take()
