"""Business events joined to the arms of a rollout by unit: what each unit showed after it was dealt.

A unit is tried once for each share that the canary holds, from its first answer at that share; the trial ends when the
unit comes back at another share. Its value is the first that it logs in between, 0 until then. Who asks for the third
time is dealt as little by chance as by then is left: of the units that a 1 % canary left to the champion, a 5 % canary
takes 4 in 99, and those that it had stay with it, which compares nothing.

Nothing depends on the order of reading: answers and events are told apart by their own time, and an earlier one that is
read later replaces another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from math import frexp, ldexp

from fairlead.core.metrics import is_event
from fairlead.core.record import EventRecord, Prediction
from fairlead.core.rollout import Rollout, ValueCounts
from fairlead.core.split import By
from fairlead.flows.odds import conditional
from fairlead.flows.shown import Shown

# Units remembered, by their answers and by their events: as many as `flows.evidence` remembers.
_UNITS = 100_000
_BITS = 7  # of a value that are kept, so that there are some hundred different ones at most

_Exposure = tuple[float, str, bool]  # when, of which request, and whether to the canary
_Trial = tuple[str, float, bool, float]  # metric, probability of the canary, whether it was, and the value


class ValueCollector:
    """Counts the units of one rollout by what they logged, for the events that its guardrails name."""

    def __init__(self, rollout: Rollout) -> None:
        self._model = rollout.model
        self._since = rollout.started_at  # what happened before followed from no answer of this rollout
        plan = rollout.plan
        wanted = (rule.metric for rule in plan.guardrails if plan.edition > 1 and is_event(rule.metric, plan.edition))
        self.metrics = tuple(dict.fromkeys(wanted))
        split = plan.split
        self._keeps = split.by is By.UNIT and not split.explore  # whether a unit's place decides at every share
        self._exposed: dict[str, dict[float, _Exposure]] = {}
        self._shown = Shown(_UNITS, grain)
        self._found: Counter[_Trial] = Counter()

    def expose(self, record: Prediction, share: float, *, canary: bool) -> None:
        """Takes in an answer that a caller got, while the canary held `share` of the traffic."""
        if not self.metrics or share <= 0.0:
            return
        known = self._exposed.get(record.unit_id)
        if known is None:
            if len(self._exposed) >= _UNITS:
                return
            known = self._exposed[record.unit_id] = {}
        mine = record.received_at, record.request_id, canary
        earlier = known.get(share)
        if earlier is not None and earlier <= mine:
            return
        before = self._trials(record.unit_id)
        known[share] = mine
        self._replace(before, self._trials(record.unit_id))

    def add(self, events: Iterable[EventRecord]) -> None:
        """Takes events in; those of other models, of other names and with a text for a value are passed over."""
        for event in events:
            if event.name not in self.metrics or event.model_name != self._model or event.at < self._since:
                continue
            if self._shown.takes(event):
                before = self._trials(event.unit_id)
                self._shown.add(event)
                self._replace(before, self._trials(event.unit_id))

    def _replace(self, before: list[_Trial], after: list[_Trial]) -> None:
        if before != after:
            self._found.subtract(before)
            self._found.update(after)

    def _trials(self, unit: str) -> list[_Trial]:
        """What a unit counts as: for each share and metric one value."""
        exposed = (
            sorted((at, request, share, canary) for share, (at, request, canary) in self._exposed[unit].items())
            if unit in self._exposed
            else []
        )
        if not exposed:
            return []
        found: list[_Trial] = []
        ends = [at for at, *_ in exposed[1:]] + [float("inf")]
        chances = [share for _, _, share, _ in exposed]
        if self._keeps:
            chances = conditional((share, canary) for _, _, share, canary in exposed)
        for (at, _, _, canary), end, odds in zip(exposed, ends, chances, strict=True):
            if 0.0 < odds < 1.0:
                found += [(name, odds, canary, self._shown.first(unit, name, at, end)) for name in self.metrics]
        return found

    def total(self) -> tuple[ValueCounts, ...]:
        """All trials so far, by metric and probability."""
        groups: dict[tuple[str, float], tuple[list[tuple[float, int]], list[tuple[float, int]]]] = {}
        for (name, odds, canary, value), count in self._found.items():
            if count:
                groups.setdefault((name, odds), ([], []))[canary].append((value, count))
        return tuple(ValueCounts(*key, tuple(sorted(a)), tuple(sorted(b))) for key, (a, b) in sorted(groups.items()))


def grain(value: float, bits: int = _BITS) -> float:
    """A value with its first `bits` binary digits: within 0.8 %, and whole numbers up to 128 as they are.

    >>> grain(1.0), grain(59.0), grain(1234.5), grain(-2.5)
    (1.0, 59.0, 1232.0, -2.5)
    """
    mantissa, exponent = frexp(value)
    return ldexp(round(ldexp(mantissa, bits)), exponent - bits) + 0.0  # never -0.0
