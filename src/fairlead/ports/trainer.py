"""What trains a challenger: here, in one call, or elsewhere, by a service that is asked and then looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from msgspec import Struct

from fairlead.errors import StateError


class TrainerAway(StateError):
    """A training service cannot be asked now. The same question may be asked again later."""


class RunState(Struct, frozen=True):
    """A training run elsewhere, as its service tells it. `said` is the service's own word."""

    done: bool
    failed: bool = False
    said: str = ""


class Trainer(Protocol):
    """Turns a data set into a model file."""

    def train(self, dataset: Path, output: Path) -> Path:
        """Trains on a Parquet file and returns the model's path under `output` (a new, empty folder).

        Raises `StateError` with the end of what the trainer printed when it fails.
        """
        ...


class RemoteTrainer(Protocol):
    """Trains elsewhere. Every call raises `TrainerAway` where the service cannot be asked, `StateError` where it
    refuses."""

    name: str
    address: str  # where people find it

    def submit(self, run: str, dataset: Path, output: Path) -> str:
        """Starts the run of this key and returns the service's own id of it. Idempotent by `run`: asked again, also by
        a process that does not know of the first time, it returns the same run."""
        ...

    def state(self, external: str) -> RunState:
        """How the run is getting on."""
        ...

    def collect(self, run: str, output: Path) -> str:
        """Where the trained model is: a path, or an address that a registration takes."""
        ...
