"""Nothing is deployed without a passed gate of this very bundle; and nothing is written then."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.operations.house import AT, House

from fairlead.adapters.features.feast_plan import FeastPlan, PlannedFeature, PlannedView, plan_path, write_plan
from fairlead.config.features import FeatureSettings
from fairlead.config.models import ModelSettings
from fairlead.config.rollout import RolloutSettings, SplitSettings
from fairlead.config.settings import Settings
from fairlead.core.arms import Among, ArmShare
from fairlead.core.event import AliasMoved, DeployAsked
from fairlead.core.gate import DAY_SECONDS, digest_of_report
from fairlead.core.rollout import Step
from fairlead.core.split import By
from fairlead.core.verdict import Outcome
from fairlead.errors import FairleadError, NotFound, Refused, SettingsError, StateError, UsageError
from fairlead.operations.context import Context
from fairlead.operations.rollouts import deploy


@pytest.fixture
def house(tmp_path: Path) -> House:
    """The usual settings."""
    return House(tmp_path, Settings())


def _never(house: House) -> None:
    pass


def _of_another_version(house: House) -> None:
    house.measured(house.report(version=2))


def _failed(house: House) -> None:
    house.measured(house.report(broken=Outcome.BREACHED))


def _undecided(house: House) -> None:
    house.measured(house.report(broken=Outcome.UNDECIDED))


def _unmeasured(house: House) -> None:
    house.measured(house.report(broken=Outcome.UNMEASURED))


def _incomplete(house: House) -> None:
    whole = house.report()
    house.measured(replace(whole, checks=whole.checks[:-1]))


def _passed_then_failed(house: House) -> None:
    house.measured(house.report())
    house.clock.advance(60.0)
    house.measured(house.report(broken=Outcome.BREACHED))


def _expired(house: House) -> None:
    house.measured(house.report())
    house.clock.advance(30 * DAY_SECONDS)


def _from_the_future(house: House) -> None:
    house.measured(replace(house.report(), measured_at=AT + 60.0))


def _another_bundle(house: House) -> None:
    house.measured(replace(house.report(), bundle=house.digests[1]))


def _edited(house: House) -> None:
    report = house.measured(house.report(broken=Outcome.BREACHED))
    path = house.home / "gates" / f"{digest_of_report(report)}.json"
    path.write_bytes(path.read_bytes().replace(b'"breached"', b'"holds"'))


def _gone(house: House) -> None:
    report = house.measured(house.report())
    (house.home / "gates" / f"{digest_of_report(report)}.json").unlink()


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (_never, "it was never measured"),
        (_of_another_version, "it was never measured"),
        (_failed, "failed: rollback_rehearsed"),
        (_undecided, "failed: rollback_rehearsed"),
        (_unmeasured, "failed: rollback_rehearsed"),
        (_incomplete, "failed: rollback_rehearsed"),
        (_passed_then_failed, "failed: rollback_rehearsed"),
        (_expired, r"expired: it is 30\.0 days old"),
        (_from_the_future, "measured in the future"),
        (_another_bundle, "measured on another bundle"),
        (_edited, "is not what was measured"),
        (_gone, "there is no gate report"),
    ],
)
@pytest.mark.parametrize("strategy", [None, "shadow", "canary", "blue-green", "ab", "rolling"])
def test_a_version_without_a_passed_gate_is_not_deployed(
    house: House, what: Callable[[House], None], said: str, strategy: str | None
) -> None:
    """By no strategy; the message is one line with the command to run, and the journal holds nothing new."""
    what(house)
    before = list(house.journal.read())
    with pytest.raises(Refused, match=said) as caught:
        deploy(house.context, "hotel@1", strategy)
    assert "hotel@1 has not passed its gate" in caught.value.line
    assert "run `fairlead gate hotel@1`" in caught.value.line
    assert "\n" not in str(caught.value)
    assert list(house.journal.read()) == before


def test_a_passed_gate_is_enough(house: House) -> None:
    """Up to the instant of its expiry; what is journalled names the measured bundle."""
    house.measured(house.report(broken=Outcome.BREACHED))
    house.measured(house.report())
    house.clock.advance(30 * DAY_SECONDS - 1.0)
    rollout = deploy(house.context, "hotel@1", reason="the weekly release")
    entry = list(house.journal.read())[-1]
    assert isinstance(entry.fact, DeployAsked)
    assert (entry.fact.rollout, entry.fact.version, entry.fact.bundle) == (rollout, 1, house.digests[0])
    assert (entry.fact.reason, entry.actor, entry.at) == ("the weekly release", "ana", house.clock.now())


@pytest.mark.parametrize(
    ("reference", "error"),
    [
        ("model.skops", UsageError),
        ("./runs/first/model.skops", UsageError),
        ("models:/hotel/1", UsageError),
        ("hotel", UsageError),
        ("hotel@", UsageError),
        ("@1", UsageError),
        ("", UsageError),
        ("hotel@9", NotFound),
        ("hotel@0", NotFound),
        ("hotel@-1", NotFound),
        ("hotel@champion", NotFound),
        ("hotel@./model.skops", NotFound),
        ("motel@1", NotFound),
    ],
)
def test_only_a_registered_version_can_be_deployed(house: House, reference: str, error: type[FairleadError]) -> None:
    """Not a path, not an address, not a version that is not there; nothing is journalled."""
    house.measured(house.report())
    before = list(house.journal.read())
    with pytest.raises(error):
        deploy(house.context, reference)
    assert list(house.journal.read()) == before


def test_a_digest_is_no_reference(house: House) -> None:
    """A bundle is deployed as a registered version, or not at all."""
    house.measured(house.report())
    with pytest.raises(UsageError):
        deploy(house.context, house.digests[0])


@pytest.mark.parametrize("strategy", ["bluegreen", "Canary", "all-at-once"])
def test_an_unknown_strategy_is_told(house: House, strategy: str) -> None:
    """With those there are; nothing is journalled. Another plan than the one asked for is not started in its place."""
    house.measured(house.report())
    before = list(house.journal.read())
    with pytest.raises(UsageError, match="blue-green"):
        deploy(house.context, "hotel@1", strategy)
    assert list(house.journal.read()) == before


def test_several_versions_are_the_arms_of_one_rollout(house: House) -> None:
    """Each is asked for in one append, with one draw and a rollout of its own; none may lack its gate."""
    house.measured(house.report(1))
    with pytest.raises(Refused, match="hotel@2 has not passed its gate"):
        deploy(house.context, "hotel@1,2", "ab")
    house.measured(house.report(2))
    with pytest.raises(Refused, match="hotel has no champion to compare its arms with"):
        deploy(house.context, "hotel@1,2", "ab")
    house.journal.append([AliasMoved("hotel", "champion", 9, None)], actor="controller", at=AT)
    before = house.journal.verify()
    group = deploy(house.context, "hotel@1,2", "ab", arms={2: 0.3, 1: 0.2})
    asked = [entry.fact for entry in house.journal.read(before)]
    assert [(fact.rollout, fact.version) for fact in asked if isinstance(fact, DeployAsked)] == [
        ("hotel-1-1", 1),
        ("hotel-2-2", 2),
    ]
    for fact, share in zip(asked, (0.2, 0.3), strict=True):
        assert isinstance(fact, DeployAsked)
        assert (fact.plan.strategy, fact.plan.shadow, fact.plan.steps) == ("ab", None, (Step(share),))
        assert fact.plan.among == Among(group, (ArmShare(1, 0.2), ArmShare(2, 0.3)))


@pytest.mark.parametrize(
    ("reference", "strategy", "arms", "said"),
    [
        ("hotel@1,2", None, {}, "names 2 versions: that is for --strategy ab"),
        ("hotel@1,2", "canary", {}, "names 2 versions: that is for --strategy ab"),
        ("hotel@1", "canary", {1: 0.2}, "add --strategy ab"),
        ("hotel@1,2", "ab", {1: 0.2}, "give each of them one share"),
        ("hotel@1,2", "ab", {1: 0.2, 2: 0.2, 3: 0.2}, "give each of them one share"),
        ("hotel@1,2", "ab", {1: 0.5, 2: 0.5}, "leave the champion a share"),
        ("hotel@1,2", "ab", {1: 0.5, 2: 0.0}, "more than 0%"),
        ("hotel@1,1", "ab", {}, "named twice"),
        ("hotel@1,", "ab", {}, "hotel@"),
        ("hotel@,", "ab", {}, "hotel@"),
    ],
)
def test_arms_that_make_no_sense_are_told(
    house: House, reference: str, strategy: str | None, arms: dict[int, float], said: str
) -> None:
    """One line with the fix, and nothing is journalled."""
    for version in (1, 2):
        house.measured(house.report(version))
    before = list(house.journal.read())
    with pytest.raises(UsageError, match=said):
        deploy(house.context, reference, strategy, arms=arms)
    assert list(house.journal.read()) == before


def test_clusters_are_dealt_to_arms_alone(house: House) -> None:
    """With a split by a feature's value a canary is refused, and an A/B rollout is asked for."""
    house.measured(house.report())
    house.journal.append([AliasMoved("hotel", "champion", 9, None)], actor="controller", at=AT)
    name = house.context.bundles.manifest(house.digests[0]).contract.names[0]
    settings = RolloutSettings(strategy="ab", split=SplitSettings(by=By.FEATURE, feature=name))
    context = dataclasses.replace(house.context, settings=Settings(rollout=settings))
    with pytest.raises(UsageError, match="by feature is for strategy ab"):
        deploy(context, "hotel@1", "canary")
    deploy(context, "hotel@1")
    fact = list(house.journal.read())[-1].fact
    assert isinstance(fact, DeployAsked)
    assert fact.plan.split.clusters


