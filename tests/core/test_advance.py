from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from scipy.stats import binom

from fairlead.config.grammar import guardrail
from fairlead.core.advance import advance, apply_operator
from fairlead.core.event import canonical
from fairlead.core.evidence import merge
from fairlead.core.rollout import (
    Baseline,
    Call,
    Decision,
    Evidence,
    FirstFailures,
    Phase,
    Plan,
    Rollout,
    ShadowPairs,
    ShadowPlan,
    Step,
    Units,
    share_of,
    start,
)
from fairlead.errors import Refused

Begin = Callable[..., Rollout]
Traffic = Callable[..., Evidence]
CELLS = (0.1,) * 10
HIGH = (0.0,) * 9 + (1.0,)


def drive(rollout: Rollout, traffic: Traffic, seconds: float = 100.0, **kind: object) -> tuple[Rollout, list[Decision]]:
    """A look a second until the rollout is over or held, or the time is."""
    decisions = []
    now = rollout.phase_at
    while now < seconds and rollout.phase in (Phase.SHADOW, Phase.CANARY):
        now += 1.0
        rollout, decision = advance(rollout, traffic(rollout, **kind), now)
        decisions.append(decision)
    return rollout, decisions


def test_a_good_version_earns_its_traffic_step_by_step(begin: Begin, traffic: Traffic, shadow: ShadowPlan) -> None:
    """Unseen, then 5 %, then 50 %, then all: each after its time and its requests."""
    rollout, decisions = drive(begin(shadow=shadow), traffic)
    assert rollout.phase is Phase.PROMOTED
    shares = [decision.share for decision in decisions]
    assert sorted(set(shares)) == [0.0, 0.05, 0.5, 1.0]
    assert shares == sorted(shares)
    moves = [decision for decision in decisions if decision.call is Call.SAFE]
    assert [move.after for move in moves] == [Phase.CANARY, Phase.CANARY, Phase.PROMOTED]
    assert all(later.at - earlier.at >= 10 for earlier, later in pairwise(moves))


def test_three_times_the_errors_are_rolled_back_at_once_by_name(begin: Begin, traffic: Traffic) -> None:
    """12 % against 4 %: back to the champion within a few hundred canary requests, the guardrail named."""
    rollout, decisions = drive(begin(), traffic, errors=(0.04, 0.12))
    last = decisions[-1]
    assert (rollout.phase, last.call, last.share) == (Phase.ROLLED_BACK, Call.REGRESS, 0.0)
    assert last.guardrail == "error_rate <= 1.25 * champion"
    assert last.requests["canary"] < 800


def test_collapsed_scores_are_rolled_back_within_tens_of_canary_requests(begin: Begin, traffic: Traffic) -> None:
    """All scores in one cell at a 5 % share: found within 40 canary requests."""
    rollout, decisions = drive(begin(), traffic, cells=HIGH)
    assert rollout.phase is Phase.ROLLED_BACK
    assert decisions[-1].guardrail == "prediction_psi < 0.25"
    assert decisions[-1].requests["canary"] <= 40


def test_a_slow_version_is_rolled_back(begin: Begin, traffic: Traffic) -> None:
    """A tenth of its requests over twice the champion's p99: rolled back by the latency guardrail."""
    rollout, decisions = drive(begin(), traffic, slow=(0.001, 0.1))
    assert rollout.phase is Phase.ROLLED_BACK
    assert decisions[-1].guardrail == "p99_latency <= 2 * champion"


def test_a_version_that_fails_in_shadow_never_meets_a_caller(
    begin: Begin, traffic: Traffic, shadow: ShadowPlan
) -> None:
    """A regress while unseen ends the rollout with zero exposure."""
    rollout, decisions = drive(begin(shadow=shadow), traffic, errors=(0.01, 0.2))
    assert rollout.phase is Phase.ROLLED_BACK
    assert {decision.share for decision in decisions} == {0.0}
    assert rollout.seen.requests.get("canary", 0) == 0


def test_scores_that_move_with_the_champions_hold_the_rollout(begin: Begin, traffic: Traffic) -> None:
    """When the traffic changed for both, the version keeps its share and an operator is asked."""
    rollout, decisions = drive(begin(), traffic, cells=HIGH, champion_cells=HIGH)
    assert rollout.phase is Phase.HELD
    assert share_of(rollout) == 0.05
    assert "the traffic changed, not the version" in decisions[-1].reason


