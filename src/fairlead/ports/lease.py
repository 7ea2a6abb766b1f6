"""Which of several controllers leads."""

from __future__ import annotations

from typing import Protocol


class Lease(Protocol):
    """One holder at a time. Whoever lost it never gets it back: what it remembers is old."""

    def take(self) -> bool:
        """Takes the lead where it is free, or makes sure of it; whether we lead. Raises `StateError`."""
        ...

    def leader(self) -> str:
        """Who led last, ourselves perhaps; empty before the first. Raises `StateError`."""
        ...

    def leave(self) -> None:
        """Gives the lead back."""
        ...
