"""The settings' pipeline as a workflow of GitHub Actions, or of GitLab CI: a job for each stage.

Every job runs `fairlead pipeline run STAGE` under the name of the CI's own run: a job that is run again goes on where
it was, and the first one fixes the version. Nothing of a secret is written but its name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import ceil
from typing import Any, Literal, get_args

from msgspec import Struct

from fairlead.config.pipeline import CiSettings, StageSettings
from fairlead.config.settings import Settings
from fairlead.core.pipeline import DEPLOYING, Kind, PlannedStep, chosen, for_a_version
from fairlead.errors import UsageError

Ci = Literal["github", "gitlab"]
_GATE_SECONDS, _MONITOR_SECONDS, _SPARE_SECONDS = 900.0, 120.0, 600.0
# The longest job on GitHub's machines, and on one's own; and on GitLab.
_HOSTED_MINUTES, _OWN_MINUTES, _GITLAB_MINUTES = 360, 7200, 40_320
# Words that are no job's name there.
_RESERVED = frozenset(
    [
        "after_script",
        "before_script",
        "cache",
        "default",
        "false",
        "image",
        "include",
        "nil",
        "pages",
        "services",
        "spec",
        "stages",
        "true",
        "types",
        "variables",
        "workflow",
    ]
)
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")  # without a default of its own
_HEADER = """\
# Made by `fairlead pipeline render --for {ci}`: change the settings' pipeline and render again.
# A job fails with exit code 1 where a stage failed; what the run had rolled out is taken back then. With 3 nothing is
# decided yet and all stands as it is: run the job again, and it goes on where it was. A job that is cancelled takes
# back what its run had rolled out.
"""


class Job(Struct, frozen=True):
    """A stage as a job: what it waits for, the environment it enters (empty: none), and how long it may take. `undo` is
    what takes back a run that is cancelled in it; empty where nothing can be rolled out by then."""

    name: str
    needs: tuple[str, ...]
    environment: str
    seconds: float
    command: str
    undo: str


def render(settings: Settings, ci: str, options: tuple[str, ...] = (), variables: tuple[str, ...] = ()) -> str:
    """The whole file, the same for the same settings. `options` are what fairlead is told before its verb; `variables`
    what the settings cannot be read without: with `pipeline.ci.secrets` they are the secrets that jobs are given.

    Raises `UsageError` for a CI that is not known, a pipeline that has no stages or lacks a command, and a stage's name
    that the CI cannot have.
    """
    if ci not in get_args(Ci):
        raise UsageError(f"--for {ci}: use one of {', '.join(get_args(Ci))}")
    chosen(settings.pipeline.steps, ())
    jobs = [_job(settings, place, options, ci) for place in range(len(settings.pipeline.stages))]
    secrets = tuple(dict.fromkeys((*variables, *settings.pipeline.ci.secrets)))
    tree = _github(settings, jobs, secrets) if ci == "github" else _gitlab(settings, jobs, secrets)
    import yaml

    text: str = yaml.safe_dump(tree, sort_keys=False, width=1000, allow_unicode=True)
    return _HEADER.format(ci=ci) + text


def variables_of(text: str) -> tuple[str, ...]:
    """The variables that a settings file cannot be read without, as they come in it; none where it is no YAML.

    >>> variables_of('alerting: {channels: [{webhook: "${HOOK}"}]}  # ${COMMENT}\\nproject: "${NAME:-churn}"')
    ('HOOK',)
    """
    import yaml

    try:
        tree = yaml.safe_load(text)
    except yaml.YAMLError:
        return ()
    found: dict[str, None] = {}
    waiting = [tree]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict | list):
            waiting += reversed(list(one.values()) if isinstance(one, dict) else one)
        elif isinstance(one, str):
            found |= dict.fromkeys(_VARIABLE.findall(one))
    return tuple(found)


def _job(settings: Settings, place: int, options: tuple[str, ...], ci: str) -> Job:
    stage = settings.pipeline.stages[place]
    steps = [step for step in settings.pipeline.steps if step.stage == stage.name]
    before = settings.pipeline.stages[place - 1 : place] if stage.needs is None else ()
    needs = tuple(one.name for one in before) if stage.needs is None else stage.needs
    run = "$GITHUB_RUN_ID" if ci == "github" else "$CI_PIPELINE_ID"
    verb = ["fairlead", *options, "pipeline"]
    which = ['--model "$MODEL"'] if for_a_version(settings.pipeline.steps, [stage.name]) else []
    which += [f'--run "ci-{run}"', "--json"]
    command = " ".join([*verb, "run", stage.name, *which, f"> {_report(stage.name)}"])
    until = [one.name for one in settings.pipeline.stages[: place + 1]]
    deploys = any(step.kind in DEPLOYING for step in settings.pipeline.steps if step.stage in until)
    undo = " ".join([*verb, "cancel", *which, '--reason "the job was cancelled"']) if deploys else ""
    environment, seconds = _environment(settings, stage, steps), _seconds(settings, steps)
    return Job(stage.name, needs, environment, seconds, command, undo)


def _environment(settings: Settings, stage: StageSettings, steps: list[PlannedStep]) -> str:
    if stage.environment is not None:
        return stage.environment
    kinds = {step.kind for step in steps}
    if kinds & set(DEPLOYING):
        return settings.environment
    return "staging" if Kind.STAGING in kinds else ""


def _seconds(settings: Settings, steps: list[PlannedStep]) -> float:
    """How long a stage may take: its commands, monitors and gates, and the holds of its rollout."""
    limit = float(settings.pipeline.timeout)
    known: Mapping[Kind, float] = {Kind.GATE: _GATE_SECONDS, Kind.STAGING: _GATE_SECONDS}
    total = _SPARE_SECONDS
    for step in steps:
        if step.kind is Kind.COMMAND:
            total += limit if step.timeout is None else step.timeout
        elif step.kind is Kind.MONITOR:
            total += step.amount + _MONITOR_SECONDS
        else:
            total += known.get(step.kind, limit)
    if any(step.kind in DEPLOYING for step in steps):
        plan = settings.rollout.plan("canary")
        total += sum(step.hold_seconds for step in plan.steps) + (plan.shadow.seconds if plan.shadow else 0.0)
    return total


def _report(stage: str) -> str:
    return f"pipeline-{stage}.json"


def _minutes(seconds: float) -> str:
    return f"{min(_GITLAB_MINUTES, ceil(seconds / 60.0))} minutes"


def _title(settings: Settings) -> str:
    return next(iter(settings.models)) if len(settings.models) == 1 else ""


# -- GitHub Actions ------------------------------------------------------------------------------------------------


def _github(settings: Settings, jobs: list[Job], secrets: tuple[str, ...]) -> dict[str, Any]:
    model = {"description": "The version, as NAME@V; NAME is its newest", "type": "string", "required": True}
    if title := _title(settings):
        model["default"] = title
    return {
        "name": f"{settings.project} pipeline",
        "on": {"workflow_dispatch": {"inputs": {"model": model}}},
        "permissions": {"contents": "read"},
        "concurrency": {"group": f"fairlead-{settings.project}", "cancel-in-progress": False},
        # Whatever is typed as a model reaches the shell as a variable, never as a part of a script.
        "env": {"MODEL": "${{ inputs.model }}", "FAIRLEAD_HOME": "${{ vars.FAIRLEAD_HOME || '.fairlead' }}"},
        "jobs": {job.name: _github_job(settings.pipeline.ci, job, secrets) for job in jobs},
    }


def _github_job(ci: CiSettings, job: Job, secrets: tuple[str, ...]) -> dict[str, Any]:
    longest = _OWN_MINUTES if ci.runner else _HOSTED_MINUTES
    found: dict[str, Any] = {"runs-on": ci.runner or "ubuntu-latest"}
    if job.needs:
        found["needs"] = list(job.needs)
    if job.environment:
        found["environment"] = job.environment
    found["timeout-minutes"] = min(longest, ceil(job.seconds / 60.0))
    python = {"python-version": ci.python, "cache": "pip", "cache-dependency-path": ci.requirements}
    # In the shell's place, so that a cancelled job's signal reaches it: it ends what it has started.
    run: dict[str, Any] = {"name": f"Run {job.name}", "run": f"exec {job.command}"}
    undo: dict[str, Any] = {"name": "Take back what was rolled out", "if": "cancelled()", "run": job.undo}
    install: dict[str, Any] = {"name": "Install", "run": ci.install}
    for step in (install, run, undo) if secrets else ():
        step["env"] = {name: f"${{{{ secrets.{name} }}}}" for name in secrets}
    kept = {"name": f"pipeline-{job.name}", "path": _report(job.name), "if-no-files-found": "ignore"}
    found["steps"] = [
        {"uses": "actions/checkout@v4"},
        {"uses": "actions/setup-python@v5", "with": python},
        install,
        run,
        *([undo] if job.undo else []),
        {"name": "Keep the report", "if": "always()", "uses": "actions/upload-artifact@v4", "with": kept},
    ]
    return found


# -- GitLab CI -----------------------------------------------------------------------------------------------------


def _gitlab(settings: Settings, jobs: list[Job], secrets: tuple[str, ...]) -> dict[str, Any]:
    for job in jobs:
        if job.name in _RESERVED:
            raise UsageError(f"GitLab has a meaning of its own for {job.name!r}: give the stage another name")
    ci = settings.pipeline.ci
    started = [{"if": f'$CI_PIPELINE_SOURCE == "{source}"'} for source in ("web", "api", "trigger", "schedule")]
    return {
        "workflow": {"name": f"{settings.project} pipeline", "rules": started},
        "stages": [job.name for job in jobs],
        "variables": {
            "MODEL": {"value": _title(settings), "description": "The version, as NAME@V; NAME is its newest"},
            "PIP_CACHE_DIR": "$CI_PROJECT_DIR/.cache/pip",
        },
        "default": {
            "image": f"python:{ci.python}",
            "interruptible": False,
            "cache": {"key": {"files": [ci.requirements]}, "paths": [".cache/pip"]},
            **({"tags": [ci.runner]} if ci.runner else {}),
        },
        **{job.name: _gitlab_job(ci, job, secrets) for job in jobs},
    }


def _gitlab_job(ci: CiSettings, job: Job, secrets: tuple[str, ...]) -> dict[str, Any]:
    told = [f': "${{{name}:?set it as a masked CI/CD variable}}"' for name in secrets]
    found: dict[str, Any] = {"stage": job.name, "needs": list(job.needs), "timeout": _minutes(job.seconds)}
    if job.environment:
        found |= {"environment": {"name": job.environment}, "resource_group": job.environment}
    return {
        **found,
        "before_script": [*told, ci.install],
        "script": [job.command],
        **({"after_script": [f'if [ "$CI_JOB_STATUS" = canceled ]; then {job.undo}; fi']} if job.undo else {}),
        "artifacts": {"when": "always", "paths": [_report(job.name)], "expire_in": "30 days"},
    }
