"""`pipeline.rollback.trigger` while a pipeline runs: the controller of `fairlead up` evaluates it, the run hears of it.

No guardrail can see what goes wrong here: only latency is guarded, and what fails are answers.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fairlead.core.verdict import Outcome
from fairlead.flows.pipeline import RunReport
from fairlead.operations.pipelines import run_pipeline

pytestmark = pytest.mark.slow
Trial = Any  # the fixtures' values: see conftest
SETTINGS = """
rollout:
  strategy: canary
  steps: [{traffic: 50%, at_least: 100}, {traffic: 100%}]
  guardrails: ["p99_latency <= 100 * champion"]
  after: {for: 0s}
pipeline:
  timeout: 60s
  stages:
    - {name: canary, steps: [deploy_canary_50_percent, {run: "sleep 300", name: soak}, full_deployment]}
    - {name: everything, strategy: canary, steps: [full_deployment, monitor_5_minutes]}
"""
TRIGGER = '  rollback: {automatic: AUTOMATIC, trigger: "error_rate > 2%"}\n'


def tried(trial: Callable[..., Trial], automatic: str) -> Trial:
    """A system that serves a good version under the trigger."""
    return trial("good", SETTINGS + TRIGGER.replace("AUTOMATIC", automatic))


def states(report: RunReport) -> dict[str, str]:
    """How each step ended."""
    return {one.step: one.state for one in report.steps}


def asked(found: Trial, verb: str) -> list[str]:
    """Why the controller asked for something."""
    return [fact.reason for fact in found.system.facts("operator_asked") if fact.verb == verb]


def test_a_trigger_that_is_met_ends_the_command_that_runs_and_takes_the_version_back(
    trial: Callable[..., Trial], callers: Any, tmp_path: Path
) -> None:
    """The controller asks for the rollback itself, the run fails at the step under way, and the champion answers
    everything."""
    found = tried(trial, "true")
    version = found.register("tires")
    found.admit(version)
    with callers(found.system.port, pause=0.002) as made:
        report = run_pipeline(found.system.context, tmp_path, ("canary",), f"stay@{version}")
        seen = len(made.answers)
        found.system.wait(lambda: len(made.answers) > seen + 200)
    assert report.outcome is Outcome.BREACHED
    assert states(report) == {"deploy_canary_50_percent": "passed", "soak": "failed", "full_deployment": "waiting"}
    assert "error_rate" in report.reason
    assert "the command was stopped" in report.reason
    assert any(
        "the rollback trigger `error_rate > 2%` is met: error_rate" in reason for reason in asked(found, "rollback")
    )
    assert "was rolled back: version" in report.rolled_back
    assert {answer.status for answer in made.answers[seen:]} == {200}
    assert version not in {answer.version for answer in made.answers[seen:]}


def test_a_trigger_that_is_met_fails_the_run_and_leaves_the_version_to_people_where_they_decide(
    trial: Callable[..., Trial], callers: Any, tmp_path: Path
) -> None:
    """With `automatic: false`: the note of the controller's look ends the run, and nothing is taken from callers."""
    found = tried(trial, "false")
    version = found.register("tires")
    found.admit(version)
    with callers(found.system.port, pause=0.002) as made:
        report = run_pipeline(found.system.context, tmp_path, ("canary",), f"stay@{version}")
        seen = len(made.answers)
        found.system.wait(lambda: len(made.answers) > seen + 200)
    assert report.outcome is Outcome.BREACHED
    assert states(report)["soak"] == "failed"
    assert "pipeline.rollback.trigger is met: error_rate is" in report.reason
    rollout = found.system.facts("deploy_asked")[-1].rollout
    assert report.rolled_back == f"pipeline.rollback.automatic is false: {rollout} was left as it stands"
    assert not asked(found, "rollback")
    assert version in {answer.version for answer in made.answers[seen:]}


def test_a_trigger_that_is_met_after_the_promotion_takes_the_version_back(
    trial: Callable[..., Trial], callers: Any, tmp_path: Path
) -> None:
    """It was well in its whole rollout; then a third of its answers fail, and the monitor that follows says so."""
    found = tried(trial, "true")
    version = found.register("tires")
    found.admit(version)
    with callers(found.system.port, pause=0.002) as made:
        found.system.wait(lambda: len(made.answers) >= 300)
        report = run_pipeline(found.system.context, tmp_path, ("everything",), f"stay@{version}")
        seen = len(made.answers)
        found.system.wait(lambda: len(made.answers) > seen + 200)
    assert report.outcome is Outcome.BREACHED
    assert states(report) == {"full_deployment": "passed", "monitor_5_minutes": "failed"}
    assert "error_rate" in report.reason
    assert "was rolled back: version" in report.rolled_back
    assert {answer.status for answer in made.answers[seen:]} == {200}
    assert version not in {answer.version for answer in made.answers[seen:]}
