"""What business events and a shadow's decisions say of a bound."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs

from fairlead.core.advance import advance, apply_operator
from fairlead.core.evidence import merge
from fairlead.core.guard import Holds
from fairlead.core.guardrail import Finding, judge
from fairlead.core.rollout import Call, Evidence, Paired, Phase, Plan, Rollout, ShadowPlan, Step, ValueCounts

Begin = Callable[..., Rollout]
RULE = "conversion >= champion - 5%"
STEPS = (Step(0.1), Step(0.5), Step(1.0))


def conversions(champion: tuple[int, int], canary: tuple[int, int], share: float = 0.5) -> Evidence:
    """(units, those of them that converted) of each arm."""
    sides = [((0.0, units - won), (1.0, won)) for units, won in (champion, canary)]
    requests = {"champion": champion[0], "canary": canary[0]}
    return Evidence(requests, values=(ValueCounts("conversion", share, *sides),))


def found(state: Rollout, seen: Evidence) -> Finding:
    """The one finding."""
    return judge(structs.replace(state, seen=seen))[0]


@pytest.fixture
def state(begin: Begin) -> Rollout:
    """At the first step."""
    return begin(edition=2, steps=STEPS, rules=(RULE,))


def test_a_drop_is_broken_with_its_figures(state: Rollout) -> None:
    """The means of both arms, in percent where each unit did it or did not."""
    reading = found(state, conversions((1000, 300), (1000, 150))).reading
    assert reading.call is Call.REGRESS
    assert (reading.champion, reading.canary) == (0.3, 0.15)
    assert "conversion 15 % over 1,000 units, the champion's 30 % over 1,000" in reading.reason


def test_before_the_last_step_it_is_enough_not_to_be_broken(state: Rollout) -> None:
    """Not shown to be kept, told how many units would show it, and no reason to stay; at the last it is one."""
    seen = conversions((1000, 300), (1000, 300))
    early, late = found(state, seen), found(structs.replace(state, step=1), seen)
    assert early.reading.call is late.reading.call is Call.NOT_YET
    assert (early.holds, late.holds) == (Holds.NO, Holds.UNTIL_MORE)
    assert "not shown yet to be kept" in early.reading.reason
    assert "units more to show it at 10 %" in early.reading.reason
    assert found(structs.replace(state, step=2), seen).holds is Holds.FOR_OPERATOR


def test_what_is_shown_to_be_kept_is_safe(state: Rollout) -> None:
    """With enough units no worse than five points below."""
    finding = found(state, conversions((20_000, 6000), (20_000, 6000)))
    assert (finding.reading.call, finding.holds) == (Call.SAFE, Holds.NO)
    assert "more to show it" not in finding.reading.reason


@pytest.mark.parametrize(
    ("seen", "said", "holds"),
    [
        (Evidence(), "no unit of both arms yet", Holds.UNTIL_MORE),
        (conversions((9, 0), (9, 0)), "none of 18 units has logged conversion", Holds.UNTIL_MORE),
        (conversions((900, 0), (100, 0)), "none of 1,000 units has logged conversion", Holds.FOR_OPERATOR),
    ],
)
def test_a_missing_metric_is_unmeasured(state: Rollout, seen: Evidence, said: str, holds: Holds) -> None:
    """It holds: at first until there is more, then for an operator, who can go on without it."""
    finding = found(state, seen)
    assert (finding.reading.call, finding.holds) == (Call.NOT_YET, holds)
    assert f"unmeasured: {said}" in finding.reading.reason
    waived = structs.replace(state, waived=(RULE,))
    assert found(waived, seen).holds is (Holds.NO if holds is Holds.FOR_OPERATOR else holds)


def test_an_operator_may_go_on_without_what_nobody_logs(state: Rollout) -> None:
    """Resume waives it, and events that come later are judged all the same."""
    held, decision = advance(state, conversions((900, 0), (100, 0), 0.1), 1.0)
    assert decision.after is Phase.HELD
    state, _ = apply_operator(held, "resume", 2.0)
    assert state.waived == (RULE,)
    state, decision = advance(state, conversions((9000, 3000), (1000, 50), 0.1), 3.0)
    assert (decision.after, decision.guardrail) == (Phase.ROLLED_BACK, RULE)


def test_without_a_champion_beside_it_nothing_is_compared(begin: Begin) -> None:
    """In shadow nobody acts on its answers yet; a flip of all traffic leaves no champion to compare with."""
    unseen = begin(edition=2, steps=STEPS, rules=(RULE,), shadow=ShadowPlan(1.0, 1))
    assert found(unseen, Evidence()).holds is Holds.NO
    flip = begin(edition=2, steps=(Step(1.0),), rules=(RULE,))
    assert found(flip, Evidence()).holds is Holds.FOR_OPERATOR


def test_money_is_told_as_amounts(begin: Begin) -> None:
    """Not in percent."""
    state = begin(edition=2, steps=STEPS, rules=("revenue >= 0.9 * champion",))
    values = ValueCounts("revenue", 0.5, ((0.0, 900), (50.0, 100)), ((0.0, 900), (40.0, 100)))
    reading = found(state, Evidence(values=(values,))).reading
    assert "revenue 4 over 1,000 units, the champion's 5 over 1,000" in reading.reason


def test_flips_need_a_shadow_phase(begin: Begin) -> None:
    """Without one an operator is asked; after one that answered nothing too; while it runs there is time."""
    rules = ("flip_rate <= 2%",)
    assert found(begin(edition=2, rules=rules), Evidence()).holds is Holds.FOR_OPERATOR
    unseen = begin(edition=2, rules=rules, shadow=ShadowPlan(1.0, 1))
    assert found(unseen, Evidence()).holds is Holds.UNTIL_MORE
    assert found(structs.replace(unseen, phase=Phase.CANARY), Evidence()).holds is Holds.FOR_OPERATOR


def test_what_the_shadow_phase_has_shown_stays(begin: Begin) -> None:
    """As a canary it is not held for pairs that no longer come."""
    state = begin(edition=2, rules=("flip_rate <= 2%",), shadow=ShadowPlan(1.0, 1))
    seen = Evidence(paired=(Paired("", 100, 1, 1, 0),))
    assert found(state, seen).holds is Holds.UNTIL_MORE
    assert found(structs.replace(state, phase=Phase.CANARY), seen).holds is Holds.NO


def test_segments_are_not_counted_twice(begin: Begin) -> None:
    """The rate is that of all units; a segment's are among them."""
    state = begin(edition=2, rules=("flip_rate <= 2%",), shadow=ShadowPlan(1.0, 1))
    seen = merge(
        Evidence(paired=(Paired("", 100, 0, 0, 0), Paired("country=NZ", 50, 0, 0, 0))),
        Evidence(paired=(Paired("", 300, 4, 4, 0), Paired("country=NZ", 50, 4, 4, 0))),
    )
    assert found(state, seen).reading.canary == 0.01


