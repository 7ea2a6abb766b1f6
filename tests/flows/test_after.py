"""A promoted version is watched, and goes back by itself when it changes for the worse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace
from tests.flows.fleet import AFTER, QUICK, RULES, Fleet

from fairlead.core.after import PromotionDecision, why_after
from fairlead.core.event import EvidenceSeen, OperatorAsked, PromotionDecided, PromotionSeen
from fairlead.core.record import OutcomeRecord
from fairlead.core.replay import replay
from fairlead.core.rollout import Aftercare, Call, Guardrail, Plan, Step
from fairlead.flows.respond import Responder
from fairlead.testing.notifier import MemoryNotifier

LATENCY = Guardrail("p99_latency <= 50ms", "p99_latency", 50.0)
PLAN = replace(QUICK, steps=(Step(0.5, 0.0, 700), Step(1.0)), guardrails=(*RULES, LATENCY))


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """Version 2 was promoted over version 1, and has served for a while."""
    made = Fleet(tmp_path)
    made.promote(2, PLAN)
    run(made, 40)
    return made


def run(fleet: Fleet, blocks: int, **changes: object) -> int:
    """Ten seconds of traffic after another, until the version goes back; how many it took."""
    for block in range(blocks):
        if fleet.champion != 2:
            return block
        fleet.traffic(100, seconds=10.0, **changes)  # type: ignore[arg-type]
    return blocks


def decisions(fleet: Fleet) -> Iterator[PromotionDecision]:
    """What the watch has journalled."""
    for entry in fleet.entries("promotion_decided"):
        assert isinstance(entry.fact, PromotionDecided)
        yield msgspec.json.decode(entry.fact.decision, type=PromotionDecision)


def test_a_version_that_goes_on_as_it_was_stays(fleet: Fleet) -> None:
    """Its looks are journalled once a minute in its first hour, and each replays byte for byte."""
    assert fleet.champion == 2
    found = list(decisions(fleet))
    assert 5 <= len(found) <= 7
    assert {one.call for one in found} == {Call.NOT_YET}
    assert {reading.metric for reading in found[-1].readings} == {"error_rate", "prediction_psi", "p99_latency"}
    replayed = replay(fleet.journal.read(), "r2")
    assert replayed.matches, replayed.first_difference
    assert len(replayed.promotion) == len(found)


@pytest.mark.parametrize(
    ("changes", "guardrail", "said"),
    [
        ({"failing": 0.2}, RULES[0].text, "it failed more often than allowed for"),
        ({"slow": 0.3}, LATENCY.text, "it was slower than allowed for"),
        ({"score": lambda _: 0.5}, RULES[1].text, "its scores collapsed onto one part of their range for"),
    ],
    ids=["failures", "slow answers", "score collapse"],
)
def test_one_that_changes_goes_back_by_itself(
    fleet: Fleet, changes: dict[str, object], guardrail: str, said: str
) -> None:
    """Within a minute, to the version before, as the controller; why is one sentence; it replays."""
    assert run(fleet, 60, **changes) <= 6
    assert fleet.champion == 1
    assert fleet.is_back("r2")
    last = list(decisions(fleet))[-1]
    assert (last.call, last.guardrail, last.over) == (Call.REGRESS, guardrail, True)
    assert said in fleet.ending("r2")[0].reason
    replayed = replay(fleet.journal.read(), "r2")
    assert replayed.matches, replayed.first_difference
    assert replayed.watched is not None
    sentence = why_after(last, replayed.watched)
    assert sentence.startswith(f"Version 2 of hotel was promoted and {said}")
    assert sentence.endswith(": it goes back to version 1.")


def test_the_incident_and_its_postmortem_come_by_themselves(fleet: Fleet) -> None:
    """As of any rollback that nobody asked for."""
    run(fleet, 60, failing=0.3)
    drafts: list[str] = []

    def save(incident: str, text: str) -> str:
        drafts.append(text)
        return incident

    pager = MemoryNotifier("pager")
    Responder("hotel", fleet.journal, {pager: ["high"]}, fleet.clock, save).on_rollbacks()
    assert [notice.alert for notice in pager.sent] == ["rollout-rolled-back:r2"]
    assert "it failed more often than allowed" in drafts[0]


def outcomes(fleet: Fleet, version: int, wrong: int, count: int) -> None:
    """What really happened to a version's answers that have no outcome yet: the first `wrong` of ten were wrong."""
    mine = [one for one in fleet.log if one.model_version == version and one.request_id not in fleet.told][:count]
    fleet.told |= {one.request_id for one in mine}
    now = fleet.clock.now()
    fleet.release.observe_outcomes(
        [
            OutcomeRecord(one.request_id, _truth(one.prediction, place % 10 < wrong), now, now)
            for place, one in enumerate(mine)
        ]
    )


def _truth(said: object, wrong: bool) -> int:
    return (1 - int(str(said))) if wrong else int(str(said))


