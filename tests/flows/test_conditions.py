"""Each alert and threshold of the promised settings fires when it is met, and only then."""

from __future__ import annotations

import pytest
from tests.flows.page_desk import Desk

from fairlead.core.event import AlertQuieted, AlertRaised, IncidentOpened
from fairlead.core.report import FeatureShift, MetricReading, Performance
from fairlead.flows.conditions import SILENT_SECONDS
from fairlead.testing.reports import window_report

MOVED = (
    FeatureShift("price", "critical", "psi", 0.5, 0.25, p_value=1e-6, psi=0.51),
    FeatureShift("age", "warning", "ks", 0.08, 0.1, p_value=0.002, psi=0.3),
    FeatureShift("plan", "none", "psi", 0.0, 0.25, p_value=0.03, psi=0.01),
    FeatureShift("__score__", "critical", "psi", 0.5, 0.25, p_value=1e-6, psi=0.6),
)


@pytest.fixture
def desk() -> Desk:
    """The page's settings at work."""
    return Desk()


def named(desk: Desk, alert: str) -> list[AlertRaised]:
    """The notices of one alert."""
    return [fact for fact in desk.facts(AlertRaised) if fact.alert == alert]


# -- the alerts of the page --------------------------------------------------------------------------------------------


def test_the_error_rate_alert_fires_above_five_per_cent(desk: Desk) -> None:
    """With its message, owner, runbook and figures, on the channels of its severity."""
    desk.traffic(500, failed=60)
    desk.look()
    (raised,) = named(desk, "high_error_rate")
    assert raised.title == "Error rate exceeded threshold"
    assert (raised.severity, raised.owner) == ("high", "serving")
    assert raised.runbook == "docs/runbooks/high-error-rate.md"
    assert raised.reason.startswith("error_rate is 12% (7.")
    assert "of 500), where 5% is the bound" in raised.reason
    assert "Error rate exceeded threshold" in [notice.title for notice in desk.sent("slack-alerts")]
    assert desk.sent("pagerduty") == []


@pytest.mark.parametrize(("requests", "failed"), [(500, 0), (2000, 40), (10, 1), (200, 14)])
def test_it_does_not_fire_below_or_by_chance(desk: Desk, requests: int, failed: int) -> None:
    """Not at 2 %, nor where ten or two hundred requests could be unlucky."""
    desk.traffic(requests, failed)
    desk.look()
    assert named(desk, "high_error_rate") == []


def test_it_is_told_once_and_is_over_when_it_has_recovered(desk: Desk) -> None:
    """While it stands nobody is told again and nothing is journalled; the end is a fact; the next is a new one."""
    for _ in range(5):
        desk.traffic(500, failed=100)
        desk.look()
    assert len(named(desk, "high_error_rate")) == 1
    assert [fact for fact in desk.facts(AlertQuieted) if not fact.recovered] == []
    desk.quiet()
    desk.traffic(500)
    desk.look()
    (over,) = [fact for fact in desk.facts(AlertQuieted) if fact.alert == "high_error_rate"]
    assert over.recovered
    assert "error_rate is 0%" in over.reason
    desk.quiet()
    desk.traffic(500, failed=100)
    desk.look()
    assert len(named(desk, "high_error_rate")) == 2


def test_near_the_bound_it_is_not_over(desk: Desk) -> None:
    """A standing alert ends a tenth below the bound, not at each crossing."""
    desk.traffic(2000, failed=200)
    desk.look()
    desk.quiet()
    desk.traffic(2000, failed=97)
    desk.look()
    assert [fact.alert for fact in desk.facts(AlertQuieted)] == []
    desk.quiet()
    desk.traffic(2000, failed=80)
    desk.look()
    assert [fact.alert for fact in desk.facts(AlertQuieted)] == ["high_error_rate"]


def test_silence_ends_no_alert(desk: Desk) -> None:
    """No request is no recovery."""
    desk.traffic(500, failed=100)
    desk.look()
    desk.quiet()
    desk.look()
    assert desk.facts(AlertQuieted) == []