@pytest.mark.parametrize("rule", [RULE, "flip_rate <= 2%"])
def test_counts_below_nothing_do_not_break_a_look(begin: Begin, rule: str) -> None:
    """Where a log lost its end and is not read again yet."""
    state = begin(edition=2, steps=STEPS, rules=(rule,), shadow=ShadowPlan(1.0, 1))
    lost = Evidence(
        values=(ValueCounts("conversion", 0.5, ((0.0, -3), (1.0, 5)), ((1.0, -2), (0.0, 4))),),
        paired=(Paired("", 3, -1, 0, -1),),
    )
    for phase in (Phase.SHADOW, Phase.CANARY):
        assert found(structs.replace(state, phase=phase), lost).reading.call is not Call.REGRESS


def test_each_guardrail_spends_its_part_of_alpha(begin: Begin) -> None:
    """Four layers, four parts; the plan's edition is kept by a replace."""
    rules = ("error_rate <= 1.25 * champion", "p99_latency <= 2 * champion", "prediction_psi < 0.25", RULE)
    four = begin(edition=2, steps=STEPS, rules=rules)
    assert isinstance(four.plan, Plan)
    readings = [finding.reading for finding in judge(four)]
    assert [reading.metric for reading in readings] == ["error_rate", "p99_latency", "prediction_psi", "conversion"]
    assert len({reading.threshold_log_e for reading in readings}) == 1
    assert readings[0].threshold_log_e == pytest.approx(5.991465)
