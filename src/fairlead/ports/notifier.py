"""Where notices go."""

from __future__ import annotations

from typing import Protocol

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
    link: str = ""


class Notifier(Protocol):
    """One channel."""

    @property
    def name(self) -> str:
        """The channel's name in the settings."""
        ...

    def send(self, notice: Notice) -> None:
        """Delivers, or raises `StateError` with the channel's answer (never its secrets)."""
        ...
