"""A pipeline as a workflow: what GitHub's and GitLab's own schemas allow, and what runs as it is written."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft7Validator

from fairlead.config.load import parse_settings
from fairlead.config.settings import Settings
from fairlead.errors import UsageError
from fairlead.operations.pipeline_render import render, variables_of

HERE = Path(__file__).parent
PAGE = (HERE.parent / "config" / "page.yaml").read_text()
SCHEMAS = {"github": "github-workflows.json", "gitlab": "gitlab-ci.json"}
WHOLE = """
project: churn
models: {churn: {task: binary}}
rollout: {shadow: {for: 1h}, steps: [{traffic: 5%, hold: 2h}, {traffic: 100%}]}
pipeline:
  timeout: 10m
  commands: {docker_build: "docker build -t {model}:{version} .", smoke_tests: "python smoke.py", lint: "ruff check"}
  ci: {python: "3.12", install: "pip install .", requirements: pyproject.toml, runner: near, secrets: [PASSWORD, HOOK]}
  stages:
    - {name: test, steps: [unit_tests, lint, {run: "python -m compileall .", timeout: 5m}]}
    - {name: build, steps: [docker_build], needs: []}
    - {name: staging, steps: [evaluation_suite, deploy_to_staging, smoke_tests], needs: [test, build]}
    - {name: production, steps: [deploy_canary_10_percent, monitor_30_minutes, gradual_rollout, full_deployment]}
"""
SMALL = """
pipeline:
  commands: {lint: "python lint.py {run}"}
  stages: [{name: test, steps: [unit_tests]}, {name: lint, steps: [lint]}]
"""


def validator(ci: str) -> Draft7Validator:
    """Of the schema that the CI publishes."""
    text = gzip.decompress((HERE / "schemas" / f"{SCHEMAS[ci]}.gz").read_bytes())
    assert hashlib.sha256(text).hexdigest() in (HERE / "schemas" / "README.md").read_text()
    return Draft7Validator(json.loads(text))


def rendered(text: str, ci: str) -> dict[str, Any]:
    """The workflow of a settings file, read as YAML, once the CI's schema has nothing against it."""
    tree: dict[str, Any] = yaml.safe_load(render(settings_of(text), ci, variables=variables_of(text)))
    # A schema knows `on` as a word; YAML 1.1 reads it as one only in quotes.
    assert [error.message for error in validator(ci).iter_errors(tree)] == []
    return tree


def settings_of(text: str) -> Settings:
    """The settings, each variable standing for itself; an address is one."""
    known = {"SLACK_WEBHOOK": "https://chat.example/hook"}
    return parse_settings(text, {name: known.get(name, f"${{{name}}}") for name in variables_of(text)})


def jobs_of(tree: dict[str, Any], ci: str) -> dict[str, Any]:
    """The jobs by name."""
    if ci == "github":
        return dict(tree["jobs"])
    return {name: tree[name] for name in tree["stages"]}


@pytest.mark.parametrize("text", [PAGE, WHOLE, SMALL])
@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_the_cis_own_schema_has_nothing_against_it(ci: str, text: str) -> None:
    """A job for each stage, in the pipeline's order, the same each time."""
    tree = rendered(text, ci)
    settings = settings_of(text)
    assert list(jobs_of(tree, ci)) == [stage.name for stage in settings.pipeline.stages]
    assert render(settings, ci) == render(settings_of(text), ci)


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_the_schemas_would_have_something_against_a_mistake(ci: str) -> None:
    """Else the test above would prove nothing."""
    tree = rendered(WHOLE, ci)
    jobs_of(tree, ci)["test"]["needs"] = {"not": 1}
    assert list(validator(ci).iter_errors(tree))


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_jobs_wait_for_what_their_stage_needs(ci: str) -> None:
    """The stage before where nothing is said, nothing where nothing is needed."""
    needs = {name: job.get("needs", []) for name, job in jobs_of(rendered(WHOLE, ci), ci).items()}
    assert needs == {"test": [], "build": [], "staging": ["test", "build"], "production": ["staging"]}


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_jobs_enter_the_environment_of_their_steps(ci: str) -> None:
    """Which the CI may guard with people's approval; a job that deploys nothing enters none."""
    found = {name: job.get("environment") for name, job in jobs_of(rendered(WHOLE, ci), ci).items()}
    names = {name: one["name"] if isinstance(one, dict) else one for name, one in found.items()}
    assert names == {"test": None, "build": None, "staging": "staging", "production": "production"}


