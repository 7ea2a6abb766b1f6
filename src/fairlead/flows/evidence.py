"""From the log to evidence: what a rollout's requests add up to.

The log is the one source: a record that was acknowledged is evidence, whichever worker wrote it and whether or not it
lived on. A collector keeps the rollout's total; what `advance` has not yet seen is the total less what was journalled,
so a controller that crashed reads the log again and goes on without counting anything twice.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable

from fairlead.core.record import Prediction
from fairlead.core.rollout import Evidence, FirstFailures, Rollout, ShadowPairs, slow_bound_ms

# Served answers that wait for their shadow's, and shadows that wait for the served one: the oldest leave first.
_WAITING = 20_000
# Units whose first score was counted, per arm. Beyond it scores add nothing: a rollout is decided long before.
_UNITS = 200_000


class Collector:
    """Adds up one rollout's evidence from the records of its model, in any order, each record once."""

    def __init__(self, rollout: Rollout) -> None:
        self._model = rollout.model
        self._since = rollout.started_at
        self._arms = {rollout.version: "canary"}
        if rollout.champion is not None:
            self._arms[rollout.champion] = "champion"
        self._candidate = rollout.version
        self._slow_above = slow_bound_ms(rollout.plan, rollout.baseline)
        baseline = rollout.baseline
        self._edges = {
            "canary": list(baseline.canary_edges),
            "shadow": list(baseline.canary_edges),
            "champion": list(baseline.champion_edges),
        }
        self._requests: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._slow: Counter[str] = Counter()
        self._failed: Counter[tuple[str, float, str]] = Counter()
        self._failed_units: dict[str, set[str]] = {"error_rate": set(), "p99_latency": set()}
        self._cells = {arm: [0] * (len(edges) + 1) for arm, edges in self._edges.items()}
        self._scored: dict[str, set[str]] = {arm: set() for arm in self._edges}
        self._pairs = _Pairs()

    def add(self, records: Iterable[Prediction]) -> None:
        """Counts the records that belong to this rollout."""
        for record in records:
            if record.model_name == self._model and record.received_at >= self._since:
                self._count(record)

    def _count(self, record: Prediction) -> None:
        if record.arm == "shadow":
            if record.model_version == self._candidate:
                self._tally(record, "shadow")
                self._pairs.shadow(record)
            return
        arm = self._arms.get(record.model_version)
        if record.arm != arm:  # another rollout's arm, or a version that the caller pinned: no draw, no evidence
            return
        self._tally(record, arm)
        share = record.propensity if arm == "canary" else 1.0 - record.propensity
        if record.status >= 500:
            self._first("error_rate", arm, share, record.unit_id)
        if self._slow_above is not None and record.latency_ms > self._slow_above:
            self._slow[arm] += 1
            self._first("p99_latency", arm, share, record.unit_id)
        if arm == "champion":
            self._pairs.served(record)

    def _tally(self, record: Prediction, arm: str) -> None:
        self._requests[arm] += 1
        if record.status >= 500:
            self._errors[arm] += 1
        elif record.score is not None:
            self._first_score(arm, record.unit_id, record.score)

    def _first_score(self, arm: str, unit: str, score: float) -> None:
        """A unit's first score: one heavy user asked a thousand times is one draw from the arm, not a thousand."""
        scored = self._scored[arm]
        if unit in scored or len(scored) >= _UNITS:
            return
        scored.add(unit)
        self._cells[arm][bisect_right(self._edges[arm], score)] += 1

    def _first(self, metric: str, arm: str, share: float, unit: str) -> None:
        """A unit's first failure, while both arms had traffic: later ones of the same unit are not independent."""
        if not 0.0 < share < 1.0 or unit in self._failed_units[metric]:
            return
        self._failed_units[metric].add(unit)
        self._failed[metric, round(share, 12), arm] += 1

    def total(self) -> Evidence:
        """Everything since the rollout began."""
        return Evidence(
            requests=dict(sorted(self._requests.items())),
            errors=dict(sorted(self._errors.items())),
            slow=dict(sorted(self._slow.items())),
            failures=tuple(
                FirstFailures(
                    metric, share, self._failed[metric, share, "champion"], self._failed[metric, share, "canary"]
                )
                for metric, share in sorted({(metric, share) for metric, share, _ in self._failed})
            ),
            scores={arm: tuple(cells) for arm, cells in sorted(self._cells.items()) if any(cells)},
            shadow=self._pairs.total(),
        )

    def since(self, seen: Evidence) -> Evidence:
        """The total less what was already seen."""
        return _less(self.total(), seen)


