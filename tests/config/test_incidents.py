"""The settings of incidents: as decisions take them, and what is refused."""

from __future__ import annotations

import pytest

from fairlead.app.acting import stated_by
from fairlead.config.load import parse_settings
from fairlead.core.incident_terms import ACKNOWLEDGE, ACTIONS, AUDIENCES
from fairlead.errors import SettingsError


def test_left_out_all_is_as_the_documents_say() -> None:
    """Five minutes for a critical one; without asking a rollback and a retraining, which its gate guards."""
    found = parse_settings("{}").incidents
    assert found.handling.acknowledge == ACKNOWLEDGE
    assert found.audiences == AUDIENCES
    approvals = found.handling.approvals
    allowed = {one for one in ACTIONS if approvals.allows(one)}
    assert allowed == {"rollback", "retrain", "fix_data", "none"}


def test_what_is_stated_goes_before() -> None:
    """Clocks, bands and audiences, each over its default."""
    text = "{acknowledge: {high: 2m}, approve: {threshold: {low: .4, high: .6}}, tell: [{audience: users, within: 5m}]}"
    found = parse_settings(f"incidents: {text}").incidents
    assert (found.handling.acknowledge["high"], found.handling.acknowledge["low"]) == (120.0, 86_400.0)
    assert found.handling.approvals.threshold == (0.4, 0.6)
    assert next(one.within_seconds for one in found.audiences if one.name == "users") == 300.0
    assert next(one.within_seconds for one in found.audiences if one.name == "product") == 1800.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{approve: {threshold: {low: .6, high: .4}}}", "a band between 0 and 1"),
        ("{approve: {threshold: {low: 0, high: 1}}}", "a band between 0 and 1"),
        ("{tell: [{audience: press, within: 5m}]}", "'press'"),
        ("{tell: [{audience: users, within: 5m}, {audience: users, within: 6m}]}", "twice"),
        ("{acknowledge: {urgent: 5m}}", "urgent"),
        ("{approve: {reboot: true}}", "reboot"),
        ("{automatic: maybe}", "incidents.automatic"),
        ("{resolve_after: soon}", "soon"),
    ],
)
def test_what_is_no_setting_is_refused(text: str, said: str) -> None:
    """With the line and what was expected."""
    with pytest.raises(SettingsError, match=said):
        parse_settings(f"incidents: {text}")


def test_where_the_trouble_lies_that_a_stated_alert_speaks_of() -> None:
    """By the metric of its condition."""
    alerts = "".join(
        f"    - {{name: {name}, condition: '{condition}'}}\n"
        for name, condition in {
            "errors": "error_rate > 5%",
            "slow": "p99_latency > 2 s",
            "quiet": "volume < 10",
            "worse": "auroc < 0.7",
            "dear": "daily_cost > 5",
        }.items()
    )
    stated = stated_by(parse_settings(f"alerting:\n  alerts:\n{alerts}"))
    found = {name: stated(name) for name in ("errors", "slow", "quiet", "worse", "dear", "else")}
    assert found == {
        "errors": "integration",
        "slow": "infrastructure",
        "quiet": "data",
        "worse": "model",
        "dear": "business",
        "else": "",
    }
