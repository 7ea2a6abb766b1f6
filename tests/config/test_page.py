"""The settings file that the interfaces promise loads as it is, and says what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from fairlead.config.load import load_settings, parse_settings
from fairlead.config.settings import Settings
from fairlead.config.watchpoints import rollback_watchpoint, watchpoints
from fairlead.errors import SettingsError

PAGE = Path(__file__).parent / "page.yaml"
ENVIRON = {"SLACK_WEBHOOK": "https://hooks.slack.com/services/T0/B0/s3cret"}


@pytest.fixture
def page() -> Settings:
    """The page's settings."""
    return load_settings(PAGE, ENVIRON)


def test_the_page_loads_as_it_is(page: Settings) -> None:
    """Every section says what it says on the page."""
    assert page.project == "churn"
    assert page.rollout.shadow is not None
    assert [bound.rule.metric for bound in page.rollout.guardrails][-1] == "conversion"
    assert [(one.name, one.type, one.alert_threshold) for one in page.monitoring.metrics] == [
        ("request_latency_p50", "histogram", ">500ms"),
        ("error_rate", "counter", ">1%"),
    ]
    assert page.pipeline.stages[1].steps[0] == "deploy_canary_10_percent"
    assert page.pipeline.stages[1].strategy == "canary"
    assert page.pipeline.rollback.automatic
    assert page.retraining.promote == "gated"


def test_its_alerts_are_conditions_with_owner_and_runbook(page: Settings) -> None:
    """Shares are shares, milliseconds milliseconds."""
    found = {point.key: point for point in watchpoints(page)}
    assert list(found) == ["high_error_rate", "drift_detected", "metric-request_latency_p50", "metric-error_rate"]
    errors = found["high_error_rate"]
    assert (errors.condition.metric, errors.condition.operator, errors.condition.factor) == ("error_rate", ">", 0.05)
    assert (errors.severity, errors.owner, errors.runbook) == ("high", "serving", "high-error-rate")
    assert found["metric-request_latency_p50"].condition.factor == 500.0
    assert found["metric-error_rate"].condition.factor == 0.01
    trigger = rollback_watchpoint(page)
    assert trigger is not None
    assert trigger.condition.text == "error_rate > 5%"


def test_its_drift_tests_know_their_columns_and_actions(page: Settings) -> None:
    """A test's name says its column; an action's channel may be a type."""
    drift = page.drift_detection
    assert [(test.type, test.tested, test.threshold) for test in drift.tests] == [
        ("ks", ("response_length",), 0.05),
        ("chi_squared", ("category",), 0.05),
    ]
    assert (drift.test_window.size_seconds, drift.test_window.slide_seconds) == (7 * 86_400.0, 86_400.0)
    actions = drift.actions.on_drift_detected
    assert [(one.alert, one.log, one.investigate) for one in actions] == [
        ("slack", "", ""),
        ("", "drift_events", ""),
        ("", "", "manual"),
    ]
    assert page.alerting.channels_called("slack") == ("slack-alerts",)


def test_its_channels_and_budget(page: Settings) -> None:
    """One page in 30 days; each channel with its severities."""
    assert page.alerting.budget is not None
    assert (page.alerting.budget.pages, float(page.alerting.budget.per)) == (1, 30 * 86_400.0)
    assert [(one.type, one.severity) for one in page.alerting.channels] == [
        ("pagerduty", ("critical",)),
        ("slack", ("critical", "high", "medium")),
        ("email", ("low",)),
    ]
    assert page.alerting.channels[2].frequency == "daily"


def test_its_triggers_are_four_reasons_to_train(page: Settings) -> None:
    """A schedule, drift of two features, a fall against the champion, a fifth more labelled rows."""
    weekly, drift, performance, volume = [one.trigger for one in page.retraining.triggers]
    assert weekly.schedule is not None
    assert weekly.schedule.weekdays == (1,)
    assert drift.drift is not None
    assert (drift.drift.metric, drift.drift.factor, drift.features) == ("psi", 0.25, 2)
    assert performance.performance is not None
    assert (performance.performance.of, performance.performance.offset) == ("champion", -0.05)
    assert volume.volume == 0.2


def test_no_secret_is_in_what_settings_show(page: Settings) -> None:
    """A webhook's address is its password; so are keys and passwords of mail servers."""
    text = """
alerting:
  channels:
    - {name: p, type: pagerduty, routing_key: hush1}
    - {name: h, type: webhook, url: "https://example.com/hush2"}
    - {name: m, type: email, recipients: [a@b.c], smtp: {security: tls, username: ana, password: hush3}}
"""
    assert "hush" not in repr(parse_settings(text))
    assert "s3cret" not in repr(page)


def test_a_variable_that_is_not_set_is_named() -> None:
    """The page needs one."""
    with pytest.raises(SettingsError, match=r"page.yaml, line 30: the environment has no SLACK_WEBHOOK"):
        load_settings(PAGE, {})


