"""A lease in memory, and what every lease keeps."""

from __future__ import annotations

from collections.abc import Callable

from fairlead.ports.lease import Lease


class Seat:
    """What leases in memory compete for."""

    def __init__(self) -> None:
        """Nobody leads."""
        self.holder: MemoryLease | None = None
        self.told = ""


class MemoryLease:
    """One competitor. `deposed` makes it lose the lead as a lost connection does."""

    def __init__(self, seat: Seat, name: str) -> None:
        """`name` is what the others are told."""
        self._seat = seat
        self._name = name
        self._over = False

    def take(self) -> bool:
        """Takes the lead where it is free; whether we lead."""
        if self._over or self._seat.holder not in (None, self):
            return False
        self._seat.holder, self._seat.told = self, self._name
        return True

    def leader(self) -> str:
        """Who led last."""
        return self._seat.told

    def leave(self) -> None:
        """Gives the lead back."""
        if self._seat.holder is self:
            self._seat.holder = None

    def depose(self) -> None:
        """Another may lead from now on."""
        self.leave()
        self._over = True


def check_lease(open_lease: Callable[[str], Lease]) -> None:
    """What every lease keeps: one leads, the next follows when it leaves. `open_lease` opens one of a name."""
    first, second = open_lease("first"), open_lease("second")
    assert first.leader() == "", "nobody has led"
    assert first.take(), "a free lead is taken"
    assert first.take(), "who leads makes sure of it as often as it likes"
    assert not second.take(), "one leads"
    assert second.leader() == "first", "the others are told who"
    second.leave()
    assert first.take(), "who does not lead gives nothing back"
    first.leave()
    assert second.take(), "the next leads when the first has left"
    assert not first.take(), "the first has lost it"
    assert second.leader() == "second", "the others are told who"
    second.leave()
