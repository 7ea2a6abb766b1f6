"""pipeline: steps -> each performed once, journalled -> passed, failed with what was taken back, or not decided."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from msgspec import Struct

from fairlead.core.event import PipelineStep
from fairlead.core.pipeline import Done, PlannedStep, Stand, stands, worst_of
from fairlead.core.verdict import Outcome
from fairlead.errors import FairleadError
from fairlead.ports import Clock, Journal
from fairlead.ports.pipeline import Performer

_STATES = {Outcome.HOLDS: "passed", Outcome.BREACHED: "failed"}


class StepReport(Struct, frozen=True):
    """A step as a run left it: passed, failed, undecided, or waiting (not reached). `before`: it passed in an earlier
    part of the run, and was not done again."""

    stage: str
    step: str
    state: str
    reason: str = ""
    seconds: float = 0.0
    before: bool = False


class RunReport(Struct, frozen=True):
    """A run of a pipeline, or of some of its stages. `rolled_back` says what was taken from callers; empty: nothing."""

    run: str
    model: str
    version: int | None
    outcome: Outcome
    reason: str
    steps: tuple[StepReport, ...]
    rolled_back: str = ""


class Run(Struct, frozen=True):
    """Which run it is, of which version (none: of no model), and who asked for it."""

    name: str
    model: str
    version: int | None
    actor: str


Told = Callable[[StepReport], None]


def run_steps(
    run: Run, steps: Sequence[PlannedStep], performer: Performer, ports: tuple[Journal, Clock], told: Told
) -> RunReport:
    """Performs the steps that have not passed in this run, in order, until one does not pass.

    A step that failed takes back what the run gave to callers. One that is not decided leaves all as it stands, so that
    the run can go on. `told` hears each step as it begins (state started) and ends.
    """
    journal, clock = ports
    before = stands(journal.read(kinds=["pipeline_step"]), run.name)
    reports: list[StepReport] = []
    done: list[Done] = []
    back = ""
    for step in steps:
        stand = before.get((step.stage, step.label))
        if done and done[-1].outcome is not Outcome.HOLDS:
            reports.append(StepReport(step.stage, step.label, "waiting"))
        elif stand is not None and stand.state == "passed":
            reports.append(StepReport(step.stage, step.label, "passed", stand.reason, before=True))
            told(reports[-1])
        else:
            report, one, taken = _one(run, step, stand, performer, (journal, clock), told)
            reports.append(report)
            done.append(one)
            back = back or taken
    return _report(run, reports, done, back)


def _one(
    run: Run,
    step: PlannedStep,
    stand: Stand | None,
    performer: Performer,
    ports: tuple[Journal, Clock],
    told: Told,
) -> tuple[StepReport, Done, str]:
    """One step: what became of it, its end, and what was taken back for it."""
    journal, clock = ports
    begun = clock.now()

    def note(state: str, reason: str = "") -> None:
        fact = PipelineStep(run.model, run.name, step.stage, step.label, state, reason)
        journal.append([fact], actor=run.actor, at=clock.now())

    note("started")
    told(StepReport(step.stage, step.label, "started"))
    goes_on = stand is not None and stand.state == "started"
    done = _performed(performer, step, stand.since if stand is not None and goes_on else begun)
    back = ""
    if done.outcome is Outcome.BREACHED:
        back = _taken_back(performer, f"{step.stage}/{step.label} failed: {done.reason}")
    state = _STATES.get(done.outcome)
    if state is not None:  # what is not decided has not ended
        note(state, "; ".join(filter(None, (done.reason, back))))
    report = StepReport(step.stage, step.label, state or "undecided", done.reason, clock.now() - begun)
    told(report)
    return report, done, back


def _performed(performer: Performer, step: PlannedStep, since: float) -> Done:
    try:
        return performer.perform(step, since)
    except FairleadError as error:
        return Done(Outcome.BREACHED, error.line)


def _taken_back(performer: Performer, reason: str) -> str:
    """What could not be taken back is said, with what to do: the step's own failure must not be lost over it."""
    try:
        return performer.take_back(reason)
    except FairleadError as error:
        return f"it could not be rolled back: {error.line}"


def _report(run: Run, reports: list[StepReport], done: list[Done], back: str) -> RunReport:
    outcome = worst_of(done)
    ended = next((one for one in reports if one.state in ("failed", "undecided")), None)
    if ended is None:
        reason = f"{len(reports)} of {len(reports)} steps passed"
    else:
        said = "failed" if ended.state == "failed" else "is not decided"
        reason = f"{ended.stage}/{ended.step} {said}: {ended.reason}"
    return RunReport(run.name, run.model, run.version, outcome, reason, tuple(reports), back)
