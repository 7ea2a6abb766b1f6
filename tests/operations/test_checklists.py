"""The checklists with live state, and the answers that people give."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec import Raw
from msgspec.structs import replace
from tests.operations.house import AT, House

from fairlead.config.retraining import Retraining
from fairlead.config.rollout import RolloutSettings
from fairlead.config.settings import Settings
from fairlead.core.checklist import SIGNS, Line
from fairlead.core.event import (
    AnyFact,
    ItemAttested,
    PipelineStep,
    RolloutStarted,
    StatusChanged,
    VersionRegistered,
    WindowJudged,
)
from fairlead.core.gate import DAY_SECONDS
from fairlead.core.rollout import Plan
from fairlead.core.verdict import Outcome
from fairlead.errors import FairleadError, NotFound, Refused, UsageError
from fairlead.operations.checklists import attest, checklist, ml_test_score
from fairlead.operations.models import resolve
from fairlead.operations.signs import Signs

LINK = "https://wiki/rota"


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Two versions; the first was measured, and all holds."""
    house = House(tmp_path, Settings()).told()
    house.measured(house.report())
    return house


def line(house: House, name: str, version: int = 1) -> Line:
    """How an item stands."""
    return next(one for one in checklist(house.context, f"hotel@{version}").lines if one.name == name)


def test_measured_items_are_proven_and_the_others_are_open(house: House) -> None:
    """By phase or all; the whole says how it is."""
    found = checklist(house.context, "hotel@1", "pre-deployment")
    assert {one.phase for one in found.lines} == {"pre-deployment"}
    assert (line(house, "portable").state, line(house, "scaling").state) == ("proven", "open")
    assert found.outcome is Outcome.UNDECIDED
    assert found.counted("proven") + found.counted("open") == len(found.lines)
    house.measured(house.report(edge_cases_answered=Outcome.BREACHED))
    assert checklist(house.context, "hotel@1", "pre-deployment").outcome is Outcome.BREACHED
    assert line(house, "thresholds-met").state == "failed"


@pytest.mark.parametrize("word", ["Pre Deployment", "pre_deployment", " pre-deployment "])
def test_a_phase_is_named_as_people_write_it(house: House, word: str) -> None:
    """With spaces or capitals; an unknown one is told with the nearest."""
    assert checklist(house.context, "hotel@1", word).lines
    with pytest.raises(UsageError, match="did you mean pre-deployment"):
        checklist(house.context, "hotel@1", "predeployment")
    with pytest.raises(UsageError, match="use pre-development, data-pipeline"):
        checklist(house.context, "hotel@1", "zzz")


def _expired(house: House) -> None:
    house.clock.advance(30 * DAY_SECONDS)


def _overtaken(house: House) -> None:
    house.crown(2)


def _foreign(house: House) -> None:
    house.measured(replace(house.report(), bundle=house.digests[1]))


def _future(house: House) -> None:
    house.measured(replace(house.report(), measured_at=AT + 60.0))


def _gone(house: House) -> None:
    for path in (house.home / "gates").iterdir():
        path.unlink()


def _elsewhere(house: House) -> None:
    house.context = house.under(Settings(environment="staging"))


@pytest.mark.parametrize(
    ("what", "said"),
    [
        (_expired, "its gate expired"),
        (_overtaken, "version 2 is the champion since"),
        (_foreign, "measured on another bundle"),
        (_future, "measured in the future"),
        (_gone, "there is no gate report"),
        (_elsewhere, "was never measured"),
    ],
)
def test_stale_and_foreign_evidence_proves_nothing(house: House, what: Callable[[House], None], said: str) -> None:
    """Neither an item nor a point of the score; the reason says why there is no evidence."""
    before = ml_test_score(house.context, "hotel@1")
    what(house)
    found = line(house, "portable")
    assert (found.state, said in found.reason) == ("open", True), found.reason
    assert sum(ml_test_score(house.context, "hotel@1").areas.values()) < sum(before.areas.values())


def test_an_answer_counts_until_it_expires(house: House) -> None:
    """With its owner and link; for the version it was given for, or for every one."""
    until = AT + 10 * DAY_SECONDS
    given = attest(house.context, "on-call", "hotel@1", "a rota of three", "mara", LINK, until)
    assert (given.until, given.version, given.by) == (until, 1, "ana")
    assert list(house.journal.read(kinds=["item_attested"]))[-1].fact == ItemAttested(
        "hotel", "on-call", "a rota of three", "mara", LINK, until, 1
    )
    assert (line(house, "on-call").state, line(house, "on-call", 2).state) == ("attested", "open")
    assert "mara: a rota of three" in line(house, "on-call").reason
    attest(house.context, "On Call", "hotel", "two now", "mara", LINK)
    assert line(house, "on-call", 2).state == "attested"
    house.clock.advance(366 * DAY_SECONDS)
    assert line(house, "on-call").state == "expired"


def test_an_answer_is_half_a_point(house: House) -> None:
    """Of the ML Test Score; what a machine proves is a whole one."""
    before = ml_test_score(house.context, "hotel@1").areas["model"]
    attest(house.context, "tuning", "hotel@1", "five folds", "mara", "runs/12")
    assert ml_test_score(house.context, "hotel@1").areas["model"] == before + 0.5


