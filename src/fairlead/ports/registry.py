"""The model registry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from fairlead.core.bundle import Manifest


class VersionInfo(Struct, frozen=True):
    """A registered version, as the registry knows it."""

    model: str
    version: int
    bundle: str  # digest
    status: str = "none"
    aliases: tuple[str, ...] = ()
    run_id: str = ""
    created_at: float = 0.0
    metrics: dict[str, float] = {}
    tags: dict[str, str] = {}  # the user's own


class Registry(Protocol):
    """Versions and aliases. History is the journal's."""

    def register(self, manifest: Manifest, digest: str, folder: Path) -> VersionInfo:
        """Records a bundle as the next version of its model, with run, parameters, metrics, tags and artifacts."""
        ...

    def versions(self, model: str) -> tuple[VersionInfo, ...]:
        """All versions, oldest first. Raises `NotFound` for an unknown model."""
        ...

    def models(self) -> tuple[str, ...]:
        """The names of all models, sorted."""
        ...

    def set_alias(self, model: str, alias: str, version: int | None) -> None:
        """Moves (or, with None, removes) an alias."""
        ...

    def set_tags(self, model: str, version: int, tags: Mapping[str, str]) -> None:
        """Sets tags of the user's own; others stay. Raises `NotFound`."""
        ...

    def set_status(self, model: str, version: int, status: str) -> None:
        """none | staging | production | archived."""
        ...
