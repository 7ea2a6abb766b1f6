"""Settings that name an alert or a channel which there is not are refused, with the nearest that there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.alert_names import alert_names, called
from fairlead.config.load import load_settings, parse_settings
from fairlead.core import alarm
from fairlead.core.alarm import alarms_of
from fairlead.errors import SettingsError
from fairlead.testing.reports import benign_report, harmful_report, window_report

ALERTS = 'alerting:\n  alerts: [{name: errors, condition: "error_rate > 5%"}, {name: psi}]\n  '
STATED = """
alerting: {alerts: [{name: psi}, {name: errors, condition: "error_rate > 5%", models: [stay]}]}
monitoring: {metrics: [{name: p50_latency, alert_threshold: ">500ms"}]}
pipeline: {rollback: {trigger: "error_rate > 10%", automatic: false}}
"""


def test_every_alert_that_can_be_raised_may_be_named() -> None:
    """What the code raises of itself, what is stated, its graver level, what stands in, and what went unmeasured."""
    names = alert_names(parse_settings(STATED))
    runbooks_only = {alarm.METRIC, alarm.UNMEASURED}
    constants = {value for key, value in vars(alarm).items() if key.isupper() and isinstance(value, str)}
    raised = {
        one.alert for report in (window_report(0), harmful_report(1), benign_report(2)) for one in alarms_of(report)
    }
    for name in (constants - runbooks_only) | raised:
        assert called(name, names) or called(f"{name}:ro-7", names), name
    for name in (
        "psi:critical", "errors", "metric-p50_latency", "error_rate:high", "unmeasured:errors", "rollback-trigger:ro-1",
        "unmeasured:*", "data-*", "*-drift", "incident-unacknowledged:inc-1:*",
    ):  # fmt: skip
        assert called(name, names), name
    assert not called("p50_latency", names), "what is stated stands in its place"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("inhibit: [{when: eror, mutes: data-quality}]", "line 3: alerting.inhibit.*'eror', .*: did you mean errors"),
        ("inhibit: [{when: harmful-drift, mutes: psy}]", "'psy', as `mutes` says: did you mean psi"),
        ("inhibit: [{when: zzz, mutes: psi}]", "'zzz', as `when` says: there is harmful-drift, "),
        ("inhibit: [{when: 'zz*', mutes: psi}]", r"'zz\*', as `when` says"),
        ("inhibit: [{when: golden-set-failed, mutes: psi}]", r"write 'golden-set-failed:\*'"),
        ("escalation: [{after: 1m, to: [consle]}]", "no channel: did you mean console"),
        ("\nincidents: {escalate: [{after: 5m, to: [consle]}]}", "no channel: did you mean console"),
        (
            "\ndrift_detection: {actions: {on_drift_detected: [{alert: consle}]}}",
            "no type of one: did you mean console",
        ),
        ("\nretraining: {triggers: [{schedule: weekley}], command: a}", "write one of hourly, daily, weekly"),
    ],
)
def test_a_name_that_there_is_not_is_refused(text: str, said: str) -> None:
    """At the start, where it stands, with the fix: it would mute, tell or do nothing, and nobody would know."""
    with pytest.raises(SettingsError, match=said):
        parse_settings(ALERTS + text)


def test_a_name_is_looked_up_in_the_whole_file(tmp_path: Path) -> None:
    """Also one that only the environment's overlay states."""
    path = tmp_path / "fairlead.yaml"
    path.write_text("alerting: {inhibit: [{when: errors, mutes: psi}], alerts: [{name: psi}]}")
    with pytest.raises(SettingsError, match="'errors'"):
        load_settings(path, {})
    over = 'alerting: {alerts: [{name: psi}, {name: errors, condition: "error_rate > 5%"}]}'
    (tmp_path / "fairlead.dev.yaml").write_text(over)
    assert load_settings(path, {}, "dev").alerting.inhibit[0].when == "errors"


@given(st.text("abc:-", min_size=1, max_size=6), st.integers(0, 6))
def test_a_pattern_of_a_names_own_letters_means_it(name: str, cut: int) -> None:
    """However much of it is written before the star; and another name is not meant by it."""
    assert called(f"{name[:cut]}*", (name,))
    assert called(name, (name,))
    assert not called(f"{name}x", (name,)) or name.endswith(":*")
    assert called(f"{name}:ro-1", (f"{name}:*",))
