"""pipeline, as typed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from fairlead.app.compose import open_context
from fairlead.faces.cli.app import build, run

SETTINGS = """
project: "${PROJECT:-stay}"
pipeline:
  commands: {lint: "sh -c 'echo looking; exit {run}'", wait: "sh -c 'sleep 60 & echo $! > child; wait'"}
  ci: {install: "pip install --token ${TOKEN} ."}
  stages:
    - {name: test, steps: [{run: "true", name: fine}]}
    - {name: lint, steps: [{run: "sh -c 'echo looking; exit 3'", name: lint}]}
    - {name: wait, steps: [wait]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with settings, and the token that they need."""
    (tmp_path / "fairlead.yaml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOKEN", "hush-hush")
    return tmp_path


def typed(*words: str) -> int:
    """The exit code of what is typed."""
    return run(build(open_context, "0.0.0"), list(words))


def test_a_run_that_passes_leaves_zero(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a table; each step is told as it ends, and one that passed before says so."""
    assert typed("pipeline", "run", "test") == 0
    told = capsys.readouterr()
    assert "pipeline-1: 1 of 1 steps passed" in told.out
    assert "test/fine passed (" in told.err
    assert typed("pipeline", "run", "test", "--resume") == 0
    assert "test/fine passed (before)" in capsys.readouterr().err


def test_a_step_that_fails_leaves_one_and_shows_the_end_of_its_output(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr, where a CI hides secrets; the document on stdout has none of it."""
    assert typed("pipeline", "run", "lint", "--json") == 1
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert report["reason"].startswith("lint/lint failed: it ended with exit code 3, its output is in pipelines/")
    assert "    looking\n" in told.err
    assert "looking" not in told.out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("run", "tests"), "the pipeline has no stage 'tests': did you mean test?"),
        (("run", "--resume"), "there is no run to go on with: leave --resume out to begin one"),
        (("cancel",), "there is no home folder at"),
        (("run", "--run", "a/b"), "--run 'a/b': give letters, digits, ., - and _, such as ci-1234"),
        (("render", "--for", "jenkins"), "--for jenkins: use one of github, gitlab"),
        (("render", "--for", "github", "--output", "fairlead.yaml/ci.yml"), "fairlead.yaml/ci.yml cannot be written"),
    ],
)
def test_what_is_typed_wrongly_is_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], error: str
) -> None:
    """Exit 2."""
    assert typed("pipeline", *words) == 2
    told = capsys.readouterr().err
    assert error in told
    assert told.count("\n") == 1


def test_a_workflow_is_written_without_a_home_and_without_secrets(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does it need them: what the settings ask of the environment stands for itself, its defaults count."""
    target = folder / ".github" / "workflows" / "ci.yml"  # of which nothing is there yet
    assert typed("pipeline", "render", "--for", "github", "--output", str(target)) == 0
    first = target.read_text()
    monkeypatch.delenv("TOKEN")
    monkeypatch.setenv("PROJECT", "other")
    capsys.readouterr()
    assert typed("pipeline", "render", "--for", "github") == 0
    assert capsys.readouterr().out == first
    assert "hush-hush" not in first
    job = yaml.safe_load(first)["jobs"]["test"]
    assert job["steps"][2] == {
        "name": "Install",
        "run": "pip install --token ${TOKEN} .",
        "env": {"TOKEN": "${{ secrets.TOKEN }}"},
    }
    assert not (folder / ".fairlead").exists()


def test_jobs_are_told_of_the_settings_as_the_renderer_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file and the environment; a file of this machine alone is refused."""
    (folder / "my settings.yaml").write_text(SETTINGS)
    assert typed("--config", "my settings.yaml", "--environment", "prod", "pipeline", "render", "--for", "gitlab") == 0
    line = yaml.safe_load(capsys.readouterr().out)["test"]["script"][0]
    assert line.startswith("fairlead --config 'my settings.yaml' --environment prod pipeline run test ")
    assert typed("--config", str(folder / "my settings.yaml"), "pipeline", "render", "--for", "gitlab") == 2
    assert "relative to the repository's folder" in capsys.readouterr().err


def lives(pid: int) -> bool:
    """Whether a process is there, and not only waits to be buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_run_that_is_told_to_leave_ends_its_command_and_goes_on_later(folder: Path) -> None:
    """As a CI ends a job: nothing is left running, the step has not ended, and --resume does it again."""
    command = [sys.executable, "-m", "fairlead.app.main", "pipeline", "run", "wait"]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    child, deadline = folder / "child", time.monotonic() + 120
    while not child.exists() or not child.read_text().strip():
        assert time.monotonic() < deadline, "the step never began"
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, told = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "all stands as it is: `fairlead pipeline run --resume` goes on, `fairlead pipeline cancel` takes" in told
    assert not lives(int(child.read_text()))
    text = (folder / "fairlead.yaml").read_text()
    (folder / "fairlead.yaml").write_text(text.replace("sleep 60", "sleep 0"))
    assert typed("pipeline", "run", "wait", "--resume") == 0


def test_a_run_that_shall_not_go_on_has_failed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what became of it, and the last run where none is named; there is nothing to take back here."""
    assert typed("pipeline", "run", "lint", "--run", "mine") == 1
    capsys.readouterr()
    assert typed("pipeline", "cancel") == 0
    assert capsys.readouterr().out == "pipeline-mine: it concerns no model\n"
    assert typed("pipeline", "cancel", "--run", "mine", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["run"], told["outcome"]) == ("pipeline-mine", "holds")
    for key, error in (
        ("x", "there is no run x: nothing of it can be rolled out"),
        ("a/b", "--run 'a/b': give letters"),
    ):
        assert typed("pipeline", "cancel", "--run", key) == 2
        assert error in capsys.readouterr().err