def test_a_job_may_take_as_long_as_its_steps() -> None:
    """Its commands, its monitor, and the holds of the rollout; never longer than the CI allows."""
    minutes = {name: job["timeout-minutes"] for name, job in rendered(WHOLE, "github")["jobs"].items()}
    assert minutes["test"] == 10 + 10 + 10 + 5  # spare, two commands, one with a limit of its own
    assert minutes["production"] == 10 + 10 + 32 + 10 + 10 + 180
    assert rendered(PAGE, "github")["jobs"]["deploy-production"]["timeout-minutes"] == 360
    assert rendered(WHOLE, "gitlab")["production"]["timeout"] == "252 minutes"


def test_runs_have_the_name_of_the_cis_run_and_versions_only_where_they_matter() -> None:
    """So that a job that is run again goes on, and unit tests need no registry."""
    github = {name: job["steps"][3]["run"] for name, job in rendered(WHOLE, "github")["jobs"].items()}
    assert github["test"] == 'exec fairlead pipeline run test --run "ci-$GITHUB_RUN_ID" --json > pipeline-test.json'
    assert '--model "$MODEL" --run' in github["build"]
    assert '--model "$MODEL" --run "ci-$CI_PIPELINE_ID"' in rendered(WHOLE, "gitlab")["production"]["script"][0]
    said = yaml.safe_load(render(settings_of(SMALL), "gitlab", ("--config", "a.yaml")))
    assert said["lint"]["script"][0].startswith("fairlead --config a.yaml pipeline run lint ")


def test_a_job_that_is_cancelled_takes_back_what_its_run_had_rolled_out() -> None:
    """From the stage that deploys on; before it there is nothing. A stage that comes after it is run for the version,
    too: what it finds takes the version back."""
    text = WHOLE + "    - {name: after, steps: [smoke_tests]}\n"
    undo = 'fairlead pipeline cancel --model "$MODEL" --run "ci-{run}" --json --reason "the job was cancelled"'
    github = {name: job["steps"][4] for name, job in rendered(text, "github")["jobs"].items()}
    found = {name: step["run"] for name, step in github.items() if step.get("if") == "cancelled()"}
    assert found == dict.fromkeys(("production", "after"), undo.replace("{run}", "$GITHUB_RUN_ID"))
    assert github["production"]["env"] == {name: f"${{{{ secrets.{name} }}}}" for name in ("PASSWORD", "HOOK")}
    gitlab = rendered(text, "gitlab")
    assert [name for name in gitlab["stages"] if "after_script" in gitlab[name]] == ["production", "after"]
    line = f'if [ "$CI_JOB_STATUS" = canceled ]; then {undo.replace("{run}", "$CI_PIPELINE_ID")}; fi'
    assert gitlab["after"]["after_script"] == [line]
    assert '--model "$MODEL"' in gitlab["after"]["script"][0]


@pytest.mark.parametrize("ci", ["github", "gitlab"])
def test_secrets_are_names_and_their_values_are_nowhere(ci: str) -> None:
    """Those that the settings name, and the variables that the settings cannot be read without; a command never shows:
    its job runs the stage."""
    text = WHOLE.replace("pip install .", "pip install . --token ${TOKEN}")
    whole = render(settings_of(text), ci, variables=variables_of(text))
    assert "pip install . --token ${TOKEN}" in whole
    assert "docker" not in whole
    for name in ("TOKEN", "PASSWORD", "HOOK"):
        assert f"secrets.{name} " in whole if ci == "github" else f"${{{name}:?" in whole
    assert "SLACK_WEBHOOK" in render(settings_of(PAGE), ci, variables=variables_of(PAGE))


def test_what_somebody_types_never_becomes_a_part_of_a_script() -> None:
    """Nothing that is run holds an expression; inputs reach the shell as variables."""
    for job in rendered(WHOLE, "github")["jobs"].values():
        assert any("run" in step for step in job["steps"])
        assert not any("${{" in step.get("run", "") for step in job["steps"])


