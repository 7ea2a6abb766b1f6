from __future__ import annotations

from collections.abc import Callable
from math import log

import pytest
from msgspec import structs

from fairlead.core.guard import Holds, failure_groups, threshold
from fairlead.core.guardrail import Finding, judge
from fairlead.core.rollout import (
    Baseline,
    Call,
    Evidence,
    FirstFailures,
    Guardrail,
    Phase,
    Rollout,
    ShadowPairs,
    ShadowPlan,
    Step,
    Units,
)

Begin = Callable[..., Rollout]
CELLS = (0.1,) * 10


def saw(rollout: Rollout, evidence: Evidence) -> Finding:
    """The finding of the only guardrail, after some evidence."""
    (finding,) = judge(structs.replace(rollout, seen=evidence))
    return finding


def answered(units: int, failed: int = 0) -> Evidence:
    """A canary that answered each of some units once."""
    return Evidence(requests={"canary": units}, errors={"canary": failed}, units={"version": Units(units, failed)})


def test_the_budget_is_shared_by_the_guardrails(begin: Begin) -> None:
    """Each of m guardrails alarms at ln(m / alpha)."""
    assert threshold(begin().plan) == pytest.approx(log(3 / 0.01))
    assert threshold(begin(rules=("error_rate <= 5%",)).plan) == pytest.approx(log(1 / 0.01))


def test_a_relative_error_rate_is_compared_with_the_champion_beside_it(begin: Begin) -> None:
    """Three times the champion's failures at even traffic break it, with both rates in the reading."""
    rollout = begin(rules=("error_rate <= 1.25 * champion",))
    seen = Evidence(
        requests={"champion": 1000, "canary": 1000},
        errors={"champion": 30, "canary": 90},
        failures=(FirstFailures("error_rate", 0.5, 30, 90),),
    )
    reading = saw(rollout, seen).reading
    assert (reading.call, reading.champion, reading.canary) == (Call.REGRESS, 0.03, 0.09)
    assert reading.log_e > reading.threshold_log_e
    assert "9 % of 1,000 canary requests failed; of the champion's 1,000 3 %" in reading.reason


def test_an_outage_on_both_arms_breaks_no_relative_error_rate(begin: Begin) -> None:
    """Half of all requests failing on both arms is no evidence against the version."""
    seen = Evidence(
        requests={"champion": 900, "canary": 100},
        errors={"champion": 450, "canary": 50},
        failures=(FirstFailures("error_rate", 0.1, 450, 50),),
    )
    assert saw(begin(rules=("error_rate <= 1.25 * champion",)), seen).reading.call is Call.SAFE


def test_an_absolute_error_rate_needs_no_champion(begin: Begin) -> None:
    """12 % failures break "at most 5 %", 5 % do not."""
    rollout = begin(rules=("error_rate <= 5%",))
    assert saw(rollout, answered(300, 36)).reading.call is Call.REGRESS
    assert saw(rollout, answered(300, 15)).reading.call is Call.SAFE


def test_half_way_to_broken_is_not_safe(begin: Begin) -> None:
    """Evidence of at least half the threshold holds the step until there is more."""
    finding = saw(begin(rules=("error_rate <= 5%",)), answered(100, 14))
    assert finding.reading.threshold_log_e / 2 <= finding.reading.log_e < finding.reading.threshold_log_e
    assert (finding.reading.call, finding.holds) == (Call.NOT_YET, Holds.UNTIL_MORE)
    assert finding.reading.reason.startswith("evidence is building")


def test_a_flip_of_all_traffic_is_compared_with_what_the_champion_did_before(begin: Begin) -> None:
    """Blue-green has no champion beside it: its failures are held against the champion's known rate."""
    rollout = begin(rules=("error_rate <= 1.25 * champion",), steps=(Step(1.0),))
    reading = saw(rollout, answered(60, 12)).reading
    assert reading.call is Call.REGRESS
    assert "allowed 1.25 %" in reading.reason


