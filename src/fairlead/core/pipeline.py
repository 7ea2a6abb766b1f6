"""A pipeline's run: its steps, what the journal says was done of them, and the rollout that they walk through.

A run is named `MODEL-VERSION-KEY` (`pipeline-KEY` where it concerns no model), so that the version is fixed with its
first step. What passed in a run is not done again; what began and did not end is done again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.event import Entry, PipelineStep
from fairlead.core.rollout import Decision, Phase, Step
from fairlead.core.verdict import Outcome
from fairlead.errors import SettingsError, UsageError

LEAST_REQUESTS = 100  # that a canary answers before anybody may call it good, where the settings ask for none
_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}
_CANARY = re.compile(r"deploy_canary_(\d{1,3})_percent")
_MONITOR = re.compile(r"monitor_(\d{1,6})_(second|minute|hour|day)s?")


class Kind(StrEnum):
    """What a step does."""

    COMMAND = "command"
    GATE = "gate"
    STAGING = "staging"
    CANARY = "canary"
    MONITOR = "monitor"
    GRADUAL = "gradual"
    FULL = "full"
    ROLLBACK = "rollback"


_PLAIN = {
    "evaluation_suite": Kind.GATE,
    "deploy_to_staging": Kind.STAGING,
    "deploy_staging": Kind.STAGING,
    "gradual_rollout": Kind.GRADUAL,
    "full_deployment": Kind.FULL,
    "rollback": Kind.ROLLBACK,
}
# What only the user's own command can do, with one that would.
COMMANDS: Mapping[str, str] = {
    "unit_tests": "python -m pytest -q",
    "integration_tests": "python -m pytest -q tests/integration",
    "smoke_tests": "python smoke.py",
    "performance_tests": "python load.py",
    "docker_build": "docker build -t {model}:{version} .",
    "push_to_registry": "docker push {model}:{version}",
}
# What is run where no command is given.
DEFAULTS: Mapping[str, str] = {"unit_tests": "python -m pytest -q"}
DEPLOYING = (Kind.CANARY, Kind.MONITOR, Kind.GRADUAL, Kind.FULL, Kind.ROLLBACK)


class PlannedStep(Struct, frozen=True):
    """A step of a stage. `label` is its name, apart from others of that name in the stage; `amount` the share (0 to 1)
    of a canary, or the seconds of a monitor; `command` what a user's step runs, empty where none is given; `timeout`
    its own, in seconds."""

    stage: str
    label: str
    kind: Kind
    amount: float = 0.0
    command: str = ""
    timeout: float | None = None
    strategy: str | None = None


class Stand(Struct, frozen=True):
    """What the journal says of a step in a run: its last state, and when what has not ended began."""

    state: str
    since: float
    reason: str = ""


class Done(Struct, frozen=True):
    """How a step ended: holds (passed), breached (failed), or not decided, and why."""

    outcome: Outcome
    reason: str


def read_step(name: str, stage: str = "", commands: Mapping[str, str] | None = None) -> PlannedStep:
    """The step that a name means. Raises `SettingsError` for one that nothing does, naming the nearest.

    >>> step = read_step("deploy_canary_10_percent")
    >>> step.kind.value, step.amount
    ('canary', 0.1)
    >>> read_step("monitor_30_minutes").amount
    1800.0
    """
    given = commands or {}
    if name in given or name in COMMANDS:
        return PlannedStep(stage, name, Kind.COMMAND, command=given.get(name, DEFAULTS.get(name, "")))
    if kind := _PLAIN.get(name):
        return PlannedStep(stage, name, kind)
    if found := _CANARY.fullmatch(name):
        if not 1 <= int(found[1]) <= 99:
            raise SettingsError(f"{name}: a canary has 1 to 99 percent; full_deployment gives it everything")
        return PlannedStep(stage, name, Kind.CANARY, int(found[1]) / 100)
    if found := _MONITOR.fullmatch(name):
        if not int(found[1]):
            raise SettingsError(f"{name}: a monitor of no time sees nothing; write for instance monitor_30_minutes")
        return PlannedStep(stage, name, Kind.MONITOR, int(found[1]) * _SECONDS[found[2]])
    near = get_close_matches(name, [*_known(), *given], n=1)
    hint = f"did you mean {near[0]}?" if near else "write a step, {run: a command}, or its name in pipeline.commands"
    raise SettingsError(f"{name!r} is no step of a pipeline: {hint}")


def is_own(name: str) -> bool:
    """Whether a step of this name is fairlead's to do, and no command's.

    >>> is_own("full_deployment"), is_own("monitor_30_minutes"), is_own("smoke_tests")
    (True, True, False)
    """
    return name in _PLAIN or bool(_CANARY.fullmatch(name) or _MONITOR.fullmatch(name))


def _known() -> list[str]:
    return [*COMMANDS, *_PLAIN, "deploy_canary_10_percent", "monitor_30_minutes"]


def apart(steps: Iterable[PlannedStep]) -> tuple[PlannedStep, ...]:
    """The same steps, those of one name in a stage numbered from the second on."""
    seen: dict[tuple[str, str], int] = {}
    found = []
    for step in steps:
        place = (step.stage, step.label)
        seen[place] = seen.get(place, 0) + 1
        found.append(step if seen[place] == 1 else replace(step, label=f"{step.label} ({seen[place]})"))
    return tuple(found)


def chosen(steps: Sequence[PlannedStep], stages: Sequence[str]) -> tuple[PlannedStep, ...]:
    """Those of some stages, in the pipeline's order; all where none is named.

    Raises `UsageError` for a stage that there is not, and for a step whose command is missing.
    """
    there = list(dict.fromkeys(step.stage for step in steps))
    if not there:
        raise UsageError("the settings have no pipeline: write pipeline: {stages: [{name: test, steps: [unit_tests]}]}")
    for name in stages:
        if name not in there:
            near = get_close_matches(name, there, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(there)}"
            raise UsageError(f"the pipeline has no stage {name!r}: {hint}")
    found = tuple(step for step in steps if not stages or step.stage in stages)
    for step in found:
        if step.kind is Kind.COMMAND and not step.command:
            name = step.label.partition(" ")[0]
            raise UsageError(
                f"pipeline.commands.{name} is not set, and the stage {step.stage} runs it: "
                f'write pipeline: {{commands: {{{name}: "{COMMANDS[name]}"}}}}'
            )
    return found


def about_a_version(step: PlannedStep) -> bool:
    """Whether a step cannot be done without knowing of which version.

    >>> about_a_version(read_step("unit_tests")), about_a_version(read_step("evaluation_suite"))
    (False, True)
    """
    return step.kind is not Kind.COMMAND or "{model}" in step.command or "{version}" in step.command


def for_a_version(steps: Sequence[PlannedStep], stages: Sequence[str]) -> bool:
    """Whether stages (all where none is named) are run for a version: a step of theirs is about it, or one before them
    deploys it, so that a failure of theirs takes it back. `steps` is the whole pipeline's.

    >>> steps = [read_step("unit_tests", "a"), read_step("full_deployment", "b"), read_step("unit_tests", "c")]
    >>> for_a_version(steps, ["a"]), for_a_version(steps, ["c"])
    (False, True)
    """
    places = [place for place, step in enumerate(steps) if not stages or step.stage in stages]
    mine = any(about_a_version(steps[place]) for place in places)
    return mine or any(step.kind in DEPLOYING for step in steps[: max(places, default=0)])


# -- a run in the journal ------------------------------------------------------------------------------------------


def run_name(model: str, version: int | None, key: str) -> str:
    """The name of a run.

    >>> run_name("churn", 7, "3"), run_name("", None, "3")
    ('churn-7-3', 'pipeline-3')
    """
    return f"{model}-{version}-{key}" if model else f"pipeline-{key}"


def version_in(run: str, model: str) -> int | None:
    """The version that a run is about; None where the name is no such run's.

    >>> version_in("churn-7-ci-12", "churn"), version_in("pipeline-3", "churn")
    (7, None)
    """
    found = re.match(rf"{re.escape(model)}-(\d+)-.", run)
    return int(found[1]) if model and found else None


def runs(entries: Iterable[Entry]) -> dict[str, str]:
    """The model (empty: none) of each run, the one that was touched last at the end."""
    found: dict[str, str] = {}
    for entry in entries:
        if isinstance(entry.fact, PipelineStep):
            found.pop(entry.fact.run, None)
            found[entry.fact.run] = entry.fact.model
    return found


def stands(entries: Iterable[Entry], run: str) -> dict[tuple[str, str], Stand]:
    """What was done of a run, by (stage, step)."""
    found: dict[tuple[str, str], Stand] = {}
    for entry in entries:
        fact = entry.fact
        if not isinstance(fact, PipelineStep) or fact.run != run:
            continue
        before = found.get((fact.stage, fact.step))
        begun = before is not None and before.state == "started"
        since = before.since if before is not None and begun else entry.at
        found[fact.stage, fact.step] = Stand(fact.state, since, fact.reason)
    return found


def asked_by(run: str) -> str:
    """The reason of a deploy that a run asks for: by it the run knows its rollout again."""
    return f"pipeline run {run}"


# -- the rollout that the steps walk through -----------------------------------------------------------------------


def ladder(stated: Sequence[Step], steps: Sequence[PlannedStep]) -> tuple[Step, ...]:
    """The steps of the rollout for a pipeline: each canary's share is left by hand (by the pipeline's next step), then
    those of the settings above it, which evidence passes; the last of them is left by hand too where full_deployment
    follows. `steps` is the whole pipeline's, `stated` what the settings give, ascending.

    >>> page = [read_step(name) for name in ("deploy_canary_10_percent", "gradual_rollout", "full_deployment")]
    >>> [(step.traffic, step.manual) for step in ladder([Step(0.05), Step(0.25), Step(0.5), Step(1.0)], page)]
    [(0.1, True), (0.25, False), (0.5, True), (1.0, False)]
    """
    shares = [step.amount for step in steps if step.kind is Kind.CANARY]
    rungs = [Step(share, 0.0, _requests(stated, share), manual=True) for share in shares]
    kinds = [step.kind for step in steps]
    stepwise = Kind.GRADUAL in kinds or Kind.FULL not in kinds
    between = [step for step in stated if max(shares, default=0.0) < step.traffic < 1.0] if stepwise else []
    if between and Kind.FULL in kinds:
        between[-1] = replace(between[-1], manual=True)
    last = [step for step in stated if step.traffic == 1.0]
    return (*rungs, *between, *(last or [Step(1.0)]))


def _requests(stated: Sequence[Step], share: float) -> int:
    """What the settings ask of the first step with at least this share."""
    asked = next((step.at_least for step in stated if step.traffic >= share), 0)
    return asked or LEAST_REQUESTS


def left_by_hand(decision: Decision) -> bool:
    """Whether a rollout has had what its step asks for, and only waits to be let on."""
    return decision.after is Phase.HELD and decision.reason.startswith(f"step {decision.step + 1} is left by hand")


def top_share(steps: Sequence[Step]) -> float:
    """How far gradual_rollout goes in a rollout: to the last share below everything, where that is left by hand.

    >>> top_share([Step(0.1, manual=True), Step(0.5, manual=True), Step(1.0)]), top_share([Step(0.5), Step(1.0)])
    (0.5, 1.0)
    """
    below = [step for step in steps if step.traffic < 1.0]
    return below[-1].traffic if below and below[-1].manual else 1.0


def worst_of(done: Iterable[Done]) -> Outcome:
    """A run's outcome: breached before not decided before holds."""
    found = {one.outcome for one in done}
    if Outcome.BREACHED in found:
        return Outcome.BREACHED
    return Outcome.UNDECIDED if found - {Outcome.HOLDS} else Outcome.HOLDS
