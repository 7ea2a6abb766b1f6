"""A pipeline: stages of steps, the commands behind them, what takes a version back by itself, and where CI runs it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping

from msgspec import field

from fairlead.config.conditions import condition
from fairlead.config.fields import Comparison, Section, Span
from fairlead.config.rollout import Strategy
from fairlead.config.watched import known_metric
from fairlead.core.condition import Condition
from fairlead.core.environment import Environment
from fairlead.core.pipeline import DEPLOYING, Kind, PlannedStep, apart, is_own, read_step
from fairlead.errors import SettingsError

PLACEHOLDERS = ("model", "version", "run", "home")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,62}")
_SECRET = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class RunStep(Section, frozen=True):
    """A step that is a command of the user's own: run without a shell, in the folder of the settings file."""

    run: str
    name: str = ""  # in reports; else the command's first word
    timeout: Span | None = None

    def __post_init__(self) -> None:
        """Refuses a command that cannot be run as it is written."""
        words = check_command(self.run, "a step's run")
        if self.timeout is not None and self.timeout <= 0.0:
            raise SettingsError("a step's timeout is more than 0s: write for instance 10m")
        if not _NAME.fullmatch(self.label(words)):
            raise SettingsError(f"a step's name is letters, digits, - and _, not {self.name!r}: write name: lint")

    def label(self, words: list[str] | None = None) -> str:
        """What it is called."""
        first = (words or shlex.split(self.run))[0].rpartition("/")[2]
        return self.name or re.sub(r"[^A-Za-z0-9_-]", "_", first)


class StageSettings(Section, frozen=True):
    """A stage: its steps, one after another. `strategy` is for the steps that deploy, `needs` the stages that CI runs
    before (else the one before), `environment` the one that CI shows it under (else by its steps)."""

    name: str
    steps: tuple[str | RunStep, ...] = ()
    strategy: Strategy | None = None
    needs: tuple[str, ...] | None = None
    environment: Environment | None = None

    def __post_init__(self) -> None:
        """Refuses a stage that does nothing."""
        if not self.name or not self.steps:
            raise SettingsError("a pipeline stage has a name and steps: write {name: test, steps: [unit_tests]}")
        if not _NAME.fullmatch(self.name):
            raise SettingsError(f"a stage's name is letters, digits, - and _, not {self.name!r}: write name: test")


class RollbackSettings(Section, frozen=True):
    """When a version is taken back without anyone asking: while it is rolled out, and for `within` after its promotion.

    `automatic: false` tells people, and leaves it to them.
    """

    automatic: bool = True
    trigger: Comparison | None = None
    within: Span = Span(7 * 86400)

    def __post_init__(self) -> None:
        """Reads the trigger now, so that a wrong one is told at the start."""
        if self.condition is not None:
            known_metric(self.condition.metric)

    @property
    def condition(self) -> Condition | None:
        """The trigger as it is evaluated; None where there is none."""
        return None if self.trigger is None else condition(self.trigger)


