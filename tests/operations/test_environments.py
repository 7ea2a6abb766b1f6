"""dev -> staging -> production: whose gate a deploy needs, and how a version gets there."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from tests.operations.house import House, settled

from fairlead.config.fields import Duration, Share
from fairlead.config.gates import Gates
from fairlead.config.loops import Loops, Randomise
from fairlead.config.settings import Settings
from fairlead.core.contract import Task
from fairlead.core.event import AliasMoved, AnyFact, DeployAsked, Entry, EnvironmentEntered, StatusChanged
from fairlead.core.gate import CHECKS_AT_FIRST, read_report
from fairlead.core.standing import Standing
from fairlead.core.verdict import Outcome
from fairlead.errors import FairleadError, Refused, UsageError
from fairlead.operations.environments import Entered, promote_to
from fairlead.operations.rollouts import deploy
from fairlead.ports import Journal


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Two versions, not measured."""
    return House(tmp_path, Settings()).told()


def status(house: House, version: int) -> tuple[str, tuple[str, ...]]:
    """What the registry says of a version."""
    info = house.registry.versions("hotel")[version - 1]
    return info.status, info.aliases


@pytest.mark.parametrize("environment", ["dev", "staging"])
def test_another_environments_gate_lets_nothing_into_production(house: House, environment: str) -> None:
    """Passed there or not; the message says for what it was measured, and what to run."""
    house.measured(house.report(environment=environment))  # type: ignore[arg-type]  # one of three
    with pytest.raises(Refused, match=f"only measured for {environment}, not for production; run `fairlead gate") as no:
        deploy(house.context, "hotel@1")
    assert "--environment" not in no.value.line
    house.measured(house.report())
    house.measured(replace(house.report(environment="dev"), seconds=9.0))  # a later run elsewhere takes nothing back
    deploy(house.context, "hotel@1")


def test_a_report_of_another_environment_under_productions_name_is_refused(house: House) -> None:
    """The stored report says whose policy it was measured by; the journal's fact alone is not enough."""
    report = house.report(environment="dev")
    house.gates.put(report)
    house.journal.append([replace(report.fact, environment="production")], actor="eve", at=house.clock.now())
    with pytest.raises(Refused, match="measured for another environment"):
        deploy(house.context, "hotel@1")


def test_a_home_of_staging_needs_stagings_gate(house: House) -> None:
    """And says so, with the option where the settings name another; its deploys are journalled as such."""
    staging = house.under(Settings(environment="staging"))
    house.measured(house.report())
    with pytest.raises(Refused, match="only measured for production, not for staging; run `fairlead gate hotel@1`"):
        deploy(staging, "hotel@1")
    house.measured(house.report(environment="staging"))
    deploy(staging, "hotel@1")
    fact = list(house.journal.read(kinds=["deploy_asked"]))[-1].fact
    assert isinstance(fact, DeployAsked)
    assert fact.environment == "staging"


def test_a_home_never_goes_back_to_a_looser_environment(house: House) -> None:
    """Else settings that say dev would open what serves production. To a stricter one it may go."""
    house.measured(house.report(environment="staging"))
    house.measured(house.report(environment="dev"))
    house.measured(house.report())
    deploy(house.under(Settings(environment="staging")), "hotel@1")
    with pytest.raises(Refused, match="deployed into staging, and the settings now say environment: dev: use another"):
        deploy(house.under(Settings(environment="dev")), "hotel@1")
    with pytest.raises(Refused, match="was asked for before"):  # allowed, but for the one that waits
        deploy(house.context, "hotel@1")


def test_another_champion_since_the_gate_is_refused(house: House) -> None:
    """What it was rehearsed and compared with is not what it would replace."""
    house.measured(house.report(1))
    house.crown(2)
    with pytest.raises(Refused, match="compared with nothing, and version 2 is the champion since") as no:
        deploy(house.context, "hotel@1")
    assert "run `fairlead gate hotel@1`" in no.value.line
    house.compared(1, champion=2)
    deploy(house.context, "hotel@1")


