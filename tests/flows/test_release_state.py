"""What the controller knows of a model: a fold of the journal, with the log's evidence beside it."""

from __future__ import annotations

import msgspec
import pytest

from fairlead.core.event import (
    AliasMoved,
    AnyFact,
    DeployAsked,
    EvidenceSeen,
    OperatorAsked,
    RolloutDecided,
    RolloutStarted,
    VersionRegistered,
)
from fairlead.core.rollout import Baseline, Evidence, Guardrail, Phase, Plan, Step
from fairlead.errors import Refused
from fairlead.flows.release_state import ModelState, raw
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.log import make_prediction

ERRORS = Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True)
PLAN = Plan("canary", (Step(0.1, 0.0, 10), Step(1.0)), (ERRORS,))
BASELINE = Baseline(1.0, (0.5,), (0.5, 0.5), (0.5,), (0.5, 0.5))
AT = 1_700_000_000.0


class Told:
    """A state and the journal it is folded from."""

    def __init__(self) -> None:
        self.journal = MemoryJournal()
        self.state = ModelState("hotel")
        self.at = AT

    def tell(self, *facts: AnyFact) -> None:
        """Writes facts, a second after the last, and folds them."""
        self.at += 1.0
        for entry in self.journal.append(facts, actor="ana", at=self.at):
            self.state.fold(entry)

    @property
    def phase(self) -> str:
        """Where the latest rollout stands."""
        return "" if self.state.rollout is None else self.state.rollout.phase.value

    def again(self) -> ModelState:
        """What another process makes of the same journal."""
        fresh = ModelState("hotel")
        for entry in self.journal.read(model="hotel"):
            fresh.fold(entry)
        return fresh


def asked(version: int) -> DeployAsked:
    """A rollout that someone wants."""
    return DeployAsked("hotel", f"r{version}", version, "b" * 64, PLAN)


def started(version: int, champion: int | None = 1) -> RolloutStarted:
    """It begins."""
    return RolloutStarted("hotel", f"r{version}", version, "b" * 64, champion, PLAN, raw(BASELINE))


@pytest.fixture
def told() -> Told:
    """Version 1 is champion and a rollout of version 2 runs."""
    made = Told()
    made.tell(VersionRegistered("hotel", 1, "1" * 64, "d"), VersionRegistered("hotel", 2, "2" * 64, "d"))
    made.tell(AliasMoved("hotel", "champion", 1, None))
    made.tell(asked(2), asked(3))
    made.tell(started(2))
    return made


def test_a_state_without_facts_knows_nothing() -> None:
    """No champion, no rollout, nothing asked."""
    state = ModelState("hotel")
    assert (state.champion, state.champion_bundle, state.running, state.main) == (None, None, None, None)
    with pytest.raises(Refused, match="has no rollout to resume: start one with `fairlead deploy hotel@V`"):
        state.ask_operator(OperatorAsked("hotel", "resume"), AT)


def test_facts_become_state(told: Told) -> None:
    """The champion and its bundle, the running rollout, and what waits for it to end."""
    state = told.state
    assert (state.champion, state.champion_bundle) == (1, "1" * 64)
    assert state.running is not None
    assert (state.running.id, state.running.champion) == ("r2", 1)
    assert [fact.rollout for fact in state.asked] == ["r3"]


def test_a_challenger_alias_is_no_champion(told: Told) -> None:
    """Only the champion's alias moves the champion."""
    told.tell(AliasMoved("hotel", "challenger", 2, None))
    assert told.state.champion == 1


def test_evidence_is_asked_about_without_changing_anything(told: Told) -> None:
    """Only the journal's fact changes the rollout; then nothing is left unseen, and another process agrees."""
    at = told.at + 1.0
    told.state.observe(
        [
            make_prediction(f"q{n}", model_version=2, arm="canary", propensity=0.1, received_at=at, rollout="r2")
            for n in range(4)
        ]
    )
    (track,) = told.state.tracks
    evidence = track.unseen()
    assert evidence.requests == {"canary": 4}
    before = told.state.rollout
    decision = track.ask(evidence, at)
    assert told.state.rollout == before
    told.tell(EvidenceSeen("hotel", "r2", raw(evidence)), RolloutDecided("hotel", "r2", raw(decision)))
    assert told.state.rollout is not None
    assert told.state.rollout.seen == evidence
    assert track.share == decision.share == 0.1
    assert track.looked_at == told.at
    assert track.unseen() == Evidence()
    assert told.again().rollout == told.state.rollout


def test_evidence_of_another_rollout_is_none_of_this_one(told: Told) -> None:
    """A late fact of an earlier rollout adds nothing."""
    told.tell(EvidenceSeen("hotel", "r1", raw(Evidence(requests={"canary": 99}))))
    assert told.state.rollout is not None
    assert told.state.rollout.seen == Evidence()


def test_a_request_waits_until_it_is_answered(told: Told) -> None:
    """What became of it names the rollout; a refusal names none and changes nothing but the queue."""
    told.tell(OperatorAsked("hotel", "resume"), OperatorAsked("hotel", "pause", "lunch"))
    assert [fact.verb for _, fact in told.state.requests] == ["resume", "pause"]
    told.tell(OperatorAsked("hotel", "resume", "refused: it runs", rollout=""))
    assert [fact.verb for _, fact in told.state.requests] == ["pause"]
    assert told.phase == "canary"
    ((_, decision),) = told.state.ask_operator(told.state.requests[0][1], told.at)
    assert decision.after is Phase.HELD
    told.tell(
        OperatorAsked("hotel", "pause", "lunch", rollout="r2"),
        RolloutDecided("hotel", "r2", raw(decision)),
    )
    assert not told.state.requests
    assert told.phase == "held"
    assert told.again().rollout == told.state.rollout


def test_a_rollout_that_is_over_runs_no_more(told: Told) -> None:
    """The next one may begin, and starts from nothing."""
    told.tell(OperatorAsked("hotel", "abort", rollout="r2"))
    assert [told.state.running] == [None]
    assert told.phase == "rolled_back"
    told.tell(started(3))
    running = told.state.running
    assert running is not None
    assert (running.id, running.seen, told.state.tracks[0].share) == ("r3", Evidence(), 0.0)
    assert not told.state.asked


def test_a_value_in_a_fact_is_canonical() -> None:
    """The same value gives the same bytes, whatever the order in which it was made."""
    one, other = Evidence(requests={"a": 1, "b": 2}), Evidence(requests={"b": 2, "a": 1})
    assert bytes(raw(one)) == bytes(raw(other))
    assert msgspec.json.decode(raw(one), type=Evidence) == one
