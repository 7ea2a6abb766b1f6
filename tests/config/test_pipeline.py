"""What can be written wrongly under `pipeline`: each is told at the start, with its place and what would do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fairlead.config.load import load_settings, parse_settings
from fairlead.errors import SettingsError

TESTS = Path(__file__).parents[1]
# What is written -> what is said of it.
WRONG = {
    # keys and kinds of values
    "stage: []": "unknown key 'stage' (did you mean 'stages'?)",
    "stages: {name: a}": "Expected `array`, got `object` (at pipeline.stages)",
    "stages: [test]": "Expected `object`, got `str` (at pipeline.stages[0])",
    "stages: [{steps: [unit_tests]}]": "Object missing required field `name` (at pipeline.stages[0])",
    "stages: [{name: a}]": "a pipeline stage has a name and steps: write {name: test, steps: [unit_tests]}",
    "stages: [{name: a, steps: unit_tests}]": "Expected `array`, got `str` (at pipeline.stages[0].steps)",
    "stages: [{name: a, steps: [3]}]": "got `int` (at pipeline.stages[0].steps[0])",
    "stages: [{name: a, steps: [[unit_tests]]}]": "got `array` (at pipeline.stages[0].steps[0])",
    "stages: [{name: a, steps: [{unit_tests: }]}]": "unknown key 'unit_tests': known are run, name, timeout",
    "stages: [{name: a, steps: [{rn: x}]}]": "unknown key 'rn' (did you mean 'run'?)",
    # names
    "stages: [{name: 'a b', steps: [unit_tests]}]": "a stage's name is letters, digits, - and _, not 'a b'",
    "stages: [{name: a, steps: [unit_tests]}, {name: a, steps: [rollback]}]": "two of the name 'a': name them apart",
    "stages: [{name: a, steps: [unit_test]}]": "'unit_test' is no step of a pipeline: did you mean unit_tests?",
    "stages: [{name: a, steps: [make_coffee]}]": "or its name in pipeline.commands",
    "stages: [{name: a, steps: [deploy_canary_0_percent]}]": "a canary has 1 to 99 percent; full_deployment gives it",
    "stages: [{name: a, steps: [deploy_canary_100_percent]}]": "a canary has 1 to 99 percent; full_deployment gives",
    "stages: [{name: a, steps: [deploy_canary_x_percent]}]": "did you mean deploy_canary_10_percent?",
    "stages: [{name: a, steps: [monitor_30]}]": "did you mean monitor_30_minutes?",
    "stages: [{name: a, steps: [monitor_0_minutes]}]": "a monitor of no time sees nothing",
    # commands
    "commands: [a]": "Expected `object`, got `array` (at pipeline.commands)",
    "commands: {a: [python, x.py]}": "Expected `str`, got `array` (at pipeline.commands",
    "commands: {a: }": "Expected `str`, got `null` (at pipeline.commands",
    "commands: {'a b': 'true'}": "names a step in letters, digits, - and _, not 'a b'",
    "commands: {a: 'echo \"'}": "pipeline.commands.a cannot be read as a command (no closing quotation)",
    "commands: {a: ' '}": "pipeline.commands.a is empty: write a command such as python -m pytest -q",
    "commands: {a: 'echo {verson}'}": "the placeholder {verson}, which is none: use {model}, {version}, {run}, {home}",
    "commands: {full_deployment: 'true'}": "pipeline.commands.full_deployment would stand in for a step that deploys",
    "commands: {monitor_5_minutes: 'true'}": "pipeline.commands.monitor_5_minutes would stand in for a step",
    "commands: {deploy_canary_5_percent: 'true'}": "would stand in for a step that deploys or measures: rename it",
    "stages: [{name: a, steps: [{run: ''}]}]": "a step's run is empty: write a command",
    'stages: [{name: a, steps: [{run: "echo \'"}]}]': "a step's run cannot be read as a command",
    "stages: [{name: a, steps: [{run: 'x {modl}'}]}]": "a step's run has the placeholder {modl}, which is none",
    "stages: [{name: a, steps: [{run: x, name: 'a b'}]}]": "a step's name is letters, digits, - and _, not 'a b'",
    # durations
    "timeout: 0s": "pipeline.timeout is more than 0s: write for instance 1h",
    "timeout: forever": "'forever' is not a duration such as 30s, 5m, 4h or 7d (at pipeline.timeout)",
    "stages: [{name: a, steps: [{run: x, timeout: 0s}]}]": "a step's timeout is more than 0s: write for instance 10m",
    "stages: [{name: a, steps: [{run: x, timeout: soon}]}]": "'soon' is not a duration",
    "rollback: {within: -1d}": "'-1d' is not a duration such as 30s, 5m, 4h or 7d (at pipeline.rollback.within)",
    # the order of things
    "stages: [{name: a, needs: [b], steps: [unit_tests]}]": "the stage a needs 'b', and before it there is none",
    "stages: [{name: a, needs: [a], steps: [unit_tests]}]": "the stage a needs 'a', and before it there is none",
    "stages: [{name: a, needs: b, steps: [unit_tests]}]": "(at pipeline.stages[0].needs)",
    "stages: [{name: a, steps: [monitor_1_minute]}]": "monitor_1_minute comes before anything is deployed",
    "stages: [{name: a, steps: [gradual_rollout]}]": "gradual_rollout comes before anything is deployed",
    "stages: [{name: a, steps: [rollback]}]": "rollback comes before anything is deployed",
    "stages: [{name: a, steps: [deploy_canary_9_percent, deploy_canary_5_percent]}]": "a rollout's shares grow",
    "stages: [{name: a, steps: [deploy_canary_9_percent, deploy_canary_9_percent]}]": "a rollout's shares grow",
    "stages: [{name: a, steps: [full_deployment, deploy_canary_9_percent]}]": "comes after full_deployment: nothing is",
    "stages: [{name: a, steps: [full_deployment, gradual_rollout]}]": "gradual_rollout comes after full_deployment",
    "stages: [{name: a, steps: [full_deployment, full_deployment]}]": "full_deployment (2) comes after full_deployment",
    "stages: [{name: a, steps: [full_deployment, rollback, monitor_1_hour]}]": "monitor_1_hour comes after rollback",
    # strategies and environments
    "stages: [{name: a, strategy: ab, steps: [deploy_canary_9_percent]}]": "a step of strategy canary, not of ab",
    "stages: [{name: a, strategy: canary, steps: [unit_tests]}]": "a has strategy canary and no step that deploys",
    "stages: [{name: a, strategy: canery, steps: [full_deployment]}]": "got 'canery' (at pipeline.stages[0].strategy)",
    "stages: [{name: a, environment: prod, steps: [unit_tests]}]": "one of dev, production, staging, got 'prod'",
    # the automatic rollback
    "rollback: automatic": "Expected `object`, got `str` (at pipeline.rollback)",
    "rollback: {automatic: maybe}": "Expected `bool`, got `str` (at pipeline.rollback.automatic)",
    "rollback: {triger: 'error_rate > 5%'}": "unknown key 'triger' (did you mean 'trigger'?)",
    "rollback: {trigger: error_rate}": "is no condition: write METRIC > NUMBER, such as error_rate > 5%",
    "rollback: {trigger: 'error_rate > much'}": "compares with much: write champion, usual, reference, ",
    "rollback: {trigger: 'eror_rate > 5%'}": "did you mean error_rate?",
    # the CI
    "ci: {python: latest}": "pipeline.ci.python is a version such as '3.11', not 'latest'",
    "ci: {python: 3.11}": "Expected `str`, got `float` (at pipeline.ci.python)",
    "ci: {secrets: ['PASSWORD=1234']}": "pipeline.ci.secrets are names such as DATABASE_PASSWORD, never values",
    "ci: {secrets: PASSWORD}": "Expected `array`, got `str` (at pipeline.ci.secrets)",
    "ci: {install: ''}": "pipeline.ci.install is a command and requirements a file: write install: 'true' for none",
    "ci: {requirements: ' '}": "pipeline.ci.install is a command and requirements a file",
    "ci: {runer: near}": "unknown key 'runer' (did you mean 'runner'?)",
}


@pytest.mark.parametrize("text", list(WRONG))
def test_what_is_written_wrongly_is_told_with_its_place(text: str) -> None:
    """One line, with the line in the file; a command's own words are never in it, a secret may be among them."""
    with pytest.raises(SettingsError, match=re.escape(WRONG[text])) as told:
        parse_settings(f"project: stay\npipeline: {{{text}}}")
    assert str(told.value).startswith("fairlead.yaml, line 2: ")
    assert "\n" not in told.value.line
    assert "1234" not in told.value.line


