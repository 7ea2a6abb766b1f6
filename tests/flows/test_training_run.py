"""A training run elsewhere: asked for once, waited for, found again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead.core.event import AnyFact
from fairlead.core.facts_act import RunSubmitted
from fairlead.errors import StateError
from fairlead.flows.training_run import Patience, RunFiles, TrainingRun
from fairlead.ports.trainer import TrainerAway
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.trainer import MemoryRemoteTrainer


class Ended(Exception):
    """The process ends here."""


@pytest.fixture
def files(tmp_path: Path) -> RunFiles:
    """A run's data and folder."""
    (tmp_path / "train.parquet").write_text("rows")
    return RunFiles("hotel", "retrain-1", tmp_path / "train.parquet", tmp_path / "model")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """What is trained."""
    (tmp_path / "good.onnx").write_bytes(b"good")
    return tmp_path / "good.onnx"


def runner(
    trainer: MemoryRemoteTrainer, journal: MemoryJournal, timeout: float = 100.0, ends: Callable[[], bool] = bool
) -> TrainingRun:
    """Waits on a clock that stands still otherwise; `ends` ends the process while it waits."""
    clock = ManualClock()

    def wait(seconds: float) -> None:
        if ends():
            raise Ended
        clock.advance(seconds)

    return TrainingRun(trainer, journal, clock, wait, Patience(10.0, timeout))


def submissions(journal: MemoryJournal) -> list[AnyFact]:
    """What the journal has of them."""
    return [entry.fact for entry in journal.read(kinds=["run_submitted"])]


def test_a_run_is_waited_for_and_collected(files: RunFiles, model: Path) -> None:
    """The journal has the service's own id before the first look."""
    trainer, journal = MemoryRemoteTrainer(model, looks=4), MemoryJournal()
    found = runner(trainer, journal).trained(files, "ana")
    assert Path(found).read_bytes() == b"good"
    assert submissions(journal) == [RunSubmitted("hotel", "retrain-1", "memory", "run of retrain-1", "nowhere")]
    assert trainer.runs == {"retrain-1": 4}


def test_a_restart_while_it_is_waited_for_goes_on_with_it(files: RunFiles, model: Path) -> None:
    """Nothing is submitted again."""
    trainer, journal = MemoryRemoteTrainer(model, looks=3), MemoryJournal()
    with pytest.raises(Ended):
        runner(trainer, journal, ends=lambda: True).trained(files, "ana")
    assert Path(runner(trainer, journal).trained(files, "ana")).exists()
    assert trainer.submissions == ["retrain-1"]
    assert len(submissions(journal)) == 1


def test_an_end_between_submission_and_journal_makes_no_second_run(files: RunFiles, model: Path) -> None:
    """The key is asked for again, and is the same run there."""
    trainer, journal = MemoryRemoteTrainer(model), MemoryJournal()

    def end() -> None:
        raise Ended

    trainer.on_submit = end
    with pytest.raises(Ended):
        runner(trainer, journal).trained(files, "ana")
    assert submissions(journal) == []
    assert Path(runner(trainer, journal).trained(files, "ana")).exists()
    assert trainer.submissions == ["retrain-1", "retrain-1"]
    assert list(trainer.runs) == ["retrain-1"]


def test_another_models_run_is_another_run(files: RunFiles, model: Path) -> None:
    """A submission is a model's and a key's."""
    trainer, journal = MemoryRemoteTrainer(model), MemoryJournal()
    journal.append([RunSubmitted("motel", "retrain-1", "memory", "old")], actor="ana", at=1.0)
    journal.append([RunSubmitted("hotel", "retrain-0", "memory", "older")], actor="ana", at=1.0)
    runner(trainer, journal).trained(files, "ana")
    assert trainer.submissions == ["retrain-1"]


@pytest.mark.parametrize("away", [1, 5])
def test_a_service_that_is_away_is_asked_again(files: RunFiles, model: Path, away: int) -> None:
    """At its submission, or in between."""
    trainer, journal = MemoryRemoteTrainer(model), MemoryJournal()
    trainer.away = away
    assert Path(runner(trainer, journal).trained(files, "ana")).exists()


def test_patience_ends(files: RunFiles, model: Path) -> None:
    """With what it was waiting for, and the setting; the run is left to itself."""
    with pytest.raises(StateError, match=r"is not over \(running\), 100 s after .* retraining\.timeout"):
        runner(MemoryRemoteTrainer(model, looks=1_000), MemoryJournal()).trained(files, "ana")
    trainer = MemoryRemoteTrainer(model)
    trainer.away = 1_000
    with pytest.raises(StateError, match="cannot be reached, 100 s after") as caught:
        runner(trainer, MemoryJournal()).trained(files, "ana")
    assert not isinstance(caught.value, TrainerAway)


def test_a_failed_run_is_told_in_the_services_words(files: RunFiles, model: Path) -> None:
    """And nothing is collected."""
    trainer = MemoryRemoteTrainer(model, fails="out of memory")
    with pytest.raises(StateError, match="the run run of retrain-1 at memory failed: out of memory"):
        runner(trainer, MemoryJournal()).trained(files, "ana")