class CiSettings(Section, frozen=True):
    """What `pipeline render` writes into every job. `secrets` are names; their values stay with GitHub or GitLab.

    `runner` is GitHub's label, or GitLab's tag, of a machine that reaches the home folder; empty: a shared one.
    """

    python: str = "3.11"
    install: str = "python -m pip install -r requirements.txt"
    requirements: str = "requirements.txt"  # what the cache is renewed by
    runner: str = ""
    secrets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuses what is no name: a value has no place here."""
        for name in self.secrets:
            if not _SECRET.fullmatch(name):
                raise SettingsError("pipeline.ci.secrets are names such as DATABASE_PASSWORD, never values")
        if not re.fullmatch(r"\d+\.\d+(\.\d+)?", self.python):
            raise SettingsError(f"pipeline.ci.python is a version such as '3.11', not {self.python!r}")
        if not self.install.strip() or not self.requirements.strip():
            raise SettingsError(
                "pipeline.ci.install is a command and requirements a file: write install: 'true' for none"
            )


class Pipeline(Section, frozen=True):
    """The stages a version goes through, and its automatic rollback.

    `commands` gives steps their command, and may name further ones. `timeout` is how long a command may run, and how
    long a step waits beyond the holds of its rollout.
    """

    stages: tuple[StageSettings, ...] = ()
    rollback: RollbackSettings = RollbackSettings()
    commands: dict[str, str] = field(default_factory=dict)
    timeout: Span = Span(3600)
    ci: CiSettings = CiSettings()

    def __post_init__(self) -> None:
        """Refuses now what could only fail in the middle of a run."""
        names = [stage.name for stage in self.stages]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise SettingsError(f"pipeline.stages has two of the name {twice!r}: name them apart")
        if self.timeout <= 0.0:
            raise SettingsError("pipeline.timeout is more than 0s: write for instance 1h")
        for name, command in self.commands.items():
            if not _NAME.fullmatch(name):
                raise SettingsError(f"pipeline.commands names a step in letters, digits, - and _, not {name!r}")
            if is_own(name):
                raise SettingsError(
                    f"pipeline.commands.{name} would stand in for a step that deploys or measures: rename it"
                )
            check_command(command, f"pipeline.commands.{name}")
        _check_needs(self.stages)
        _check_order(self.steps)
        _check_strategies(self.stages, self.steps)

    @property
    def steps(self) -> tuple[PlannedStep, ...]:
        """Every step, in order."""
        return apart(step for stage in self.stages for step in _of(stage, self.commands))


def check_command(text: str, place: str) -> list[str]:
    """A command's words. Raises `SettingsError`, which never shows the command: it may hold a secret."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise SettingsError(f"{place} cannot be read as a command ({str(error).lower()}): close its quotes") from None
    if not words:
        raise SettingsError(f"{place} is empty: write a command such as python -m pytest -q")
    unknown = {name for word in words for name in re.findall(r"\{([a-z_]+)\}", word)} - set(PLACEHOLDERS)
    if unknown:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise SettingsError(f"{place} has the placeholder {{{min(unknown)}}}, which is none: use {known}")
    return words


def _of(stage: StageSettings, commands: Mapping[str, str]) -> Iterator[PlannedStep]:
    for step in stage.steps:
        if isinstance(step, RunStep):
            timeout = None if step.timeout is None else float(step.timeout)
            yield PlannedStep(stage.name, step.label(), Kind.COMMAND, command=step.run, timeout=timeout)
        else:
            read = read_step(step, stage.name, commands)
            yield PlannedStep(stage.name, read.label, read.kind, read.amount, read.command, strategy=stage.strategy)


def _check_needs(stages: tuple[StageSettings, ...]) -> None:
    before: list[str] = []
    for stage in stages:
        for name in stage.needs or ():
            if name not in before:
                there = ", ".join(before) or "none"
                raise SettingsError(f"the stage {stage.name} needs {name!r}, and before it there is {there}")
        before.append(stage.name)


def _check_order(steps: tuple[PlannedStep, ...]) -> None:
    """A rollout only grows, and there must be one to look at. What ends a stage ends that stage alone: others
    may be another way to release, and be run by their name."""
    share, deployed, end, stage = 0.0, False, "", ""
    for step in steps:
        end, stage = (end, stage) if step.stage == stage else ("", step.stage)
        too_late = (Kind.CANARY, Kind.GRADUAL, Kind.FULL) + ((Kind.MONITOR,) if end == "rollback" else ())
        if end and step.kind in too_late:
            raise SettingsError(f"{step.label} comes after {end}: nothing is left for it to do; leave one out")
        if step.kind is Kind.CANARY and step.amount <= share:
            raise SettingsError(f"{step.label} comes after a canary of {share:.0%}: a rollout's shares grow")
        if step.kind is Kind.CANARY and step.strategy not in (None, "canary", "shadow"):
            raise SettingsError(f"{step.label} is a step of strategy canary, not of {step.strategy}: leave one out")
        if step.kind in (Kind.MONITOR, Kind.GRADUAL, Kind.ROLLBACK) and not deployed:
            raise SettingsError(
                f"{step.label} comes before anything is deployed: write deploy_canary_10_percent, or full_deployment"
            )
        share = step.amount if step.kind is Kind.CANARY else share
        deployed = deployed or step.kind in (Kind.CANARY, Kind.FULL)
        end = step.label if step.kind in (Kind.FULL, Kind.ROLLBACK) else end


def _check_strategies(stages: tuple[StageSettings, ...], steps: tuple[PlannedStep, ...]) -> None:
    """A strategy that nothing heeds would be believed in."""
    for stage in stages:
        kinds = {step.kind for step in steps if step.stage == stage.name}
        if stage.strategy is not None and not kinds & set(DEPLOYING):
            raise SettingsError(f"the stage {stage.name} has strategy {stage.strategy} and no step that deploys")
