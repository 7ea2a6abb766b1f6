"""Rollouts as a person asks for them: how they stand, why, decided again, and the operator's hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from fairlead.app.compose import open_context
from fairlead.core.advance import advance
from fairlead.core.arms import Among, ArmShare
from fairlead.core.event import (
    AnyFact,
    DeployAsked,
    DeployRefused,
    EvidenceSeen,
    OperatorAsked,
    RolloutDecided,
    RolloutStarted,
    RouteApplied,
    canonical,
)
from fairlead.core.rollout import Baseline, Evidence, Guardrail, Phase, Plan, Rollout, ShadowPlan, Step
from fairlead.core.rollout import start as start_rollout
from fairlead.errors import JournalBroken, NotFound, Refused
from fairlead.operations.context import Context
from fairlead.operations.refused import refusals, refused_last
from fairlead.operations.rollouts import VERBS, arms, operate, replay, replays, rollout, rollouts
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal

AT = 1_700_000_000.0
PSI = Guardrail("prediction_psi < 0.25", "prediction_psi", 0.25)
PLAN = Plan("canary", (Step(0.1, 0.0, 100), Step(1.0)), (PSI,))
HALVES = Baseline(1.0, (0.5,), (0.5, 0.5), (0.5,), (0.5, 0.5))
# What a good and a bad hundred requests of the canary add, beside nine hundred of the champion.
GOOD = Evidence({"champion": 900, "canary": 100}, scores={"champion": (450, 450), "canary": (50, 50)})
BAD = Evidence({"champion": 900, "canary": 100}, scores={"champion": (450, 450), "canary": (100, 0)})


def raw(value: object) -> msgspec.Raw:
    """A value as it stands in a fact."""
    return msgspec.Raw(canonical(value))


class Told:
    """A home whose journal a controller has written."""

    def __init__(self, home: Path) -> None:
        self.clock, self.journal = ManualClock(AT), MemoryJournal()
        self.context: Context = replace(open_context(home), clock=self.clock, journal=self.journal, actor="ana")
        self.state: dict[str, Rollout] = {}

    def tell(self, *facts: AnyFact) -> None:
        """A second later."""
        self.clock.advance(1.0)
        self.journal.append(facts, actor="controller", at=self.clock.now())

    def begin(self, key: str, model: str, version: int, champion: int | None, plan: Plan = PLAN) -> None:
        """A rollout starts."""
        self.tell(RolloutStarted(model, key, version, "b" * 64, champion, plan, raw(HALVES)))
        self.state[key] = start_rollout(key, model, version, champion, plan, HALVES, self.clock.now())

    def look(self, key: str, evidence: Evidence) -> None:
        """The controller looks, and journals what it decided."""
        at = self.clock.now() + 1.0
        state, decision = advance(self.state[key], evidence, at)
        self.state[key] = state
        model = state.model
        self.tell(EvidenceSeen(model, key, raw(evidence)), RolloutDecided(model, key, raw(decision)))


@pytest.fixture
def told(tmp_path: Path) -> Told:
    """An empty home."""
    return Told(tmp_path / "home")


@pytest.fixture
def lives(told: Told) -> Told:
    """Two models: hotel was promoted, promoted and rolled back; churn has just begun."""
    told.begin("h1", "hotel", 1, None)
    told.look("h1", Evidence())
    told.tell(RouteApplied("hotel", 1, 2, 0.5, "h1"))
    told.begin("h2", "hotel", 2, 1)
    told.begin("c1", "churn", 1, None, Plan("shadow", PLAN.steps, (PSI,), ShadowPlan(0.0, 10)))
    told.look("h2", GOOD)
    told.tell(RouteApplied("hotel", 2, 2, 0.25, "h2"), RouteApplied("hotel", 3, 2, 0.125, "h2"))
    told.begin("h3", "hotel", 3, 2)
    while told.state["h3"].phase is Phase.CANARY:
        told.look("h3", BAD)
    told.tell(RouteApplied("hotel", 4, 2, 0.0625, "h3"))
    return told


def test_no_rollouts_are_none(told: Told) -> None:
    """And asking for one is told with the next step."""
    assert rollouts(told.context) == ()
    with pytest.raises(NotFound, match="start one with `fairlead deploy hotel@VERSION`"):
        rollout(told.context, "hotel")


def test_each_rollout_is_seen_oldest_first(lives: Told) -> None:
    """Of all models, or of one; each with its own phase, versions and share."""
    views = rollouts(lives.context)
    assert [(v.id, v.model, v.version, v.champion) for v in views] == [
        ("h1", "hotel", 1, None),
        ("h2", "hotel", 2, 1),
        ("c1", "churn", 1, None),
        ("h3", "hotel", 3, 2),
    ]
    assert [v.phase for v in views] == [Phase.PROMOTED, Phase.PROMOTED, Phase.SHADOW, Phase.ROLLED_BACK]
    assert [v.share for v in views] == [1.0, 1.0, 0.0, 0.0]
    assert [v.strategy for v in views] == ["canary", "canary", "shadow", "canary"]
    assert rollouts(lives.context, "churn") == views[2:3]
    assert rollouts(lives.context, "nobody") == ()


def test_the_latest_rollout_is_the_models(lives: Told) -> None:
    """With the evidence that decided it, and the figures a person asks for."""
    view = rollout(lives.context, "hotel")
    assert view.id == "h3"
    assert view.decision is not None
    assert view.decision.guardrail == "prediction_psi < 0.25"
    reading = view.decision.readings[0]
    assert reading.log_e_max >= reading.threshold_log_e == pytest.approx(math.log(1 / 0.01))
    assert view.requests_exposed == lives.state["h3"].seen.requests["canary"]
    assert view.why.startswith("Version 3 of hotel was rolled back after")
    assert view.seconds_to_decision == view.decision.at - view.started_at


def test_the_swap_that_counts_is_the_last_of_its_own(lives: Told) -> None:
    """Not that of an earlier step, nor of another rollout; none while it is under way."""
    seconds = {view.id: view.seconds_to_swap for view in rollouts(lives.context)}
    assert seconds == {"h1": 0.5, "h2": 0.125, "c1": None, "h3": 0.0625}


def test_a_rollout_that_has_just_begun_says_so(lives: Told) -> None:
    """Nothing was decided yet."""
    view = rollout(lives.context, "churn")
    assert (view.decision, view.seconds_to_decision, view.requests_exposed) == (None, None, 0)
    assert view.why == "nothing was decided yet"


@pytest.mark.parametrize("key", ["h1", "h2", "h3"])
def test_what_was_decided_is_decided_again(lives: Told, key: str) -> None:
    """From the journalled evidence, byte for byte, other rollouts of the model between or not."""
    result = replay(lives.context, key)
    assert result.matches, result.first_difference
    assert result.final == lives.state[key]
    assert replay(lives.context, key).digest == result.digest


def test_a_rollout_that_never_was_cannot_be_replayed(lives: Told) -> None:
    """The message says where to look."""
    with pytest.raises(NotFound, match="no rollout 'h9': `fairlead rollout` lists them"):
        replay(lives.context, "h9")


def test_a_decision_that_the_evidence_does_not_give_is_found(told: Told) -> None:
    """The first difference is named."""
    told.begin("h2", "hotel", 2, 1)
    _, decision = advance(told.state["h2"], GOOD, told.clock.now() + 1.0)
    generous = msgspec.structs.replace(decision, share=1.0, reason="because I say so")
    told.tell(EvidenceSeen("hotel", "h2", raw(GOOD)), RolloutDecided("hotel", "h2", raw(generous)))
    result = replay(told.context, "h2")
    assert not result.matches
    assert result.first_difference


def test_an_edited_journal_is_not_replayed(lives: Told) -> None:
    """A chain that does not hold proves nothing."""
    entry = lives.journal._entries[3]
    lives.journal._entries[3] = msgspec.structs.replace(entry, at=entry.at + 1.0)
    with pytest.raises(JournalBroken):
        replay(lives.context, "h2")


@pytest.mark.parametrize("verb", ["promote", "pause", "abort", "rollback"])
def test_the_operators_wish_is_a_fact(lives: Told, verb: str) -> None:
    """With who asked, why, and which rollout was meant; what becomes of it is the controller's to say."""
    lives.begin("h4", "hotel", 4, 2)
    operate(lives.context, "hotel", verb, "the phones ring", actor="ben")  # type: ignore[arg-type]  # one of VERBS
    operate(lives.context, "hotel", verb, by="the pipeline")  # type: ignore[arg-type]  # as above
    asked = list(lives.journal.read(kinds=["operator_asked"]))
    facts = [entry.fact for entry in asked if isinstance(entry.fact, OperatorAsked)]
    assert [(fact.model, fact.verb, fact.reason, fact.rollout, fact.seen, fact.by) for fact in facts] == [
        ("hotel", verb, "the phones ring", None, "h4", ""),
        ("hotel", verb, "", None, "h4", "the pipeline"),
    ]
    assert [entry.actor for entry in asked] == ["ben", "ana"]


