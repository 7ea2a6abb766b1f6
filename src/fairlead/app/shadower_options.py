"""What the shadower is told on its command line."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct


class Options(Struct, frozen=True):
    """The command line. What the settings decide comes as for a worker, and is read once a shadow is to answer."""

    home: Path
    worker: int
    parent: int | None
    trust: list[str]
    features: str
    observing: str
    database: bool
    idle: float
