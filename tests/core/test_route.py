"""The route table: splits are sticky and monotone."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.route import Arm, ModelRoute, RouteTable, choose, is_unseen, place, unseen

shares = st.floats(0.0, 1.0)
salts = st.text(max_size=70)
units = st.text(max_size=20)


def split(share: float, salt: str) -> ModelRoute:
    """A canary beside a champion."""
    return ModelRoute((Arm("canary", 2, share), Arm("champion", 1, 1.0 - share)), {}, (), salt)


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(units, salts)
def test_a_unit_has_one_place(unit: str, salt: str) -> None:
    """The place lies on [0, 1) and depends on nothing but unit and salt."""
    assert 0.0 <= place(salt, unit) < 1.0
    assert place(salt, unit) == place(salt, unit)


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(shares, shares, salts, units)
def test_growing_the_canary_moves_units_only_to_it(one: float, other: float, salt: str, unit: str) -> None:
    """Who is in the smaller canary is in the larger."""
    small, large = sorted((one, other))
    if choose(split(small, salt), unit).arm == "canary":
        assert choose(split(large, salt), unit).arm == "canary"


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=5), salts, units)
def test_every_unit_has_one_arm_and_its_share_is_the_propensity(weights: list[float], salt: str, unit: str) -> None:
    """Whatever the rounding of the shares, some arm answers, with its own share as the propensity."""
    total = sum(weights)
    arms = tuple(Arm(f"arm{index}", index, weight / total) for index, weight in enumerate(weights))
    route = choose(ModelRoute(arms, {}, (9,), salt), unit)
    chosen = {arm.name: arm for arm in arms}[route.arm]
    assert route.version == chosen.version
    assert route.propensity == (1.0 if len(arms) == 1 else chosen.share)
    assert route.shadows == (9,)


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(units, salts)
def test_all_or_nothing(unit: str, salt: str) -> None:
    """A canary of 0 gets nobody, one of 1 gets everybody."""
    assert choose(split(0.0, salt), unit).arm == "champion"
    assert choose(split(1.0, salt), unit).arm == "canary"


def test_empirical_shares_are_the_shares() -> None:
    """Of 20,000 units each arm gets its share to within four standard errors."""
    arms = (Arm("canary", 2, 0.05), Arm("b", 3, 0.25), Arm("champion", 1, 0.7))
    names = [choose(ModelRoute(arms, {}, (), "s"), f"unit-{index}").arm for index in range(20_000)]
    for arm in arms:
        error = (arm.share * (1 - arm.share) / len(names)) ** 0.5
        assert abs(names.count(arm.name) / len(names) - arm.share) < 4 * error


def test_rollouts_draw_their_own_units() -> None:
    """Another salt is another draw: of the 5 % under one, about 5 % are under another."""
    first = {unit for unit in range(20_000) if choose(split(0.05, "r1"), str(unit)).arm == "canary"}
    second = {unit for unit in range(20_000) if choose(split(0.05, "r2"), str(unit)).arm == "canary"}
    assert len(first & second) < 0.1 * len(first)


def test_long_salts_that_begin_alike_draw_their_own_units() -> None:
    """Every byte counts; 64 bytes, and 64 bytes of more, are keys of their own."""
    same = "rollout-of-a-model-with-a-very-long-name-indeed-" + "x" * 30
    places = {place(salt, "guest-7") for salt in (same, same + "1", same + "2", same[:64], same[:65])}
    assert len(places) == 5


def test_a_route_tells_the_salt_that_drew_it() -> None:
    """With one arm and with several."""
    assert choose(split(0.5, "r1"), "guest-7").rollout == "r1"
    assert choose(ModelRoute((Arm("champion", 1, 1.0),), {}, (2,), "r2"), "guest-7").rollout == "r2"


def test_a_shadow_sees_its_share_of_the_units_and_only_those_are_evidence() -> None:
    """A unit is shadowed always or never, and a larger share only adds units."""
    champion = (Arm("champion", 1, 1.0),)
    quarter, half = (ModelRoute(champion, {}, (2,), "r1", shadowed=share) for share in (0.25, 0.5))
    units = [f"u{at}" for at in range(10_000)]
    seen = {unit for unit in units if choose(quarter, unit).shadows}
    assert abs(len(seen) / len(units) - 0.25) < 0.015
    assert seen <= {unit for unit in units if choose(half, unit).shadows}
    assert all(choose(quarter, unit).rollout == ("r1" if unit in seen else "") for unit in units)


def test_a_shadow_beside_a_canary_leaves_the_arms_their_evidence() -> None:
    """There the arms were drawn, whoever is shadowed."""
    arms = (Arm("canary", 2, 0.5), Arm("champion", 1, 0.5))
    route = ModelRoute(arms, {}, (3,), "r1", shadowed=0.25)
    found = [choose(route, f"u{at}") for at in range(4_000)]
    assert {one.rollout for one in found} == {"r1"}
    assert abs(sum(one.shadows == (3,) for one in found) / len(found) - 0.25) < 0.03


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(units, salts, st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.25, 1.0]))
def test_what_the_record_says_is_shadowed_is_what_was_dealt(
    unit: str, salt: str, share: float, shadowed: float
) -> None:
    """From the unit and the salt that a record names, whoever reads it knows which shadows its route had."""
    two = (Arm("canary", 2, share), Arm("champion", 1, 1.0 - share))
    for arms in (two, (Arm("champion", 1, 1.0),)):
        route = ModelRoute(arms, {1: "a", 2: "b", 3: "c"}, (3,), salt, shadowed=shadowed)
        dealt = choose(route, unit)
        (alone,) = unseen(RouteTable(4, {"hotel": route})).models.values()
        assert is_unseen(alone, unit, dealt.rollout) is bool(dealt.shadows)
        assert not is_unseen(alone, unit, dealt.rollout + "x")


def test_what_answers_unseen_stands_alone() -> None:
    """A model for each shadow of each, warm with nothing else; none where there is no shadow."""
    hotel = ModelRoute((Arm("champion", 1, 1.0),), {1: "a", 2: "b", 3: "c"}, (2, 3), "r1")
    price = ModelRoute((Arm("champion", 1, 1.0),), {1: "p"})
    table = unseen(RouteTable(4, {"hotel": hotel, "price": price}))
    assert (table.generation, list(table.models)) == (4, ["hotel@2", "hotel@3"])
    assert [(route.arms, route.bundles) for route in table.models.values()] == [
        ((Arm("shadow", 2, 1.0),), {2: "b"}),
        ((Arm("shadow", 3, 1.0),), {3: "c"}),
    ]
