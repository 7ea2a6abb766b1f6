"""Rollouts that are held with a broken guardrail, because their plan does not roll back by itself: people are told."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from fairlead.core.advance import OVER
from fairlead.core.alarm import REGRESS_HELD
from fairlead.core.alert import Alarm
from fairlead.core.event import Entry, RolloutDecided, RolloutStarted
from fairlead.core.guard import percent
from fairlead.core.rollout import Call, Decision, Phase
from fairlead.core.verdict import Outcome, Verdict
from fairlead.core.why import cause

KINDS = ("rollout_decided", "rollout_started")
SETTLE_SECONDS = 5.0  # for so long one that was resumed may be held again for the same guardrail


def held_alarms(entries: Iterable[Entry], model: str, now: float) -> tuple[tuple[Alarm, ...], bool]:
    """A model's alarms, one for each rollout that was ever held so, and whether that is all there is to say for now.

    Breached is that of a rollout that is held now. It is over once the rollout has ended, or has gone on for
    `SETTLE_SECONDS`. A pause, or a hold for what was not measured, is nobody's alarm.
    """
    found = _Known()
    for entry in entries:
        found.fold(entry)
    alarms = tuple(_alarm(model, found, rollout, now) for rollout in found.held)
    return alarms, all(alarm.verdict.outcome is not Outcome.UNDECIDED for alarm in alarms)


class HeldSeen:
    """Which decisions bear on the alarms. A rollout that is held goes on being looked at, each time to the same end:
    only the first of these looks does."""

    def __init__(self) -> None:
        self._held: set[str] = set()

    def bears(self, decision: Decision) -> bool:
        """Whether it begins such a hold, or ends one."""
        known = decision.rollout in self._held
        if _is_held(decision):
            self._held.add(decision.rollout)
            return not known
        left = known and decision.after is not Phase.HELD
        self._held -= {decision.rollout} if left else set()
        return left


class _Known:
    """What the journal says of a model's rollouts that were held so."""

    def __init__(self) -> None:
        self.versions: dict[str, tuple[int, str]] = {}  # and what an operator names
        self.held: dict[str, Decision] = {}
        self.left: dict[str, tuple[float, Phase]] = {}  # since when it is held no more, and where it is now

    def fold(self, entry: Entry) -> None:
        fact = entry.fact
        if isinstance(fact, RolloutStarted):
            named = fact.model if fact.plan.among is None else f"{fact.model}@{fact.version}"
            self.versions[fact.rollout] = fact.version, named
        elif isinstance(fact, RolloutDecided):
            decision = msgspec.json.decode(fact.decision, type=Decision)
            if _is_held(decision):
                left = self.left.pop(fact.rollout, None)
                self.held[fact.rollout] = decision if left else self.held.get(fact.rollout, decision)
            elif fact.rollout in self.held and decision.after is not Phase.HELD:
                since, _ = self.left.get(fact.rollout, (entry.at, decision.after))
                self.left[fact.rollout] = since, decision.after


def _is_held(decision: Decision) -> bool:
    return decision.after is Phase.HELD and decision.call is Call.REGRESS and decision.guardrail is not None


def _alarm(model: str, found: _Known, rollout: str, now: float) -> Alarm:
    decision = found.held[rollout]
    version, named = found.versions.get(rollout, (0, model))
    since, phase = found.left.get(rollout, (now, Phase.HELD))
    if phase is Phase.HELD:
        verdict = Verdict(Outcome.BREACHED, _told(model, named, decision))
    elif phase in OVER:
        verdict = Verdict(Outcome.HOLDS, f"the rollout has ended: {phase.value.replace('_', ' ')}")
    elif now - since < SETTLE_SECONDS:
        verdict = Verdict(Outcome.UNDECIDED, "it goes on, and may be held again")
    else:
        verdict = Verdict(Outcome.HOLDS, "the rollout has gone on")
    title = f"{model} version {version} broke a guardrail and is held at {percent(decision.share)} of the traffic"
    return Alarm(model, f"{REGRESS_HELD}:{rollout}", "high", title, verdict, runbook=REGRESS_HELD)


def _told(model: str, named: str, decision: Decision) -> str:
    """What is broken, by how much, and what takes it away, now and by itself the next time."""
    return (
        f"{cause(decision)}; its plan does not roll back by itself: `fairlead rollback {named}` takes its traffic "
        f"away, and a self-test that holds (`fairlead selftest {model}`) lets the next rollout do so"
    )