WRONG = {
    'alerting: {alerts: [{name: a, condition: "error_rat > 5%"}]}': r"line 1: 'error_rat' .*did you mean error_rate\?",
    "alerting: {alerts: [{name: a, condition: error_rate}]}": "line 1: 'error_rate' is no condition",
    'alerting: {alerts: [{name: "a:b", condition: "error_rate > 5%"}]}': "line 1: 'a:b' cannot name an alert",
    'alerting: {alerts: [{name: a, condition: "error_rate > budget"}]}': "only daily_cost has a budget",
    'alerting: {alerts: [{name: a, condition: "volume > yesterday"}]}': "compares with yesterday",
    'alerting:\n  alerts:\n    - {name: a, condition: "volume < 1"}\n    - {name: a, condition: "volume < 2"}': (
        "line 1: alerting.alerts has two of the name 'a'"
    ),
    'alerting:\n  alerts:\n    - {name: b, condition: "volume < 1", message: "{x}"}': "line 3: the message holds {x}",
    'alerting: {alerts: [{name: a, condition: "volume < 1", message: "}"}]}': "has a brace too many",
    'alerting: {alerts: [{name: a, condition: "volume < 1", sevrity: low}]}': "'sevrity' .did you mean 'severity'",
    "alerting: {budget: {pages: -1}}": r"write \{pages: 1, per: 30d\}",
    "alerting: {window: 5s}": "write 1m to 1d",
    "alerting: {channels: [{name: a, type: slack}]}": "has no webhook",
    "alerting: {channels: [{name: a, type: slack, webhook: 7}]}": "line 1: a int is not a text",
    "alerting: {channels: [{name: a, type: email}]}": "mails nobody",
    "alerting: {channels: [{name: a, type: email, recipients: [team]}]}": "'team' is no mail address",
    'alerting: {channels: [{name: a, type: email, recipients: ["a@b\\nBcc: c@d"]}]}': "is no mail address",
    "alerting: {channels: [{name: a, type: email, recipients: [a@b], smtp: {password: x}}]}": "travel unencrypted",
    "alerting: {channels: [{name: a, type: email, recipients: [a@b], smtp: {port: 0}}]}": "write 1 to 65535",
    "alerting: {channels: [{name: a, type: console, recipients: [a@b]}]}": "recipients is for email",
    "alerting: {channels: [{name: a, type: console, severity: []}]}": "takes no severity",
    "alerting: {channels: [{name: a, type: console}, {name: a, type: console}]}": "two of the name 'a'",
    'monitoring: {metrics: [{name: eror_rate, alert_threshold: ">1%"}]}': "did you mean error_rate",
    'monitoring: {metrics: [{name: error_rate, alert_threshold: "> much"}]}': "compares with much",
    'monitoring: {metrics: [{name: error_rate, alert_threshold: "volume > 1"}]}': "leave the name out",
    "monitoring: {metrics: [{name: error_rate}, {name: error_rate}]}": "names error_rate twice",
    "drift_detection: {tests: [{name: a_drift, type: kz}]}": "expected one of .*ks.*got 'kz'",
    "drift_detection: {tests: [{name: a_drift, type: ks, threshold: 5}]}": "lies between 0 and 1",
    "drift_detection: {tests: [{name: a_drift, type: ks, effect: -1}]}": "is a distance",
    "drift_detection: {tests: [{name: a, type: ks}, {name: a, type: ks}]}": "two of the name 'a'",
    "drift_detection: {test_window: {size_days: 1, slide_days: 2}}": "slide_days not more than size_days",
    "drift_detection: {actions: {on_drift_detected: [{alert: pager}]}}": "no channel's name",
    "drift_detection: {actions: {on_drift_detected: [{alert: console, log: x}]}}": "a drift action is one of",
    'drift_detection: {actions: {on_drift_detected: [{log: "../x"}]}}': "cannot name a log",
    "retraining: {triggers: [{schedule: weekley}]}": "'weekley' is not a schedule",
    'retraining: {triggers: [{schedule: "0 0 31 2 *"}]}': "is never",
    'retraining: {triggers: [{schedule: "61 0 * * *"}]}': "a minute is 0 to 59",
    "retraining: {triggers: [{}]}": "a trigger is one of",
    "retraining: {triggers: [{schedule: daily, volume: 5%}]}": "a trigger is one of",
    'retraining: {triggers: [{drift: "auroc < 1"}]}': "a drift trigger compares psi or drift_p_value",
    "retraining: {triggers: [{schedule: daily, features: 2}]}": "write it beside `drift`",
    "retraining: {triggers: [{volume: 0%}]}": "would train all the time",
    "pipeline: {stages: [{name: a}]}": "has a name and steps",
    "pipeline: {stages: [{name: a, steps: [x]}, {name: a, steps: [y]}]}": "two of the name 'a'",
    'pipeline: {rollback: {trigger: "eror_rate > 5%"}}': "did you mean error_rate",
    "models: {a: {cost: {false_positive: 1, budget: 0}}}": "write a number above 0",
}


@pytest.mark.parametrize("text", list(WRONG))
def test_what_is_wrong_is_told_with_its_place(text: str) -> None:
    """The line, what was expected, the nearest known word; one line of text."""
    with pytest.raises(SettingsError, match=WRONG[text]) as caught:
        parse_settings(text)
    assert "fairlead.yaml, line " in str(caught.value)
    assert "\n" not in caught.value.line


def test_the_line_is_that_of_the_item() -> None:
    """Not of the first one in the list."""
    text = 'alerting:\n  alerts:\n    - {name: a, condition: "volume < 1"}\n    - {name: b, condition: "vol < 1"}\n'
    with pytest.raises(SettingsError, match=r"line 4: 'vol' .*alerting.alerts\[1\].condition"):
        parse_settings(text)