def test_an_unknown_rate_of_the_champion_is_assumed_and_said(begin: Begin) -> None:
    """Without the champion's rate a flip is held against 1 %, and the reading says so."""
    rollout = begin(
        rules=("error_rate <= 1.25 * champion",), steps=(Step(1.0),), baseline=Baseline(None, (0.5,), (0.5, 0.5))
    )
    assert "not known and taken as 1 %" in saw(rollout, answered(60)).reading.reason


def test_a_single_error_does_not_end_a_flip_after_a_spotless_champion(begin: Begin) -> None:
    """A champion that never failed still allows its successor one error in ten."""
    rollout = begin(
        rules=("error_rate <= 1.25 * champion",),
        steps=(Step(1.0),),
        baseline=Baseline(None, (0.5,), (0.5, 0.5), champion_error_rate=0.0),
    )
    assert saw(rollout, answered(10, 1)).reading.call is not Call.REGRESS


@pytest.mark.parametrize("steps", [(Step(0.1), Step(1.0)), (Step(1.0),)], ids=["canary", "a flip of all traffic"])
@pytest.mark.parametrize("rule", ["error_rate <= 5%", "p99_latency <= 50ms"])
def test_a_unit_that_retries_breaks_no_fixed_bound(begin: Begin, rule: str, steps: tuple[Step, ...]) -> None:
    """One failing (or slow) unit of 501 that retries eighty times is one of 501, and the figures say units."""
    seen = Evidence(
        requests={"champion": 5000, "canary": 580},
        errors={"canary": 80},
        slow={"canary": 80},
        units={"champion": Units(4000, 4, 4), "canary": Units(501, 1, 1), "version": Units(501, 1, 1)},
    )
    reading = saw(begin(rules=(rule,), steps=steps), seen).reading
    assert reading.call is Call.SAFE
    assert (reading.champion, reading.canary) == (0.001, 1 / 501)
    assert "0.2 % of the first answers to 501 units " in reading.reason
    assert "; of the champion's 4,000 0.1 %" in reading.reason


def test_a_fixed_bound_counts_a_unit_of_both_phases_once(begin: Begin, shadow: ShadowPlan) -> None:
    """The version's units are counted under either arm together, in shadow and after it."""
    unseen = begin(rules=("error_rate <= 5%",), shadow=shadow)
    seen = Evidence(requests={"shadow": 90, "canary": 90}, units={"version": Units(100, 30), "canary": Units(90, 30)})
    for rollout in (unseen, structs.replace(unseen, phase=Phase.CANARY)):
        reading = saw(rollout, seen).reading
        assert (reading.call, reading.canary) == (Call.REGRESS, 0.3)


def test_the_failures_of_the_shadow_phase_stay_in_the_evidence(begin: Begin, shadow: ShadowPlan) -> None:
    """In shadow the units that one version alone failed first count at a share of one half, also later on."""
    pairs = ShadowPairs(served_failed=4, shadow_failed=9)
    rollout = structs.replace(begin(shadow=shadow), seen=Evidence(errors={"champion": 40, "shadow": 90}, shadow=pairs))
    assert failure_groups(rollout, "error_rate") == [(0.5, 4, 9)]
    assert failure_groups(rollout, "p99_latency") == []
    canary = (FirstFailures("error_rate", 0.05, 16, 1),)
    later = structs.replace(rollout, phase=Phase.CANARY, seen=Evidence(failures=canary, shadow=pairs))
    assert sorted(failure_groups(later, "error_rate")) == [(0.05, 16, 1), (0.5, 4, 9)]


def test_retries_in_shadow_break_nothing(begin: Begin, shadow: ShadowPlan) -> None:
    """Sixty failures of one unit, all the shadow's, are one unit's: no evidence to speak of."""
    seen = Evidence(
        requests={"champion": 560, "shadow": 560}, errors={"shadow": 60}, shadow=ShadowPairs(500, shadow_failed=1)
    )
    rollout = begin(rules=("error_rate <= 1.25 * champion",), shadow=shadow)
    assert saw(rollout, seen).reading.call is Call.SAFE
    many = structs.replace(seen, shadow=ShadowPairs(500, shadow_failed=60))
    assert saw(rollout, many).reading.call is Call.REGRESS