@pytest.mark.parametrize(
    ("item", "whose", "fields", "error", "said"),
    [
        ("latency", "hotel@1", {}, Refused, "latency is proven by latency_and_memory, not by anybody's word"),
        ("on-cal", "hotel@1", {}, UsageError, "did you mean on-call?"),
        ("zzz", "hotel@1", {}, UsageError, "`fairlead checklist` lists them"),
        ("on-call", "motel", {}, NotFound, "there is no model 'motel'"),
        ("on-call", "hotel@9", {}, NotFound, "hotel has no version 9"),
        ("on-call", "hotel@1", {"answer": " "}, UsageError, "on-call needs --answer"),
        ("on-call", "hotel@1", {"owner": ""}, UsageError, "on-call needs --owner"),
        ("on-call", "hotel@1", {"link": ""}, UsageError, "on-call needs --link"),
        ("on-call", "hotel@1", {"until": AT}, UsageError, "would expire before it is given"),
        ("on-call", "hotel@1", {"until": AT + 366 * DAY_SECONDS}, UsageError, "a year at most"),
    ],
)
def test_what_cannot_be_attested_is_told(
    house: House, item: str, whose: str, fields: dict[str, object], error: type[FairleadError], said: str
) -> None:
    """One line with the fix, and nothing is journalled."""
    before = house.journal.verify()
    given: dict[str, object] = {"answer": "yes", "owner": "mara", "link": LINK, "until": None, **fields}
    with pytest.raises(error) as caught:
        attest(house.context, item, whose, **given)  # type: ignore[arg-type]  # by name
    assert said in caught.value.line
    assert house.journal.verify() == before


def test_every_sign_is_looked_for(house: House) -> None:
    """All but the gate's own, which the checklist adds."""
    assert set(Signs(house.context, resolve(house.context, "hotel@1")).all()) == set(SIGNS) - {"gate_passed"}


def shown(house: House, sign: str) -> bool | None:
    """Whether a sign is there."""
    return Signs(house.context, resolve(house.context, "hotel@1")).all()[sign].holds


def started(strategy: str, baseline: bytes = b'{"x":1}') -> RolloutStarted:
    """A rollout of version 1 began."""
    return RolloutStarted("hotel", "hotel-1-1", 1, "b", None, Plan(strategy, (), ()), Raw(baseline))


def _step(state: str, run: str = "r1", step: str = "unit_tests") -> PipelineStep:
    return PipelineStep("", run, "test", step, state)


@pytest.mark.parametrize(
    ("sign", "facts", "before", "after"),
    [
        ("seen_by_part_first", [started("blue-green")], True, False),
        ("seen_by_part_first", [started("canary")], True, True),
        ("baseline_recorded", [started("canary")], None, True),
        ("baseline_recorded", [started("canary", b"{}")], None, False),
        ("promoted", [StatusChanged("hotel", 1, "production")], None, True),
        ("promoted", [StatusChanged("hotel", 1, "production"), StatusChanged("hotel", 1, "archived")], None, False),
        ("promoted", [StatusChanged("hotel", 2, "production")], None, None),
        ("watched", [WindowJudged("hotel", "w", 0.0, 1.0, 5, "holds", Raw(b"{}"))], None, True),
        ("watched", [WindowJudged("motel", "w", 0.0, 1.0, 5, "holds", Raw(b"{}"))], None, None),
        ("realised_as_promised", [WindowJudged("hotel", "w", 0.0, 1.0, 5, "holds", Raw(b"{}"))], None, None),
        ("pipeline_passed", [_step("started"), _step("passed")], None, True),
        ("pipeline_passed", [_step("started"), _step("failed")], None, False),
        ("pipeline_passed", [_step("failed"), _step("passed", "r2")], None, True),
        ("pipeline_passed", [_step("passed"), _step("started", step="evaluation")], None, False),
    ],
)
def test_the_journal_shows_what_happened(
    house: House, sign: str, facts: list[AnyFact], before: bool | None, after: bool | None
) -> None:
    """Of this version, and nothing where nothing happened."""
    assert shown(house, sign) is before
    house.journal.append(facts, actor="ana", at=AT)
    assert shown(house, sign) is after


def test_another_bundle_than_was_registered_is_no_registration(tmp_path: Path) -> None:
    """The journal knows which; a version that it never heard of is not registered."""
    house = House(tmp_path, Settings())
    assert shown(house, "registered") is None
    house.journal.append([VersionRegistered("hotel", 1, house.digests[0], "july")], actor="ana", at=AT)
    assert shown(house, "registered") is True


def test_settings_show_what_is_planned(house: House) -> None:
    """A command to retrain with; a strategy that shows a part first."""
    assert (shown(house, "retraining_defined"), shown(house, "seen_by_part_first")) == (None, True)
    settings = Settings(
        retraining=Retraining(command="python train.py"), rollout=RolloutSettings(strategy="blue-green")
    )
    house.context = house.under(settings)
    assert (shown(house, "retraining_defined"), shown(house, "seen_by_part_first")) == (True, False)