def test_the_drift_alert_names_the_features(desk: Desk) -> None:
    """Those that are significant and moved by enough; one notice for all of them; the model's own score is none."""
    desk.window(window_report(drift=MOVED))
    desk.look()
    (raised,) = named(desk, "drift_detected")
    assert raised.title == "Data drift detected in price, age"
    assert raised.severity == "medium"
    assert "drift_p_value of price is 1e-06" in raised.reason
    assert raised.runbook == "docs/runbooks/drift_detected.md"


def test_a_p_value_alone_is_no_drift(desk: Desk) -> None:
    """Below 0.05 with a distance that does not count."""
    desk.window(window_report(drift=MOVED[2:3]))
    desk.look()
    assert named(desk, "drift_detected") == []
    (look,) = [look for look in desk.conditions.looks if look.point.key == "drift_detected"]
    assert look.judgement.outcome == "holds"
    assert "within chance, or too small to count" in look.judgement.reason


def test_the_latency_threshold_fires_above_half_a_second(desk: Desk) -> None:
    """`request_latency_p50: >500ms`, with its value in the title."""
    desk.traffic(300, ms=480.0)
    desk.look()
    assert named(desk, "metric-request_latency_p50") == []
    desk.quiet()
    desk.traffic(300, ms=700.0)
    desk.look()
    (raised,) = named(desk, "metric-request_latency_p50")
    assert raised.title.startswith("request_latency_p50 is 70")
    assert raised.title.endswith(" ms in hotel")


def test_the_error_threshold_fires_above_one_per_cent(desk: Desk) -> None:
    """`error_rate: >1%` is an alert of its own beside the other."""
    desk.traffic(2000, failed=60)
    desk.look()
    assert len(named(desk, "metric-error_rate")) == 1
    assert named(desk, "high_error_rate") == []
    other = Desk()
    other.traffic(2000, failed=10)
    other.look()
    assert named(other, "metric-error_rate") == []


def test_a_restart_tells_nothing_twice(desk: Desk) -> None:
    """The journal knows what stands."""
    desk.traffic(500, failed=100)
    desk.look()
    desk.start()
    desk.traffic(500, failed=100)
    assert desk.look() == []


# -- what cannot be measured -------------------------------------------------------------------------------------------


def test_what_cannot_be_measured_says_so_after_a_day(desk: Desk) -> None:
    """Not at once: a model begins without windows; then at low severity, with the reason; and it ends."""
    desk.traffic(100)
    assert desk.look() == []
    (look,) = [look for look in desk.conditions.looks if look.point.key == "drift_detected"]
    assert look.judgement.outcome == "unmeasured"
    assert "no window has closed yet" in look.judgement.reason
    desk.clock.advance(SILENT_SECONDS)
    desk.traffic(100)
    (notice,) = desk.look()
    assert (notice.alert, notice.severity) == ("unmeasured:drift_detected", "low")
    assert [sent.alert for sent in desk.sent("email-digest")] == ["unmeasured:drift_detected"]
    desk.window(window_report(drift=MOVED[2:3]))
    desk.look()
    assert [fact.alert for fact in desk.facts(AlertQuieted) if fact.recovered] == ["unmeasured:drift_detected"]


UNMEASURED = {
    "daily_cost > budget * 1.5": "errors have no price: set models.hotel.cost",
    "auroc < champion - 5%": "no window has matured labels yet",
    "token_usage > 1000": "send them to /v1/traces",
    "psi > 0.25": "no window has closed yet",
    "prediction_psi > 0.25": "no window has closed yet",
    "p99_latency > 1s": "no request was answered",
    "error_rate > 1%": "no request was answered in the last 5 minutes",
}


@pytest.mark.parametrize("text", list(UNMEASURED))
def test_nothing_is_quietly_false(text: str) -> None:
    """Each metric that has no value is unmeasured, and the reason says what is missing."""
    desk = Desk(f'alerting: {{alerts: [{{name: a, condition: "{text}"}}]}}')
    desk.look()
    (look,) = desk.conditions.looks
    assert look.judgement.outcome == "unmeasured"
    assert UNMEASURED[text] in look.judgement.reason