def slow(champion: int, canary: int) -> Evidence:
    return Evidence(
        requests={"champion": 1000, "canary": 1000},
        slow={"champion": champion, "canary": canary},
        failures=(FirstFailures("p99_latency", 0.5, champion, canary),),
        units={"champion": Units(1000, 0, champion), "canary": Units(1000, 0, canary)},
    )


@pytest.mark.parametrize(
    ("champion", "canary", "call"),
    [(3, 60, Call.REGRESS), (60, 60, Call.SAFE), (0, 8, Call.SAFE)],
    ids=["the canary alone", "both arms", "slower within the limit"],
)
def test_latency_is_broken_when_only_the_canary_is_slow(begin: Begin, champion: int, canary: int, call: Call) -> None:
    """More than 1 % over the limit and more than the champion: both, or it is not broken."""
    assert saw(begin(rules=("p99_latency <= 2 * champion",)), slow(champion, canary)).reading.call is call


def test_an_absolute_latency_is_a_bound_on_the_share_of_slow_requests(begin: Begin) -> None:
    """Over its milliseconds in more than 1 % of requests: broken, whatever the champion does."""
    reading = saw(begin(rules=("p99_latency <= 50ms",)), slow(60, 60)).reading
    assert reading.call is Call.REGRESS
    assert "took over 50 ms" in reading.reason


def test_latency_is_not_measured_on_a_shadow(begin: Begin, shadow: ShadowPlan) -> None:
    """Nobody waits for a shadow: its latency is not judged, said so, and does not hold the phase."""
    finding = saw(begin(shadow=shadow, rules=("p99_latency <= 2 * champion",)), slow(0, 0))
    assert (finding.reading.call, finding.holds) == (Call.NOT_YET, Holds.NO)
    assert finding.reading.reason.startswith("unmeasured")


@pytest.mark.parametrize(
    ("rule", "baseline", "message"),
    [
        (Guardrail("conversion >= 0.1", "conversion", 0.1), None, "does not measure conversion"),
        (
            Guardrail("p99_latency <= 2 * champion", "p99_latency", 2.0, True),
            Baseline(None, (), ()),
            "p99 is not known",
        ),
        (Guardrail("prediction_psi < 0.25", "prediction_psi", 0.25), Baseline(None, (), ()), "0 expected ones"),
        (Guardrail("prediction_psi < 0", "prediction_psi", 0.0), None, "a number above 0"),
        (Guardrail("error_rate <= 0 * champion", "error_rate", 0.0, True), None, "nothing to test"),
    ],
)
def test_what_cannot_be_measured_says_so_and_holds(
    begin: Begin, rule: Guardrail, baseline: Baseline | None, message: str
) -> None:
    """A guardrail without a measurement is never silent and never safe: a person must decide."""
    rollout = begin(baseline=baseline, guardrails=(rule,))
    finding = saw(rollout, Evidence(requests={"champion": 100, "canary": 100}))
    assert (finding.reading.call, finding.holds) == (Call.NOT_YET, Holds.FOR_OPERATOR)
    assert finding.reading.reason.startswith("unmeasured")
    assert message in finding.reading.reason


def test_a_second_latency_guardrail_is_not_measured(begin: Begin) -> None:
    """Slow requests are counted once, for the first one; the second says so."""
    rollout = begin(rules=("p99_latency <= 2 * champion", "p99_latency <= 50ms"))
    second = judge(structs.replace(rollout, seen=slow(0, 90)))[1]
    assert "once, for p99_latency <= 2 * champion" in second.reading.reason
    assert second.holds is Holds.FOR_OPERATOR


@pytest.mark.parametrize("rule", ["error_rate <= 1.25 * champion", "error_rate <= 5%", "p99_latency <= 2 * champion"])
def test_no_request_is_unmeasured(begin: Begin, rule: str) -> None:
    """Zero traffic is not success: the reading waits for a request."""
    finding = saw(begin(rules=(rule,)), Evidence())
    assert (finding.reading.call, finding.holds) == (Call.NOT_YET, Holds.UNTIL_MORE)


