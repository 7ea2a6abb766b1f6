"""Where notices go."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from fairlead.core.notice import Notice

__all__ = ["Acknowledger", "ChangeTaker", "Notice", "Notifier", "Reminded", "Resolver"]


class Notifier(Protocol):
    """One channel."""

    @property
    def name(self) -> str:
        """The channel's name in the settings."""
        ...

    def send(self, notice: Notice) -> None:
        """Delivers, or raises `StateError` with the channel's answer (never its secrets)."""
        ...


@runtime_checkable
class Resolver(Protocol):
    """A channel that also wants to know that an alert is over, such as one that keeps it open until then."""

    def resolve(self, notice: Notice) -> None:
        """Says that what `notice` speaks of is over; its reason says how. Raises `StateError`."""
        ...


@runtime_checkable
class Acknowledger(Protocol):
    """A channel that wants to know that somebody works on it, so that it calls nobody else."""

    def acknowledge(self, notice: Notice) -> None:
        """Says that somebody works on what `notice` speaks of; its reason says who. Raises `StateError`."""
        ...


@runtime_checkable
class ChangeTaker(Protocol):
    """A channel that shows what was changed beside what goes wrong."""

    def change(self, notice: Notice) -> None:
        """Says that a rollout began or a version was promoted: nobody is called. Raises `StateError`."""
        ...


@runtime_checkable
class Reminded(Protocol):
    """A channel that forgets what stands unless it is told again."""

    @property
    def remind_seconds(self) -> float:
        """How often it must be told."""
        ...
