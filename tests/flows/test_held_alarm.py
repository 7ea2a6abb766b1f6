"""A rollout that is held with a broken guardrail, as its plan does not roll back by itself: people are told, once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from tests.flows.fleet import HELD, Fleet

from fairlead.core.alarm import REGRESS_HELD
from fairlead.core.alert import AlertPolicy
from fairlead.core.arms import Among, ArmShare
from fairlead.core.event import AlertQuieted, AlertRaised, OperatorAsked, RolloutDecided, RolloutStarted, canonical
from fairlead.core.rollout import Call, Decision, Phase, Plan
from fairlead.core.verdict import Outcome
from fairlead.flows.held_alarm import KINDS, SETTLE_SECONDS, HeldSeen, held_alarms
from fairlead.flows.respond import Responder, ResponsePolicy
from fairlead.ports import Notice, Notifier
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.notifier import MemoryNotifier

ASKS = replace(HELD, automatic=False)


class Told(Fleet):
    """A fleet whose operators have a pager; version 1 serves."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.pager = MemoryNotifier("pager")
        notifiers: dict[Notifier, Sequence[str]] = {self.pager: ("critical", "high")}
        policy = ResponsePolicy(AlertPolicy("revenue"))
        self.responder = Responder("hotel", self.journal, notifiers, self.clock, lambda *_: "kept", policy)

    def look(self, seconds: float = 0.1) -> tuple[list[Notice], bool]:
        """A little later: what went out, and whether all was said."""
        self.tick(seconds)
        now = self.clock.now()
        alarms, settled = held_alarms(self.journal.read(model="hotel", kinds=KINDS), "hotel", now)
        return list(self.responder.on_alarms(alarms, now).notices), settled

    def broken(self, plan: Plan = ASKS) -> None:
        """Version 2 begins, and breaks a guardrail."""
        self.deploy(2, plan)
        for _ in range(12):
            if self.phase is not Phase.CANARY:
                return
            self.traffic(100, score=lambda version: 0.99 if version == 2 else float(self.rng.random()))
        raise AssertionError("it was not found out")

    @property
    def phase(self) -> Phase:
        """Where version 2 is."""
        return self.ending("r2")[0].after

    @property
    def raised(self) -> list[AlertRaised]:
        """What people were told of holds, as the journal has it."""
        facts = [entry.fact for entry in self.entries("alert_raised")]
        return [one for one in facts if isinstance(one, AlertRaised) and one.alert.startswith(REGRESS_HELD)]

    @property
    def over(self) -> list[str]:
        """Why what stood is over."""
        facts = [entry.fact for entry in self.entries("alert_quieted")]
        return [one.reason for one in facts if isinstance(one, AlertQuieted) and one.recovered]


@pytest.fixture
def fleet(tmp_path: Path) -> Told:
    """See `Told`."""
    return Told(tmp_path)


def test_people_are_told_once_what_is_broken_and_what_to_do(fleet: Told) -> None:
    """With the figures, an owner and a runbook; looked at for an hour it is no second notice, and no second fact."""
    fleet.broken()
    assert fleet.phase is Phase.HELD
    (notice,), settled = fleet.look()
    assert settled
    assert (notice.severity, notice.owner, notice.runbook) == ("high", "revenue", "docs/runbooks/regress-held.md")
    assert notice.title == "hotel version 2 broke a guardrail and is held at 50 % of the traffic"
    (reading,) = [one for one in fleet.ending("r2")[0].readings if one.call is Call.REGRESS]
    assert reading.guardrail == "prediction_psi < 0.25"
    assert f"(prediction_psi < 0.25 broken, evidence e^{reading.log_e_max:.1f} over e^" in notice.reason
    assert "`fairlead rollback hotel`" in notice.reason
    assert "`fairlead selftest hotel`" in notice.reason
    for _ in range(6):
        fleet.traffic(100)
        assert fleet.look(600.0) == ([], True)
    assert fleet.pager.sent == [notice]
    assert [one.alert for one in fleet.raised] == [f"{REGRESS_HELD}:r2"]
    assert fleet.over == []


@pytest.mark.parametrize(
    ("verb", "ending"), [("rollback", "rolled back"), ("abort", "rolled back"), ("promote", "promoted")]
)
def test_it_is_over_once_the_rollout_has_ended(fleet: Told, verb: str, ending: str) -> None:
    """However a person ends it; the pager learns of it, and nobody is told anew."""
    fleet.broken()
    fleet.look()
    fleet.add(OperatorAsked("hotel", verb, "so be it"))
    assert fleet.look() == ([], True)
    assert fleet.over == [f"the rollout has ended: {ending}"]
    assert fleet.look(60.0) == ([], True)
    assert len(fleet.raised) == 1


def test_a_resumed_rollout_that_is_held_again_is_told_once(fleet: Told) -> None:
    """What a guardrail has found stays found: the alert stands, and does not flap."""
    fleet.broken()
    fleet.look()
    fleet.add(OperatorAsked("hotel", "resume", "it looks fine"))
    for _ in range(4):
        assert fleet.look(SETTLE_SECONDS / 2)[0] == []
    assert fleet.phase is Phase.HELD
    assert (len(fleet.raised), fleet.over) == (1, [])


