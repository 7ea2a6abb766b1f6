from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs

from fairlead.core.forecast import demands, forecast
from fairlead.core.rollout import Evidence, FirstFailures, Phase, Rollout, ShadowPlan, Step
from fairlead.stats.sequential.sizing import requests_needed

Begin = Callable[..., Rollout]


def test_the_longer_of_time_and_requests_is_forecast(begin: Begin) -> None:
    """At 4 requests/s, 60 missing ones take 15 s; at 20/s the rest of the hold takes longer."""
    assert forecast(structs.replace(begin(), step_requests=20), 5.0)[0] == pytest.approx(20.0)
    seconds, sentence = forecast(structs.replace(begin(), step_requests=100), 5.0)
    assert seconds == pytest.approx(5.0)
    assert sentence == "about 5 s to the next step at 20 canary requests/s"


def test_without_traffic_no_time_is_promised(begin: Begin) -> None:
    """No request yet: no number of seconds, only what is needed."""
    assert forecast(begin(), 4.0) == (None, "100 canary requests and 6 s to the next step")


def test_when_only_the_guardrails_decide_it_says_so(begin: Begin) -> None:
    """Time and requests reached: no more seconds to promise."""
    seconds, sentence = forecast(structs.replace(begin(), step_requests=400), 20.0)
    assert seconds is None
    assert sentence.startswith("time and requests are reached, the guardrails decide")


def test_the_champions_own_failures_tell_what_could_be_seen(begin: Begin) -> None:
    """With units that failed to compare, it says after how many canary requests a raised error rate shows."""
    for failed in (10, 20):
        requests = round(0.05 * requests_needed(0.05, failed / 1000, 3.0, 0.01 / 3, 0.25))
        seen = Evidence({"champion": 1000}, {"champion": 500}, {}, (FirstFailures("error_rate", 0.05, failed, 0),))
        sentence = forecast(structs.replace(begin(), step_requests=50, seen=seen), 5.0)[1]
        assert sentence.endswith(f"would detect 3x errors after about {requests} canary requests")


def test_a_rollout_that_is_over_or_held_has_no_forecast(begin: Begin) -> None:
    """Nothing to wait for, nothing to forecast."""
    for phase in (Phase.PROMOTED, Phase.ROLLED_BACK, Phase.HELD):
        assert forecast(structs.replace(begin(), phase=phase), 4.0) == (None, "")


def test_what_a_phase_asks_for(begin: Begin) -> None:
    """The plan's own numbers; at least one request, and a hundred for a flip that asks for none."""
    assert demands(begin()) == (10.0, 100)
    assert demands(begin(shadow=ShadowPlan(30.0, 0))) == (30.0, 1)
    assert demands(begin(steps=(Step(0.5), Step(1.0)))) == (0.0, 1)
    assert demands(begin(steps=(Step(1.0),))) == (0.0, 100)
    assert demands(begin(steps=(Step(1.0, 0.0, 20),))) == (0.0, 20)