def test_late_labels_take_it_back(fleet: Fleet) -> None:
    """Twice as many of its answers are wrong as of the version's before it, of which enough outcomes came."""
    outcomes(fleet, 1, wrong=2, count=600)
    run(fleet, 2)
    for _ in range(60):
        if fleet.champion != 2:
            break
        outcomes(fleet, 2, wrong=4, count=60)
        run(fleet, 1)
    assert fleet.is_back("r2")
    reason = fleet.ending("r2")[0].reason
    assert reason.startswith("the controller asked to rollback: ")
    assert "outcomes show more of its answers to be wrong than allowed" in reason
    assert replay(fleet.journal.read(), "r2").matches


def test_late_labels_as_good_as_before_leave_it(fleet: Fleet) -> None:
    """Nor do those that came before enough of the version's before it are known."""
    outcomes(fleet, 2, wrong=9, count=100)
    run(fleet, 2)
    outcomes(fleet, 1, wrong=2, count=600)
    run(fleet, 2)
    for _ in range(30):
        outcomes(fleet, 2, wrong=2, count=60)
        run(fleet, 1)
    assert fleet.champion == 2
    assert {reading.metric for reading in list(decisions(fleet))[-1].readings} >= {"late_loss"}


def test_a_heavy_user_who_fails_is_one_failure(fleet: Fleet) -> None:
    """A thousand times in ten minutes, among others who do not."""
    units = ("robot",)
    for _ in range(60):
        fleet.traffic(100, seconds=5.0, failing=1.0, units=units)
        fleet.traffic(100, seconds=5.0)
    assert fleet.champion == 2


def test_a_controller_that_starts_again_goes_on_after_the_last_block(fleet: Fleet) -> None:
    """Nothing is counted twice: what it decides is what one that never stopped decides."""
    before = list(decisions(fleet))[-1].answers
    for _ in range(8):
        fleet.release = fleet.controller()
        run(fleet, 2)
    last = list(decisions(fleet))[-1]
    assert before < last.answers <= sum(one.model_version == 2 for one in fleet.log)
    assert run(fleet, 60, failing=0.3) <= 6
    assert replay(fleet.journal.read(), "r2").matches


def test_the_watch_ends_when_its_time_is_over(tmp_path: Path) -> None:
    """It says so once; what happens then is the windows' to see."""
    fleet = Fleet(tmp_path)
    fleet.promote(2, replace(PLAN, after=Aftercare(300.0, AFTER.alarm_seconds)))
    run(fleet, 40)
    last = list(decisions(fleet))[-1]
    assert (last.call, last.over) == (Call.SAFE, True)
    assert last.reason.endswith("the watch is over")
    count = len(list(decisions(fleet)))
    run(fleet, 20, failing=0.5)
    assert fleet.champion == 2
    assert len(list(decisions(fleet))) == count


def test_a_plan_that_is_not_automatic_asks(tmp_path: Path) -> None:
    """The decision says that it regressed; nobody is asked for by the controller."""
    fleet = Fleet(tmp_path)
    fleet.promote(2, replace(PLAN, automatic=False))
    run(fleet, 60, failing=0.3)
    assert fleet.champion == 2
    assert list(decisions(fleet))[-1].call is Call.REGRESS
    asked = [entry.fact for entry in fleet.entries("operator_asked")]
    assert not [fact for fact in asked if isinstance(fact, OperatorAsked) and fact.verb == "rollback"]


@pytest.mark.parametrize("plan", [replace(PLAN, after=None), Plan("canary", PLAN.steps, ())], ids=["none", "older"])
def test_without_a_plan_for_it_nothing_is_watched(tmp_path: Path, plan: Plan) -> None:
    """As in every journal that was written before."""
    fleet = Fleet(tmp_path)
    fleet.promote(2, plan)
    run(fleet, 40, failing=0.3)
    assert fleet.champion == 2
    assert not fleet.entries("promotion_seen")


def test_a_first_version_has_nothing_to_go_back_to(tmp_path: Path) -> None:
    """So it is not watched."""
    fleet = Fleet(tmp_path)
    for _ in range(40):
        fleet.traffic(50, seconds=10.0, failing=0.5)
    assert not fleet.entries("promotion_seen")


def test_no_edited_byte_of_it_goes_unseen(fleet: Fleet) -> None:
    """One more failure, or one fewer answer, and the replay says where."""
    entries = list(fleet.journal.read())
    at = next(n for n, one in enumerate(entries) if isinstance(one.fact, PromotionSeen))
    fact = entries[at].fact
    assert isinstance(fact, PromotionSeen)
    text = bytes(fact.evidence).decode()
    changed = Raw(text.replace('"trials":100', '"trials":99', 1).encode())
    assert bytes(changed) != bytes(fact.evidence)
    entries[at] = replace(entries[at], fact=replace(fact, evidence=changed))
    replayed = replay(entries, "r2")
    assert not replayed.matches
    assert replayed.first_difference is not None
    assert "evidence" in replayed.first_difference


def test_evidence_of_the_rollout_is_not_taken_for_evidence_after_it(fleet: Fleet) -> None:
    """A decision of the watch that follows from something else is told."""
    entries = [
        replace(one, fact=EvidenceSeen("hotel", "r2", Raw(b"{}"))) if isinstance(one.fact, PromotionSeen) else one
        for one in fleet.journal.read()
    ]
    assert not replay(entries, "r2").matches
