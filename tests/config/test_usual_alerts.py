"""Levels in pairs, where an alert is over, and what a metric's bare name means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.alerting import AlertSettings
from fairlead.config.load import parse_settings
from fairlead.config.paging_plan import paging_plan
from fairlead.config.usual_alerts import USUAL
from fairlead.config.watchpoints import watchpoints
from fairlead.core.condition import Condition, Measured, evaluate
from fairlead.core.paging import Inhibition
from fairlead.core.verdict import Outcome
from fairlead.errors import SettingsError


@pytest.mark.parametrize("name", list(USUAL))
def test_a_metrics_name_has_usual_levels(name: str) -> None:
    """A warning and a graver one, of the metric itself."""
    found = AlertSettings(name)
    graver = found.parsed_critical
    assert graver is not None
    assert found.parsed.metric == graver.metric == name
    assert found.parsed.above is graver.above


def test_a_pair_is_two_alerts_of_which_the_graver_mutes_the_other() -> None:
    """Each with its severity, and the same words."""
    text = 'alerting: {alerts: [{name: errors, condition: "error_rate > 1%", critical: "error_rate > 5%", owner: ana}]}'
    settings = parse_settings(text)
    points = watchpoints(settings)
    assert [(one.key, one.severity, one.condition.factor) for one in points] == [
        ("errors", "medium", 0.01),
        ("errors:critical", "critical", 0.05),
    ]
    assert {one.owner for one in points} == {"ana"}
    assert Inhibition("errors:critical", "errors") in paging_plan(settings.alerting, []).inhibit


@pytest.mark.parametrize(
    ("value", "outcome"),
    [
        (0.051, Outcome.BREACHED),
        (0.049, Outcome.UNDECIDED),
        (0.021, Outcome.UNDECIDED),
        (0.02, Outcome.HOLDS),
        (0.0, Outcome.HOLDS),
    ],
)
def test_what_was_met_is_over_at_its_recovery_level(value: float, outcome: Outcome) -> None:
    """And between the two what stands goes on standing."""
    settings = parse_settings(
        'alerting: {alerts: [{name: errors, condition: "error_rate > 5%", recovery: "error_rate < 2%"}]}'
    )
    (point,) = watchpoints(settings)
    assert evaluate(point.condition, [Measured("error_rate", value)]).outcome is outcome


@given(st.floats(0.0, 1.0), st.floats(0.01, 0.5), st.floats(0.0, 1.0))
def test_a_value_is_in_one_of_three_states_in_order(value: float, bound: float, share: float) -> None:
    """Beyond the bound, between, or back: wherever the recovery level lies on the calm side."""
    over = bound * share * 0.99
    found = evaluate(Condition("x", "error_rate", ">", bound, over=over), [Measured("error_rate", value)]).outcome
    if value > bound:
        assert found is Outcome.BREACHED
    elif value < over - 1e-9:
        assert found is Outcome.HOLDS
    elif value > over + 1e-9:
        assert found is Outcome.UNDECIDED


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("name: errors", "no condition, and is no metric with usual levels: error_rate"),
        ('name: e, condition: "error_rate > 1%", critical: "volume > 5"', "not the graver level"),
        ('name: e, condition: "error_rate > 1%", critical: "error_rate < 5%"', "not the graver level"),
        ('name: e, condition: "error_rate > 5%", critical: "error_rate > 1%"', "is met before"),
        ('name: e, condition: "auroc < 0.7", critical: "auroc < 0.8"', "is met before"),
        ('name: e, condition: "error_rate > 5%", recovery: "error_rate < 6%"', "calm side"),
        ('name: e, condition: "error_rate > 5%", recovery: "error_rate > 1%"', "calm side"),
        ('name: e, condition: "auroc < 0.7", recovery: "auroc > 0.6"', "calm side"),
        ('name: e, condition: "p99_latency > 2 * champion", recovery: "p99_latency < 9ms"', "calm side"),
        ('name: e, condition: "error_rate > 5%", recovery: "volume < 1"', "is about volume"),
    ],
)
def test_levels_that_contradict_each_other_are_refused(keys: str, said: str) -> None:
    """At the start, with the fix."""
    with pytest.raises(SettingsError, match=said):
        parse_settings(f"alerting: {{alerts: [{{{keys}}}]}}")
