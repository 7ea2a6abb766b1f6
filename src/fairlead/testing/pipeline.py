"""A pipeline's commands and steps as they are told to go, and what every runner of commands keeps."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from fairlead.core.pipeline import Done, PlannedStep
from fairlead.core.verdict import Outcome
from fairlead.ports.pipeline import Commands, Ended

SECRET = "hunter2-7f3a"  # noqa: S105 - it is nobody's: what the check looks for where it must not be


class ScriptedCommands:
    """Ends each command as it is told: those in `fails` fail, all others pass. Nothing is started; the log says what
    would have been. `ran` has the commands in order."""

    def __init__(self, *fails: str) -> None:
        """`fails`: commands, word for word."""
        self.ran: list[str] = []
        self._fails = fails

    def run(
        self,
        command: str,
        values: Mapping[str, str],
        log: Path,
        timeout: float,  # noqa: ARG002 - the port's
        halted: Callable[[], bool],
    ) -> Ended:
        """Notes a command."""
        for name, value in values.items():
            command = command.replace(f"{{{name}}}", value)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            file.write(f"{command}\n")
        if halted():
            return Ended(None, "it was stopped", log)
        self.ran.append(command)
        return Ended(False, "it was told to fail", log) if command in self._fails else Ended(True, "as told", log)


class ScriptedPerformer:
    """Ends each step as it is told, by its label; those of which nothing was said hold. `asked` has the steps in order,
    `undone` the reasons for which the run was taken back."""

    def __init__(self, **outcomes: Outcome) -> None:
        """`outcomes` by label."""
        self.asked: list[str] = []
        self.undone: list[str] = []
        self._outcomes = outcomes

    def perform(self, step: PlannedStep, since: float) -> Done:  # noqa: ARG002 - the port's
        """Notes a step."""
        self.asked.append(step.label)
        return Done(self._outcomes.get(step.label, Outcome.HOLDS), "as told")

    def take_back(self, reason: str) -> str:
        """Notes that the run was undone."""
        self.undone.append(reason)
        return "it was taken back"


def check_commands(commands: Commands, passing: str, failing: str, folder: Path) -> None:
    """What every runner of commands keeps. `passing` and `failing` end so, `{secret}` in them is filled in; `folder` is
    an empty one."""
    values, log = {"secret": SECRET}, folder / "logs" / "step.log"
    good = commands.run(passing, values, log, 60.0, lambda: False)
    assert (good.passed, good.log) == (True, log), "what ends well passes, and tells where its output lies"
    first = log.read_bytes()
    bad = commands.run(failing, values, log, 60.0, lambda: False)
    assert bad.passed is False, "what fails does not pass"
    assert log.read_bytes().startswith(first), "a step that is done again erases nothing of its log"
    stopped = commands.run(passing, values, log, 60.0, lambda: True)
    assert stopped.passed in (None, True), "what is stopped has not failed"
    for ended in (good, bad, stopped):
        assert ended.reason, "an end has its reason"
        assert SECRET not in ended.reason, "a reason quotes nothing that a command was given or has printed"
