"""The gate's settings."""

from __future__ import annotations

import pytest

from fairlead.config.gates import EnvironmentGates, Gates
from fairlead.config.load import parse_settings
from fairlead.core.environment import ENVIRONMENTS
from fairlead.core.gate import CHECKS, GatePolicy
from fairlead.core.gate_sections import ASKED, chosen, section_of
from fairlead.errors import SettingsError


def test_the_defaults_are_the_policys() -> None:
    """Production asks for everything by the policy's own figures; each environment for its parts."""
    assert Gates().policy("production") == GatePolicy()
    for environment in ENVIRONMENTS:
        assert Gates().policy(environment).required == chosen(ASKED[environment])


def test_an_environment_asks_otherwise() -> None:
    """Its own key wins; what it leaves out is as everywhere."""
    text = """
gates:
  p99: 100ms
  bounds: {strange_share: 2%, compare_rows: 300}
  dev: {require: [data, latency_and_memory], p99: 1s, valid_for: 90d, bounds: {compare_rows: 50}}
  staging: {advise: [model]}
"""
    gates = parse_settings(text).gates
    dev, staging, production = (gates.policy(one) for one in ENVIRONMENTS)
    assert (dev.p99_ms, staging.p99_ms, production.p99_ms) == (1000.0, 100.0, 100.0)
    assert (dev.max_age_days, production.max_age_days) == (90.0, 30.0)
    assert (dev.compare_rows, dev.strange_share, production.compare_rows) == (50, 0.02, 300)
    data = {name for name in CHECKS if section_of(name) == "data"}
    assert {*dev.required} == {"digest_holds", "latency_and_memory", *data}
    assert not any(section_of(name) == "model" for name in staging.required)
    assert any(section_of(name) == "model" for name in production.required)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dev: {require: [modle]}", "gates.dev.require names 'modle', which is no check: did you mean model?"),
        ("dev: {require: [zzz]}", "write a check, or one of contents, data"),
        ("staging: {advise: [digest_hold]}", "did you mean digest_holds?"),
        ("production: {advise: [digest_holds]}", "gates.production.advise: digest_holds cannot be spared"),
        ("bounds: {strange_shares: 2%}", "gates.bounds.strange_shares is no bound: did you mean strange_share?"),
        ("bounds: {p99_ms: 20}", "gates.bounds.p99_ms is no bound"),
        ("dev: {bounds: {compare_rows: many}}", "gates.dev.bounds.compare_rows: expected `int`, got `str`"),
        ("dev: {bounds: {strange_share: 200%}}", "200%"),
        ("prod: {p99: 1s}", "unknown key 'prod'"),
        ("dev: {p99: fast}", "fast"),
    ],
)
def test_what_cannot_be_meant_is_told(text: str, said: str) -> None:
    """At the start, with the key and the nearest name; not in the middle of a release."""
    with pytest.raises(SettingsError) as caught:
        parse_settings(f"gates: {{{text}}}")
    assert said in caught.value.line


@pytest.mark.parametrize("word", ["prod", "Production", ""])
def test_a_home_serves_one_of_three_environments(word: str) -> None:
    """Production unless the settings say otherwise."""
    assert parse_settings("").environment == "production"
    assert parse_settings("environment: staging").environment == "staging"
    with pytest.raises(SettingsError, match="one of dev"):
        parse_settings(f"environment: '{word}'")


def test_the_digest_is_asked_for_whatever_the_settings_say() -> None:
    """An environment that requires nothing still serves what was registered."""
    assert Gates(dev=EnvironmentGates(require=())).policy("dev").required == ("digest_holds",)