def test_jobs_keep_their_report_and_their_downloads() -> None:
    """Also where the stage failed: then it is wanted most. The cache is renewed by what is installed."""
    for name, job in rendered(WHOLE, "github")["jobs"].items():
        kept = job["steps"][-1]
        assert (kept["if"], kept["with"]["path"]) == ("always()", f"pipeline-{name}.json")
        assert job["steps"][1]["with"] == {
            "python-version": "3.12",
            "cache": "pip",
            "cache-dependency-path": "pyproject.toml",
        }
        assert job["runs-on"] == "near"
    tree = rendered(WHOLE, "gitlab")
    assert tree["default"]["tags"] == ["near"]
    assert tree["default"]["cache"]["key"] == {"files": ["pyproject.toml"]}
    assert tree["test"]["artifacts"]["when"] == "always"


@pytest.mark.parametrize(
    ("text", "ci", "error"),
    [
        (WHOLE, "jenkins", "use one of github, gitlab"),
        ("project: x", "github", "have no pipeline"),
        ("pipeline: {stages: [{name: t, steps: [docker_build]}]}", "github", "pipeline.commands.docker_build is not"),
        ("pipeline: {stages: [{name: pages, steps: [unit_tests]}]}", "gitlab", "a meaning of its own for 'pages'"),
    ],
)
def test_what_cannot_be_rendered_is_told(text: str, ci: str, error: str) -> None:
    """Before anything is written."""
    with pytest.raises(UsageError, match=error):
        render(settings_of(text), ci)


def test_an_unreadable_settings_file_names_no_variable() -> None:
    """Whoever reads it says what is wrong with it."""
    assert variables_of("a: [") == ()
    assert variables_of("# ${COMMENT}\na: ['${ONE}', {b: 'x ${TWO} ${ONE}'}, '${GIVEN:-x}', 3]") == ("ONE", "TWO")


def commands_of(job: dict[str, Any]) -> str:
    """All that a job would have a shell do. What installs is run by the first job alone: it is the same in each."""
    if "script" in job and job["stage"] != "test":
        return "\n".join(job["script"])
    if "script" in job:
        return "\n".join([*job["before_script"], *job["script"]])
    steps = [step for step in job["steps"] if "run" in step]
    return "\n".join(step["run"] for step in (steps[1:] if "needs" in job else steps))


@pytest.mark.parametrize("ci", ["github", pytest.param("gitlab", marks=pytest.mark.slow)])
def test_each_jobs_commands_run_as_they_are_written(ci: str, tmp_path: Path) -> None:
    """In a checkout, by a shell as the CI's: the tests pass and leave their report; the lint fails, and so does its
    job. Run again under the same name it goes on, and passes once its cause is gone."""
    (tmp_path / "fairlead.yaml").write_text(SMALL)
    (tmp_path / "requirements.txt").write_text("")
    (tmp_path / "test_it.py").write_text("def test_it() -> None:\n    assert 1 + 1 == 2\n")
    (tmp_path / "lint.py").write_text("import sys\nsys.exit('badly laid out: ' + sys.argv[1])\n")
    paths = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    names = {"GITHUB_RUN_ID": "77", "CI_PIPELINE_ID": "77", "MODEL": "", "FAIRLEAD_HOME": str(tmp_path / "home")}
    jobs = jobs_of(rendered(SMALL, ci), ci)

    def done(job: str) -> subprocess.CompletedProcess[str]:
        script = ["bash", "-e", "-c", commands_of(jobs[job])]
        return subprocess.run(
            script,
            cwd=tmp_path,
            env={**os.environ, "PATH": paths, **names},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    assert done("test").returncode == 0
    assert json.loads((tmp_path / "pipeline-test.json").read_text())["outcome"] == "holds"
    failed = done("lint")
    assert failed.returncode == 1
    assert "badly laid out: pipeline-ci-77" in failed.stderr
    (tmp_path / "lint.py").write_text("")
    assert done("lint").returncode == 0
    assert json.loads((tmp_path / "pipeline-lint.json").read_text())["run"] == "pipeline-ci-77"
