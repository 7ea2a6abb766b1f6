"""Where notices go."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from msgspec import Struct


class Notice(Struct, frozen=True):
    """What a person is told: what is wrong, how bad, why, whose it is, and what to do."""

    model: str
    alert: str
    severity: str
    title: str
    reason: str
    owner: str
    runbook: str
    at: float
    link: str = ""  # the dashboard
    details: tuple[tuple[str, str], ...] = ()  # in the order in which they are shown
    count: int = 1  # alerts that it speaks of
    notice: str = ""  # its id, the same at each attempt


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
class Digest(Protocol):
    """A channel that collects notices and delivers them together."""

    def flush(self, now: float) -> None:
        """Delivers what is due at an instant of the wall clock, if anything is. Raises `StateError`; what it could not
        deliver it keeps."""
        ...
