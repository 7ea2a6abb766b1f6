"""Which standing alerts are over because the settings no longer state what raised them."""

from __future__ import annotations

import pytest
from tests.flows.page_desk import MODEL, Desk

from fairlead.config.alert_names import of_settings, why_unstated
from fairlead.config.load import parse_settings
from fairlead.core.event import AlertRaised, Entry
from fairlead.flows.unstated import alarms_of_unstated

STATED = """
alerting: {alerts: [{name: errors, condition: "error_rate > 5%", severity: high, runbook: "https://example.com/e"}]}
monitoring: {metrics: [{name: p50_latency, alert_threshold: ">500ms"}]}
pipeline: {rollback: {trigger: "error_rate > 10%", automatic: false}}
drift_detection: {tests: [{name: price_drift, type: ks}]}
"""
GONE, ELSEWHERE = "no longer in the settings", f"the settings no longer aim it at {MODEL}"


@pytest.mark.parametrize(
    ("key", "text", "why"),
    [
        ("errors", STATED, ""),
        ("unmeasured:errors", STATED, ""),
        ("metric-p50_latency", STATED, ""),
        ("rollback-trigger:ro-1", STATED, ""),
        ("drift-tests", STATED, ""),
        ("p99_latency:high", STATED, ""),
        ("no-worker", STATED, ""),
        ("errors", "{}", GONE),
        ("unmeasured:errors", "{}", GONE),
        ("unmeasured:error_rate", "{}", GONE),
        ("metric-p50_latency", "{}", GONE),
        ("rollback-trigger:ro-1", STATED.replace("automatic: false", "automatic: true"), GONE),
        ("drift-tests", "{}", GONE),
        ("p99_latency:high", "alerting: {defaults: false}", GONE),
        ("no-worker", "alerting: {defaults: false}", GONE),
        ("errors", STATED.replace("severity: high", "models: [other]"), ELSEWHERE),
        ("errors:critical", STATED, GONE),
    ],
)
def test_why_an_alert_is_looked_at_no_more(key: str, text: str, why: str) -> None:
    """What is stated, stands in, or is looked at by default goes on; what was removed, switched off or aimed elsewhere
    says which."""
    assert of_settings(key)
    assert why_unstated(parse_settings(text), MODEL, key) == why


def raised(desk: Desk) -> list[Entry]:
    """The journal's facts of alerts."""
    return [entry for entry in desk.journal.read() if isinstance(entry.fact, AlertRaised)]


def test_an_alert_of_a_condition_is_ended_to_those_who_were_told() -> None:
    """Under its own name, severity, owner and page; an alert of a window of the same name as nothing in the settings is
    left alone, and so is one that the facts of another model speak of."""
    desk = Desk(STATED)
    desk.traffic(500, failed=100)
    desk.look()
    told = AlertRaised(MODEL, "harmful-drift", "critical", "Harm", "AUROC fell", "ana", "r.md", 5.0)
    old = AlertRaised(MODEL, "gone", "low", "Slow", "of an early release, without evidence", "ana", "docs/gone.md", 5.0)
    other = AlertRaised("taxi", "gone", "low", "Slow", "another model's", "ana", "r.md", 5.0)
    desk.journal.append([told, old, other], actor="respond", at=desk.clock.now())

    def over(text: str) -> list[tuple[str, str, str, str]]:
        settings = parse_settings(text)
        found = alarms_of_unstated(raised(desk), MODEL, lambda key: why_unstated(settings, MODEL, key), of_settings)
        return [(one.alert, one.severity, one.runbook, one.verdict.reason) for one in found]

    assert over(STATED) == [("gone", "low", "", GONE)]
    assert over("{}") == [("errors", "high", "https://example.com/e", GONE), ("gone", "low", "", GONE)]