def test_the_champion_itself_is_told_so(house: House) -> None:
    """Not that its gate was measured before it was champion."""
    house.measured(house.report(1))
    house.crown(1)
    with pytest.raises(Refused, match="is the champion already"):
        deploy(house.context, "hotel@1")


def test_a_stricter_policy_since_the_gate_is_refused(house: House) -> None:
    """A bound or a check that is asked for since; a looser one changes nothing."""
    house.measured(house.report())
    with pytest.raises(Refused, match=r"stricter since: p99_ms 1, was 50"):
        deploy(house.under(settled(p99=Duration(0.001))), "hotel@1")
    house.clock.advance(43_201.0)
    with pytest.raises(Refused, match=r"gate expired: .* counts for 0\.5"):
        deploy(house.under(settled(valid_for=Duration(43_200.0))), "hotel@1")
    deploy(house.under(settled(p99=Duration(5.0))), "hotel@1")


def test_a_report_from_before_is_read_and_counts_for_what_it_measured(house: House) -> None:
    """Stored without a required set: by the first ten checks it passed; what is asked for since has to be measured."""
    report = house.report()
    old = replace(report, checks=tuple(one for one in report.checks if one.name in CHECKS_AT_FIRST))
    text = (house.home / "gates" / f"{house.gates.put(old)}.json").read_bytes()
    start = text.index(b'"required":['), text.index(b"]", text.index(b'"required":['))
    bare = text[: start[0]] + text[start[1] + 1 :].lstrip(b",")
    read = read_report(bare.replace(b',"waived":null', b"").replace(b",}", b"}"))
    assert read.policy.required == CHECKS_AT_FIRST
    assert read.passed


def test_a_version_goes_from_dev_to_staging_to_production(house: House) -> None:
    """Each step by that environment's gate; statuses and aliases follow, and its rollout makes it champion."""
    house.measured(house.report(environment="staging"))
    assert status(house, 1) == ("none", ())
    assert promote_to(house.context, "hotel@1", "staging", 0, "for the autumn") == Entered("hotel", 1, "staging")
    assert status(house, 1) == ("staging", ("staging",))
    assert [entry.fact for entry in house.journal.read(house.journal.verify() - 3)] == [
        EnvironmentEntered("hotel", 1, house.digests[0], "staging", "for the autumn"),
        AliasMoved("hotel", "staging", 1, None, "for the autumn"),
        StatusChanged("hotel", 1, "staging", "for the autumn"),
    ]
    house.measured(house.report())
    promote_to(house.context, "hotel@1", "production")
    assert status(house, 1) == ("staging", ("staging",))  # its rollout, step by step, makes it champion
    assert deploy(house.context, "hotel@1") == "hotel-1-1"


def test_who_is_replaced_in_staging_is_archived_but_not_the_champion(house: House) -> None:
    """The champion answers production's traffic: its status is not staging's to change."""
    for version in (1, 2):
        house.measured(house.report(version, environment="staging"))
    promote_to(house.context, "hotel@1", "staging")
    promote_to(house.context, "hotel@2", "staging", expect=1)
    assert (status(house, 1), status(house, 2)) == (("archived", ()), ("staging", ("staging",)))
    house.journal.append([StatusChanged("hotel", 2, "production")], actor="controller", at=house.clock.now())
    house.registry.set_status("hotel", 2, "production")
    house.crown(2)
    house.measured(replace(house.report(1, environment="staging"), champion=2, champion_bundle=house.digests[1]))
    promote_to(house.context, "hotel@1", "staging")
    assert status(house, 2) == ("production", ("champion",))


