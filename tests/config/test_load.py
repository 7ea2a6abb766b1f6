"""The settings file."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from fairlead.config.load import load_settings, parse_settings
from fairlead.core.cost import CostMatrix
from fairlead.core.split import By, Split
from fairlead.errors import SettingsError

FULL = """
project: churn
models:
  churn: {task: binary, unit: customer_id, owner: growth, labels: {delay: 7d}}
serving: {host: 127.0.0.1, port: 9000, workers: 3, durability: sync}
gates: {p99: 20ms, peak_memory: 512MB, against_champion: not_worse}
rollout:
  strategy: canary
  shadow: {for: 1h, at_least: 1000}
  steps: [{traffic: 1%, hold: 4h}, {traffic: 25%, hold: 24h, at_least: 500}, {traffic: 100%}]
  guardrails: ["error_rate <= 1.25 * champion", "prediction_psi < 0.25"]
  alpha: 1%
  deadline: 7d
monitoring: {window: month, lateness: 1d}
alerting:
  owner: ml-platform
  channels:
    - {name: hook, type: webhook, url: "${HOOK:-http://127.0.0.1:1/x}", severity: [critical]}
retraining: {command: "python train.py --data {dataset} --out {output}", rows: 5000, promote: gated}
"""


def test_a_full_file_is_read_with_its_units() -> None:
    """Durations, shares, sizes and guardrails become numbers in one unit each."""
    settings = parse_settings(FULL)
    assert float(settings.models["churn"].labels.delay) == 7 * 86400
    assert settings.gates.peak_memory == 512_000_000
    assert settings.gates.p99 == 0.02
    plan = settings.rollout.plan("shadow")
    assert [(step.traffic, step.hold_seconds, step.at_least) for step in plan.steps] == [
        (0.01, 14400.0, 0),
        (0.25, 86400.0, 500),
        (1.0, 0.0, 0),
    ]
    assert plan.shadow is not None
    assert plan.shadow.seconds == 3600
    assert [rail.metric for rail in plan.guardrails] == ["error_rate", "prediction_psi"]
    assert plan.alpha == 0.01
    assert settings.monitoring.window_seconds is None
    assert settings.alerting.channels[0].url.reveal() == "http://127.0.0.1:1/x"


def test_costs_become_a_matrix() -> None:
    """Per model, whole numbers or not; without them there is none."""
    settings = parse_settings("models: {a: {cost: {false_positive: 5, false_negative: 200.5}}, b: {task: binary}}")
    assert settings.models["a"].cost is not None
    assert settings.models["a"].cost.matrix == CostMatrix(5.0, 200.5)
    assert settings.models["b"].cost is None


def test_a_split_becomes_the_plans() -> None:
    """What is dealt is in the plan; a rolling rollout deals every request anew, whatever else is said."""
    text = "rollout: {split: {feature: country, within: [NZ], explore: 2%}}"
    settings = parse_settings(text).rollout
    said = Split(feature="country", within=("NZ",), explore=0.02)
    assert settings.plan().split == said
    rolling = settings.plan("rolling")
    assert rolling.split == replace(said, by=By.REQUEST)
    assert [step.traffic for step in rolling.steps] == [0.25, 0.5, 0.75, 1.0]


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    """Nothing has to be configured."""
    path = tmp_path / "fairlead.yaml"
    path.write_text("")
    assert load_settings(path, {}) == load_settings(None, {})


def test_the_environment_fills_variables() -> None:
    """`${NAME}` comes from the environment."""
    settings = parse_settings("project: ${TEAM}", {"TEAM": "pricing"})
    assert settings.project == "pricing"


def test_an_overlay_is_merged_over_the_file(tmp_path: Path) -> None:
    """`fairlead.production.yaml` changes only what it names."""
    path = tmp_path / "fairlead.yaml"
    path.write_text("serving: {port: 9000, workers: 3}\nproject: a\n")
    (tmp_path / "fairlead.production.yaml").write_text("serving: {port: 80}\n")
    settings = load_settings(path, {}, "production")
    assert (settings.serving.port, settings.serving.workers, settings.project) == (80, 3, "a")
    assert load_settings(path, {}, "dev").serving.port == 9000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("servin: {port: 1}", "line 1: unknown key 'servin' (did you mean 'serving'?)"),
        ("project: a\nserving:\n  prot: 1\n", "line 3: unknown key 'prot' (did you mean 'port'?)"),
        ("rollout:\n  steps:\n    - {traffic: 5%}\n    - {trafic: 9%}\n", "line 4: unknown key 'trafic'"),
        ("models:\n  churn:\n    labels: {dely: 7d}\n", "line 3: unknown key 'dely' (did you mean 'delay'?)"),
        ("serving: {port: eighty}", "Expected `int`, got `str` (at serving.port)"),
        ("serving: {durability: never}", "expected one of batch, sync, got 'never' (at serving.durability)"),
        ("rollout: {steps: [{traffic: 150%}]}", "'150%' is not a share"),
        ("rollout: {alpha: true}", "True is not a share"),
        ("monitoring: {lateness: soon}", "'soon' is not a duration"),
        ("monitoring: {window: fortnight}", "'fortnight' is not a duration"),
        ("gates: {peak_memory: 5 parsecs}", "is not a size"),
        ("rollout: {guardrails: ['error_rat <= 1']}", "did you mean error_rate?"),
        ("rollout: {guardrails: ['prediction_psi <= 2 * champion']}", "compared to a number"),
        ("rollout: {guardrails: ['p99_latency <= 200']}", "has no unit"),
        ("rollout: {guardrails: ['be nice']}", "is not a guardrail"),
        ("rollout: {steps: []}", "give at least {traffic: 100%}"),
        ("rollout: {steps: [{traffic: 0%}]}", "proves nothing"),
        ("rollout: {steps: [{traffic: 50%}, {traffic: 5%}]}", "must grow"),
        ("rollout: {shadow: {traffic: 0%}}", "write more than 0%"),
        ("rollout: {alpha: 0%}", "budget of false rollbacks"),
        ("rollout: {guardrails: ['p99_latency <= 2 * champion', 'p99_latency <= 9ms']}", "twice"),
        ("rollout: {split: {by: time}}", "needs the length of its blocks"),
        ("rollout: {split: {by: time, block: 1h}}", "by time is for strategy ab, or an experiment"),
        ("rollout: {split: {by: feature, feature: country}}", "by feature is for strategy ab, or an experiment"),
        ("rollout: {split: {by: week}}", "expected one of unit, request, feature, time, got 'week'"),
        ("rollout: {split: {within: [NZ]}}", "needs its name: write feature"),
        ("rollout: {split: {feature: country}}", "decides nothing"),
        ("rollout: {split: {explore: 100%}}", "less than 100%"),
        ("models: {a: {cost: {false_positive: -5}}}", "a finite number, not negative"),
        ("models: {a: {cost: {false_negative: .inf}}}", "a finite number, not negative"),
        ("models: {a: {cost: {}}}", "names no error above 0"),
        ("models: {a: {contract: {features: {age: {minimun: 0}}}}}", "did you mean 'minimum'?"),
        (
            "models: {a: {contract: {rules: [{text: x, policy: maybe}]}}}",
            "expected one of reject, impute, warn, fallback, got 'maybe'",
        ),
        ("models: {a: {cost: {false_negative: dear}}}", "Expected `float`, got `str` (at models"),
        ("models:\n  a:\n    cost: {false_negativ: 5}\n", "line 3: unknown key 'false_negativ' (did you mean"),
        ("models: {a: {task: regression, cost: {false_positive: 5}}}", "which a regression model does not give"),
        ("log: {retention: 3h}", "at least 1d"),
        ("log: {segments: 5m}", "at least 1h"),
        ("log: {compact_every: 0s}", "at least 1s"),
        ("log: {sampling: {after: 1h}}", "at least 1d"),
        ("log: {sampling: {rest: 120%}}", "'120%' is not a share"),
        (
            "log:\n  sampling: {rest: 120%}\n",
            "line 2: '120%' is not a share: write 0% to 100%, or 0 to 1 (at log.sampling.rest)",
        ),
        ("log: {retension: 3d}", "did you mean 'retention'?"),
        ("rollout: [1, 2]", "Expected `object`, got `array`"),
        ("- a\n- b\n", "expected keys and values, found a list"),
        ("a: [1", "this is not YAML"),
        ("project: ${NOBODY_SET_THIS}", "the environment has no NOBODY_SET_THIS"),
    ],
)
def test_a_wrong_setting_is_told_in_one_line(text: str, said: str) -> None:
    """Every error names the place, what was expected, and the nearest known key."""
    with pytest.raises(SettingsError) as caught:
        parse_settings(text)
    assert said in str(caught.value)
    assert "\n" not in caught.value.line


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    """A path that is not there is an error, not the defaults."""
    with pytest.raises(SettingsError, match="there is no such file"):
        load_settings(tmp_path / "nothing.yaml", {})


def test_the_documented_example_is_read() -> None:
    """Every key of docs/settings.md exists, with the meaning of its unit."""
    page = (Path(__file__).parents[2] / "docs" / "settings.md").read_text()
    settings = parse_settings(page.split("```yaml\n")[1].split("```")[0])
    assert settings.models["churn"].segments == ("region",)
    assert settings.rollout.plan().deadline_seconds == 7 * 86400
    assert settings.monitoring.window_seconds == 7 * 86400
    assert settings.retraining.command.startswith("python train.py")