@pytest.mark.parametrize("verb", VERBS)
def test_what_makes_no_sense_is_refused_at_once(lives: Told, verb: str) -> None:
    """A rollout that was rolled back takes no verb: whoever asks is told now, and nothing is written."""
    before = lives.journal.verify()
    with pytest.raises(Refused, match=f"is rolled back: it cannot {verb} now"):
        operate(lives.context, "hotel", verb)  # type: ignore[arg-type]  # one of VERBS
    assert lives.journal.verify() == before


@pytest.mark.parametrize("verb", ["destroy", "", "Promote", "promote "])
def test_an_unknown_verb_is_refused(lives: Told, verb: str) -> None:
    """With those there are; nothing is written."""
    before = lives.journal.verify()
    with pytest.raises(Refused, match="use one of promote, pause, resume, abort, rollback"):
        operate(lives.context, "hotel", verb)  # type: ignore[arg-type]  # what a caller may send
    assert lives.journal.verify() == before


@pytest.mark.parametrize("model", ["nobody", "", "hotel@1"])
def test_a_model_without_a_rollout_cannot_be_operated(lives: Told, model: str) -> None:
    """Nothing is written."""
    before = lives.journal.verify()
    with pytest.raises(NotFound, match="has no rollout to pause: start one with `fairlead deploy"):
        operate(lives.context, model, "pause")
    assert lives.journal.verify() == before