@pytest.mark.parametrize(
    ("to", "expect", "error", "said"),
    [
        ("staging", 2, Refused, "nobody holds staging of hotel, not version 2: look at `fairlead models hotel`"),
        ("production", 1, Refused, "version 2 holds production of hotel, not version 1"),
        ("production", None, Refused, "hotel@1 enters production from staging, where it never was"),
        ("dev", None, UsageError, "every version is in dev once it is registered"),
        ("prod", None, UsageError, "use one of dev, staging, production"),
    ],
)
def test_a_step_that_makes_no_sense_is_told(
    house: House, to: str, expect: int | None, error: type[FairleadError], said: str
) -> None:
    """With the fix; the journal and the registry stand as they stood."""
    house.crown(2)
    house.compared(1, champion=2)
    before = house.journal.verify(), status(house, 1), status(house, 2)
    with pytest.raises(error) as caught:
        promote_to(house.context, "hotel@1", to, expect)
    assert said in caught.value.line
    assert (house.journal.verify(), status(house, 1), status(house, 2)) == before


def test_nobody_enters_twice_or_without_the_gate(house: House) -> None:
    """A failed gate lets nobody in; who is there is there."""
    house.measured(house.report(environment="staging", broken=None, model_card_complete=Outcome.BREACHED))
    with pytest.raises(Refused, match="failed: model_card_complete"):
        promote_to(house.context, "hotel@1", "staging")
    house.measured(house.report(environment="staging"))
    promote_to(house.context, "hotel@1", "staging")
    with pytest.raises(Refused, match="hotel@1 holds staging already"):
        promote_to(house.context, "hotel@1", "staging")


def test_where_steps_are_kept_only_what_entered_is_deployed(house: House) -> None:
    """`gates.stepwise`: not without `promote --to`, and not by another bundle's entry."""
    stepwise = house.under(Settings(gates=Gates(stepwise=True)))
    house.measured(house.report())
    with pytest.raises(Refused, match="run `fairlead promote hotel@1 --to production` first"):
        deploy(stepwise, "hotel@1")
    foreign = EnvironmentEntered("hotel", 1, house.digests[1], "production")
    house.journal.append([foreign], actor="eve", at=house.clock.now())
    with pytest.raises(Refused, match="has not entered production"):
        deploy(stepwise, "hotel@1")
    house.measured(house.report(environment="staging"))
    promote_to(stepwise, "hotel@1", "staging")
    promote_to(stepwise, "hotel@1", "production")
    deploy(stepwise, "hotel@1")


class Late:
    """A journal whose writer is overtaken once: between its look and its append somebody else writes."""

    def __init__(self, journal: Journal, first: Callable[[], object]) -> None:
        self.read, self.verify = journal.read, journal.verify
        self.journal, self.first = journal, [first]

    def append(
        self, facts: Sequence[AnyFact], *, actor: str, at: float, expected: Standing | None = None
    ) -> tuple[Entry, ...]:
        """Writes after the other."""
        while self.first:
            self.first.pop()()
        return self.journal.append(facts, actor=actor, at=at, expected=expected)


@pytest.mark.parametrize("expect", [None, 0])
def test_of_two_who_promote_at_once_one_is_refused(house: House, expect: int | None) -> None:
    """Both saw nobody in staging: who comes second learns who is there now, and changes nothing."""
    for version in (1, 2):
        house.measured(house.report(version, environment="staging"))
    late = Late(house.journal, lambda: promote_to(house.context, "hotel@1", "staging"))
    with pytest.raises(Refused, match="hotel changed since it was looked at: version 1 entered staging") as refused:
        promote_to(dataclasses.replace(house.context, journal=late), "hotel@2", "staging", expect)
    assert "version 1 is staging now" in refused.value.line
    assert [info.aliases for info in house.registry.versions("hotel")] == [("staging",), ()]


def test_decisions_of_values_cannot_be_drawn(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that is named there and answers with values is not deployed; one with classes is."""
    drawn = Settings(loops=Loops(randomise=Randomise(models=("hotel",), share=Share(0.01))))
    house.measured(house.report())
    manifest = house.bundles.manifest(house.digests[0])
    values = replace(manifest, contract=replace(manifest.contract, task=Task.REGRESSION, classes=()))
    with monkeypatch.context() as patch:
        patch.setattr(type(house.bundles), "manifest", lambda *_: values)
        with pytest.raises(Refused, match=r"take it out of loops\.randomise\.models"):
            deploy(house.under(drawn), "hotel@1")
    deploy(house.under(drawn), "hotel@1")
