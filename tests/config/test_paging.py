"""How alerts become notices, as the settings say it: read, filled in, and refused where it would tell nobody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.config.load import parse_settings
from fairlead.config.paging import QuietHours
from fairlead.config.paging_plan import daily, paging_plan, quiet_hours
from fairlead.core.paging import Escalation, Inhibition, Outlet
from fairlead.errors import SettingsError

WHOLE = """
alerting:
  budget: {pages: 3, per: 7d, across: all}
  group_by: [alert]
  group_wait: 10s
  group_interval: 1m
  group_for: 2h
  storm: 9
  throttle: {notices: 4, per: 2h}
  inhibit: [{when: data-quality, mutes: "unmeasured:*"}]
  quiet_hours: [{from: "22:00", to: "07:00", zone: Europe/Lisbon, days: [mon, tue, wed, thu, fri]}]
  escalation: [{after: 15m, to: [boss]}, {after: 1h, to: [boss, here]}]
  dead_after: 2m
  dashboard: https://console.example.com
  channels:
    - {name: here, type: console, frequency: hourly}
    - {name: boss, type: apprise, urls: ["json://127.0.0.1:9"]}
    - {name: manager, type: alertmanager, url: "http://127.0.0.1:9093"}
    - {name: pager, type: pagerduty, routing_key: hush, changes: true}
