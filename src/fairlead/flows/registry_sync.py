"""Keeps the registry's aliases and statuses what the journal says they are.

The journal decides and the registry follows: a slow or absent registry never holds up a rollback.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from fairlead.core.event import AliasMoved, StatusChanged
from fairlead.errors import FairleadError
from fairlead.ports import Journal, Registry

_LOG = logging.getLogger("fairlead.registry")

Key = TypeVar("Key", tuple[str, str], tuple[str, int])
Value = TypeVar("Value", int | None, str)


class RegistrySync:
    """Follows the journal. What could not be written is tried again at the next call, each change on its own; writing
    twice is harmless."""

    def __init__(self, journal: Journal, registry: Registry) -> None:
        self._journal = journal
        self._registry = registry
        self._read = 0
        self._aliases: dict[tuple[str, str], int | None] = {}
        self._statuses: dict[tuple[str, int], str] = {}
        self._said: dict[tuple[str, str | int], str] = {}

    def sync(self) -> int:
        """Writes what changed since the last call and returns how many changes were written."""
        for entry in self._journal.read(self._read, kinds=["alias_moved", "status_changed"]):
            self._read = entry.seq
            match entry.fact:
                case AliasMoved(model=model, alias=alias, version=version):
                    self._aliases[model, alias] = version
                case StatusChanged(model=model, version=version, status=status):
                    self._statuses[model, version] = status
                case _:
                    pass
        return self._write(self._aliases, self._alias) + self._write(self._statuses, self._status)

    def _alias(self, key: tuple[str, str], version: int | None) -> None:
        self._registry.set_alias(*key, version)

    def _status(self, key: tuple[str, int], status: str) -> None:
        self._registry.set_status(*key, status)

    def _write(self, wanted: dict[Key, Value], write: Callable[[Key, Value], None]) -> int:
        """Each on its own: what the registry refuses must not keep the rest from it."""
        written = 0
        for key, value in list(wanted.items()):
            try:
                write(key, value)
            except Exception as error:  # noqa: BLE001 - whatever its client raises, the other changes are written
                self._say(key, value, error)
            else:
                del wanted[key]
                self._said.pop(key, None)
                written += 1
        return written

    def _say(self, key: tuple[str, str | int], value: str | int | None, error: Exception) -> None:
        """Once for each trouble of a change, not at each try."""
        line = error.line if isinstance(error, FairleadError) else f"{type(error).__name__}: {error}"
        if self._said.get(key) != line:
            self._said[key] = line
            _LOG.warning(
                "the registry does not take %s of %s as %s yet, it is tried again: %s",
                key[1],
                key[0],
                "no version" if value is None else value,
                line,
            )
