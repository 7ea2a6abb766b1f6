"""Trainers that copy, here and elsewhere, and what every trainer keeps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from fairlead.errors import StateError
from fairlead.ports.trainer import RemoteTrainer, RunState, Trainer, TrainerAway


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


class MemoryRemoteTrainer:
    """A service that trains in memory: its runs end after so many looks, with the model that was trained before.
    `away` is how often it cannot be asked first."""

    name = "memory"
    address = "nowhere"

    def __init__(self, model: Path, looks: int = 1, fails: str = "") -> None:
        self._model = model
        self._looks = looks
        self._fails = fails
        self.away = 0
        self.submissions: list[str] = []
        self.runs: dict[str, int] = {}
        self.on_submit: Callable[[], None] = lambda: None

    def submit(self, run: str, dataset: Path, output: Path) -> str:
        """One run a key."""
        self._reach()
        if not dataset.is_file():
            raise StateError(f"{dataset} is no file")
        self.submissions.append(run)
        if run not in self.runs:
            self.runs[run] = 0
            target = output / self._model.name
            target.write_bytes(self._model.read_bytes())
            self.on_submit()
        return f"run of {run}"

    def state(self, external: str) -> RunState:
        """Over after the looks that it takes."""
        self._reach()
        run = external.removeprefix("run of ")
        if run not in self.runs:
            raise StateError(f"there is no {external}")
        self.runs[run] += 1
        done = self.runs[run] >= self._looks
        return RunState(done, done and bool(self._fails), self._fails or ("done" if done else "running"))

    def collect(self, run: str, output: Path) -> str:
        """Where it was put. Raises `StateError` for a run that nobody asked for."""
        if run not in self.runs:
            raise StateError(f"there is no run {run}")
        return str(output / self._model.name)

    def _reach(self) -> None:
        if self.away:
            self.away -= 1
            raise TrainerAway("memory at nowhere cannot be reached")


def check_remote_trainer(trainer: RemoteTrainer, dataset: Path, output: Path, run: str = "check-run-1") -> str:
    """A key asked twice is one run, which is known from then on; another key is another run. Returns the first id."""
    output.mkdir(parents=True, exist_ok=True)
    first = trainer.submit(run, dataset, output)
    assert first
    assert trainer.submit(run, dataset, output) == first
    assert trainer.submit(f"{run}-other", dataset, output) != first
    state = trainer.state(first)
    assert state.said
    assert state.done or not state.failed
    return first
