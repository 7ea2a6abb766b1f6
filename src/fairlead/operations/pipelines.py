"""Pipelines: run the stages of the settings here, and go on with a run that was cut off."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct

from fairlead.adapters.shell_steps import ShellSteps
from fairlead.core.event import PipelineStep
from fairlead.core.listing import first_of
from fairlead.core.pipeline import (
    Done,
    Kind,
    PlannedStep,
    chosen,
    for_a_version,
    run_name,
    runs,
    stands,
    version_in,
)
from fairlead.core.verdict import Outcome
from fairlead.errors import NotFound, Refused, UsageError
from fairlead.flows.pipeline import Run, RunReport, Told, run_steps
from fairlead.operations.context import Context
from fairlead.operations.environments import entered, promote_to
from fairlead.operations.gates import passed_gate
from fairlead.operations.models import resolve
from fairlead.operations.pipeline_release import PipelineRelease
from fairlead.operations.readiness import measure

FOLDER = "pipelines"
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def run_pipeline(
    context: Context,
    folder: Path,
    stages: tuple[str, ...] = (),
    model: str = "",
    key: str = "",
    *,
    resume: bool = False,
    told: Told = lambda _: None,
) -> RunReport:
    """Runs stages of the settings' pipeline (all where none is named) for `NAME@V`, or `NAME`: its newest version.

    `key` names the run: one of that name goes on where it was. `resume` goes on with the last run. `folder` is where
    commands run. Raises `UsageError` for what cannot be run as it is written, before anything is done.
    """
    steps = chosen(context.settings.pipeline.steps, stages)
    run = _run(context, stages, model, key, resume=resume)
    return run_steps(run, steps, _Performer(context, folder, run), (context.journal, context.clock), told)


class Cancelled(Struct, frozen=True):
    """What became of a run that shall not go on. It holds where nothing of it is before callers any more, is not
    decided where that was asked for and not seen, and breached where it cannot be."""

    run: str
    model: str
    version: int | None
    outcome: Outcome
    reason: str


def cancel_pipeline(context: Context, model: str = "", key: str = "", reason: str = "") -> Cancelled:
    """Ends a run (the last one, where no `key` names it) that was cut off: its version's traffic is taken away, as when
    a step fails, and what had begun has failed. A run that is whole stays as it is.

    Raises `NotFound` where there is no such run.
    """
    run = _begun(context, (), model, key)
    if run is None:
        which = " ".join(filter(None, (key, model and f"of {model}")))
        raise NotFound(f"there is no run {which or 'yet'}: nothing of it can be rolled out".replace("  ", " "))
    found = stands(context.journal.read(kinds=["pipeline_step"]), run.name)
    every = context.settings.pipeline.steps
    steps = [step for step in every if for_a_version(every, (step.stage,))]
    why = f"cancelled by {run.actor}" + (f": {reason}" if reason else "")
    if steps and all(
        (one.stage, one.label) in found and found[one.stage, one.label].state == "passed" for one in steps
    ):
        done = Done(Outcome.HOLDS, "each step has passed: there is nothing left to cancel")
    else:
        done = _Performer(context, Path(), run).cancel(why)
    begun = [place for place, stand in found.items() if stand.state == "started"]
    ended = [PipelineStep(run.model, run.name, *place, "failed", f"{why}; {done.reason}") for place in begun]
    if ended:
        context.journal.append(ended, actor=run.actor, at=context.clock.now())
    return Cancelled(run.name, run.model, run.version, done.outcome, done.reason)


class _Performer:
    """Performs the steps of one run with the operations of this home."""

    def __init__(self, context: Context, folder: Path, run: Run) -> None:
        self._context = context
        self._run = run
        self._commands = ShellSteps(folder)
        self._reference = f"{run.model}@{run.version}"
        version = (run.model, run.version or 0)
        self._release = PipelineRelease(context, run.name, version, context.settings.pipeline.steps)

    def perform(self, step: PlannedStep, since: float) -> Done:
        """See `ports.pipeline.Performer`."""
        if step.kind is Kind.COMMAND:
            return self._command(step)
        if step.kind is Kind.GATE:
            return self._gate()
        if step.kind is Kind.STAGING:
            return self._staging()
        return self._release.perform(step, since)

    def take_back(self, reason: str) -> str:
        """See `ports.pipeline.Performer`."""
        if not self._run.model:
            return ""
        return self._left() if self._leaves else self._release.undo(reason)

    def cancel(self, reason: str) -> Done:
        """The same for a run that was cut off."""
        if not self._run.model:
            return Done(Outcome.HOLDS, "it concerns no model")
        if self._leaves:
            left = self._left()
            return Done(Outcome.UNDECIDED if left else Outcome.HOLDS, left or "nothing of this run is rolled out")
        return self._release.cancel(reason)

    @property
    def _leaves(self) -> bool:
        return not self._context.settings.pipeline.rollback.automatic

    def _left(self) -> str:
        """What is left to people, where nothing is taken back by itself."""
        own = self._release.look()
        left = own.id and own.phase is not None and own.phase.value != "rolled_back"
        return f"pipeline.rollback.automatic is false: {own.id} was left as it stands" if left else ""

    def _command(self, step: PlannedStep) -> Done:
        run, settings = self._run, self._context.settings.pipeline
        version = "" if run.version is None else str(run.version)
        home = str(self._context.home.absolute())
        values = {"model": run.model, "version": version, "run": run.name, "home": home}
        log = self._context.home / FOLDER / run.name / f"{step.stage}.{step.label.replace(' ', '-')}.log"
        timeout = float(settings.timeout) if step.timeout is None else step.timeout
        watched = bool(run.model)
        ended = self._commands.run(step.command, values, log, timeout, lambda: watched and bool(self._release.harm()))
        where = f"its output is in {log.relative_to(self._context.home)}"
        if ended.passed is None:
            return Done(Outcome.BREACHED, f"{self._release.harm()}; the command was stopped, {where}")
        return Done(Outcome.HOLDS if ended.passed else Outcome.BREACHED, f"{ended.reason}, {where}")

    def _gate(self, environment: str = "") -> Done:
        report = measure(self._context, self._reference, environment).report
        said = report.reason if report.passed else f"{report.reason}: {first_of(report.failed, 5)}"
        return Done(report.outcome, f"{self._reference} for {report.environment}: {said}")

    def _staging(self) -> Done:
        """Into staging by staging's gate, which is measured unless it stands."""
        context, info = self._context, resolve(self._context, self._reference)
        if entered(context, info, "staging"):
            return Done(Outcome.HOLDS, f"{self._reference} has entered staging before")
        try:
            passed_gate(context, info, context.clock.now(), "staging")
        except Refused:
            done = self._gate("staging")
            if done.outcome is not Outcome.HOLDS:
                return done
        found = promote_to(context, self._reference, "staging", reason=f"pipeline run {self._run.name}")
        after = f", after version {found.replaced}" if found.replaced else ""
        return Done(Outcome.HOLDS, f"{self._reference} entered staging{after}")


