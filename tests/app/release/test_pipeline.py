"""The page's pipeline on a running home: a good version ends in a promotion, a bad one in a rollback and exit 1."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fairlead.core.event import DeployAsked
from fairlead.core.verdict import Outcome
from fairlead.flows.pipeline import RunReport
from fairlead.operations.pipeline_render import render
from fairlead.operations.pipelines import run_pipeline

Trial = Any  # the fixtures' values: see conftest
SETTINGS = """
rollout:
  strategy: canary
  steps: [{traffic: 1%}, {traffic: 25%, at_least: 100}, {traffic: 50%, at_least: 100}, {traffic: 100%}]
pipeline:
  timeout: 60s
  commands: {unit_tests: "python -c pass", smoke_tests: "false"}
  stages:
    - {name: test, steps: [unit_tests]}
    - name: deploy-production
      strategy: canary
      steps: [deploy_canary_10_percent, monitor_12_seconds, gradual_rollout, full_deployment]
    - {name: after, steps: [smoke_tests]}
  rollback: {automatic: true, trigger: "error_rate > 5%"}
"""
# Who breaks a guardrail is seen long before: so long the monitor waits on the busiest machine.
PATIENT = SETTINGS.replace("timeout: 60s", "timeout: 240s").replace("monitor_12_seconds", "monitor_4_minutes")
PAGE = ("test", "deploy-production")


def states(report: RunReport) -> dict[str, str]:
    """How each step ended."""
    return {one.step: one.state for one in report.steps}


def asked_for(trial: Trial, version: int) -> list[str]:
    """The rollouts that were asked for of a version."""
    facts = [fact for fact in trial.system.facts("deploy_asked") if isinstance(fact, DeployAsked)]
    return [fact.rollout for fact in facts if fact.version == version]


@pytest.mark.slow
@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_the_rendered_jobs_end_in_a_promotion(trial: Callable[..., Trial], callers: Any, ci: str) -> None:
    """Each job's command by a shell, as the CI's machine would run it beside the home: every one leaves 0."""
    tried = trial("good", SETTINGS)
    version = tried.register("good")
    tried.admit(version)
    tree = yaml.safe_load(render(tried.system.context.settings, ci, ("--config", "settings.yaml")))
    jobs = tree["jobs"] if ci == "github" else {name: tree[name] for name in PAGE}
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    names = {"GITHUB_RUN_ID": "8", "CI_PIPELINE_ID": "9", "MODEL": f"stay@{version}", "FAIRLEAD_HOME": "."}
    with callers(tried.system.port) as made:
        tried.system.wait(lambda: len(made.answers) >= 300)
        for name in PAGE:
            line = jobs[name]["steps"][3]["run"] if ci == "github" else jobs[name]["script"][0]
            done = subprocess.run(
                ["bash", "-e", "-c", line], cwd=tried.system.home, env={**os.environ, "PATH": paths, **names},
                capture_output=True, text=True, check=False, timeout=120,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
        time.sleep(0.5)
        assert made.answers[-1].version == version
    assert {answer.status for answer in made.answers} == {200}


@pytest.mark.slow
def test_a_good_version_ends_in_a_promotion(trial: Callable[..., Trial], callers: Any, tmp_path: Path) -> None:
    """Through a tenth of the traffic, its monitor, and the settings' steps; nobody is failed. Begun again, the run does
    nothing: each step passed before, and nothing is deployed twice."""
    tried = trial("good", SETTINGS)
    version = tried.register("good")
    tried.admit(version)
    with callers(tried.system.port) as made:
        tried.system.wait(lambda: len(made.answers) >= 300)  # what the champion's latency is known by
        report = run_pipeline(tried.system.context, tmp_path, PAGE, f"stay@{version}", "ci-1")
        assert (report.outcome, set(states(report).values())) == (Outcome.HOLDS, {"passed"}), report.reason
        time.sleep(0.5)
        assert made.answers[-1].version == version
    assert {answer.status for answer in made.answers} == {200}
    again = run_pipeline(tried.system.context, tmp_path, PAGE, f"stay@{version}", "ci-1")
    assert all(one.before for one in again.steps)
    assert len(asked_for(tried, version)) == 1


def test_a_bad_version_fails_its_run_and_the_traffic_is_back(
    trial: Callable[..., Trial], callers: Any, tmp_path: Path
) -> None:
    """The guardrail rolls it back; the step that sees it first says so, the canary's own or the monitor, the run fails,
    and the champion answers everything."""
    tried = trial("good", PATIENT)
    version = tried.register("unit_error")
    tried.admit(version)
    with callers(tried.system.port) as made:
        report = run_pipeline(tried.system.context, tmp_path, PAGE, f"stay@{version}")
        time.sleep(0.5)
        last = made.answers[-1].version
    assert report.outcome is Outcome.BREACHED
    seen = [step for step, state in states(report).items() if state == "failed"]
    assert seen in (["deploy_canary_10_percent"], ["monitor_4_minutes"]), report.reason
    assert "prediction_psi" in report.reason
    assert f"stay@{version} was rolled back: version {last} answers everything" == report.rolled_back
    assert states(report)["full_deployment"] == "waiting"
    assert made.by(version), "it was never asked"


@pytest.mark.slow
def test_a_command_that_fails_takes_the_promoted_version_back(
    trial: Callable[..., Trial], callers: Any, tmp_path: Path
) -> None:
    """Without callers the monitor decides nothing: time alone is no success, and all stands. With callers the same run
    goes on; then the smoke tests fail, and what this run promoted is rolled back."""
    tried = trial("good", SETTINGS)
    version = tried.register("good")
    tried.admit(version)
    begun = run_pipeline(tried.system.context, tmp_path, (), f"stay@{version}")
    assert begun.outcome is Outcome.UNDECIDED
    assert states(begun)["monitor_12_seconds"] == "undecided"
    assert "0 of 100 canary requests" in begun.reason
    with callers(tried.system.port) as made:
        trial_rollout = asked_for(tried, version)[0]
        tried.system.wait(lambda: tried.is_held(trial_rollout))
        report = run_pipeline(tried.system.context, tmp_path, (), "stay", resume=True)
        time.sleep(0.5)
        last = made.answers[-1].version
    assert report.run == begun.run
    assert (states(report)["full_deployment"], states(report)["smoke_tests"]) == ("passed", "failed")
    assert report.rolled_back == f"stay@{version} was rolled back: version {last} answers everything"
    assert last != version
    assert len(asked_for(tried, version)) == 1