def test_a_held_rollout_is_still_watched(begin: Begin, traffic: Traffic) -> None:
    """A paused canary that starts to fail is rolled back all the same."""
    paused, _ = apply_operator(begin(), "pause", 1.0)
    calm, decision = advance(paused, traffic(paused), 50.0)
    assert (calm.phase, decision.reason) == (Phase.HELD, "an operator asked to pause")
    broken, decision = advance(calm, traffic(calm, requests=4000, errors=(0.01, 0.3)), 51.0)
    assert (broken.phase, decision.before, decision.call) == (Phase.ROLLED_BACK, Phase.HELD, Call.REGRESS)


def test_time_alone_never_moves_a_rollout(begin: Begin, shadow: ShadowPlan) -> None:
    """Without a request nothing is passed, whatever the time and however little a step asks for."""
    for rollout in (begin(), begin(shadow=shadow), begin(steps=(Step(0.5), Step(1.0))), begin(steps=(Step(1.0),))):
        after, decision = advance(rollout, Evidence(), 1e9)
        assert (after.phase, decision.call) == (rollout.phase, Call.NOT_YET)


@given(st.floats(0, 1e6), st.integers(0, 99))
def test_no_step_is_passed_without_its_requests(seconds: float, canary: int) -> None:
    """Fewer than `at_least` canary requests never pass a step, whatever the time."""
    plan = Plan("canary", (Step(0.5, 0.0, 100), Step(1.0)), (guardrail("error_rate <= 1.25 * champion"),))
    rollout = start("r-1", "hotel", 3, 2, plan, Baseline(20.0, (), ()), 0.0)
    after, decision = advance(rollout, Evidence(requests={"canary": canary, "champion": 10**6}), seconds)
    assert (after.phase, after.step, decision.call) == (Phase.CANARY, 0, Call.NOT_YET)


def test_a_step_is_not_passed_before_its_time(begin: Begin, traffic: Traffic) -> None:
    """Enough requests a second too early still wait."""
    after, decision = advance(begin(), traffic(begin(), requests=50_000), 9.0)
    assert (after.step, decision.call) == (0, Call.NOT_YET)
    assert decision.forecast_seconds == pytest.approx(1.0)


def test_building_evidence_keeps_the_share_where_it_is(begin: Begin) -> None:
    """Half-way to a rollback the exposure does not grow, though time and requests are reached."""
    units = {"version": Units(110, 15)}
    seen = Evidence(requests={"champion": 2000, "canary": 110}, scores={"canary": (11,) * 10}, units=units)
    rollout = begin(rules=("error_rate <= 5%", "prediction_psi < 0.25"))
    after, decision = advance(rollout, seen, 60.0)
    assert (after.step, decision.call) == (0, Call.NOT_YET)
    assert "evidence is building" in decision.reason


def test_what_could_not_be_measured_holds_the_rollout_until_an_operator_goes_on(begin: Begin, traffic: Traffic) -> None:
    """A guardrail without a measurement holds at the end of the step; resuming waives it, by name."""
    base = Baseline(None, tuple(i / 10 for i in range(1, 10)), CELLS)
    held, decisions = drive(begin(baseline=base), traffic)
    assert held.phase is Phase.HELD
    assert "p99_latency <= 2 * champion: unmeasured" in decisions[-1].reason
    resumed, _ = apply_operator(held, "resume", held.phase_at + 20.0, "latency is watched elsewhere")
    assert resumed.waived == ("p99_latency <= 2 * champion",)
    assert (resumed.phase, resumed.step_requests) == (Phase.CANARY, 0)
    assert drive(resumed, traffic)[0].phase is Phase.PROMOTED


def test_the_first_version_goes_straight_to_all_traffic(begin: Begin) -> None:
    """With no champion there is nothing to compare and nothing to keep: promoted at the first look, with the reason."""
    after, decision = advance(begin(champion=None), Evidence(), 1.0)
    assert (after.phase, decision.share) == (Phase.PROMOTED, 1.0)
    assert "no champion" in decision.reason


