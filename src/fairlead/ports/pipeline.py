"""What a pipeline's steps are performed by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from fairlead.core.pipeline import Done, PlannedStep


class Ended(Struct, frozen=True):
    """How a command ended: `reason` says so in a few words and never quotes what it printed or was given; `log` is
    where its output lies. `passed` is None where it was stopped from outside."""

    passed: bool | None
    reason: str
    log: Path


class Commands(Protocol):
    """Runs commands of the user's own."""

    def run(
        self,
        command: str,
        values: Mapping[str, str],
        log: Path,
        timeout: float,
        halted: Callable[[], bool],
    ) -> Ended:
        """Runs a command, `values` in place of its placeholders, its output in `log`, for at most `timeout` seconds,
        and ends it with all that it has started as soon as `halted` says so."""
        ...


class Performer(Protocol):
    """Performs steps of one run."""

    def perform(self, step: PlannedStep, since: float) -> Done:
        """Does a step, which first began at `since`, to its end."""
        ...

    def take_back(self, reason: str) -> str:
        """Undoes what the run gave to callers, and says what that was; empty where there was nothing, or it may not."""
        ...
