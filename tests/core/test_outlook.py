"""How soon a raised error rate would be told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs

from fairlead.config.grammar import guardrail
from fairlead.core.forecast import forecast
from fairlead.core.outlook import Traffic, lasting, outlooks, sights, told
from fairlead.core.rollout import Baseline, Evidence, FirstFailures, Plan, Rollout, ShadowPairs, ShadowPlan, Step
from fairlead.stats.sequential.sizing import requests_needed

Begin = Callable[..., Rollout]
RULES = (guardrail("error_rate <= 1.25 * champion"), guardrail("prediction_psi < 0.25"))
PLAN = Plan("canary", (Step(0.05), Step(0.5), Step(1.0)), RULES, edition=2)


def test_requests_and_minutes_until_each_risk_is_told() -> None:
    """They are those of the test that will tell it, at the plan's alpha; seconds are requests over the traffic."""
    found = sights(PLAN, 0.05, Traffic(20.0, 0.01))
    assert [one.risk for one in found] == [1.5, 2.0, 3.0]
    assert [one.requests for one in found] == [requests_needed(0.05, 0.01, risk, 0.005, 0.25) for risk in (1.5, 2, 3)]
    assert all(one.seconds == pytest.approx(one.requests / 20.0) for one in found)
    assert found[0].requests > found[1].requests > found[2].requests


def test_what_is_not_known_is_not_told() -> None:
    """No traffic: requests alone; no failure rate, no comparing guardrail, or no champion beside it: nothing."""
    assert all(one.seconds is None for one in sights(PLAN, 0.05, Traffic(None, 0.01)))
    assert sights(PLAN, 0.05, Traffic(20.0, None)) == ()
    assert sights(PLAN, 1.0, Traffic(20.0, 0.01)) == ()
    fixed = structs.replace(PLAN, guardrails=(guardrail("error_rate <= 2%"),))
    assert sights(fixed, 0.05, Traffic(20.0, 0.01)) == ()
    assert told(()) == ""


def test_what_the_guardrail_tolerates_is_never_told() -> None:
    """A bound of twice the champion's rate says nothing of 1.5x and 2x."""
    loose = structs.replace(PLAN, guardrails=(guardrail("error_rate <= 2 * champion"),))
    assert [one.risk for one in sights(loose, 0.05, Traffic(20.0, 0.01))] == [3.0]


def test_each_place_of_a_plan_has_its_own_outlook() -> None:
    """The shadow phase and every step with a champion beside it; the more traffic the sooner."""
    found = outlooks(structs.replace(PLAN, shadow=ShadowPlan(60.0, 100)), Traffic(20.0, 0.01))
    assert [one.place for one in found] == ["in shadow", "at 5 %", "at 50 %"]
    assert found[1].sights[0].requests > found[2].sights[0].requests


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(1.0, "1 second"), (99.0, "99 seconds"), (101.0, "2 minutes"), (5399.0, "90 minutes"), (7200.0, "2 hours"),
     (172_799.0, "48 hours"), (864_000.0, "10 days"), (1e12, "11574074 days")],
)  # fmt: skip
def test_a_time_is_told_in_one_unit(seconds: float, words: str) -> None:
    """Seconds, minutes, hours or days, whichever reads best."""
    assert lasting(seconds) == words


def test_before_the_first_request_the_champions_past_tells(begin: Begin) -> None:
    """At 20 requests a second and 1 % failures: minutes for this step, and for the one after it."""
    base = Baseline(20.0, (), (), champion_error_rate=0.01, champion_per_second=20.0)
    sentence = forecast(begin(edition=2, baseline=base), 1.0)[1]
    here, there = (told(sights(begin().plan, share, Traffic(20.0, 0.01))) for share in (0.05, 0.5))
    assert sentence == f"100 canary requests and 9 s to the next step; {here}; then at 50 % {there}"
    assert "to detect 1.5x errors at this traffic" in sentence


def test_the_traffic_seen_takes_the_place_of_the_past(begin: Begin) -> None:
    """10 canary requests a second at 5 % are 200 in all; the champion's own failures count, not those of before."""
    base = Baseline(20.0, (), (), champion_error_rate=0.5, champion_per_second=20.0)
    seen = Evidence({"champion": 1000, "canary": 50}, failures=(FirstFailures("error_rate", 0.05, 20, 0),))
    state = structs.replace(begin(edition=2, baseline=base), seen=seen, step_requests=50)
    sentence = forecast(state, 5.0)[1]
    assert told(sights(state.plan, 0.05, Traffic(200.0, 0.02))) in sentence
    assert sentence.startswith("about 5 s to the next step at 10 canary requests/s; about ")


def test_a_shadow_sees_each_request_twice(begin: Begin, shadow: ShadowPlan) -> None:
    """8 pairs a second are 16 answers at an even split; the first step's outlook follows."""
    base = Baseline(20.0, (), (), champion_error_rate=0.02)
    seen = Evidence(shadow=ShadowPairs(40))
    state = structs.replace(begin(edition=2, shadow=shadow, baseline=base), seen=seen, step_requests=40)
    sentence = forecast(state, 5.0)[1]
    assert told(sights(state.plan, 0.5, Traffic(16.0, 0.02))) in sentence
    assert f"then at 5 % {told(sights(state.plan, 0.05, Traffic(8.0, 0.02)))}" in sentence


def test_without_a_comparing_guardrail_only_the_time_is_told(begin: Begin) -> None:
    """There is nothing to detect that a guardrail would not look at."""
    state = begin(edition=2, rules=("prediction_psi < 0.25",))
    assert forecast(state, 4.0)[1] == "100 canary requests and 6 s to the next step"
