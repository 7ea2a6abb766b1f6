"""What the settings say of features that are looked up."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.app import looking
from fairlead.config.features import FeatureSettings
from fairlead.config.load import load_settings
from fairlead.core.lookup import LookupRules, Unavailable, Unknown
from fairlead.errors import SettingsError

LEAST = "models: {churn: {features: {repo: shop, service: churn, entity: customer_id%s}}}"


def read(folder: Path, more: str = "", text: str = LEAST) -> FeatureSettings:
    """The section of a settings file."""
    path = folder / "fairlead.yaml"
    path.write_text(text % more if "%s" in text else text)
    found = load_settings(path, {}, "").models["churn"].features
    assert found is not None
    return found


def test_the_least_that_is_said(tmp_path: Path) -> None:
    """Twenty milliseconds; what is not known or not there is not made up."""
    rules = read(tmp_path).rules
    assert rules == LookupRules("shop", ("customer_id",))
    assert (rules.timeout, rules.missing, rules.slow, rules.down) == (
        0.02, Unknown.REJECT, Unavailable.REFUSE, Unavailable.REFUSE,
    )  # fmt: skip
    assert (rules.override, rules.cache) == (False, 0.0)


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    """YAML's null is the policy of that name, as is the word."""
    more = ', timeout: 1s, missing: null, slow: "null", down: impute, override: true, cache: 1m, entries: 5'
    rules = read(tmp_path, more).rules
    assert rules == LookupRules(
        "shop", ("customer_id",), 1.0, Unknown.NULL, Unavailable.NULL, Unavailable.IMPUTE, True, 60.0, 5
    )
    text = "models: {churn: {features: {repo: shop, features: ['a:b', 'a:c'], entity: [customer_id, city]}}}"
    assert read(tmp_path, text=text).rules.entity == ("customer_id", "city")


@pytest.mark.parametrize(
    ("more", "what"),
    [
        (", features: ['a:b']", "write one of the two"),
        (", timeout: 0s", "features.timeout is what a request waits"),
        (", timeout: 1m", "features.timeout is what a request waits"),
        (", entries: 0", "features.entries is 0: write 1 to 1000000"),
        (", missing: refuse", "expected one of reject, impute, null, got 'refuse'"),
        (", slow: reject", "expected one of refuse, impute, null, got 'reject'"),
        (", timout: 1s", "unknown key 'timout' .did you mean 'timeout'"),
        (", source: tecton", "expected feast, got 'tecton'"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, more: str, what: str) -> None:
    """With its place in the file."""
    with pytest.raises(SettingsError, match=what):
        read(tmp_path, more)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("models: {churn: {features: {service: churn, entity: a}}}", "missing required field `repo`"),
        ("models: {churn: {features: {repo: shop, service: churn}}}", "missing required field `entity`"),
        ("models: {churn: {features: {repo: shop, service: churn, entity: []}}}", "features.entity names no field"),
        ("models: {churn: {features: {repo: shop, entity: a}}}", "write one of the two"),
        ("models: {churn: {features: {repo: shop, entity: a, features: [a]}}}", "has 'a': write VIEW:FEATURE"),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, text: str, what: str) -> None:
    """A repository, a key, and something to look up."""
    with pytest.raises(SettingsError, match=what):
        read(tmp_path, text=text)


def test_a_worker_is_told_the_same(tmp_path: Path) -> None:
    """On its command line; a repository is found from the working folder."""
    read(tmp_path, ", cache: 10s")
    settings = load_settings(tmp_path / "fairlead.yaml", {}, "")
    (option,) = looking.hand_down(settings)
    told = looking.read(option.removeprefix("--features="))
    assert told["churn"].repo == str(Path("shop").absolute())
    assert told["churn"].cache == 10.0
    assert looking.hand_down(load_settings(None, {}, "")) == []
