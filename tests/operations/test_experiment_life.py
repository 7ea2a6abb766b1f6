"""An experiment from its start to its end, over one home: started, read from the log, stopped, and kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.operations.experiments import TERMS, Rig

from fairlead.core.event import DeployAsked, ExperimentStarted, ExperimentStopped, OperatorAsked
from fairlead.core.experiment import Action
from fairlead.operations.experiment_facts import trial
from fairlead.operations.experiment_life import start, stop
from fairlead.operations.experiment_log import read_trial


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A home with a champion, a version that passed its gate, and some traffic."""
    rig = Rig(tmp_path / "home")
    rig.before(200)
    return rig


def better(arm: str) -> float:
    """The challenger converts three times as often."""
    return 0.6 if arm != "champion" else 0.2


def test_an_experiment_is_a_rollout_and_the_terms_it_is_read_by(rig: Rig) -> None:
    """Both are written at once, so that neither is there without the other."""
    found = start(rig.context, "hotel@2", TERMS, name="shorter-form", shares={2: 0.3})
    assert (found.id, found.rollout, found.state) == ("shorter-form", "hotel-ab-1", "asked")
    assert found.terms.shares == {"champion": 0.7, "challenger-2": 0.3}
    facts = [entry.fact for entry in rig.journal.read()][-2:]
    assert isinstance(facts[0], DeployAsked)
    assert isinstance(facts[1], ExperimentStarted)
    assert facts[0].plan.among is not None
    assert facts[1].rollout == facts[0].plan.among.group


def test_what_a_better_arm_showed_is_shipped(rig: Rig) -> None:
    """Read from the log: arms by unit, what each logged, the decision; stopping does what it says, and its report is
    the last word afterwards, also for a process that starts anew."""
    start(rig.context, "hotel@2", TERMS)
    rig.begins()
    rig.come(2_000, better, requests=3)
    rig.clock.advance(700.0)
    report = read_trial(rig.context, trial(rig.context, "hotel"))
    assert report.decision is Action.SHIP, report.verdict.reason
    assert [one.name for one in report.arms] == ["champion", "challenger-2"]
    assert sum(one.units for one in report.arms) == 2_000
    difference = report.primary[0].difference
    assert difference is not None
    assert difference.low < 0.4 < difference.high
    stopped = stop(rig.context, "hotel")
    assert (stopped.state, stopped.decision) == ("stopped", "ship")
    asked, fact = [entry.fact for entry in rig.journal.read()][-2:]
    assert isinstance(asked, OperatorAsked)
    assert isinstance(fact, ExperimentStopped)
    assert (asked.verb, asked.seen) == ("promote", "hotel-2-1")
    again = trial(rig.context, "hotel-ab-1")
    assert read_trial(rig.context, again) == report
    assert (rig.home / "experiments" / "hotel-ab-1.html").read_text().startswith("<!doctype html>")