def test_a_flip_of_all_traffic_is_watched_before_it_is_a_success(begin: Begin, traffic: Traffic) -> None:
    """Blue-green takes all traffic at once, and is promoted only after a hundred requests without a breach."""
    flipped = begin(strategy="blue-green", steps=(Step(1.0),))
    assert share_of(flipped) == 1.0
    early, _ = advance(flipped, traffic(flipped, requests=99), 1.0)
    assert early.phase is Phase.CANARY
    assert advance(early, traffic(early, requests=1), 2.0)[0].phase is Phase.PROMOTED


def test_a_flip_that_fails_goes_back_to_the_champion(begin: Begin, traffic: Traffic) -> None:
    """With no champion beside it, a total failure is still found: against what the champion did before."""
    flipped = begin(strategy="blue-green", steps=(Step(1.0),))
    after, decision = advance(flipped, traffic(flipped, requests=20, errors=(0.0, 1.0)), 1.0)
    assert (after.phase, decision.guardrail) == (Phase.ROLLED_BACK, "error_rate <= 1.25 * champion")


def test_a_last_step_that_asks_for_something_is_held_before_the_promotion(begin: Begin, traffic: Traffic) -> None:
    """All traffic with a hold is a step like the others; without one it is the promotion itself."""
    rollout = begin(steps=(Step(0.5, 0.0, 10), Step(1.0, 5.0, 50)))
    rollout, decision = advance(rollout, traffic(rollout), 1.0)
    assert (rollout.phase, decision.share) == (Phase.CANARY, 1.0)
    rollout, _ = advance(rollout, traffic(rollout), 6.0)
    assert rollout.phase is Phase.PROMOTED


@pytest.mark.parametrize(
    ("policy", "phase"), [("hold", Phase.HELD), ("roll_back", Phase.ROLLED_BACK), ("promote", Phase.PROMOTED)]
)
def test_the_deadline_does_what_the_plan_says(begin: Begin, traffic: Traffic, policy: str, phase: Phase) -> None:
    """Still undecided at the deadline: held, rolled back or promoted, as the user chose."""
    rollout = begin(steps=(Step(0.05, 10.0, 10**6), Step(1.0)), undecided=policy, deadline_seconds=30.0)
    waiting, _ = advance(rollout, traffic(rollout), 29.0)
    assert waiting.phase is Phase.CANARY
    after, decision = advance(waiting, Evidence(), 30.0)
    assert after.phase is phase
    assert "undecided at the deadline of 30 s" in decision.reason


def test_the_deadline_promotes_nothing_that_answered_nothing(begin: Begin) -> None:
    """Even where the plan says promote, a step without a single request is held."""
    after, decision = advance(begin(undecided="promote", deadline_seconds=30.0), Evidence(), 31.0)
    assert after.phase is Phase.HELD
    assert "time alone is no success" in decision.reason


def test_the_deadline_shows_an_unseen_version_before_it_promotes_it(
    begin: Begin, traffic: Traffic, shadow: ShadowPlan
) -> None:
    """In shadow, promote means the first step: no version gets all traffic that no caller has met."""
    rollout = begin(shadow=ShadowPlan(10.0, 10**6), undecided="promote", deadline_seconds=30.0)
    after, decision = advance(rollout, traffic(rollout), 31.0)
    assert (after.phase, decision.share) == (Phase.CANARY, 0.05)


def test_a_deadline_shorter_than_the_hold_waits_for_the_hold(begin: Begin, traffic: Traffic) -> None:
    """A step that is to be held for 10 s is not undecided after 5."""
    rollout = begin(deadline_seconds=5.0)
    assert advance(rollout, traffic(rollout), 6.0)[0].phase is Phase.CANARY


def test_what_is_over_stays_over(begin: Begin, traffic: Traffic) -> None:
    """More evidence changes nothing after a promotion or a rollback, and the decision says so."""
    over, _ = apply_operator(begin(), "abort", 1.0)
    after, decision = advance(over, traffic(begin()), 2.0)
    assert after == over
    assert decision.reason == "version 3 is already rolled back"


