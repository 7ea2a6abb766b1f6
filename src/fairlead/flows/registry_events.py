"""Tells receivers what happens in the registry: each at least once, in the journal's order, from where it stood."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

from fairlead.core.registry_event import KINDS, RegistryEvent, events_of
from fairlead.errors import Refused, StateError
from fairlead.ports import Journal

_LOG = logging.getLogger("fairlead.registry")


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


class RegistryEvents:
    """Follows the journal for each receiver apart: one that is away is told later, and holds no other up.

    A receiver that was never told anything begins at the journal's end.
    """

    def __init__(self, journal: Journal, hooks: Sequence[Webhook], cursor: Cursor) -> None:
        self._journal = journal
        self._hooks = hooks
        self._cursor = cursor
        self._told: dict[str, int] = {}
        self._said: dict[str, str] = {}

    def deliver(self) -> int:
        """Tells what is new, and returns how many events were taken. Raises nothing that a receiver does."""
        return sum(self._to(hook) for hook in self._hooks)

    def _to(self, hook: Webhook) -> int:
        taken = 0
        try:
            for entry in self._journal.read(self._place(hook.name), kinds=KINDS):
                taken += sum(self._sent(hook, event) for event in events_of(entry) if hook.takes(event))
                self._move(hook.name, entry.seq)
        except StateError as error:
            self._say(hook.name, error.line)
        else:
            self._said.pop(hook.name, None)
        return taken

    def _sent(self, hook: Webhook, event: RegistryEvent) -> bool:
        """Whether it was taken. What a receiver refuses for good must not keep the rest from it."""
        try:
            hook.send(event)
        except Refused as error:
            _LOG.warning("%s (%s, entry %d)", error.line, event.name, event.seq)
            return False
        return True

    def _place(self, name: str) -> int:
        if name not in self._told:
            known = self._cursor.get(name)
            if known is None:
                known = max((entry.seq for entry in self._journal.read(kinds=KINDS)), default=0)
                self._cursor.put(name, known)
            self._told[name] = known
        return self._told[name]

    def _move(self, name: str, seq: int) -> None:
        self._cursor.put(name, seq)
        self._told[name] = seq

    def _say(self, name: str, line: str) -> None:
        """Once for each trouble, not at each try."""
        if self._said.get(name) != line:
            self._said[name] = line
            _LOG.warning("%s", line)
