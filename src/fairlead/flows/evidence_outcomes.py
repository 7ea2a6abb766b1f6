"""Outcomes joined to the arms of a rollout: what became of the first answer to each unit, at each share of the canary.

Of an answer the first word counts, when it came. An answer, or an outcome, that is read later takes its place as if it
had been read in time, so that nothing depends on the order of reading. Pairs for the ranking (`core.guard_outcome`) are
formed in the order in which outcomes came: a new one is paired with what waits, and what was paired stays.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter, OrderedDict
from collections.abc import Iterable
from math import isfinite
from typing import NamedTuple

from fairlead.core.guard_outcome import PAIRS, pair_share
from fairlead.core.inference import label_text
from fairlead.core.metrics import OUTCOMES
from fairlead.core.record import OutcomeRecord, Prediction
from fairlead.core.rollout import Rollout, ValueCounts
from fairlead.core.split import By
from fairlead.flows.evidence_values import grain
from fairlead.flows.odds import conditional

# Units remembered, as many as `flows.evidence` does; and outcomes of answers that were not read yet.
_UNITS = 100_000
_WAITING = 100_000
_STEPS = 128  # of a Brier score

_Trial = tuple[str, float, bool, float]  # metric, probability of the canary, whether it was, and the value


class _Answer(NamedTuple):
    """Answers are compared field by field: the least is the first."""

    at: float
    request: str
    canary: bool
    said: float | int | str | None
    score: float | None


class _Truth(NamedTuple):
    """What became of an answer, and when that was told; `label` is the outcome as text. The least is the first."""

    told_at: float
    label: str
    outcome: float | int | str


class _Ranked(NamedTuple):
    """A unit with a score, by the time at which its outcome was told."""

    told_at: float
    request: str
    canary: bool
    score: float


class _Pairing:
    """Units that came true and units that did not, of one probability of the canary, paired in the order of telling."""

    def __init__(self) -> None:
        self._sides: tuple[list[_Ranked], list[_Ranked]] = ([], [])
        self._paired = 0
        self._found: Counter[tuple[bool, float]] = Counter()

    def put(self, one: _Ranked, *, true: bool) -> None:
        """One more."""
        self._forget(bisect_left(self._sides[true], one))
        insort(self._sides[true], one)

    def take(self, one: _Ranked, *, true: bool) -> None:
        """One that was no first answer after all."""
        place = bisect_left(self._sides[true], one)
        self._forget(place)
        del self._sides[true][place]

    def _forget(self, place: int) -> None:
        if place < self._paired:
            self._paired, self._found = 0, Counter()

    def found(self) -> Counter[tuple[bool, float]]:
        """Pairs of one arm by (whether the canary's, value)."""
        false, true = self._sides
        end = min(len(false), len(true))
        for no, yes in zip(false[self._paired : end], true[self._paired : end], strict=True):
            if no.canary is yes.canary:
                self._found[yes.canary, 0.5 if yes.score == no.score else float(yes.score > no.score)] += 1
        self._paired = end
        return self._found


class OutcomeCollector:
    """Counts the units of one rollout by what became of their answers, for the guardrails on outcomes."""

    def __init__(self, rollout: Rollout) -> None:
        plan = rollout.plan
        wanted = dict.fromkeys(rule.metric for rule in plan.guardrails if rule.metric in OUTCOMES and plan.edition > 2)
        self.wanted = bool(wanted)
        self._metrics = tuple(name for name in wanted if name != PAIRS)
        self._ranks = PAIRS in wanted
        self._positive = rollout.baseline.positive
        self._keeps = plan.split.by is By.UNIT and not plan.split.explore
        self._units: dict[str, dict[float, _Answer]] = {}
        self._of: dict[str, str] = {}  # the unit of an answer that counts
        self._truths: dict[str, _Truth] = {}
        self._waiting: OrderedDict[str, _Truth] = OrderedDict()
        self._found: Counter[_Trial] = Counter()
        self._pairings: dict[float, _Pairing] = {}

    def expose(self, record: Prediction, share: float, *, canary: bool) -> None:
        """Takes in an answer that a caller got, while the canary held `share` of the traffic."""
        if not self.wanted or share <= 0.0:
            return
        unit = record.unit_id
        known = self._units.get(unit, {})
        said = record.prediction if record.status == 200 else None
        mine, earlier = _Answer(record.received_at, record.request_id, canary, said, record.score), known.get(share)
        if (not known and len(self._units) >= _UNITS) or (earlier is not None and earlier[:2] <= mine[:2]):
            return
        before = self._trials(unit)
        self._units.setdefault(unit, known)[share] = mine
        if earlier is not None:
            self._of.pop(earlier.request, None)
            truth = self._truths.pop(earlier.request, None)
            if truth is not None:
                self._wait(earlier.request, truth)
        self._of[mine.request] = unit
        truth = self._waiting.pop(mine.request, None)
        if truth is not None:
            self._truths[mine.request] = truth
        self._replace(before, self._trials(unit))

    def add(self, outcomes: Iterable[OutcomeRecord]) -> None:
        """Takes outcomes in, of whatever model they are."""
        for outcome in outcomes if self.wanted else ():
            truth, request = (
                _Truth(outcome.received_at, label_text(outcome.outcome), outcome.outcome),
                outcome.request_id,
            )
            unit = self._of.get(request)
            if unit is None:
                earlier = self._waiting.get(request)
                self._wait(request, truth if earlier is None or truth[:2] < earlier[:2] else earlier)
            elif request not in self._truths or truth[:2] < self._truths[request][:2]:
                before = self._trials(unit)
                self._truths[request] = truth
                self._replace(before, self._trials(unit))

    def _wait(self, request: str, truth: _Truth) -> None:
        self._waiting[request] = truth
        if len(self._waiting) > _WAITING:
            self._waiting.popitem(last=False)

    def _trials(self, unit: str) -> list[tuple[float, _Answer, _Truth]]:
        """A unit's answers whose outcomes are known, each with the probability of the canary."""
        answers = sorted((answer, share) for share, answer in self._units.get(unit, {}).items())
        odds = [share for _, share in answers]
        if self._keeps:
            odds = conditional((share, answer.canary) for answer, share in answers)
        return [
            (chance, answer, self._truths[answer.request])
            for (answer, _), chance in zip(answers, odds, strict=True)
            if 0.0 < chance < 1.0 and answer.request in self._truths
        ]

    def _replace(self, before: list[tuple[float, _Answer, _Truth]], after: list[tuple[float, _Answer, _Truth]]) -> None:
        if before == after:
            return
        for trials, adds in ((before, False), (after, True)):
            for odds, answer, truth in trials:
                for name in self._metrics:
                    value = loss(name, answer.said, answer.score, truth.outcome, self._positive)
                    if value is not None:
                        self._found[name, odds, answer.canary, value] += 1 if adds else -1
                self._rank(odds, answer, truth, adds=adds)

    def _rank(self, odds: float, answer: _Answer, truth: _Truth, *, adds: bool) -> None:
        if not (self._ranks and self._positive) or answer.score is None or answer.said is None:
            return
        pairing = self._pairings.setdefault(odds, _Pairing())
        change = pairing.put if adds else pairing.take
        one = _Ranked(truth.told_at, answer.request, answer.canary, answer.score)
        change(one, true=truth.label == self._positive)

    def total(self) -> tuple[ValueCounts, ...]:
        """All trials so far, by metric and probability."""
        counts = Counter({trial: count for trial, count in self._found.items() if count})
        for odds, pairing in self._pairings.items():
            for (canary, value), count in pairing.found().items():
                counts[PAIRS, pair_share(odds), canary, value] += count
        groups: dict[tuple[str, float], tuple[list[tuple[float, int]], list[tuple[float, int]]]] = {}
        for (name, odds, canary, value), count in counts.items():
            groups.setdefault((name, odds), ([], []))[canary].append((value, count))
        return tuple(ValueCounts(*key, tuple(sorted(a)), tuple(sorted(b))) for key, (a, b) in sorted(groups.items()))


def loss(
    name: str, said: float | int | str | None, score: float | None, outcome: float | int | str, positive: str
) -> float | None:
    """What an outcome makes of an answer; None where the metric is not of such answers.

    >>> loss("accuracy", "yes", 0.9, "yes", "yes"), loss("brier", 1, 0.75, 0, "1"), loss("mae", 3.5, 3.5, 3, "")
    (1.0, 0.5625, 0.5)
    """
    if said is None:
        return None
    if name == "accuracy":
        return None if isinstance(said, float) else float(label_text(said) == label_text(outcome))
    if name == "brier":
        true = float(label_text(outcome) == positive)
        known = score is not None and 0.0 <= score <= 1.0 and bool(positive)
        return round(((score or 0.0) - true) ** 2 * _STEPS) / _STEPS if known else None
    numbers = isinstance(said, float) and not isinstance(outcome, str) and isfinite(outcome)
    return grain(abs(float(said) - float(outcome))) if numbers else None