def test_answers_without_a_score_are_unmeasured(begin: Begin) -> None:
    """A version that answers without scores cannot be judged by them: a person must decide."""
    finding = saw(begin(rules=("prediction_psi < 0.25",)), Evidence(requests={"canary": 100}))
    assert finding.holds is Holds.FOR_OPERATOR
    assert "no score in 100 answers" in finding.reading.reason


def scores(canary: tuple[int, ...], champion: tuple[int, ...]) -> Evidence:
    return Evidence(
        requests={"canary": sum(canary), "champion": sum(champion)}, scores={"canary": canary, "champion": champion}
    )


COLLAPSED = (0,) * 9 + (60,)
CALM = (100,) * 10


def test_collapsed_scores_regress_while_the_champions_hold(begin: Begin) -> None:
    """All scores in one cell, the champion's as before: broken, with both indices."""
    reading = saw(begin(rules=("prediction_psi < 0.25",)), scores(COLLAPSED, CALM)).reading
    assert reading.call is Call.REGRESS
    assert reading.canary is not None
    assert reading.canary > 1.5
    assert reading.champion == 0.0


def test_scores_that_moved_on_both_arms_are_the_traffics_doing(begin: Begin) -> None:
    """When the champion's scores left their cells too, the version is not to blame: held."""
    finding = saw(begin(rules=("prediction_psi < 0.25",)), scores(COLLAPSED, (0,) * 9 + (1000,)))
    assert (finding.reading.call, finding.holds) == (Call.NOT_YET, Holds.AT_ONCE)
    assert "the traffic changed, not the version" in finding.reading.reason


@pytest.mark.parametrize("champion", [(0,) * 9 + (8,), (2,) * 9 + (22,), ()], ids=["few", "moved", "none"])
def test_a_champion_with_few_scores_is_waited_for(begin: Begin, champion: tuple[int, ...]) -> None:
    """Before a version is blamed, the champion beside it has enough scores, and they did not move."""
    seen = Evidence(requests={"canary": 60, "champion": 60}, scores={"canary": COLLAPSED, "champion": champion})
    finding = saw(begin(rules=("prediction_psi < 0.25",), alpha=1e-16), seen)
    assert (finding.reading.call, finding.holds) == (Call.NOT_YET, Holds.UNTIL_MORE)
    assert "may have moved too" in finding.reading.reason


def test_a_champion_over_the_bound_with_enough_scores_holds_without_proof(begin: Begin) -> None:
    """Its measured index above the bound is enough to doubt that the version is to blame."""
    tilted = (10, 10, 10, 20, 20, 20, 25, 30, 40, 55)
    finding = saw(begin(rules=("prediction_psi < 0.25",)), scores(COLLAPSED, tilted))
    assert finding.champion_peak is not None
    assert finding.champion_peak < finding.reading.threshold_log_e / 2
    assert finding.holds is Holds.AT_ONCE


def test_a_champion_that_moved_once_is_remembered(begin: Begin) -> None:
    """Its largest evidence since the rollout began counts, not only what it shows now."""
    moved = structs.replace(begin(rules=("prediction_psi < 0.25",)), peaks={"prediction_psi < 0.25 (champion)": 20.0})
    assert saw(moved, scores(COLLAPSED, CALM)).holds is Holds.AT_ONCE


def test_a_champion_without_scores_of_its_own_clears_nobody(begin: Begin) -> None:
    """With no baseline for the champion's scores the version's own breach counts."""
    rollout = begin(rules=("prediction_psi < 0.25",), baseline=Baseline(None, (), CELLS))
    assert saw(rollout, scores(COLLAPSED, (0,) * 9 + (1000,))).reading.call is Call.REGRESS


def test_an_operators_waiver_lifts_the_hold_and_says_so(begin: Begin) -> None:
    """A waived guardrail still reports, and no longer holds."""
    rollout = begin(rules=("prediction_psi < 0.25",), baseline=Baseline(None, (), ()))
    finding = saw(structs.replace(rollout, waived=("prediction_psi < 0.25",)), Evidence(requests={"canary": 9}))
    assert (finding.reading.call, finding.holds) == (Call.NOT_YET, Holds.NO)
    assert finding.reading.reason.endswith("an operator went on without it")
