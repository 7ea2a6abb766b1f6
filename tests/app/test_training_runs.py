"""Training runs in processes of their own, started once and again only where nobody knows how they went."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fairlead.app.training_runs import AGAIN_SECONDS, TrainingRuns
from fairlead.core.event import RetrainDecided

ASKED = RetrainDecided("hotel", "retrain-7", True, "auroc fell", "w0")


class Now:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], tuple[TrainingRuns, Now, Path]]:
    """Runs whose interpreter notes that it was started, and ends with a code."""

    def make(code: int) -> tuple[TrainingRuns, Now, Path]:
        script, noted, now = tmp_path / "python", tmp_path / "noted", Now()
        script.write_text(f'#!/bin/sh\necho "$@" >> {noted}\nexit {code}\n')
        script.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(script))
        return TrainingRuns(["--home", "h"], trains=True, monotonic=now), now, noted

    return make


def settled(runs: TrainingRuns) -> None:
    """Tends until no process runs."""
    until = time.monotonic() + 60
    runs.tend()
    while runs.processes and time.monotonic() < until:
        time.sleep(0.01)
        runs.tend()
    assert not runs.processes


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_a_run_is_started_once_and_again_while_the_journal_does_not_say_how_it_went(
    runs: Callable[[int], tuple[TrainingRuns, Now, Path]], caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """At the earliest a minute later; once the journal says it, never."""
    made, now, noted = runs(code)
    made.ask(ASKED)
    with caplog.at_level(logging.ERROR, "fairlead.watch"):
        settled(made)
        settled(made)
    assert noted.read_text().splitlines() == [
        "-m fairlead.app.main --home h retrain run hotel --run retrain-7 --reason auroc fell"
    ]
    assert ("retrain-7" in caplog.text) is (code > 1)
    now.at += AGAIN_SECONDS
    settled(made)
    assert len(noted.read_text().splitlines()) == 2
    made.finished("retrain-7")
    now.at += AGAIN_SECONDS
    settled(made)
    assert len(noted.read_text().splitlines()) == 2


def test_a_run_that_was_killed_is_told_and_tried_again(
    runs: Callable[[int], tuple[TrainingRuns, Now, Path]], caplog: pytest.LogCaptureFixture
) -> None:
    """A signal is no answer."""
    made, now, noted = runs(0)
    Path(sys.executable).write_text(f"#!/bin/sh\necho x >> {noted}\nkill -9 $$\n")
    made.ask(ASKED)
    with caplog.at_level(logging.ERROR, "fairlead.watch"):
        settled(made)
    assert "ended with exit code -9" in caplog.text
    now.at += AGAIN_SECONDS
    settled(made)
    assert noted.read_text() == "x\nx\n"


def test_settings_that_train_nothing_start_nothing() -> None:
    """Whatever is asked for."""
    made = TrainingRuns([], trains=False)
    made.ask(ASKED)
    made.tend()
    assert made.processes == {}
