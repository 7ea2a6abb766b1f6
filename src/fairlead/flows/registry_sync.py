"""Keeps the registry's aliases and statuses what the journal says they are.

The journal decides and the registry follows: a slow or absent registry never holds up a rollback.
"""

from __future__ import annotations

import logging

from fairlead.core.event import AliasMoved, StatusChanged
from fairlead.errors import FairleadError
from fairlead.ports import Journal, Registry

_LOG = logging.getLogger("fairlead.registry")


class RegistrySync:
    """Follows the journal. What could not be written is tried again at the next call; writing twice is harmless."""

    def __init__(self, journal: Journal, registry: Registry) -> None:
        self._journal = journal
        self._registry = registry
        self._read = 0
        self._aliases: dict[tuple[str, str], int | None] = {}
        self._statuses: dict[tuple[str, int], str] = {}

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
        written = 0
        try:
            for (model, alias), version in list(self._aliases.items()):
                self._registry.set_alias(model, alias, version)
                del self._aliases[model, alias]
                written += 1
            for (model, number), status in list(self._statuses.items()):
                self._registry.set_status(model, number, status)
                del self._statuses[model, number]
                written += 1
        except FairleadError as error:
            _LOG.warning("the registry does not follow yet, it is tried again: %s", error.line)
        return written