# -- which run -----------------------------------------------------------------------------------------------------


def _run(context: Context, stages: tuple[str, ...], reference: str, key: str, *, resume: bool) -> Run:
    found = _begun(context, stages, reference, key) if key or resume else None
    if found is not None:
        return found
    name = reference.partition("@")[0] or _only_model(context, stages)
    if resume:
        which = f" of {reference or name}" if name else ""
        raise NotFound(f"there is no run{which} to go on with: leave --resume out to begin one")
    version = None if not name else _version(context, reference or name)
    return Run(run_name(name, version, key or _next(_runs(context), name, version)), name, version, context.actor)


def _begun(context: Context, stages: tuple[str, ...], reference: str, key: str) -> Run | None:
    """The run of that name, or the last one, that there is already."""
    if key and not _KEY.fullmatch(key):
        raise UsageError(f"--run {key!r}: give letters, digits, ., - and _, such as ci-1234")
    name = reference.partition("@")[0] or _only_model(context, stages)
    known = {run: model for run, model in _runs(context).items() if model == name}
    found = _known(known, name, reference, key)
    return Run(found, name, version_in(found, name), context.actor) if found else None


def _runs(context: Context) -> dict[str, str]:
    return runs(context.journal.read(kinds=["pipeline_step"]))


def _known(known: dict[str, str], model: str, reference: str, key: str) -> str:
    """The last run of this key, and of this version where one is named by its number."""
    number = reference.partition("@")[2]
    for run in reversed(known):
        version = version_in(run, model)
        if number.isdigit() and version != int(number):
            continue
        if not key or run == run_name(model, version, key):
            return run
    return ""


def _only_model(context: Context, stages: tuple[str, ...]) -> str:
    """Whose pipeline it is where nobody says: the settings' only model, if the stages are run for one."""
    models = list(context.settings.models)
    if not for_a_version(context.settings.pipeline.steps, stages):
        return ""
    if len(models) == 1:
        return models[0]
    raise UsageError("which version goes through the pipeline? Give --model NAME@V, or NAME for its newest")


def _version(context: Context, reference: str) -> int:
    """The version that is meant: by number or alias, or a model's newest. Raises `NotFound`."""
    if "@" in reference:
        return resolve(context, reference).version
    versions = context.registry.versions(reference)
    if not versions:
        raise NotFound(f"{reference} has no version yet: register one with `fairlead register`")
    return resolve(context, f"{reference}@{versions[-1].version}").version


def _next(known: dict[str, str], model: str, version: int | None) -> str:
    """The next number that no run of this version has."""
    number = 1
    while run_name(model, version, str(number)) in known:
        number += 1
    return str(number)