@given(st.lists(st.integers(0, 30), min_size=1, max_size=6), st.integers(1, 200))
def test_how_the_looks_are_cut_does_not_change_the_readings(errors: list[int], champion: int) -> None:
    """Many looks and one look at the sum give the same evidence, byte for byte."""
    plan = Plan("canary", (Step(0.5, 0.0, 10**9),), (guardrail("error_rate <= 99%"),), alpha=1e-9)
    rollout = start("r-1", "hotel", 3, 2, plan, Baseline(20.0, (), ()), 0.0)
    looks = [
        Evidence(
            requests={"champion": champion, "canary": 30},
            errors={"canary": failed},
            failures=(FirstFailures("error_rate", 0.5, champion, failed),),
        )
        for failed in errors
    ]
    whole = Evidence()
    for look in looks:
        whole = merge(whole, look)
    cut = rollout
    for look in looks:
        cut, last = advance(cut, look, 1.0)
    _, once = advance(rollout, whole, 1.0)
    assert last.readings[0].log_e == once.readings[0].log_e
    assert last.readings[0].log_e_max >= once.readings[0].log_e


def test_the_same_question_gets_the_same_bytes(begin: Begin, traffic: Traffic) -> None:
    """`advance` is pure: same rollout, evidence and instant, same decision to the last byte."""
    rollout = begin()
    look = traffic(rollout)
    assert canonical(advance(rollout, look, 3.0)) == canonical(advance(rollout, look, 3.0))


def test_evidence_out_of_order_is_the_same_evidence(begin: Begin) -> None:
    """What was seen, and what it says, do not depend on which worker's records came first."""
    first, second = Evidence(requests={"canary": 3}), Evidence(requests={"champion": 4}, shadow=ShadowPairs(1))
    ahead, one = advance(advance(begin(), first, 1.0)[0], second, 2.0)
    behind, other = advance(advance(begin(), second, 1.0)[0], first, 2.0)
    assert canonical(ahead) == canonical(behind)
    assert one.readings == other.readings


def test_what_is_taken_back_asks_for_requests_anew(begin: Begin) -> None:
    """A log that lost its end takes its requests off the step, and never more than there were."""
    ahead, _ = advance(begin(), Evidence(requests={"canary": 90}), 1.0)
    back, _ = advance(ahead, Evidence(requests={"canary": -30}), 2.0)
    assert (back.step_requests, back.seen.requests) == (60, {"canary": 60})
    resumed = structs.replace(back, step_requests=10)
    assert advance(resumed, Evidence(requests={"canary": -30}), 3.0)[0].step_requests == 0


def test_a_pause_and_resume_waives_nothing(begin: Begin) -> None:
    """Only a rollout that was held for an unmeasured guardrail goes on without it."""
    paused, _ = apply_operator(begin(baseline=Baseline(None, (), ())), "pause", 1.0)
    assert apply_operator(paused, "resume", 2.0)[0].waived == ()


PHASES = {
    "shadow": Phase.SHADOW,
    "canary": Phase.CANARY,
    "held": Phase.HELD,
    "promoted": Phase.PROMOTED,
    "rolled back": Phase.ROLLED_BACK,
}
ALLOWED = {
    ("promote", Phase.SHADOW): Phase.PROMOTED,
    ("promote", Phase.CANARY): Phase.PROMOTED,
    ("promote", Phase.HELD): Phase.PROMOTED,
    ("pause", Phase.SHADOW): Phase.HELD,
    ("pause", Phase.CANARY): Phase.HELD,
    ("resume", Phase.HELD): Phase.CANARY,
    ("abort", Phase.SHADOW): Phase.ROLLED_BACK,
    ("abort", Phase.CANARY): Phase.ROLLED_BACK,
    ("abort", Phase.HELD): Phase.ROLLED_BACK,
    ("rollback", Phase.SHADOW): Phase.ROLLED_BACK,
    ("rollback", Phase.CANARY): Phase.ROLLED_BACK,
    ("rollback", Phase.HELD): Phase.ROLLED_BACK,
    ("rollback", Phase.PROMOTED): Phase.ROLLED_BACK,
}


@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES.keys())
@pytest.mark.parametrize("verb", ["promote", "pause", "resume", "abort", "rollback"])
def test_an_operator_may_do_what_makes_sense_and_nothing_else(begin: Begin, verb: str, phase: Phase) -> None:
    """Each verb in each phase: it leads where it should, or is refused with what would make sense."""
    rollout = structs.replace(begin(), phase=phase, held_in=Phase.CANARY if phase is Phase.HELD else None)
    if (verb, phase) not in ALLOWED:
        with pytest.raises(Refused, match=r"version 3 of hotel|cannot be rolled back"):
            apply_operator(rollout, verb, 5.0)
        return
    after, decision = apply_operator(rollout, verb, 5.0, "because")
    assert (after.phase, decision.before) == (ALLOWED[verb, phase], phase)
    assert decision.reason == f"an operator asked to {verb}: because"
    assert decision.share == share_of(after)


