"""Steps are performed once, journalled, and undone where one of them fails."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.event import PipelineStep
from fairlead.core.pipeline import Done, PlannedStep, read_step
from fairlead.core.verdict import Outcome
from fairlead.errors import Refused
from fairlead.flows.pipeline import Run, RunReport, StepReport, run_steps
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal

HOLDS, BREACHED, UNDECIDED = Outcome.HOLDS, Outcome.BREACHED, Outcome.UNDECIDED
NAMES = ("a", "b", "c", "d")
RUN = Run("churn-1-1", "churn", 1, "ana")


class Scripted:
    """Answers as it is told to, and remembers what it was asked."""

    def __init__(self, clock: ManualClock, **answers: Outcome) -> None:
        self.answers, self.clock = answers, clock
        self.asked: list[tuple[str, float]] = []
        self.undone: list[str] = []
        self.cut = ""  # the step in the middle of which the process dies

    def perform(self, step: PlannedStep, since: float) -> Done:
        self.asked.append((step.label, since))
        self.clock.advance(10.0)
        if step.label == self.cut:
            raise KeyboardInterrupt
        return Done(self.answers.get(step.label, HOLDS), f"{step.label} was tried")

    def take_back(self, reason: str) -> str:
        self.undone.append(reason)
        return "churn@1 was rolled back"


class Desk:
    """A journal, a clock, and runs of four commands over them."""

    def __init__(self) -> None:
        self.clock, self.journal = ManualClock(1000.0), MemoryJournal()
        self.told: list[StepReport] = []

    def go(self, performer: Scripted) -> RunReport:
        """Runs, or goes on with the run."""
        steps = [read_step(name, "test", dict.fromkeys(NAMES, "true")) for name in NAMES]
        return run_steps(RUN, steps, performer, (self.journal, self.clock), self.told.append)

    def facts(self) -> list[tuple[str, str]]:
        """What the journal has of it."""
        facts = [entry.fact for entry in self.journal.read(kinds=["pipeline_step"])]
        return [(fact.step, fact.state) for fact in facts if isinstance(fact, PipelineStep)]


@pytest.fixture
def desk() -> Desk:
    """An empty journal."""
    return Desk()


def test_what_passes_is_done_in_order_and_journalled(desk: Desk) -> None:
    """Each step begins and passes; each is told as it does."""
    report = desk.go(Scripted(desk.clock))
    assert (report.outcome, report.reason) == (HOLDS, "4 of 4 steps passed")
    assert desk.facts() == [(name, state) for name in NAMES for state in ("started", "passed")]
    assert [(one.step, one.state) for one in desk.told] == desk.facts()
    assert [one.seconds for one in report.steps] == [10.0] * 4


def test_a_failed_step_ends_the_run_and_takes_back_what_it_gave(desk: Desk) -> None:
    """The report and the journal say which, why, and what was rolled back."""
    performer = Scripted(desk.clock, b=BREACHED)
    report = desk.go(performer)
    assert (report.outcome, report.reason) == (BREACHED, "test/b failed: b was tried")
    assert report.rolled_back == "churn@1 was rolled back"
    assert [one.state for one in report.steps] == ["passed", "failed", "waiting", "waiting"]
    assert performer.undone == ["test/b failed: b was tried"]
    last = list(desk.journal.read())[-1].fact
    assert isinstance(last, PipelineStep)
    assert last.reason == "b was tried; churn@1 was rolled back"


def test_what_is_not_decided_leaves_all_as_it_stands(desk: Desk) -> None:
    """Nothing is taken back, the step has no end yet, and the run goes on from there."""
    performer = Scripted(desk.clock, b=UNDECIDED)
    report = desk.go(performer)
    assert (report.outcome, performer.undone) == (UNDECIDED, [])
    assert desk.facts()[-1] == ("b", "started")
    again = Scripted(desk.clock)
    assert desk.go(again).outcome is HOLDS
    assert [name for name, _ in again.asked] == ["b", "c", "d"]
    assert again.asked[0][1] == 1010.0  # b counts from when it first began


def test_what_raises_has_failed(desk: Desk) -> None:
    """With the error's line; and a rollback that raises does not hide why the step failed."""

    class Broken(Scripted):
        def perform(self, step: PlannedStep, since: float) -> Done:
            raise Refused("no gate was passed")

        def take_back(self, reason: str) -> str:
            raise Refused("the journal is away")

    report = desk.go(Broken(desk.clock))
    assert report.reason == "test/a failed: no gate was passed"
    assert report.rolled_back == "it could not be rolled back: the journal is away"


@given(
    cuts=st.lists(st.sampled_from(NAMES), max_size=6),
    fails=st.lists(st.sampled_from(NAMES), max_size=3),
)
def test_no_step_that_passed_is_done_twice(cuts: list[str], fails: list[str]) -> None:
    """However often the process dies in a step, or a step fails: what passed is passed, in order, once."""
    desk, passed = Desk(), []
    for cut, fail in [*((cut, "") for cut in cuts), *(("", fail) for fail in fails), ("", "")]:
        performer = Scripted(desk.clock, **({fail: BREACHED} if fail else {}))
        performer.cut = cut
        try:
            desk.go(performer)
        except KeyboardInterrupt:
            assert performer.asked[-1][0] == cut
        passed += [name for name, _ in performer.asked if name not in (cut, fail)]
    assert passed == list(NAMES)
    assert [step for step, state in desk.facts() if state == "passed"] == list(NAMES)


def test_a_run_that_is_whole_does_nothing_again(desk: Desk) -> None:
    """And says that it passed before."""
    desk.go(Scripted(desk.clock))
    performer = Scripted(desk.clock)
    report = desk.go(performer)
    assert (report.outcome, performer.asked) == (HOLDS, [])
    assert all(one.before for one in report.steps)
