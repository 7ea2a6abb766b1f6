"""A pipeline's commands and steps as they are told to go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from fairlead.core.pipeline import read_step
from fairlead.core.verdict import Outcome
from fairlead.ports.pipeline import Ended
from fairlead.testing.pipeline import SECRET, ScriptedCommands, ScriptedPerformer, check_commands


def test_keeps_the_port(tmp_path: Path) -> None:
    """It runs commands, as far as its callers can tell."""
    commands = ScriptedCommands(f"fail {SECRET}")
    check_commands(commands, "pass {secret}", "fail {secret}", tmp_path)
    assert commands.ran == [f"pass {SECRET}", f"fail {SECRET}"]


class Telling(ScriptedCommands):
    """One that quotes what it was given."""

    def run(
        self, command: str, values: Mapping[str, str], log: Path, timeout: float, halted: Callable[[], bool]
    ) -> Ended:
        """Runs, and tells."""
        ended = super().run(command, values, log, timeout, halted)
        return Ended(ended.passed, f"{ended.reason}: {dict(values)}", log)


def test_who_tells_a_secret_breaks_it(tmp_path: Path) -> None:
    """The check looks for it in every reason."""
    with pytest.raises(AssertionError, match="a reason quotes nothing"):
        check_commands(Telling("fail"), "pass", "fail", tmp_path)


def test_steps_end_as_told() -> None:
    """And what was asked and undone is remembered."""
    performer = ScriptedPerformer(unit_tests=Outcome.BREACHED)
    step = read_step("unit_tests", "test", {"unit_tests": "true"})
    assert performer.perform(step, 0.0).outcome is Outcome.BREACHED
    assert performer.take_back("the tests failed")
    assert (performer.asked, performer.undone) == (["unit_tests"], ["the tests failed"])