def test_a_verb_that_no_operator_asked_for_names_who_did(begin: Begin) -> None:
    """The same decision, in the words of who took it; without a name it was an operator."""
    rollout = begin()
    theirs, named = apply_operator(rollout, "abort", 5.0, "it leaks", "the controller")
    ours, unnamed = apply_operator(rollout, "abort", 5.0, "it leaks")
    assert named.reason == "the controller asked to abort: it leaks"
    assert unnamed.reason == "an operator asked to abort: it leaks"
    assert (theirs, structs.replace(named, reason="")) == (ours, structs.replace(unnamed, reason=""))


def test_the_first_version_cannot_be_rolled_back(begin: Begin) -> None:
    """There is no version before the first; the error says so."""
    promoted, _ = advance(begin(champion=None), Evidence(), 1.0)
    with pytest.raises(Refused, match="no version before it"):
        apply_operator(promoted, "rollback", 2.0)


def test_an_unknown_verb_is_refused_with_the_known_ones(begin: Begin) -> None:
    """A typo names the verbs that exist."""
    with pytest.raises(Refused, match="use promote, pause, resume, abort or rollback"):
        apply_operator(begin(), "promot", 1.0)


def test_a_rollout_paused_in_shadow_resumes_in_shadow(begin: Begin, shadow: ShadowPlan) -> None:
    """Held where it was: no caller meets a version that was paused unseen."""
    paused, decision = apply_operator(begin(shadow=shadow), "pause", 1.0)
    assert decision.share == 0.0
    resumed, _ = apply_operator(paused, "resume", 9.0)
    assert (resumed.phase, resumed.phase_at, resumed.held_in) == (Phase.SHADOW, 9.0, None)


@pytest.mark.parametrize("runs", [60, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("outage", [0.01, 0.08], ids=["calm", "an outage on both arms"])
def test_an_equal_version_is_rarely_rolled_back(begin: Begin, traffic: Traffic, runs: int, outage: float) -> None:
    """A/A through the whole rollout, three guardrails, a look a second: at most alpha of the runs roll back."""
    rng, alpha, back = np.random.default_rng(17), 0.05, 0
    for _ in range(runs):
        rollout, now = begin(alpha=alpha), 0.0
        bad = rng.integers(3, 20)
        while rollout.phase is Phase.CANARY and now < 60:
            now += 1.0
            rate = outage if bad <= now < bad + 6 else 0.01
            look = traffic(rollout, 300, errors=(rate, rate), slow=(rate, rate))
            rollout, _ = advance(rollout, look, now)
        back += rollout.phase is Phase.ROLLED_BACK
    assert binom.sf(back - 1, runs, alpha) >= 0.001


@pytest.mark.parametrize("runs", [40, pytest.param(400, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "cells", [(0.0,) * 9 + (1.0,), (0.055,) * 9 + (0.505,)], ids=["all scores in one cell", "half of them"]
)
@pytest.mark.parametrize("unseen", [True, False], ids=["in shadow", "half of the traffic"])
def test_a_change_of_traffic_is_not_blamed_on_the_version(
    begin: Begin, traffic: Traffic, runs: int, cells: tuple[float, ...], unseen: bool
) -> None:
    """Both versions' scores move alike: held in nearly every run, rolled back in at most 3 of 100, as simulated."""
    back = 0
    for _ in range(runs):
        rollout = begin(shadow=ShadowPlan(0.0, 10**6) if unseen else None, steps=(Step(0.5, 0.0, 10**6), Step(1.0)))
        moved = {"cells": cells, "champion_cells": cells, "errors": (0.0, 0.0), "slow": (0.0, 0.0)}
        rollout, _ = drive(rollout, traffic, 200.0, requests=4, **moved)
        back += rollout.phase is Phase.ROLLED_BACK
    assert binom.sf(back - 1, runs, 0.03) >= 0.001
