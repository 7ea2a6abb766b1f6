"""Units of the two arms by how long their first answer took and by their first score, with the odds they were dealt at.

A unit is tried once for each share that the canary holds, from its first answer at that share, as for business events
(`flows.evidence_values`); its score is the first that an answer at that share had. Nothing depends on the order of
reading: an earlier answer that is read later replaces another.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from fairlead.core.guard_dealt import SHIFT, follows
from fairlead.core.record import Prediction
from fairlead.core.rollout import Dealt, Rollout
from fairlead.core.split import By
from fairlead.flows.odds import conditional
from fairlead.stats.sequential.scaled_latency import block_of, latency_cell

# Units remembered: as many as `flows.evidence` remembers.
_UNITS = 100_000

_Key = tuple[str, int, float, bool, int]  # metric, block, odds, whether the canary's, cell


class _Answer(NamedTuple):
    """Answers are compared field by field: the least is the first."""

    at: float
    request: str
    canary: bool
    cell: int


class _Met(NamedTuple):
    """What a unit met at one share: its first answer, by its latency, and the first with a score, by that."""

    first: _Answer
    scored: _Answer | None


class DealtCollector:
    """Counts the units of one rollout by latency and score, for the guardrails that compare the arms by them."""

    def __init__(self, rollout: Rollout) -> None:
        plan = rollout.plan
        rule = follows(plan)
        self._latency = "" if rule is None else rule.metric
        self._factor = 1.0 if rule is None else rule.bound
        self._edges = list(rollout.baseline.canary_edges)
        self._shift = any(one.metric == SHIFT for one in plan.guardrails) and plan.edition > 2 and bool(self._edges)
        self._since = rollout.started_at
        self._keeps = plan.split.by is By.UNIT and not plan.split.explore
        self._units: dict[str, dict[float, _Met]] = {}
        self._found: Counter[_Key] = Counter()
        self._total: tuple[Dealt, ...] | UnsetType | None = None

    @property
    def wanted(self) -> bool:
        """Whether a guardrail needs any of it."""
        return bool(self._latency) or self._shift

    def add(self, record: Prediction, share: float, *, canary: bool) -> None:
        """Takes in an answer that a caller got while the canary held `share` of the traffic, 0 if it was unseen."""
        known = self._units.get(record.unit_id)
        if known is None:
            if len(self._units) >= _UNITS:
                return
            known = self._units[record.unit_id] = {}
        met, mine = known.get(share), (record.received_at, record.request_id, canary)
        score = record.score if record.status < 500 else None
        if met is not None and met.first[:3] < mine and (score is None or (met.scored and met.scored[:3] < mine)):
            return
        before = self._trials(known) if known else []
        took = record.latency_ms / self._factor if canary else record.latency_ms
        first, scored = _Answer(*mine, latency_cell(took)), met and met.scored
        if score is not None:
            one = _Answer(*mine, bisect_right(self._edges, score))
            scored = one if scored is None else min(scored, one)
        known[share] = _Met(first if met is None else min(met.first, first), scored)
        self._replace(before, self._trials(known))

    def _replace(self, before: list[_Key], after: list[_Key]) -> None:
        if before != after:
            self._found.subtract(before)
            self._found.update(after)
            self._total = None

    def _trials(self, met: dict[float, _Met]) -> list[_Key]:
        """What a unit counts as: for each share a latency and a score."""
        shares = sorted(met, key=lambda share: (met[share].first, share))  # of one instant, in whatever order read
        odds = shares
        if self._keeps:
            odds = conditional([(share, met[share].first.canary) for share in shares])
        found: list[_Key] = []
        for share, chance in zip(shares, odds, strict=True):
            first, scored = met[share]
            compared = 0.0 < chance < 1.0
            if self._latency and (compared or not first.canary):
                block = block_of(first.at - self._since)
                found.append((self._latency, block, chance if compared else 0.0, first.canary, first.cell))
            if self._shift and compared and scored is not None:
                found.append((SHIFT, 0, chance, scored.canary, scored.cell))
        return found

    def total(self) -> tuple[Dealt, ...] | UnsetType:
        """All trials so far, by metric, block and odds."""
        if self._total is None:
            self._total = self._grouped()
        return self._total

    def _grouped(self) -> tuple[Dealt, ...] | UnsetType:
        groups: dict[tuple[str, int, float], tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {}
        for (name, block, odds, canary, cell), count in self._found.items():
            if count:
                groups.setdefault((name, block, odds), ([], []))[canary].append((cell, count))
        found = (Dealt(*key, tuple(sorted(a)), tuple(sorted(b))) for key, (a, b) in sorted(groups.items()))
        return tuple(found) or UNSET
