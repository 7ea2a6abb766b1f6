"""Splits: what is dealt, to whom, and with what probability."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.route import Arm, ModelRoute, choose, deal
from fairlead.core.split import PLAIN, By, Dealt, Split, fault_of, key_of

splits = st.builds(
    Split,
    by=st.sampled_from([By.UNIT, By.REQUEST]),
    feature=st.just("country"),
    within=st.sampled_from([(), ("NZ",), ("NZ", "AU")]),
    stratified=st.booleans(),
    explore=st.sampled_from([0.0, 0.2]),
) | st.builds(Split, by=st.just(By.TIME), block_seconds=st.sampled_from([60.0, 3_600.0]))
requests = st.builds(
    Dealt,
    request_id=st.text(max_size=8),
    unit_id=st.text(max_size=8),
    at=st.floats(0.0, 2e9),
    value=st.sampled_from(["NZ", "AU", "DE", None]),
)


def route(share: float, split: Split, salt: str = "r1") -> ModelRoute:
    """A canary beside a champion."""
    return ModelRoute((Arm("canary", 2, share), Arm("champion", 1, 1.0 - share)), {}, (7,), salt, split)


def many(split: Split, share: float = 0.3, rows: int = 20_000) -> list[tuple[Dealt, str, float]]:
    """Requests of 2,000 units in four regions, each with its arm and propensity."""
    regions = ("NZ", "AU", "DE", None)
    asked = [Dealt(f"q{i}", f"u{i % 2_000}", i * 10.0, regions[i % 4]) for i in range(rows)]
    found = [deal(route(share, split), one) for one in asked]
    return [(one, chosen.arm, chosen.propensity) for one, chosen in zip(asked, found, strict=True)]


@settings(deadline=None)
@given(splits, requests, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_growing_the_canary_moves_requests_only_to_it(split: Split, asked: Dealt, one: float, other: float) -> None:
    """Whatever is dealt, who is in the smaller canary is in the larger."""
    small, large = sorted((one, other))
    if deal(route(small, split), asked).arm == "canary":
        assert deal(route(large, split), asked).arm == "canary"


@settings(deadline=None)
@given(splits, requests, st.floats(0.0, 1.0))
def test_the_same_request_is_dealt_alike(split: Split, asked: Dealt, share: float) -> None:
    """A retry meets the version that its first attempt met, and a table that was sent as JSON deals as before."""
    first = deal(route(share, split), asked)
    sent = msgspec.json.decode(msgspec.json.encode(route(share, split)), type=ModelRoute)
    assert deal(sent, asked) == deal(route(share, split), asked) == first


@settings(deadline=None)
@given(requests, st.floats(0.0, 1.0))
def test_a_plain_split_is_the_units(asked: Dealt, share: float) -> None:
    """Without more said, the unit decides, as it always did."""
    assert Split() == PLAIN
    assert deal(route(share, Split()), asked) == choose(route(share, Split()), asked.unit_id)


@settings(deadline=None)
@given(splits, requests)
def test_outside_is_the_champions_and_no_evidence(split: Split, asked: Dealt) -> None:
    """Where a split names values, a request with another gets the champion for certain, unseen by any shadow, and its
    record names no rollout."""
    found = deal(route(1.0, split), asked)
    if split.within and asked.value not in split.within:
        assert (found.arm, found.propensity, found.rollout, found.shadows) == ("champion", 1.0, "", ())
    else:
        assert (found.rollout, found.shadows) == ("r1", (7,))


@pytest.mark.parametrize(
    "split",
    [
        Split(by=By.REQUEST),
        Split(explore=0.2),
        Split(by=By.REQUEST, explore=0.5),
        Split(feature="country", stratified=True),
        Split(feature="country", within=("NZ", "AU"), explore=0.1),
    ],
)
def test_the_propensity_is_how_often_the_arm_comes(split: Split) -> None:
    """Of those that are dealt, the canary gets the propensity that is logged, within five standard errors; where units
    are dealt, of 2,000 units."""
    dealt = [(arm, p) for _, arm, p in many(split) if p < 1.0]
    logged = dict(dealt)
    assert logged["canary"] + logged["champion"] == pytest.approx(1.0)
    share = sum(arm == "canary" for arm, _ in dealt) / len(dealt)
    independent = len(dealt) if split.by is By.REQUEST else min(2_000, len(dealt))
    assert abs(share - logged["canary"]) < 5.0 * (0.25 / independent) ** 0.5


def test_exploring_is_even_over_all_arms() -> None:
    """With half of the requests exploring over three arms, even an arm without a share gets a sixth."""
    arms = (Arm("a", 2, 0.0), Arm("b", 3, 0.2), Arm("champion", 1, 0.8))
    split = ModelRoute(arms, {}, (), "s", Split(explore=0.5))
    found = [deal(split, Dealt(f"q{i}", f"u{i}", 0.0)) for i in range(30_000)]
    for arm in arms:
        mine = [one for one in found if one.arm == arm.name]
        assert mine[0].propensity == pytest.approx(0.5 * arm.share + 0.5 / 3.0)
        assert abs(len(mine) / len(found) - mine[0].propensity) < 5.0 * (0.25 / len(found)) ** 0.5


def test_units_are_sticky_and_requests_are_not() -> None:
    """By unit a unit meets one version, by request most meet both in ten requests."""
    for split, most in ((Split(), 1), (Split(by=By.REQUEST), 2)):
        met: dict[str, set[str]] = {}
        for asked, arm, _ in many(split, 0.5):
            met.setdefault(asked.unit_id, set()).add(arm)
        both = sum(len(arms) == 2 for arms in met.values())
        assert both == 0 if most == 1 else both > 1_900


def test_a_feature_and_a_block_of_time_are_dealt_whole() -> None:
    """All requests with one value, or of one hour, go to one version; hours go to both."""
    for split, of in ((Split(by=By.FEATURE, feature="country"), 3), (Split(by=By.TIME, block_seconds=3_600.0), 4)):
        met: dict[str, set[str]] = {}
        for asked, arm, _ in many(split, 0.5):
            met.setdefault(key_of(split, asked), set()).add(arm)
        assert all(len(arms) == 1 for arms in met.values())
        assert len(met) >= of
    assert {arm for arms in met.values() for arm in arms} == {"canary", "champion"}


def test_strata_draw_their_own_units() -> None:
    """Of the units that the canary gets under one value, about a share are the canary's under another."""
    split = route(0.1, Split(feature="country", stratified=True))
    drawn = {
        value: {unit for unit in range(20_000) if deal(split, Dealt("q", str(unit), 0.0, value)).arm == "canary"}
        for value in ("NZ", "DE")
    }
    assert len(drawn["NZ"] & drawn["DE"]) < 0.15 * len(drawn["NZ"])


@pytest.mark.parametrize(
    ("split", "says"),
    [
        (Split(by=By.FEATURE), "needs its name"),
        (Split(within=("NZ",)), "needs its name"),
        (Split(stratified=True), "needs its name"),
        (Split(feature="country"), "decides nothing"),
        (Split(by=By.TIME), "needs the length of its blocks"),
        (Split(block_seconds=60.0), "belongs to a split by time"),
        (Split(explore=1.0), "less than 100%"),
        (Split(explore=-0.1), "0% or more"),
    ],
)
def test_what_cannot_be_dealt_is_told_with_the_fix(split: Split, says: str) -> None:
    """Each contradiction has its sentence."""
    assert says in fault_of(split)


def test_clusters_are_named() -> None:
    """A feature and a block of time deal clusters, units and requests none."""
    assert [Split(by=by).clusters for by in By] == [False, False, True, True]