def test_a_hold_that_needs_nobody_is_not_told(fleet: Told) -> None:
    """A pause, in a plan that would ask as in one that would not."""
    fleet.deploy(2, ASKS)
    fleet.traffic(100)
    fleet.add(OperatorAsked("hotel", "pause", "lunch"))
    assert fleet.look() == ([], True)
    assert fleet.phase is Phase.HELD
    fleet.traffic(100)
    assert fleet.look(60.0) == ([], True)
    assert fleet.raised == []


def test_a_hold_at_the_deadline_is_not_told(fleet: Told) -> None:
    """Undecided is not broken."""
    fleet.deploy(2, replace(ASKS, deadline_seconds=30.0))
    fleet.traffic(100)
    assert fleet.look(60.0) == ([], True)
    assert (fleet.phase, fleet.raised) == (Phase.HELD, [])


def test_a_paused_rollout_that_breaks_is_told(fleet: Told) -> None:
    """It is held already: the look that finds it changes no phase."""
    fleet.deploy(2, ASKS)
    fleet.add(OperatorAsked("hotel", "pause", "lunch"))
    assert fleet.look()[0] == []
    for _ in range(12):
        fleet.traffic(200, seconds=6.0, score=lambda version: 0.99 if version == 2 else float(fleet.rng.random()))
    assert len(fleet.look()[0]) == 1


def test_what_rolls_back_by_itself_is_not_told_here(fleet: Told) -> None:
    """A rollback has an alert of its own."""
    fleet.broken(HELD)
    assert fleet.phase is Phase.ROLLED_BACK
    assert (fleet.look(), fleet.raised) == (([], True), [])


def decided(before: Phase, after: Phase, guardrail: str | None, at: float = 1.0) -> Decision:
    """A decision; with a guardrail it is a regress."""
    call = Call.REGRESS if guardrail else Call.NOT_YET
    return Decision("r2", at, call, before, after, 0, 0.25, (), None, "", f"{guardrail} is broken", guardrail)


def test_the_alarm_of_an_arm_names_the_arm() -> None:
    """`rollback NAME` would end all of them."""
    among = Among("r", (ArmShare(2, 0.25), ArmShare(3, 0.25)))
    plan = Plan("ab", (), (), among=among, automatic=False)
    journal = MemoryJournal()
    journal.append([RolloutStarted("hotel", "r2", 2, "b", 1, plan, msgspec.Raw(b"{}"))], actor="controller", at=0.0)
    broke = decided(Phase.CANARY, Phase.HELD, "error_rate < 5%")
    journal.append([RolloutDecided("hotel", "r2", msgspec.Raw(canonical(broke)))], actor="controller", at=1.0)
    (alarm,), _ = held_alarms(journal.read(), "hotel", 2.0)
    assert alarm.verdict.outcome is Outcome.BREACHED
    assert "`fairlead rollback hotel@2`" in alarm.verdict.reason


def test_one_that_has_gone_on_is_over_after_a_while() -> None:
    """Counted from when it went on, whatever is decided meanwhile; a new hold is a new breach."""
    journal = MemoryJournal()

    def outcome(now: float) -> tuple[Outcome, bool]:
        (alarm,), settled = held_alarms(journal.read(), "hotel", now)
        return alarm.verdict.outcome, settled

    story = [
        decided(Phase.CANARY, Phase.HELD, "g"), decided(Phase.HELD, Phase.CANARY, None, 10.0),
        decided(Phase.CANARY, Phase.CANARY, None, 14.0),
    ]  # fmt: skip
    for one in story:
        journal.append([RolloutDecided("hotel", "r2", msgspec.Raw(canonical(one)))], actor="controller", at=one.at)
    assert outcome(14.5) == (Outcome.UNDECIDED, False)
    assert outcome(10.0 + SETTLE_SECONDS) == (Outcome.HOLDS, True)
    again = decided(Phase.CANARY, Phase.HELD, "g", 20.0)
    journal.append([RolloutDecided("hotel", "r2", msgspec.Raw(canonical(again)))], actor="controller", at=20.0)
    assert outcome(20.0) == (Outcome.BREACHED, True)


def test_of_the_looks_at_a_hold_only_the_first_and_its_end_bear_on_it() -> None:
    """A rollout may be held for days, and is looked at every few seconds."""
    seen = HeldSeen()
    held, canary = Phase.HELD, Phase.CANARY
    story = [
        (decided(canary, canary, None), False), (decided(canary, held, None), False), (decided(held, held, "g"), True),
        (decided(held, held, "g"), False), (decided(held, held, None), False), (decided(held, canary, None), True),
        (decided(canary, canary, None), False), (decided(canary, held, "g"), True),
        (decided(held, Phase.ROLLED_BACK, None), True), (decided(held, Phase.ROLLED_BACK, None), False),
    ]  # fmt: skip
    assert [seen.bears(decision) for decision, _ in story] == [bears for _, bears in story]
