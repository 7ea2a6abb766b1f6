"""Which bundles may go."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Raw

from fairlead.core.event import (
    AliasMoved,
    AnyFact,
    BundleRemoved,
    DeployAsked,
    DeployRefused,
    Entry,
    EnvironmentEntered,
    GateMeasured,
    RolloutDecided,
    RolloutStarted,
    StatusChanged,
    VersionRegistered,
)
from fairlead.core.retention import Rules, retained
from fairlead.core.rollout import Plan, Step

DAY = 86_400.0
RULES = Rules(newest=1, gate_seconds=30 * DAY, now=100 * DAY)
PLAN = Plan(strategy="canary", steps=(Step(1.0, 0.0),), guardrails=())


def told(*facts: AnyFact, at: float = 0.0) -> list[Entry]:
    return [Entry(seq, at, "ana", fact, "", "") for seq, fact in enumerate(facts, 1)]


def versions(count: int) -> list[AnyFact]:
    return [VersionRegistered("hotel", number, f"b{number}", "july") for number in range(1, count + 1)]


def spare(*facts: AnyFact, at: float = 0.0, rules: Rules = RULES) -> list[int]:
    """Of four versions those that may go."""
    return [one.version for one in retained(told(*versions(4), *facts, at=at), rules).spare]


def decided(rollout: str, after: str) -> RolloutDecided:
    return RolloutDecided("hotel", rollout, Raw(msgspec.json.encode({"rollout": rollout, "after": after})))


def test_what_nothing_needs_may_go_and_the_newest_stay() -> None:
    """As many as are asked for."""
    assert spare() == [1, 2, 3]
    assert spare(rules=msgspec.structs.replace(RULES, newest=3)) == [1]
    assert spare(rules=msgspec.structs.replace(RULES, newest=9)) == []


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        ([AliasMoved("hotel", "champion", 2, None)], "it is champion"),
        ([AliasMoved("hotel", "challenger", 2, None)], "it is challenger"),
        (
            [AliasMoved("hotel", "champion", 2, None), AliasMoved("hotel", "champion", 4, 2)],
            "a rollback of champion returns to it",
        ),
        ([StatusChanged("hotel", 2, "staging")], "its status is staging"),
        ([StatusChanged("hotel", 2, "production")], "its status is production"),
        ([DeployAsked("hotel", "r", 2, "b2", PLAN)], "a running rollout has it"),
        ([RolloutStarted("hotel", "r", 2, "b2", None, PLAN, Raw(b"{}"))], "a running rollout has it"),
        ([RolloutStarted("hotel", "r", 4, "b4", 2, PLAN, Raw(b"{}"))], "a running rollout has it"),
        ([DeployAsked("hotel", "r", 2, "b2", PLAN), decided("r", "canary")], "a running rollout has it"),
    ],
)
def test_what_is_needed_stays(facts: Sequence[AnyFact], reason: str) -> None:
    """Whoever holds an alias or held it last, what is served, what a rollout without an end has; with the reason."""
    found = retained(told(*versions(4), *facts), RULES)
    assert {one.version: one.reason for one in found.kept}[2] == reason
    assert 2 not in [one.version for one in found.spare]


@pytest.mark.parametrize(
    "facts",
    [
        [DeployAsked("hotel", "r", 2, "b2", PLAN), DeployRefused("hotel", "r", 2, "no")],
        [RolloutStarted("hotel", "r", 2, "b2", None, PLAN, Raw(b"{}")), decided("r", "rolled_back")],
        [
            AliasMoved("hotel", "challenger", 2, None),
            AliasMoved("hotel", "challenger", 1, 2),
            AliasMoved("hotel", "challenger", 3, 1),
        ],
        [StatusChanged("hotel", 2, "production"), StatusChanged("hotel", 2, "archived")],
    ],
)
def test_what_is_over_needs_nothing(facts: Sequence[AnyFact]) -> None:
    """A refused or ended rollout, an alias that moved on twice, and a status that was left."""
    assert 2 in spare(*facts)


@pytest.mark.parametrize(
    "fact",
    [
        GateMeasured("hotel", 2, "b2", True, (), "report"),
        EnvironmentEntered("hotel", 2, "b2", "staging", ""),
    ],
)
def test_a_gate_keeps_a_bundle_as_long_as_it_counts(fact: AnyFact) -> None:
    """Thirty days here; then the version would have to be measured again."""
    assert 2 not in spare(fact, at=80 * DAY)
    assert 2 in spare(fact, at=60 * DAY)


def test_a_failed_gate_keeps_nothing() -> None:
    """It lets nothing into production."""
    assert 2 in spare(GateMeasured("hotel", 2, "b2", False, ("latency_and_memory",), "report"), at=99 * DAY)


def test_what_a_route_names_stays() -> None:
    """Whoever put it there."""
    rules = msgspec.structs.replace(RULES, routed=frozenset({"b2"}))
    found = retained(told(*versions(4)), rules)
    said = {one.version: one.reason for one in found.kept}
    assert said == {2: "it is routed", 4: "it is among the newest"}


def test_a_bundle_of_two_versions_stays_for_either() -> None:
    """Registered twice it is one folder."""
    found = retained(told(*versions(2), VersionRegistered("hotel", 3, "b1", "july")), RULES)
    assert [one.version for one in found.spare] == [2]
    assert {one.version: one.reason for one in found.kept}[1] == "version 3 has the same bundle"


def test_what_was_removed_is_in_neither_until_it_is_registered_again() -> None:
    """The journal remembers what is gone."""
    found = retained(told(*versions(4), BundleRemoved("hotel", 2, "b2")), RULES)
    assert {one.version for one in found.kept} | {one.version for one in found.spare} == {1, 3, 4}
    again = retained(
        told(*versions(4), BundleRemoved("hotel", 2, "b2"), VersionRegistered("hotel", 5, "b2", "july")), RULES
    )
    assert {one.version for one in again.kept} == {2, 5}


numbers = st.integers(1, 6)
facts = st.one_of(
    st.builds(AliasMoved, st.just("hotel"), st.sampled_from(["champion", "challenger", "staging"]), numbers, st.none()),
    st.builds(StatusChanged, st.just("hotel"), numbers, st.sampled_from(["none", "staging", "production", "archived"])),
    st.builds(lambda number: DeployAsked("hotel", f"r{number}", number, f"b{number}", PLAN), numbers),
    st.builds(lambda number: decided(f"r{number}", "rolled_back"), numbers),
    st.builds(lambda number: BundleRemoved("hotel", number, f"b{number}"), numbers),
)


@given(st.lists(facts, max_size=25), st.integers(1, 4))
@settings(deadline=None)
def test_no_holder_no_predecessor_and_no_rollout_loses_its_bundle(story: list[AnyFact], newest: int) -> None:
    """Whatever happened: each bundle is in one part or gone, and none that is needed is spare; more kept keeps more."""
    entries = told(*versions(6), *story)
    found = retained(entries, msgspec.structs.replace(RULES, newest=newest))
    going, kept = {one.bundle for one in found.spare}, {one.bundle for one in found.kept}
    gone = {fact.bundle for fact in story if isinstance(fact, BundleRemoved)}
    assert going.isdisjoint(kept)
    assert going | kept | gone == {f"b{number}" for number in range(1, 7)}
    holders: dict[str, list[int]] = {}
    for fact in story:
        if isinstance(fact, AliasMoved) and fact.version is not None:
            holders.setdefault(fact.alias, []).append(fact.version)
    for held in holders.values():
        assert f"b{held[-1]}" not in going
        before = [version for version in held if version != held[-1]]
        assert not before or f"b{before[-1]}" not in going
    more = retained(entries, msgspec.structs.replace(RULES, newest=newest + 1))
    assert {one.bundle for one in more.spare} <= going
