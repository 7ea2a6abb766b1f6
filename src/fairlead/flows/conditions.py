"""conditions: metrics now -> verdict -> alarm | rollback asked for. Once a minute, for one model.

What it asks for is a fact that the release loop performs like an operator's wish, under the controller's name: it is
journalled once per rollout, so that a look that is repeated asks for nothing twice.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from fairlead.core.advance import CONTROLLER
from fairlead.core.alert import Alarm
from fairlead.core.alert_evidence import with_condition
from fairlead.core.condition import Judgement, Measured, evaluate
from fairlead.core.event import AliasMoved, OperatorAsked, WindowJudged
from fairlead.core.facts_act import ImpactJudged
from fairlead.core.impact import impact_of
from fairlead.core.report import report_of
from fairlead.core.rollout import Phase
from fairlead.core.takeback import KINDS, Released, Releases
from fairlead.core.verdict import Outcome
from fairlead.core.watchpoint import Watchpoint, alarm_of, alarm_of_silence
from fairlead.flows.metrics_now import MetricsNow
from fairlead.flows.release import ACTOR
from fairlead.ports import Journal

_LOG = logging.getLogger("fairlead.conditions")
EVERY_SECONDS = 60.0
RELEASE_SECONDS = 5.0  # while a version may be taken back
SILENT_SECONDS = 86_400.0  # a condition that is unmeasured for so long is told
_FOLLOWED = (*KINDS, "alias_moved", "window_judged", "impact_judged", "operator_asked")


class Rollback(Struct, frozen=True):
    """The trigger that takes versions back, for how long after their promotion, and whether it may act by itself."""

    point: Watchpoint
    within_seconds: float = 7 * 86_400.0
    automatic: bool = True


class Look(Struct, frozen=True):
    """One condition looked at once."""

    point: Watchpoint
    judgement: Judgement
    at: float
    version: int | None = None


class Conditions:
    """Looks at the settings' conditions for one model."""

    def __init__(
        self,
        model: str,
        points: Sequence[Watchpoint],
        metrics: MetricsNow,
        journal: Journal,
        rollback: Rollback | None = None,
        unasked: frozenset[str] = frozenset(),
    ) -> None:
        """`unasked` are the keys of what nobody has stated: that it cannot be measured is told to nobody."""
        self._unasked = unasked
        self.model = model
        self._points = points
        self._metrics = metrics
        self._journal = journal
        self._rollback = rollback
        self._read = 0
        self._champion: int | None = None
        self._releases = Releases()
        self._asked: set[str] = set()  # rollouts that were asked to be taken back
        self._silent: dict[str, float] = {}  # unmeasured since
        self.looks: tuple[Look, ...] = ()  # the last ones

    def look(self, now: float, event_now: float | None = None) -> tuple[Alarm, ...]:
        """The alarms of every condition at an instant of the wall clock; `event_now` is event time's. Asks in the
        journal for the rollbacks that are triggered."""
        self._follow()
        looks, alarms = [], []
        for point in self._points:
            values = self._values(point, now, event_now)
            judgement = evaluate(point.condition, values, point.at_least)
            looks.append(Look(point, judgement, now, self._champion))
            alarm = alarm_of(point, self.model, judgement, self._champion)
            alarms.append(with_condition(alarm, point, values, self._champion))
            if point.key in self._unasked:
                continue
            silent, long = self._silence(point, judgement, now)
            alarms.append(with_condition(silent, point, values, self._champion, silent=long))
        taken, told = self._take_back(now, event_now)
        self.looks = (*looks, *taken)
        return (*alarms, *told)

    def pause(self, now: float) -> float:
        """Seconds until the next look: a minute, or less while there is a version that a trigger may take back."""
        rollback = self._rollback
        urgent = rollback is not None and bool(self._releases.takeable(now, rollback.within_seconds))
        return RELEASE_SECONDS if urgent else EVERY_SECONDS

    def _values(
        self, point: Watchpoint, now: float, event_now: float | None, version: int | None = None
    ) -> tuple[Measured, ...]:
        return self._metrics.of(
            point.condition, now, champion=self._champion, version=version, event_now=event_now
        )  # fmt: skip

    def _silence(self, point: Watchpoint, judgement: Judgement, now: float) -> tuple[Alarm, bool]:
        """The alarm of a condition that nobody can measure, and whether that has lasted for long."""
        if judgement.outcome is not Outcome.UNMEASURED:
            self._silent.pop(point.key, None)
            long = False
        else:
            long = now - self._silent.setdefault(point.key, now) >= SILENT_SECONDS
        return alarm_of_silence(point, self.model, judgement, long=long), long

    # -- taking back -----------------------------------------------------------------------------------------------

    def _take_back(self, now: float, event_now: float | None) -> tuple[list[Look], list[Alarm]]:
        rollback = self._rollback
        if rollback is None:
            return [], []
        looks, alarms = [], []
        for released in self._releases.takeable(now, rollback.within_seconds):
            values = self._values(rollback.point, now, event_now, released.version)
            judgement = evaluate(rollback.point.condition, values, rollback.point.at_least)
            looks.append(Look(rollback.point, judgement, now, released.version))
            if rollback.automatic and judgement.outcome is Outcome.BREACHED:
                self._ask(released, rollback, judgement, now)
            elif not rollback.automatic:
                point = msgspec.structs.replace(rollback.point, key=f"{rollback.point.key}:{released.rollout}")
                alarm = alarm_of(point, self.model, judgement, released.version)
                alarms.append(with_condition(alarm, point, values, released.version))
        return looks, alarms

    def _ask(self, released: Released, rollback: Rollback, judgement: Judgement, now: float) -> None:
        if released.rollout in self._asked:
            return
        self._asked.add(released.rollout)
        # A first version has nothing to go back to: while it is rolled out it can only be aborted.
        verb = "rollback" if released.champion is not None or released.phase is Phase.PROMOTED else "abort"
        reason = f"the rollback trigger `{rollback.point.condition.text}` is met: {judgement.reason}"
        asked = OperatorAsked(self.model, verb, reason, seen=released.rollout, by=CONTROLLER)
        self._journal.append([asked], actor=ACTOR, at=now)
        _LOG.warning("%s of version %d of %s asked for: %s", verb, released.version, self.model, reason)

    # -- what the journal says -------------------------------------------------------------------------------------

    def _follow(self) -> None:
        entries = []
        for entry in self._journal.read(self._read, model=self.model, kinds=_FOLLOWED):
            self._read = entry.seq
            fact = entry.fact
            if isinstance(fact, AliasMoved):
                if fact.alias == "champion":
                    self._champion = fact.version
            elif isinstance(fact, WindowJudged | ImpactJudged):
                self._learn(fact)
            elif isinstance(fact, OperatorAsked):
                if entry.actor == ACTOR and fact.verb in ("rollback", "abort") and fact.seen:
                    self._asked.add(fact.seen)
            else:
                entries.append(entry)
        self._releases = self._releases.after(entries)

    def _learn(self, fact: WindowJudged | ImpactJudged) -> None:
        try:
            if isinstance(fact, ImpactJudged):
                self._metrics.feel(impact_of(fact))
            else:
                self._metrics.learn(report_of(fact))
        except msgspec.MsgspecError as error:
            _LOG.warning("the report of window %s of %s cannot be read: %s", fact.window, fact.model, error)
