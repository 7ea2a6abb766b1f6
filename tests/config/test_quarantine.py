"""What the settings say of refused rows, and of versions that fail."""

from __future__ import annotations

import pytest

from fairlead.config.load import parse_settings
from fairlead.core.fallback import OnFailure
from fairlead.core.quarantine import QuarantineLimits
from fairlead.errors import SettingsError


def test_nothing_is_kept_unless_it_is_said() -> None:
    """Refused rows are the caller's own bytes."""
    assert parse_settings("").log.quarantine is None


def test_the_workers_share_what_may_be_kept() -> None:
    """An empty section has the defaults."""
    found = parse_settings("log: {quarantine: {keep: 2d, most: 10MB}}").log.quarantine
    assert found is not None
    assert found.share(4) == QuarantineLimits(172_800.0, 2_500_000)
    plain = parse_settings("log: {quarantine: {}}").log.quarantine
    assert plain is not None
    assert plain.share(2) == QuarantineLimits(604_800.0, 50_000_000)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("log: {quarantine: {keep: 5m}}", "less than an hour"),
        ("log: {quarantine: {most: 10kB}}", "less than 1MB"),
        ("log: {quarantine: {size: 10MB}}", "most"),
        ("models: {m: {on_failure: default}}", "on_failure: default needs one"),
        ("models: {m: {on_failure: canary}}", "canary"),
        ("models: {m: {contract: {default: {predicted: 1}}}}", "prediction"),
        ("models: {m: {contract: {default: {prediction: true}}}}", "default.prediction"),
    ],
)
def test_what_cannot_be_is_told_at_the_start(text: str, why: str) -> None:
    """With the key and what would do."""
    with pytest.raises(SettingsError) as caught:
        parse_settings(text)
    assert why in caught.value.line


def test_models_that_do_not_simply_fail_are_named() -> None:
    """All others answer with the error, and are not in the list."""
    text = """
models:
  a: {on_failure: champion}
  b: {on_failure: default, contract: {default: {prediction: 0}}}
  c: {}
"""
    assert parse_settings(text).on_failure() == {"a": OnFailure.CHAMPION, "b": OnFailure.DEFAULT}