"""


def test_everything_stated_reaches_the_outbox() -> None:
    """And what is left out has its default."""
    plan = paging_plan(parse_settings(WHOLE).alerting, [Outlet("here", ("low",))])
    assert (plan.group_by, plan.wait, plan.interval, plan.join, plan.storm) == (("alert",), 10.0, 60.0, 7_200.0, 9)
    assert (plan.throttle, plan.throttle_seconds, plan.dead_after) == (4, 7_200.0, 120.0)
    assert (plan.pages, plan.pages_seconds) == (3, 7 * 86_400.0)
    assert plan.inhibit[0] == Inhibition("data-quality", "unmeasured:*")
    assert plan.escalation == (Escalation(900.0, ("boss",)), Escalation(3_600.0, ("boss", "here")))
    assert plan.dashboard == "https://console.example.com"
    usual = paging_plan(parse_settings("project: x").alerting, [])
    assert (usual.group_by, usual.wait, usual.storm, usual.throttle, usual.pages) == (("model",), 30.0, 5, None, 1)
    own = paging_plan(parse_settings("alerting: {budget: {pages: 3}}").alerting, [])
    assert (own.pages, own.each, plan.each) == (3, True, False), "it is each model's, where nothing else is said"


def at(day: int, hour: int, minute: int = 0) -> float:
    """An instant of July 2026, UTC; the first is a Wednesday, and Lisbon is an hour ahead."""
    return datetime(2026, 7, day, hour, minute, tzinfo=UTC).timestamp()


def test_quiet_hours_are_those_of_their_zone() -> None:
    """Over midnight, on the days on which they begin; critical and high notices never wait."""
    quiet = quiet_hours(parse_settings(WHOLE).alerting)
    assert quiet(at(1, 21, 30), "low") == quiet(at(2, 5, 59), "medium") == at(2, 6)
    assert quiet(at(1, 20, 59), "low") is None
    assert quiet(at(2, 6), "low") is None
    assert quiet(at(1, 22), "high") is None
    assert quiet(at(4, 22), "low") is None, "a Saturday"
    assert quiet(at(4, 2), "low") == at(4, 6), "they began on Friday"


@given(
    st.floats(1.7e9, 1.9e9),
    st.tuples(st.integers(0, 1_439), st.integers(0, 1_439)).filter(lambda pair: pair[0] != pair[1]),
    st.sampled_from(["UTC", "Europe/Lisbon", "America/New_York", "Asia/Kathmandu"]),
)
def test_quiet_hours_always_end(now: float, minutes: tuple[int, int], zone: str) -> None:
    """Within a day and the hour of a changed clock, and then they are over or begin anew."""
    begins, ends = (f"{minute // 60:02}:{minute % 60:02}" for minute in minutes)
    hours = QuietHours(begins, ends, zone)
    end = hours.until(now)
    if end is not None:
        assert now < end <= now + 25 * 3_600.0
        assert (hours.until(end) or end) - end <= 25 * 3_600.0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("throttle: {notices: 0}", "notices: 10"),
        ("inhibit: [{when: '', mutes: x}]", "alerting.inhibit"),
        ("inhibit: [{when: x, mutes: '*'}]", "not \\*"),
        ("escalation: [{after: 15m, to: []}]", "and somebody"),
        ("escalation: [{after: 15m, to: [nobody]}]", "tells 'nobody', which is no channel: there is console"),
        ("escalation: [{after: 1h, to: [console]}, {after: 1m, to: [console]}]", "in order"),
        ("quiet_hours: [{from: '25:00', to: '07:00'}]", "'25:00' is no time of day"),
        ("quiet_hours: [{from: '22:7', to: '07:00'}]", "'22:7' is no time of day"),
        ("quiet_hours: [{from: '22:75', to: '07:00'}]", "'22:75' is no time of day"),
        ("quiet_hours: [{from: '7:00', to: '07:00'}]", "name two times"),
        ("quiet_hours: [{from: '22:00', to: '07:00', zone: Europe/Nowhere}]", "no time zone"),
        ("quiet_hours: [{from: '22:00', to: '07:00', zone: '../etc'}]", "no time zone"),
        ("quiet_hours: [{from: '22:00', to: '07:00', severities: [critical]}]", "not for critical"),
        ("quiet_hours: [{from: '22:00', to: '07:00', days: []}]", "no day"),
        ("quiet_hours: [{to: '07:00'}]", "from"),
        ("group_wait: 2h", "group_wait is 7200"),
        ("group_by: [feature]", "group_by"),
        ("storm: 0", "above 0"),
        ("dashboard: console", "alerting.dashboard"),
        ("channels: [{name: a, type: alertmanager}]", "has no url"),
        ("channels: [{name: a, type: apprise}]", "has no urls"),
        ("channels: [{name: a, type: console, urls: ['json://x']}]", "urls is for apprise"),
        ("channels: [{name: a, type: console, changes: true}]", "changes is for pagerduty"),
        ("channels: [{name: a, type: pagerduty, frequency: daily}]", "frequency is for"),
    ],
)
def test_what_would_tell_nobody_is_refused(text: str, said: str) -> None:
    """At the start, with the fix."""
    with pytest.raises(SettingsError, match=said):
        parse_settings(f"alerting: {{{text}}}")


@pytest.mark.parametrize(
    ("text", "pages", "per"), [("1/30d", 1, 30 * 86_400.0), ("4 / 12h", 4, 43_200.0), ("0/7d", 0, 7 * 86_400.0)]
)
def test_a_budget_may_be_written_as_a_rate(text: str, pages: int, per: float) -> None:
    """As the backtest takes it."""
    found = parse_settings(f"alerting: {{budget: {text}}}").alerting.budget
    assert found is not None
    assert (found.pages, found.per, found.across) == (pages, per, "model")


@pytest.mark.parametrize("text", ["1", "1/", "/30d", "one/30d", "1.5/30d", "1/soon", "-1/30d", "1/30d/2"])
def test_a_rate_that_is_none_is_refused(text: str) -> None:
    """With both spellings."""
    with pytest.raises(SettingsError, match="write 1/30d, or"):
        parse_settings(f"alerting: {{budget: '{text}'}}")


def channels(*types: str) -> dict[str, tuple[str, ...]]:
    """What each of some channels takes that state no severity."""
    keys = {
        "pagerduty": "routing_key: k",
        "slack": 'webhook: "https://hooks.slack.com/services/x"',
        "email": "recipients: [team@example.com]",
        "console": "",
    }
    text = ", ".join(f"{{name: {one}, type: {one}, {keys[one]}}}" for one in types)
    alerting = parse_settings(f"alerting: {{channels: [{text}]}}").alerting
    return {one.name: alerting.takes(one) for one in alerting.channels}


def test_a_channel_takes_what_its_type_is_for() -> None:
    """Critical calls somebody, high is read and mailed, medium read, low mailed; and nothing is told to nobody."""
    assert channels("pagerduty", "slack", "email") == {
        "pagerduty": ("critical",),
        "slack": ("critical", "high", "medium"),
        "email": ("high", "low"),
    }
    every = ("critical", "high", "medium", "low")
    assert channels("pagerduty") == {"pagerduty": every}
    assert channels("console", "pagerduty") == {"console": every, "pagerduty": ("critical",)}
    assert channels("slack", "pagerduty") == {"slack": every, "pagerduty": ("critical", "low")}


@given(st.lists(st.sampled_from(["pagerduty", "slack", "email", "console"]), min_size=1, max_size=4, unique=True))
def test_whatever_the_channels_each_severity_is_told_to_somebody(types: list[str]) -> None:
    """By default; what is stated is taken at its word."""
    taken = {severity for takes in channels(*types).values() for severity in takes}
    assert taken == {"critical", "high", "medium", "low"}


def test_mail_collects_what_nobody_hurries_for() -> None:
    """For the end of the day; not where the settings say what it takes, or how often."""
    mail = "name: post, type: email, recipients: [team@example.com]"
    for more, told in (("", ("low",)), (", frequency: hourly", ()), (", severity: [low]", ())):
        (channel,) = parse_settings(f"alerting: {{channels: [{{{mail}{more}}}]}}").alerting.channels
        assert daily(channel) == told


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("type: webhook", "without a url"),
        ("type: webhook, url: not an address", "url is no address"),
        ("type: alertmanager, url: 127.0.0.1", "url is no address"),
        ("type: pagerduty, url: nope", "url is no address"),
        ("type: slack, webhook: not a url", "webhook is no address"),
        ("type: apprise, urls: [foo]", "none of Apprise's"),
    ],
)
def test_an_address_that_is_none_is_refused_at_the_start(keys: str, said: str) -> None:
    """With the channel's name and without the address, which may be a secret."""
    with pytest.raises(SettingsError, match=said) as caught:
        parse_settings(f"alerting: {{channels: [{{name: team, {keys}}}]}}")
    assert "'team'" in caught.value.line
    assert "not a" not in caught.value.line


def test_incidents_are_escalated_to_channels() -> None:
    """A name that is none would tell nobody."""
    with pytest.raises(SettingsError, match=r"incidents\.escalate tells 'nope', which is no channel: there is console"):
        parse_settings("incidents: {escalate: [{after: 5m, to: [nope]}]}")
