"""What an operation works with: the settings, the home folder, and the ports, already composed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fairlead.config.settings import Settings
from fairlead.ports import (
    BundleStore,
    Clock,
    Journal,
    LogReader,
    Notifier,
    PredictionLog,
    Registry,
    RemoteTrainer,
    RouteBoard,
    Trainer,
)


@dataclass(frozen=True)
class Context:
    """One home, opened. The registry is opened on first use: it is heavy, and many verbs never need it.

    `board` asks whoever has the routes, each time. `follow_board` opens that of those who must not wait: it answers
    from memory, or from what the home keeps while a database is away.
    """

    home: Path
    settings: Settings
    actor: str
    clock: Clock
    journal: Journal
    bundles: BundleStore
    board: RouteBoard
    follow_board: Callable[[], AbstractContextManager[RouteBoard]]
    open_registry: Callable[[], Registry]
    open_log: Callable[[], LogReader]
    open_writer: Callable[[], PredictionLog]
    open_trainer: Callable[[], Trainer | None]
    open_remote: Callable[[], RemoteTrainer | None] = lambda: None  # the service that trains, if one does
    control_port: int | None = None  # where the console is, if not where the settings say
    open_notifiers: Callable[[], dict[Notifier, tuple[str, ...]]] = dict  # the channels, with what each takes

    @cached_property
    def registry(self) -> Registry:
        """The model registry."""
        return self.open_registry()