# -- other metrics -----------------------------------------------------------------------------------------------------

COST = """
models: {hotel: {cost: {false_positive: 5, false_negative: 200, budget: 1000}}}
alerting: {alerts: [{name: dear, condition: "daily_cost > budget * 1.5", message: "Errors cost {value} today"}]}
"""


def test_a_daily_cost_is_held_against_its_budget() -> None:
    """What wrong answers cost whose truth became known in the last day; not what is older."""
    desk = Desk(COST)
    now = desk.clock.now()
    for _ in range(7):
        desk.metrics.label(now - 3600.0, 1.0, 0.0)
    desk.metrics.label(now - 90_000.0, 1.0, 0.0)
    desk.look()
    assert named(desk, "dear") == []
    desk.metrics.label(now - 60.0, 1.0, 0.0)
    desk.look()
    (raised,) = named(desk, "dear")
    assert raised.title == "Errors cost 1600 today"
    assert raised.reason == "daily_cost is 1600 (of 8), where 1500 (budget 1000) is the bound"


def test_a_cost_without_a_budget_is_unmeasured() -> None:
    """There is nothing to compare with."""
    desk = Desk(COST.replace(", budget: 1000", ""))
    desk.metrics.label(desk.clock.now(), 1.0, 0.0)
    desk.look()
    assert "no budget to compare with is known" in desk.conditions.looks[0].judgement.reason


def performance(realised: float, low: float, high: float) -> Performance:
    """An AUROC that was 0.82 when the version was validated."""
    also = (MetricReading("accuracy", reference=0.85, realised=0.84),)
    return Performance("auroc", 0.82, 0.80, 0.84, 0.81, 0.79, 0.83, realised, low, high, 0.96, 2_310, also=also)


@pytest.mark.parametrize(
    ("realised", "fires"), [((0.76, 0.74, 0.78), True), ((0.78, 0.77, 0.79), False), ((0.76, 0.70, 0.83), False)]
)
def test_a_realised_metric_needs_effect_and_significance(realised: tuple[float, float, float], *, fires: bool) -> None:
    """More than five points below the champion's validation, with an interval that excludes it."""
    desk = Desk('alerting: {alerts: [{name: fell, condition: "auroc < champion - 5%"}]}')
    desk.window(window_report(performance=performance(*realised)))
    desk.look()
    assert bool(named(desk, "fell")) is fires


def test_a_comparison_with_the_champion_needs_another_version() -> None:
    """While only the champion answers there is nothing to compare, and that is no alert; a slower canary is one."""
    desk = Desk('alerting: {alerts: [{name: slow, condition: "p99_latency > 2 * champion"}]}')
    desk.traffic(500, ms=20.0)
    desk.look()
    (look,) = desk.conditions.looks
    assert look.judgement.outcome == "holds"
    assert "only the champion answers" in look.judgement.reason
    desk.traffic(500, ms=20.0)
    desk.traffic(500, version=2, ms=30.0)
    desk.look()
    assert named(desk, "slow") == []
    desk.traffic(1500, version=2, ms=90.0)
    desk.look()
    assert len(named(desk, "slow")) == 1


def test_shadows_and_second_answers_are_not_counted() -> None:
    """A shadow's failure harms nobody; a request that fell back was counted where it failed."""
    desk = Desk('alerting: {alerts: [{name: a, condition: "error_rate > 5%"}, {name: v, condition: "volume > 500"}]}')
    desk.traffic(400)
    desk.traffic(400, failed=400, version=2, arm="shadow")
    desk.traffic(400, version=1, arm="fallback")
    desk.look()
    assert desk.facts(AlertRaised) == []


def test_alerts_open_no_incident_of_their_own(desk: Desk) -> None:
    """A condition tells people; incidents come of harm and of rollbacks."""
    desk.traffic(500, failed=100)
    desk.window(window_report(drift=MOVED))
    desk.look()
    assert desk.facts(IncidentOpened) == []
