"""The arms of an A/B rollout: what is dealt, who keeps what, and what each arm's evidence may say."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from fairlead.core.advance import advance, apply_operator
from fairlead.core.arms import Among, ArmShare, dealt_arms, even_shares, fault_of, label, stated_shares
from fairlead.core.asked_of import arms_for
from fairlead.core.rollout import (
    Baseline,
    Call,
    Evidence,
    FirstFailures,
    Guardrail,
    Phase,
    Plan,
    Rollout,
    Step,
    Units,
    share_of,
    start,
)
from fairlead.core.route import ModelRoute, choose, deal
from fairlead.core.split import By, Dealt, Split
from fairlead.errors import Refused

ERRORS = Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True)
AMONG = Among("hotel-ab-1", (ArmShare(7, 0.25), ArmShare(8, 0.25)))
BASELINE = Baseline(1.0, (0.5,), (0.5, 0.5), (0.5,), (0.5, 0.5))


@st.composite
def amongs(draw: st.DrawFn) -> Among:
    """Two to six challengers with any shares that leave the champion one."""
    weights = draw(st.lists(st.integers(1, 40), min_size=2, max_size=6))
    kept = draw(st.integers(1, 60))
    total = sum(weights) + kept
    shares = [ArmShare(number + 2, round(weight / total, 9)) for number, weight in enumerate(weights)]
    return Among(draw(st.text("abc-123", min_size=1, max_size=8)), tuple(shares))


def route_of(among: Among, standing: list[int] | None = None) -> ModelRoute:
    """The route while some of the challengers stand; all where none is named."""
    versions = [arm.version for arm in among.shares] if standing is None else standing
    return ModelRoute(dealt_arms(among, 1, versions), {}, salt=among.group)


@given(amongs())
@settings(max_examples=25, deadline=None)
def test_shares_are_exact_in_the_limit(among: Among) -> None:
    """Each arm gets its share of units, to within five standard deviations; the shares make one."""
    route, units = route_of(among), 4_000
    assert sum(arm.share for arm in route.arms) == pytest.approx(1.0, abs=1e-12)
    got = dict.fromkeys((arm.name for arm in route.arms), 0)
    for unit in range(units):
        got[choose(route, f"u{unit}").arm] += 1
    for arm in route.arms:
        slack = 5.0 * sqrt(units * arm.share * (1.0 - arm.share)) + 1.0
        assert abs(got[arm.name] - units * arm.share) <= slack


@given(amongs(), st.data())
@settings(max_examples=50, deadline=None)
def test_when_an_arm_ends_only_its_units_move_and_all_to_the_champion(among: Among, data: st.DataObject) -> None:
    """Everybody else keeps the version; who was given back is under a name of its own, so it is no evidence."""
    versions = [arm.version for arm in among.shares]
    standing = data.draw(st.lists(st.sampled_from(versions), unique=True))
    before, after = route_of(among), route_of(among, standing)
    for unit in range(300):
        old, new = choose(before, f"u{unit}"), choose(after, f"u{unit}")
        assert new.propensity == old.propensity
        if old.arm == "champion" or old.version in standing:
            assert new == old
        else:
            assert (new.version, new.arm) == (1, f"returned-{old.version}")


@given(amongs(), st.floats(0.0, 1.0))
@settings(max_examples=50, deadline=None)
def test_growing_the_arm_beside_the_champion_moves_units_only_into_it(among: Among, part: float) -> None:
    """Its units come from the champion alone, and nobody else moves."""
    last = among.shares[-1]
    grown = replace(last, share=round(last.share + part * among.champion * 0.99, 12))
    before, after = route_of(among), route_of(replace(among, shares=(*among.shares[:-1], grown)))
    for unit in range(300):
        old, new = choose(before, f"u{unit}"), choose(after, f"u{unit}")
        assert new.arm == old.arm or (old.arm, new.arm) == ("champion", label(last.version))


@given(
    amongs(), st.sampled_from([Split(), Split(by=By.FEATURE, feature="city"), Split(by=By.TIME, block_seconds=60.0)])
)
@settings(max_examples=50, deadline=None)
def test_what_is_dealt_together_stays_together(among: Among, split: Split) -> None:
    """A unit, a value or a block of time keeps its arm, however often it asks."""
    route = replace(route_of(among), split=split)
    asked = [Dealt(f"q{n}", "ana", 120.0 + n, "Oslo") for n in range(50)]
    assert len({deal(route, one).arm for one in asked}) == 1


def test_odds_are_among_the_two_that_are_compared() -> None:
    """A quarter against a half is one third, with exploring nearer to a half."""
    assert AMONG.odds(7) == pytest.approx(1 / 3)
    assert AMONG.champion == 0.5
    assert 1 / 3 < AMONG.odds(7, explore=0.5) < 0.5
    assert AMONG.odds(9) == 0.0


@pytest.mark.parametrize(
    ("shares", "told"),
    [
        ((), "no challenger"),
        ((ArmShare(7, 0.2), ArmShare(7, 0.2)), "named twice"),
        ((ArmShare(7, 0.0),), "more than 0%"),
        ((ArmShare(7, -0.1),), "more than 0%"),
        ((ArmShare(7, float("nan")),), "more than 0%"),
        ((ArmShare(7, 0.6), ArmShare(8, 0.4)), "leave the champion a share"),
        ((ArmShare(7, 1.0),), "leave the champion a share"),
    ],
)
def test_arms_that_cannot_be_dealt_are_told(shares: tuple[ArmShare, ...], told: str) -> None:
    """What is wrong, and the fix."""
    assert told in fault_of(Among("g", shares))


def test_shares_are_even_unless_stated() -> None:
    """k arms get a k-th each; what is stated is taken as it is."""
    assert fault_of(Among("g", even_shares([7, 8, 9]))) == ""
    assert even_shares([7]) == (ArmShare(7, 0.5),)
    assert stated_shares([7, 8], {}) == even_shares([7, 8])
    assert stated_shares([7, 8], {8: 0.1, 7: 0.2}) == (ArmShare(7, 0.2), ArmShare(8, 0.1))


# -- one arm's rollout ---------------------------------------------------------------------------------------------


def begun(version: int = 7, split: Split = Split(), among: Among = AMONG) -> Rollout:  # noqa: B008 - a frozen value
    """An arm at its beginning."""
    plan = Plan("ab", (Step(among.share_of(version)),), (ERRORS,), split=split, among=among)
    return start(f"hotel-{version}-1", "hotel", version, 1, plan, BASELINE, 0.0)


def seen(champion: tuple[int, int], canary: tuple[int, int], odds: float = 1 / 3) -> Evidence:
    """Units (asked, failed) of the two that are compared, each asking once."""
    failures = (FirstFailures("error_rate", round(odds, 12), champion[1], canary[1]),)
    return Evidence(
        requests={"champion": champion[0], "canary": canary[0]},
        errors={"champion": champion[1], "canary": canary[1]},
        failures=failures,
        units={"champion": Units(champion[0], champion[1]), "canary": Units(canary[0], canary[1])},
    )


def test_a_good_arm_keeps_its_share_until_a_person_decides() -> None:
    """However long and however much is seen: it is not promoted by itself, and says what it waits for."""
    state, decision = advance(begun(), seen((20_000, 100), (10_000, 50)), 1e9)
    assert (decision.after, decision.share, decision.call) == (Phase.CANARY, 0.25, Call.NOT_YET)
    assert "keeps 25 % until an operator promotes or aborts it" in decision.reason
    after, _ = apply_operator(state, "promote", 1e9)
    assert after.phase is Phase.PROMOTED


def test_a_harmful_arm_is_rolled_back_at_once() -> None:
    """Its failures count against a third of those of the two, not against a quarter of all."""
    _, decision = advance(begun(), seen((2_000, 10), (1_000, 200)), 1.0)
    assert (decision.after, decision.share, decision.guardrail) == (Phase.ROLLED_BACK, 0.0, ERRORS.text)
    _, fair = advance(begun(), seen((2_000, 200), (1_000, 100)), 1.0)
    assert fair.after is Phase.CANARY


def test_units_that_are_not_dealt_as_planned_hold_the_arm() -> None:
    """A sample-ratio mismatch is nobody's harm: the arm keeps its traffic, and an operator must look. Who has looked
    goes on."""
    state, decision = advance(begun(), seen((20_000, 0), (14_000, 0)), 1.0)
    assert (decision.after, share_of(state)) == (Phase.HELD, 0.25)
    assert "mismatch: 41.2 % of 34,000 units, planned 33.3 %" in decision.reason
    resumed, _ = apply_operator(state, "resume", 2.0, "a bot was shut out")
    again, decision = advance(resumed, Evidence(), 3.0)
    assert again.phase is Phase.CANARY
    assert "an operator went on without it" in decision.readings[-1].reason


@pytest.mark.parametrize("split", [Split(by=By.FEATURE, feature="city"), Split(by=By.TIME, block_seconds=60.0)])
def test_clusters_are_not_judged(split: Split) -> None:
    """Where whole cities or hours are dealt, no test that takes units one by one says anything, whatever it saw."""
    _, decision = advance(begun(split=split), seen((2_000, 10), (1_000, 900)), 1.0)
    assert decision.after is Phase.CANARY
    assert [reading.call for reading in decision.readings] == [Call.NOT_YET]
    assert f"unmeasured: the split is by cluster ({split.by.value})" in decision.readings[0].reason
    assert "nothing is judged" in decision.reason


@pytest.mark.parametrize(
    ("version", "champion", "told"), [(7, None, "no champion"), (9, 1, "none of the challengers"), (7, 1, "leave the")]
)
def test_an_arm_that_makes_no_sense_is_refused(version: int, champion: int | None, told: str) -> None:
    """A first version, one that the draw does not know, shares that cannot be dealt."""
    among = Among("g", (ArmShare(7, 1.0),)) if told == "leave the" else AMONG
    plan = Plan("ab", (Step(0.25),), (ERRORS,), among=among)
    with pytest.raises(Refused, match=told):
        start("r", "hotel", version, champion, plan, BASELINE, 0.0)


def test_clusters_are_for_arms_alone() -> None:
    """A canary by cities is refused: its steps would follow a test that is wrong."""
    plan = Plan("canary", (Step(0.25),), (ERRORS,), split=Split(by=By.FEATURE, feature="city"))
    with pytest.raises(Refused, match="judged by units"):
        start("r", "hotel", 7, 1, plan, BASELINE, 0.0)


def test_a_verb_means_the_arms_that_it_fits() -> None:
    """All that run, one that is promoted, or one that must be named."""
    seven, eight = begun(7), begun(8)
    assert arms_for("abort", [seven, eight]) == [seven, eight]
    with pytest.raises(Refused, match="name it, one of hotel@7, hotel@8"):
        arms_for("promote", [seven, eight])
    assert arms_for("promote", [eight]) == [eight]
    gone, _ = apply_operator(seven, "abort", 1.0)
    assert arms_for("promote", [gone, eight]) == [eight]
    held, _ = apply_operator(eight, "pause", 1.0)
    assert arms_for("pause", [seven, held]) == [seven]
    assert arms_for("resume", [seven, held]) == [held]
    won, _ = apply_operator(eight, "promote", 2.0)
    assert arms_for("rollback", [gone, won]) == [won]
    assert arms_for("abort", [gone]) == [gone], "what makes no sense is refused where it is applied"
