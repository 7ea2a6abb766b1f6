"""A trainer that copies, and what every trainer keeps."""

from __future__ import annotations

from pathlib import Path

from fairlead.errors import StateError
from fairlead.ports.trainer import Trainer


class CopyTrainer:
    """Gives back a model that was trained before, or fails with what it is told to say."""

    def __init__(self, model: Path, fails: str = "") -> None:
        """`model` is the file that each run yields."""
        self._model = model
        self._fails = fails
        self.runs: list[Path] = []

    def train(self, dataset: Path, output: Path) -> Path:
        """Copies the model into `output`."""
        self.runs.append(dataset)
        if self._fails:
            raise StateError(f"the training command ended with 1: {self._fails}")
        output.mkdir(parents=True, exist_ok=True)
        target = output / self._model.name
        target.write_bytes(self._model.read_bytes())
        return target


def check_trainer(trainer: Trainer, dataset: Path, output: Path) -> None:
    """A trainer leaves one model under a folder that did not exist before."""
    assert not output.exists()
    model = trainer.train(dataset, output)
    assert model.exists()
    assert output in model.parents


def check_failing_trainer(trainer: Trainer, dataset: Path, output: Path, said: str) -> None:
    """A trainer that fails passes on the end of what was printed."""
    assert said in _refusal(trainer, dataset, output)


def _refusal(trainer: Trainer, dataset: Path, output: Path) -> str:
    try:
        trainer.train(dataset, output)
    except StateError as error:
        return error.line
    raise AssertionError("the training failed, yet the trainer did not raise")
