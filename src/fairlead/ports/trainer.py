"""What trains a challenger."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol


class Trainer(Protocol):
    """Turns a data set into a model file."""

    def train(self, dataset: Path, output: Path) -> Path:
        """Trains on a Parquet file and returns the model's path under `output` (a new, empty folder).

        Raises `StateError` with the end of what the trainer printed when it fails.
        """
        ...