class _Pairs:
    """Joins a request's two answers by its id, whichever is read first."""

    def __init__(self) -> None:
        self._served: dict[str, Prediction] = {}
        self._shadows: dict[str, Prediction] = {}
        self._order: deque[str] = deque()
        self._pairs = 0
        self._flips = 0
        self._sum = 0.0
        self._squares = 0.0

    def served(self, record: Prediction) -> None:
        self._meet(record, self._shadows.pop(record.request_id, None), self._served)

    def shadow(self, record: Prediction) -> None:
        other = self._served.pop(record.request_id, None)
        self._meet(record, other, self._shadows)

    def _meet(self, record: Prediction, other: Prediction | None, waiting: dict[str, Prediction]) -> None:
        if other is None:
            waiting[record.request_id] = record
            self._order.append(record.request_id)
            if len(self._order) > _WAITING:
                oldest = self._order.popleft()
                self._served.pop(oldest, None)
                self._shadows.pop(oldest, None)
            return
        shadow, served = (record, other) if record.arm == "shadow" else (other, record)
        if shadow.score is None or served.score is None:
            return
        difference = shadow.score - served.score
        self._pairs += 1
        self._flips += shadow.prediction != served.prediction
        self._sum += _grain(difference)
        self._squares += _grain(difference * difference)

    def total(self) -> ShadowPairs:
        return ShadowPairs(self._pairs, self._flips, self._sum, self._squares)


def _grain(value: float) -> float:
    # Multiples of 2^-20 add and subtract without rounding: what was seen is taken off the total exactly.
    return round(value * 2.0**20) * 2.0**-20


def _less(total: Evidence, seen: Evidence) -> Evidence:
    before = {(entry.metric, entry.share): entry for entry in seen.failures}
    none = FirstFailures("", 0.0, 0, 0)
    failures = tuple(
        FirstFailures(
            entry.metric,
            entry.share,
            max(0, entry.champion - before.get((entry.metric, entry.share), none).champion),
            max(0, entry.canary - before.get((entry.metric, entry.share), none).canary),
        )
        for entry in total.failures
    )
    return Evidence(
        requests=_counts_less(total.requests, seen.requests),
        errors=_counts_less(total.errors, seen.errors),
        slow=_counts_less(total.slow, seen.slow),
        failures=tuple(entry for entry in failures if entry.champion or entry.canary),
        scores=_cells_less(total.scores, seen.scores),
        shadow=ShadowPairs(
            total.shadow.pairs - seen.shadow.pairs,
            total.shadow.flips - seen.shadow.flips,
            total.shadow.sum_difference - seen.shadow.sum_difference,
            total.shadow.sum_squared_difference - seen.shadow.sum_squared_difference,
        ),
    )


def _counts_less(total: dict[str, int], seen: dict[str, int]) -> dict[str, int]:
    # A log that lost its unsynced end to a power cut may hold less than was seen: nothing is taken back.
    left = {arm: max(0, count - seen.get(arm, 0)) for arm, count in total.items()}
    return {arm: count for arm, count in left.items() if count}


def _cells_less(total: dict[str, tuple[int, ...]], seen: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    left = {
        arm: tuple(max(0, a - b) for a, b in zip(cells, seen.get(arm, (0,) * len(cells)), strict=True))
        for arm, cells in total.items()
    }
    return {arm: cells for arm, cells in left.items() if any(cells)}
