"""The JSON Schema for editors is the settings', and takes what they take."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft202012Validator, meta

from fairlead.config.load import parse_settings
from fairlead.config.schema import schema, text
from fairlead.errors import SettingsError

ROOT = Path(__file__).parent.parent.parent
VALIDATOR = Draft202012Validator(schema())


def faults(document: Any) -> list[str]:
    """What the schema has against a document."""
    return [error.message for error in VALIDATOR.iter_errors(document)]


def test_the_file_that_ships_is_the_settings() -> None:
    """Generated from code: `fairlead settings schema > src/fairlead/config/fairlead.schema.json` renews it."""
    assert resources.files("fairlead.config").joinpath("fairlead.schema.json").read_text() == text()


def test_it_is_a_schema() -> None:
    """Of JSON Schema 2020-12."""
    meta.validate(schema())
    assert schema()["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize("name", ["tests/config/page.yaml", "docs/settings.md"])
def test_what_loads_is_valid(name: str) -> None:
    """The promised page, and the whole example of the documentation."""
    found = (ROOT / name).read_text()
    block = re.search(r"```yaml\n(.*?)```", found, re.DOTALL)
    example = block.group(1) if block else found
    parse_settings(example, {"SLACK_WEBHOOK": "https://example.com"})
    assert faults(yaml.safe_load(example)) == []


WRONG = (
    "projet: a",
    "serving: {port: eighty}",
    "rollout: {strategy: canry}",
    "rollout: {steps: [{hold: 1h}]}",
    "rollout: {steps: [{traffic: 5 %%}]}",
    "rollout: {guardrails: [error_rate]}",
    "alerting: {channels: [{name: a, type: slak}]}",
    "alerting: {alerts: [{name: a, condition: error_rate}]}",
    "alerting: {alerts: [{name: a, condition: 5}]}",
    "alerting: {repeat_after: soon}",
    "alerting: {repeat_after: 7}",
    "models: {a: {labels: {delay: 7}}}",
    "models: {a: {labels: {delay: '7'}}}",
    "monitoring: {metrics: [{name: error_rate, alert_threshold: 1%}]}",
    "drift_detection: {tests: [{name: a, type: kz}]}",
    "retraining: {triggers: [{drift: true}]}",
    "pipeline: {stages: {name: a}}",
)


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_marked_red_does_not_load(wrong: str) -> None:
    """An editor shows what the program would refuse."""
    assert faults(yaml.safe_load(wrong))
    with pytest.raises(SettingsError):
        parse_settings(wrong)


@pytest.mark.parametrize(
    "right",
    ["alerting: {repeat_after: '${AGAIN:-7d}'}", "rollout: {alpha: '${ALPHA:-1%}'}", "rollout: {deadline: null}", "{}"],
)
def test_variables_may_stand_for_what_the_grammar_reads(right: str) -> None:
    """They are texts in the file, whatever they become."""
    parse_settings(right)
    assert faults(yaml.safe_load(right)) == []
