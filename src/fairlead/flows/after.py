"""The log of a promoted version, cut into blocks of time, and what the watch over it writes.

A unit counts once an hour, and one that failed (or was slow) not again for a day: a heavy user who fails a thousand
times is one failure. Blocks are taken by the time at which the answer was received, and closed a little later; what is
read later still is left out, and what the journal has is final. So a controller that starts again reads the log once
more and goes on after the last block that was journalled.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from fairlead.core.after import (
    AfterState,
    Block,
    Counted,
    PromotionDecision,
    PromotionEvidence,
    begin,
    block_of,
    watch,
)
from fairlead.core.after_events import EventTally
from fairlead.core.inference import label_text
from fairlead.core.record import EventRecord, OutcomeRecord, Prediction
from fairlead.core.rollout import Call, Rollout, slow_bound_ms
from fairlead.flows.after_events import EventTrials

LATE_SECONDS = 2.0  # after its end a block is closed
AGAIN_SECONDS, BAD_SECONDS = (
    3600.0,
    86_400.0,
)  # after these a unit counts again: one that was answered, one that was not
# Looks that change nothing are journalled this often, in the first hour and later.
EARLY_LOOK_SECONDS, LATE_LOOK_SECONDS, EARLY_SECONDS = 60.0, 600.0, 3600.0
_UNITS = 100_000
_ANSWERS = 100_000  # whose outcomes are waited for
_OUTCOMES = 50_000  # that came before their answers were read


_T = TypeVar("_T")


class _Unit(NamedTuple):
    """When a unit counts again: at all, as an answer that failed, and as one that was slow."""

    any: float
    failed: float
    slow: float


class _Tally:
    """One block while it is open."""

    __slots__ = ("cells", "earlier", "failed", "late", "slow")

    def __init__(self, cells: int) -> None:
        self.failed, self.slow, self.late, self.earlier = [0, 0], [0, 0], [0, 0], [0, 0]
        self.cells = [0] * cells

    def block(self, at: int, events: tuple[EventTally, ...]) -> Block:
        cells = tuple(self.cells) if any(self.cells) else ()
        late, earlier = Counted(*self.late), Counted(*self.earlier)
        return Block(at, Counted(*self.failed), Counted(*self.slow), cells, late, earlier, events)


class AfterCollector:
    """Counts what a rollout's version does once it is promoted, from the records of its model, each record once.

    Answers of both versions are remembered from the beginning of the rollout, for their outcomes.
    """

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout
        self._edges = list(rollout.baseline.canary_edges)
        self._slow_above = slow_bound_ms(rollout.plan, rollout.baseline)
        self._promoted_at: float | None = None
        self._open: dict[int, _Tally] = {}
        self._units: OrderedDict[str, _Unit] = OrderedDict()
        self._answers: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._waiting: OrderedDict[str, OutcomeRecord] = OrderedDict()
        self._early: list[Prediction] = []  # of the version, before the journal says that it was promoted
        self._events = EventTrials(rollout)

    def promoted(self, at: float) -> None:
        """From here on it counts."""
        self._promoted_at = at
        self._events.promoted(at)
        early, self._early = self._early, []
        for record in early:
            self._count(record, at)

    def add(self, records: Iterable[Prediction]) -> None:
        """Takes in answers to callers."""
        for record in records:
            if record.model_name != self._rollout.model or record.shadow_of is not None:
                continue
            if record.model_version not in (self._rollout.version, self._rollout.champion):
                continue
            self._remember(record)
            if record.arm == "champion":
                self._events.add(record, promoted=record.model_version == self._rollout.version)
            if record.model_version != self._rollout.version or record.arm != "champion":
                continue
            if self._promoted_at is not None:
                self._count(record, self._promoted_at)
            elif len(self._early) < _OUTCOMES:
                self._early.append(record)

    def add_outcomes(self, outcomes: Iterable[OutcomeRecord]) -> None:
        """Takes in what really happened: of each answer the first word counts, when it came."""
        for outcome in outcomes:
            if outcome.request_id in self._answers:
                self._truth(outcome)
            else:
                _put(self._waiting, outcome.request_id, outcome, _OUTCOMES)

    def add_events(self, events: Iterable[EventRecord]) -> None:
        """Takes in what callers logged."""
        self._events.add_events(events)

    def closed(self, after: int, now: float) -> tuple[Block, ...]:
        """The blocks later than one that have ended by an instant."""
        last = block_of(now - LATE_SECONDS) - 1
        events = self._events.closed(after, last)
        found = sorted({at for at in self._open if after < at <= last} | set(events))
        empty = _Tally(0)
        return tuple(self._open.get(at, empty).block(at, events.get(at, ())) for at in found)

    def forget(self, until: int) -> None:
        """Drops the blocks that the journal has; what comes for them is left out."""
        self._open = {at: one for at, one in self._open.items() if at > until}
        self._events.forget(until)

    def _remember(self, record: Prediction) -> None:
        if record.status != 200 or record.prediction is None or isinstance(record.prediction, float):
            return  # a number is not right or wrong
        _put(self._answers, record.request_id, (record.model_version, label_text(record.prediction)), _ANSWERS)
        outcome = self._waiting.pop(record.request_id, None)
        if outcome is not None:
            self._truth(outcome)

    def _truth(self, outcome: OutcomeRecord) -> None:
        version, said = self._answers.pop(outcome.request_id)
        tally = self._tally(outcome.received_at)
        counts = tally.late if version == self._rollout.version else tally.earlier
        counts[0] += 1
        counts[1] += said != label_text(outcome.outcome)

    def _count(self, record: Prediction, since: float) -> None:
        at, unit = record.received_at, record.unit_id
        known = self._units.get(unit, _Unit(0.0, 0.0, 0.0))
        if at < since or at < known.any:
            return
        failed, tally = record.status >= 500, self._tally(at)
        slow = self._slow_above is not None and record.latency_ms > self._slow_above
        again = _Unit(at + AGAIN_SECONDS, known.failed, known.slow)
        if at >= known.failed:
            tally.failed[0] += 1
            tally.failed[1] += failed
            again = again._replace(failed=at + BAD_SECONDS if failed else 0.0)
        if at >= known.slow:
            tally.slow[0] += 1
            tally.slow[1] += slow
            again = again._replace(slow=at + BAD_SECONDS if slow else 0.0)
        if not failed and record.score is not None:
            tally.cells[bisect_right(self._edges, record.score)] += 1
        _put(self._units, unit, again, _UNITS)

    def _tally(self, at: float) -> _Tally:
        return self._open.setdefault(block_of(at), _Tally(len(self._edges) + 1))


class Aftercare:
    """The watch over one rollout's version: begun by its promotion, a fold of the journal since."""

    def __init__(self, rollout: Rollout) -> None:
        self.collector = AfterCollector(rollout) if rollout.plan.after is not None else None
        self.state: AfterState | None = None
        self._looked_at = 0.0

    def promoted(self, rollout: Rollout, at: float) -> None:
        """The journal says that it was."""
        self.state = begin(rollout, at)
        if self.collector is not None:
            self.collector.promoted(at)

    def observe(self, records: Sequence[Prediction]) -> None:
        """Takes log records in."""
        if self.collector is not None and not self._is_over:
            self.collector.add(records)

    def observe_outcomes(self, outcomes: Sequence[OutcomeRecord]) -> None:
        """Takes outcomes in."""
        if self.collector is not None and not self._is_over:
            self.collector.add_outcomes(outcomes)

    def observe_events(self, events: Sequence[EventRecord]) -> None:
        """Takes business events in."""
        if self.collector is not None and not self._is_over:
            self.collector.add_events(events)

    def fold(self, evidence: PromotionEvidence, at: float) -> None:
        """Takes in what the journal says was seen."""
        if self.state is not None and self.collector is not None:
            self.state = watch(self.state, evidence, at)[0]
            self.collector.forget(evidence.blocks[-1].at if evidence.blocks else self.state.block)
            self._looked_at = at

    def look(self, now: float) -> tuple[PromotionEvidence, PromotionDecision] | None:
        """What there is to be journalled: a change, the end of the watch, or a look that is due."""
        state = self.state
        if state is None or self.collector is None or state.over:
            return None
        evidence = PromotionEvidence(self.collector.closed(state.block, now))
        decision = watch(state, evidence, now)[1]
        early = now - state.promoted_at < EARLY_SECONDS
        due = now - max(self._looked_at, state.promoted_at) >= (EARLY_LOOK_SECONDS if early else LATE_LOOK_SECONDS)
        if decision.over or decision.call is not Call.NOT_YET or (evidence.blocks and due):
            return evidence, decision
        return None

    @property
    def _is_over(self) -> bool:
        return self.state is not None and self.state.over


def _put(kept: OrderedDict[str, _T], key: str, value: _T, most: int) -> None:
    """Keeps the newest."""
    kept.pop(key, None)
    kept[key] = value
    if len(kept) > most:
        kept.popitem(last=False)