@pytest.mark.parametrize(
    "steps",
    [
        "full_deployment, monitor_1_hour",
        "full_deployment, monitor_1_hour, rollback",
        "deploy_canary_5_percent, monitor_1_minute, deploy_canary_20_percent, full_deployment",
        "deploy_canary_5_percent, rollback",
        "deploy_canary_5_percent, rollback, {run: 'true'}",
        "deploy_canary_5_percent, gradual_rollout, full_deployment, monitor_1_day",
    ],
)
def test_what_makes_sense_in_that_order_is_let_be(steps: str) -> None:
    """A release may be watched after its promotion, and taken back; a second stage may go another way."""
    text = f"{{stages: [{{name: a, steps: [{steps}]}}, {{name: hotfix, steps: [full_deployment]}}]}}"
    assert len(parse_settings(f"pipeline: {text}").pipeline.stages) == 2


def test_what_the_page_tells_people_to_copy_is_the_promised_pipeline() -> None:
    """Each example of docs/pipelines.md can be read; the first is the settings' page's pipeline, which goes end to end
    in tests/app/release/test_pipeline_page.py."""
    text = (TESTS.parent / "docs" / "pipelines.md").read_text()
    examples = [parse_settings(found) for found in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert len(examples) >= 2
    promised = load_settings(TESTS / "config" / "page.yaml", {"SLACK_WEBHOOK": "https://example.com/x"}).pipeline
    assert examples[0].pipeline.stages == promised.stages
    assert examples[0].pipeline.rollback == promised.rollback