def test_a_plan_that_cannot_start_is_no_setting() -> None:
    """Settings without steps are told before anything is deployed: a fact could not be undone."""
    with pytest.raises(UsageError, match="steps"):
        RolloutSettings(steps=())


def test_a_split_by_a_feature_that_nobody_sends_is_told(house: House) -> None:
    """With the nearest name or the model's own; nothing is journalled. A feature that it has is dealt."""
    house.measured(house.report())
    before = list(house.journal.read())
    names = house.context.bundles.manifest(house.digests[0]).contract.names
    for wrong, said in ((f"{names[0]}s", f"did you mean {names[0]}"), ("zzz", f"it has {names[0]}")):
        with pytest.raises(UsageError, match=f"{wrong}.*{said}"):
            deploy(_dealing(house, wrong), "hotel@1")
    assert list(house.journal.read()) == before
    deploy(_dealing(house, names[0]), "hotel@1")
    fact = list(house.journal.read())[-1].fact
    assert isinstance(fact, DeployAsked)
    assert fact.plan.split.feature == names[0]


def _dealing(house: House, feature: str) -> Context:
    split = SplitSettings(feature=feature, stratified=True)
    return dataclasses.replace(house.context, settings=Settings(rollout=RolloutSettings(split=split)))


def test_a_model_whose_look_ups_have_no_plan_is_not_deployed(house: House) -> None:
    """No worker would serve it: told with the command, and nothing is journalled. A plan that goes with it will do."""
    house.measured(house.report())
    before = house.journal.verify()
    looked = FeatureSettings(repo="features", entity="guest", service="stays")
    context = dataclasses.replace(house.context, settings=Settings(models={"hotel": ModelSettings(features=looked)}))
    with pytest.raises(StateError, match="run `fairlead features plan hotel`"):
        deploy(context, "hotel@1")
    for key, kind, said in (("room", "int64", "entity of hotel is guest: write room"), ("guest", "string", "nights")):
        write_plan(plan_path(house.home, "hotel"), _plan(key, kind))
        with pytest.raises(SettingsError, match=said):
            deploy(context, "hotel@1")
    assert house.journal.verify() == before
    write_plan(plan_path(house.home, "hotel"), _plan("guest", "int64"))
    deploy(context, "hotel@1")
    assert house.journal.verify() == before + 1


def _plan(key: str, kind: str) -> FeastPlan:
    """A feature view with the model's feature, of a kind, by a key."""
    view = PlannedView("stays", "hotel_stays", ((key, "int64"),), 0.0, (PlannedFeature("nights", "nights", kind),))
    return FeastPlan("hotel", 3, (view,), "0.64.0")
