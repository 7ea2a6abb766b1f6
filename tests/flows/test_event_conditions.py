"""Business events in conditions: by name, over the last window whose events are in; unmeasured until there are any."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.flows.page_desk import Desk

from fairlead.config.load import parse_settings
from fairlead.core.event import AlertQuieted, AlertRaised
from fairlead.core.impact import ImpactReport, Measure, fact_of_impact, judge_impact
from fairlead.core.watched import METRICS, event_of
from fairlead.core.window_values import event_value
from fairlead.errors import SettingsError
from fairlead.flows.conditions import Look

LOW = 'alerting: {alerts: [{name: few, condition: "conversion < 2%", severity: high}]}'
MONEY = 'alerting: {alerts: [{name: poor, condition: "revenue per unit < 5"}]}'


def window(number: int, *measures: Measure, final: bool = True) -> ImpactReport:
    """What one hour's callers did."""
    starts = 3_600.0 * number
    bare = ImpactReport("hotel", f"w{number}", starts, starts + 3_600.0, starts + 7_200.0, 1_000, final=final)
    return judge_impact(bare, measures, {}, 0.01)


def share(name: str, hits: int, units: int) -> Measure:
    """Who logs 1, or nothing."""
    p = hits / units
    return Measure(name, p, units, sqrt(p * (1 - p) / units))


def looked(desk: Desk, *reports: ImpactReport) -> Look:
    """The first condition, after these windows."""
    desk.journal.append([fact_of_impact(one) for one in reports], actor="watch", at=desk.clock.now())
    desk.look()
    return desk.conditions.looks[0]


def test_an_event_below_its_bound_is_told_once_and_ends() -> None:
    """1.0 % of 2,000 units, where 2 % is the bound; the next windows tell nothing new, and then it is over."""
    desk = Desk(LOW)
    look = looked(desk, window(1, share("conversion", 20, 2_000)))
    assert look.judgement.outcome.value == "breached"
    assert look.judgement.reason == "conversion is 1% (0.567% to 1.76%, of 2,000), where 2% is the bound"
    looked(desk, window(2, share("conversion", 18, 2_000)))
    assert len(desk.facts(AlertRaised)) == 1
    looked(desk, window(3, share("conversion", 60, 2_000)))
    assert len(desk.facts(AlertQuieted)) == 1


def test_a_mean_of_money_has_its_interval() -> None:
    """`per unit` may be written; what may be chance is undecided."""
    desk = Desk(MONEY)
    look = looked(desk, window(1, Measure("revenue", 4.0, 400, 0.6)))
    assert look.judgement.outcome.value == "undecided"
    look = looked(desk, window(2, Measure("revenue", 3.0, 400, 0.6)))
    assert look.judgement.outcome.value == "breached"


@pytest.mark.parametrize(
    ("reports", "said"),
    [
        ((), "not enough data yet: no window has closed whose events have had their time"),
        ((window(1, share("conversion", 1, 1_000), final=False),), "not enough data yet: no window has closed"),
        ((window(1, share("clicks", 9, 1_000)),), "no event named conversion came yet; those that came: clicks"),
        ((window(1, share("conversion", 0, 40)),), "not enough data yet: window w1 has 40 units of 100"),
    ],
)
def test_what_is_not_known_yet_is_unmeasured_and_says_why(reports: tuple[ImpactReport, ...], said: str) -> None:
    """Never quietly within the bound."""
    look = looked(Desk(LOW), *reports)
    assert look.judgement.outcome.value == "unmeasured"
    assert said in look.judgement.reason


def test_a_unit_that_logs_nothing_is_measured() -> None:
    """Nobody of 1,000 converts: that is a share of 0, with its interval."""
    look = looked(Desk(LOW), window(1, share("conversion", 0, 1_000)))
    assert look.judgement.outcome.value == "breached"


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("eror_rate > 5%", "did you mean error_rate?"),
        ("vol < 1", "did you mean volume?"),
        ("conversion < 0.9 * champion", "write a number"),
        ("revenue > budget", "write a number"),
        ("€ < 5", "is not a metric that is watched"),
    ],
)
def test_what_is_no_event_is_refused_at_the_start(condition: str, said: str) -> None:
    """A slip of a metric, another version beside it, what can be no name."""
    text = f'alerting: {{alerts: [{{name: a, condition: "{condition}"}}]}}'
    with pytest.raises(SettingsError, match=r"line 1") as caught:
        parse_settings(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        'pipeline: {rollback: {trigger: "conversion < 2%"}}',
        'retraining: {triggers: [{performance: "conversion < 2%"}]}',
    ],
)
def test_events_take_back_no_version_and_train_none(text: str) -> None:
    """They are those of all versions together."""
    with pytest.raises(SettingsError, match="conversion"):
        parse_settings(text)


@given(st.text(max_size=80))
def test_any_text_is_an_event_or_none(name: str) -> None:
    """What is one is a plain name of at most 64 characters, and no metric of the table."""
    event = event_of(name)
    assert event == "" or (len(event) <= 64 and event not in METRICS and name.removesuffix(" per unit") == event)


def test_figures_of_an_earlier_fairlead_have_no_interval_and_are_not_guessed() -> None:
    """Their facts hold no spread."""
    found = event_value("revenue", "revenue", window(1, Measure("revenue", 4.0, 400)), 0.01)
    assert found.value is None
    assert "an earlier fairlead" in found.missing
