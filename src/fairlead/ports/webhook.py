"""Whom the registry's events are told."""

from __future__ import annotations

from typing import Protocol

from fairlead.core.registry_event import RegistryEvent


class Webhook(Protocol):
    """One receiver."""

    name: str  # tells receivers apart, in logs and in what is remembered of them; no secret

    def takes(self, event: RegistryEvent) -> bool:
        """Whether it wants this event."""
        ...

    def send(self, event: RegistryEvent) -> None:
        """Delivers. Raises `StateError` where a later attempt may help, `Refused` where none will."""
        ...


class Cursor(Protocol):
    """How far each receiver was told, by its name: a sequence number of the journal."""

    def get(self, name: str) -> int | None:
        """None for one that was never told anything. Raises `StateError`."""
        ...

    def put(self, name: str, seq: int) -> None:
        """Durably. Raises `StateError`."""
        ...
