"""The default limits."""

from __future__ import annotations

import pytest

from fairlead.core.harm import HarmPolicy
from fairlead.core.thresholds import DEFAULTS, Threshold


@pytest.mark.parametrize(("value", "level"), [(None, "none"), (0.02, "none"), (0.021, "warning"), (0.06, "critical")])
def test_a_limit_is_exceeded_not_reached(value: float | None, level: str) -> None:
    """At the limit itself nothing is breached."""
    assert DEFAULTS["brier"].level(value) == level


def test_nan_breaches_nothing() -> None:
    """What is no number exceeds no limit."""
    assert Threshold(0.1, 0.2).level(float("nan")) == "none"


def test_drops_are_those_of_the_policy() -> None:
    """The table and the policy of harm speak of the same drops."""
    policy = HarmPolicy()
    assert (policy.warning_drop, policy.critical_drop) == (DEFAULTS["drop"].warning, DEFAULTS["drop"].critical)


def test_no_critical_limit_lies_below_its_warning() -> None:
    """Each pair rises."""
    assert all(one.warning <= one.critical for one in DEFAULTS.values())
