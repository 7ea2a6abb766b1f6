"""Bounds that compare the two arms' answers beside each other: how long they take, how they score."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from msgspec import structs

from fairlead.core.guard import Holds
from fairlead.core.guardrail import Finding, judge
from fairlead.core.rollout import Baseline, Call, Dealt, Evidence, Phase, Rollout, ShadowPlan, Step, ValueCounts
from fairlead.stats.sequential.scaled_latency import latency_cell

Begin = Callable[..., Rollout]
STEPS = (Step(0.1), Step(1.0))
SHIFT, LATENCY = "score_shift <= 20%", "p99_latency <= 2 * champion"
FAST, SLOW = latency_cell(16.0), latency_cell(64.0)


def found(state: Rollout, *rows: Dealt, **seen: object) -> Finding:
    """The finding of the only guardrail after some evidence."""
    return judge(structs.replace(state, seen=Evidence(dealt=tuple(rows), **seen)))[0]  # type: ignore[arg-type]


def scored(champion: Sequence[int], canary: Sequence[int]) -> Dealt:
    """Units at a tenth of the traffic, by the cell of their score."""
    return Dealt("score_shift", 0, 0.1, *(tuple(enumerate(counts)) for counts in (champion, canary)))


def test_scores_far_from_the_champions_break_the_bound(begin: Begin) -> None:
    """The reading says how far, where, and over how many; one within the bound is safe."""
    state = begin(edition=3, rules=(SHIFT,), steps=STEPS)
    finding = found(state, scored([300] * 10, [5] * 5 + [60] * 5))
    assert finding.reading.call is Call.REGRESS
    assert finding.reading.canary == pytest.approx(0.4231, abs=1e-4)
    assert "42.3 % more of its units than of the champion's score above 0.5, over 325 units" in finding.reading.reason
    assert found(state, scored([300] * 10, [28, 29, 30, 31, 32] * 2)).reading.call is Call.SAFE


def test_scores_that_fall_break_it_too(begin: Begin) -> None:
    """And are told as fewer above."""
    finding = found(begin(edition=3, rules=(SHIFT,), steps=STEPS), scored([300] * 10, [60] * 5 + [5] * 5))
    assert finding.reading.call is Call.REGRESS
    assert "42.3 % less of its units" in finding.reading.reason


def test_what_cannot_compare_scores_says_why(begin: Begin) -> None:
    """Unseen, without a champion beside it, without scores of its own validation, without a score."""
    rules = (SHIFT,)
    unseen = begin(edition=3, rules=rules, steps=STEPS, shadow=ShadowPlan(1.0, 1))
    assert unseen.phase is Phase.SHADOW
    assert "no caller has met it yet" in found(unseen).reading.reason
    alone = found(begin(edition=3, rules=rules, steps=(Step(1.0),)))
    assert (alone.holds, "no champion answers" in alone.reading.reason) == (Holds.FOR_OPERATOR, True)
    blind = found(begin(edition=3, rules=rules, steps=STEPS, baseline=Baseline(20.0, (), ())))
    assert (blind.holds, "its own validation" in blind.reading.reason) == (Holds.FOR_OPERATOR, True)
    state = begin(edition=3, rules=rules, steps=STEPS)
    few, many = (found(state, requests={"canary": n}, errors={"canary": 5}) for n in (50, 500))
    assert (few.holds, many.holds) == (Holds.UNTIL_MORE, Holds.FOR_OPERATOR)
    assert many.reading.reason == "unmeasured: no score in 495 canary answers"
    assert found(state, scored([], [5] * 10)).reading.reason.startswith("unmeasured: no score in 0 champion answers")


def test_before_the_third_edition_it_was_the_name_of_an_event(begin: Begin) -> None:
    """A journal of a plan that bound an event of that name replays."""
    state = begin(edition=2, rules=(SHIFT,), steps=STEPS)
    rule = structs.replace(state.plan.guardrails[0], bound=0.9, relative=True, lower=True)
    state = structs.replace(state, plan=structs.replace(state.plan, guardrails=(rule,)))
    values = (ValueCounts("score_shift", 0.1, ((0.0, 90), (1.0, 10)), ((0.0, 9), (1.0, 1))),)
    assert "score_shift 10 % over 10 units" in found(state, values=values).reading.reason


def timed(block: int, champion: dict[int, int], canary: dict[int, int], share: float = 0.1) -> Dealt:
    """Units at a tenth of the traffic, by the cell of their latency."""
    return Dealt("p99_latency", block, share, tuple(sorted(champion.items())), tuple(sorted(canary.items())))


def test_a_champion_that_was_slow_at_the_deploy_hides_nobody(begin: Begin) -> None:
    """At the deploy its p99 was 100 ms, since then it is 16: 64 ms, where twice is allowed, is four times too slow."""
    rules, base = (LATENCY,), Baseline(100.0, (), ())
    first, later = timed(0, {FAST: 2000}, {FAST: 5}), timed(3, {FAST: 990, SLOW: 10}, {FAST: 50, SLOW: 50})
    state = begin(edition=3, rules=rules, steps=STEPS, baseline=base)
    reading = found(state, first, later).reading
    assert reading.call is Call.REGRESS
    assert (reading.canary, reading.champion) == (50 / 105, 10 / 3000)
    assert "took over 2 times" in reading.reason
    assert "(now 16 ms)" in reading.reason


def test_a_busy_machine_under_both_arms_is_nobodys_doing(begin: Begin) -> None:
    """Half of both arms' answers over the threshold of before."""
    state = begin(edition=3, rules=(LATENCY,), steps=STEPS)
    rows = timed(0, {FAST: 2000}, {FAST: 200}), timed(3, {FAST: 900, SLOW: 900}, {FAST: 100, SLOW: 100})
    assert found(state, *rows).reading.call is Call.SAFE


def test_what_has_no_latency_to_compare_says_why(begin: Begin) -> None:
    """A champion without a past and with few answers, no canary yet, an unseen version."""
    unknown = begin(edition=3, rules=(LATENCY,), steps=STEPS, baseline=Baseline(None, (), ()))
    few = found(unknown, timed(0, {FAST: 200}, {FAST: 20}))
    assert few.holds is Holds.UNTIL_MORE
    assert few.reading.reason == "unmeasured: the champion has not answered often enough yet to know its p99"
    known = begin(edition=3, rules=(LATENCY,), steps=STEPS)
    assert found(known, timed(0, {FAST: 200}, {})).reading.reason == "unmeasured: no canary request yet"
    assert found(known, timed(0, {}, {FAST: 2})).reading.reason == "unmeasured: no champion request yet"
    unseen = begin(edition=3, rules=(LATENCY,), steps=STEPS, shadow=ShadowPlan(1.0, 1))
    assert "a shadow answers after the caller has gone" in found(unseen).reading.reason
