"""Promoted versions that changed for the worse and were not taken back by themselves: people are told."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fairlead.core.after import PromotionDecision
from fairlead.core.alarm import PROMOTION
from fairlead.core.alert import Alarm
from fairlead.core.event import Entry, PromotionDecided, RolloutDecided, RolloutStarted
from fairlead.core.rollout import Call, Decision, Phase
from fairlead.core.verdict import Outcome, Verdict

KINDS = ("promotion_decided", "rollout_decided", "rollout_started")
SETTLE_SECONDS = 5.0  # for so long it is the controller's to take the version back


def promotion_alarms(entries: Iterable[Entry], model: str, now: float) -> tuple[tuple[Alarm, ...], bool]:
    """A model's alarms, one for each promotion that regressed, and whether that is all there is to say for now.

    Breached is that of a version that serves on `SETTLE_SECONDS` later, because its plan does not roll back by itself.
    It is over once the version was taken back, or another rollout of the model has begun.
    """
    found = _Known()
    for entry in entries:
        found.fold(entry)
    fresh = [one for one, (at, _) in found.regressed.items() if found.stands(one) and now - at < SETTLE_SECONDS]
    return tuple(_alarm(model, found, rollout, now) for rollout in found.regressed), not fresh


class _Known:
    """What the journal says of a model's promotions."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.regressed: dict[str, tuple[float, str]] = {}  # when, and why
        self.ended: set[str] = set()
        self.latest = ""

    def fold(self, entry: Entry) -> None:
        fact = entry.fact
        if isinstance(fact, RolloutStarted):
            self.versions[fact.rollout], self.latest = fact.version, fact.rollout
        elif isinstance(fact, PromotionDecided):
            decision = msgspec.json.decode(fact.decision, type=PromotionDecision)
            if decision.call is Call.REGRESS:
                self.regressed.setdefault(fact.rollout, (entry.at, decision.reason))
        elif isinstance(fact, RolloutDecided) and fact.rollout in self.regressed:
            back = msgspec.json.decode(fact.decision, type=Decision).after is Phase.ROLLED_BACK
            self.ended |= {fact.rollout} if back else set()

    def stands(self, rollout: str) -> bool:
        return rollout not in self.ended and rollout == self.latest


def _alarm(model: str, found: _Known, rollout: str, now: float) -> Alarm:
    at, reason = found.regressed[rollout]
    if not found.stands(rollout):
        verdict = Verdict(Outcome.HOLDS, "it serves no more, or another rollout has begun")
    elif now - at < SETTLE_SECONDS:
        verdict = Verdict(Outcome.UNDECIDED, "it may be taken back yet")
    else:
        verdict = Verdict(Outcome.BREACHED, f"{reason}; its plan does not roll back by itself")
    title = f"{model} version {found.versions.get(rollout, 0)} has changed for the worse since its promotion"
    return Alarm(model, f"{PROMOTION}:{rollout}", "high", title, verdict, runbook=PROMOTION)
