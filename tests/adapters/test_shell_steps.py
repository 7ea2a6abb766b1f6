"""A pipeline's commands: no shell, an end to all that they start, and nothing of them in what is told."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.adapters.shell_steps import ShellSteps
from fairlead.errors import StateError
from fairlead.ports.pipeline import Ended
from fairlead.testing.pipeline import check_commands

VALUES = {"model": "churn", "version": "7", "run": "churn-7-1", "home": "here"}
LINGERS = "sh -c 'sleep 60 & echo $! > child; wait'"


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Ended]:
    """Runs a command in the test's folder."""

    def one(command: str, timeout: float = 20.0, halted: Callable[[], bool] = lambda: False) -> Ended:
        return ShellSteps(tmp_path, grace=0.5).run(command, VALUES, tmp_path / "logs" / "x.log", timeout, halted)

    return one


def lives(pid: int) -> bool:
    """Whether a process is there, and not only waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def child_of(folder: Path) -> int:
    """The process that the command has started, once it has."""
    deadline = time.monotonic() + 20.0
    while not (folder / "child").exists() or not (folder / "child").read_text().strip():
        assert time.monotonic() < deadline, "the command never began"
        time.sleep(0.02)
    return int((folder / "child").read_text())


def test_a_commands_end_is_its_exit_code(run: Callable[..., Ended]) -> None:
    """Zero passes; anything else does not, and is told; its output lies in the log."""
    ended = run("sh -c 'echo out; echo err >&2'")
    assert (ended.passed, ended.reason) == (True, "it ended with 0")
    assert ended.log.read_text() == "out\nerr\n"
    assert (run("sh -c 'exit 3'").passed, run("sh -c 'exit 3'").reason) == (False, "it ended with exit code 3")
    assert "signal 9" in run("sh -c 'kill -9 $$'").reason


def test_keeps_the_port(tmp_path: Path) -> None:
    """It runs commands."""
    check_commands(ShellSteps(tmp_path), "echo {secret}", "sh -c 'echo {secret}; exit 1'", tmp_path)


def test_there_is_no_shell(run: Callable[..., Ended], tmp_path: Path) -> None:
    """What a shell would read as more commands is an argument."""
    ended = run("echo {model}@{version} && touch oops; $HOME")
    assert ended.log.read_text() == "churn@7 && touch oops; $HOME\n"
    assert not (tmp_path / "oops").exists()


def test_a_command_knows_whom_it_works_for(run: Callable[..., Ended]) -> None:
    """By its environment too; `python` is the one that runs fairlead, and the folder that of the settings."""
    command = "python -c 'import os, msgspec; print(os.environ[\"FAIRLEAD_RUN\"], os.getcwd())'"
    assert run(command).log.read_text().split() == ["churn-7-1", os.path.realpath(run("true").log.parent.parent)]


def test_a_log_is_for_its_owner_and_is_added_to(run: Callable[..., Ended]) -> None:
    """What a command prints may be secret; a step that is done again does not erase what it said before."""
    run("echo one")
    log = run("echo two").log
    assert log.read_text() == "one\ntwo\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_what_takes_too_long_is_ended_with_all_it_started(run: Callable[..., Ended], tmp_path: Path) -> None:
    """Not only the command itself."""
    ended = run(LINGERS, timeout=1.0)
    assert (ended.passed, ended.reason) == (False, "it took longer than 1 s and was ended")
    assert not lives(child_of(tmp_path))


def test_what_is_halted_is_ended_and_neither_passed_nor_failed(run: Callable[..., Ended], tmp_path: Path) -> None:
    """The one who halts it knows why."""
    ended = run(LINGERS, halted=lambda: child_of(tmp_path) > 0)
    assert ended.passed is None
    assert not lives(child_of(tmp_path))


def test_what_is_left_running_is_ended(run: Callable[..., Ended], tmp_path: Path) -> None:
    """A command that leaves something behind leaves nothing behind; one that will not leave is made to."""
    assert run("sh -c 'sleep 60 & echo $! > child'").passed
    assert not lives(child_of(tmp_path))
    stays = "sh -c '(trap \"\" TERM; echo $$ > ignored; sleep 60) & echo $! > child; sleep 0.3'"
    assert run(stays).passed
    assert not lives(child_of(tmp_path))


def test_a_wish_to_stop_ends_the_command(run: Callable[..., Ended], tmp_path: Path) -> None:
    """Ctrl-C in the middle of it."""

    def interrupted() -> bool:
        child_of(tmp_path)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(LINGERS, halted=interrupted)
    assert not lives(child_of(tmp_path))


def test_a_wish_to_stop_while_a_command_starts_ends_it_too(
    run: Callable[..., Ended], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has begun, and nobody who could end it knows of it yet."""
    start = subprocess.Popen

    def started(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = start(*arguments, **options)
        child_of(tmp_path)
        signal.raise_signal(signal.SIGTERM)
        return process

    monkeypatch.setattr(subprocess, "Popen", started)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # as `fairlead pipeline run` has it
    try:
        with pytest.raises(KeyboardInterrupt):
            run(LINGERS)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not lives(child_of(tmp_path))


def test_what_is_not_there_is_told_without_its_name(run: Callable[..., Ended]) -> None:
    """A command's words may be secret."""
    ended = run("hush-hush --token=hush")
    assert ended.passed is False
    assert "cannot be started (No such file or directory)" in ended.reason
    assert "hush" not in ended.reason


def test_a_log_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With what to do."""
    (tmp_path / "taken").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        ShellSteps(tmp_path).run("true", VALUES, tmp_path / "taken" / "x.log", 5.0, lambda: False)