def test_a_rollout_that_was_only_asked_for_can_be_operated(told: Told) -> None:
    """An operator need not wait for the controller."""
    told.tell(DeployAsked("hotel", "h1", 1, "b" * 64, PLAN))
    operate(told.context, "hotel", "abort", "not today")
    assert len(list(told.journal.read(kinds=["operator_asked"]))) == 1


# -- several arms --------------------------------------------------------------------------------------------------

AMONG = Among("hotel-ab-4", (ArmShare(4, 0.2), ArmShare(5, 0.3)))


@pytest.fixture
def arms_told(lives: Told) -> Told:
    """Versions 4 and 5 of hotel are tried at once."""
    for version in (4, 5):
        plan = Plan("ab", (Step(AMONG.share_of(version)),), (PSI,), among=AMONG)
        lives.begin(f"hotel-{version}-{version}", "hotel", version, 3, plan)
        lives.look(f"hotel-{version}-{version}", GOOD)
    return lives


def test_a_rollout_of_several_arms_is_shown_as_all_of_them(arms_told: Told) -> None:
    """Each with its version, share and sentence, in one group; and each replays by itself."""
    views = arms(arms_told.context, "hotel")
    assert [(view.version, view.share, view.group) for view in views] == [
        (4, 0.2, "hotel-ab-4"),
        (5, 0.3, "hotel-ab-4"),
    ]
    assert "Version 4 of hotel has 20 % of the traffic: the arm keeps 20 % until an operator" in views[0].why
    assert rollout(arms_told.context, "hotel") == views[1]
    assert all(replay(arms_told.context, view.id).matches for view in views)


def test_the_operator_names_an_arm_or_means_all(arms_told: Told) -> None:
    """`hotel@5` is that arm, `hotel` all of them; a promotion must name one, and a version that is none is told."""
    context = arms_told.context
    operate(context, "hotel@5", "promote", "better")
    operate(context, "hotel", "abort")
    entries = arms_told.journal.read(kinds=["operator_asked"])
    asked = [fact for entry in entries if isinstance(fact := entry.fact, OperatorAsked)]
    assert [(fact.model, fact.verb, fact.seen) for fact in asked[-2:]] == [
        ("hotel", "promote", "hotel-5-5"),
        ("hotel", "abort", "hotel-ab-4"),
    ]
    with pytest.raises(Refused, match="name it, one of hotel@4, hotel@5"):
        operate(context, "hotel", "promote")
    with pytest.raises(NotFound, match="in the latest there is hotel@4, hotel@5"):
        operate(context, "hotel@9", "abort")


def test_arms_are_replayed_by_what_they_have_in_common(arms_told: Told) -> None:
    """The id that a deploy of several answers with; one arm's id is that arm."""
    found = replays(arms_told.context, "hotel-ab-4")
    assert list(found) == ["hotel-4-4", "hotel-5-5"]
    assert all(one.matches and one.decisions for one in found.values())
    assert list(replays(arms_told.context, "hotel-5-5")) == ["hotel-5-5"]
    with pytest.raises(NotFound, match="there is no rollout 'hotel-ab-9'"):
        replays(arms_told.context, "hotel-ab-9")


def test_a_refused_deploy_is_told_where_its_rollout_is_asked_for(told: Told) -> None:
    """Each arm of it, by its group; until a rollout starts."""
    for version in (4, 5):
        plan = Plan("ab", (Step(AMONG.share_of(version)),), (PSI,), among=AMONG)
        told.tell(DeployAsked("hotel", f"hotel-{version}-{version}", version, "b" * 64, plan))
    told.tell(*(DeployRefused("hotel", f"hotel-{version}-{version}", version, "no champion") for version in (4, 5)))
    assert [(one.rollout, one.group) for one in refused_last(told.context, "hotel")] == [
        ("hotel-4-4", "hotel-ab-4"),
        ("hotel-5-5", "hotel-ab-4"),
    ]
    with pytest.raises(NotFound, match="hotel has no rollout: hotel-ab-4 was refused: no champion"):
        rollout(told.context, "hotel")
    told.begin("h6", "hotel", 6, None)
    assert refused_last(told.context, "hotel", rollout(told.context, "hotel").started_at) == ()
    assert len(refusals(told.context, "hotel")) == 2
    assert refusals(told.context, "churn") == ()
