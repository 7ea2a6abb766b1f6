"""From the log to evidence: what a rollout's requests add up to.

The log is the one source: a record that was acknowledged is evidence, whichever worker wrote it and whether or not it
lived on. A record names the rollout whose route it followed, and counts for no other. A collector keeps the rollout's
total; what `advance` has not yet seen is the total less what was journalled, so a controller that crashed reads the log
again and goes on without counting anything twice.

The total does not depend on the order of reading. What is counted once a unit (its first answer, its first score, its
first failure) is the earliest by (`received_at`, `request_id`), so an earlier record that is read later replaces
another, and `since` takes the other back. Two caps bound the memory, and only beyond them does the order matter: units
past the first 100,000 of an arm are not counted, and a shadow pair is given up when 20,000 others have waited longer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Iterable
from typing import NamedTuple

from msgspec import UNSET

from fairlead.core.arms import label
from fairlead.core.evidence import exact, less, merge
from fairlead.core.record import EventRecord, OutcomeRecord, Prediction
from fairlead.core.rollout import (
    Evidence,
    FirstFailures,
    Rollout,
    ShadowPairs,
    Units,
    latency_rule,
    slow_bound_ms,
)
from fairlead.flows.evidence_dealt import DealtCollector
from fairlead.flows.evidence_outcomes import OutcomeCollector
from fairlead.flows.evidence_values import ValueCollector
from fairlead.flows.paired import PairCollector, WorstPair

# Served answers that wait for their shadow's, and shadows that wait for the served one: the oldest leave first.
_WAITING = 20_000
# Units remembered, per arm and per thing that is counted once: a rollout is decided long before.
_UNITS = 100_000
# The canary's share while it answers unseen.
_UNSEEN = 0.0


class Collector:
    """Adds up one rollout's evidence from the records of its model, in any order, each record once."""

    def __init__(self, rollout: Rollout) -> None:
        self._model = rollout.model
        among = rollout.plan.among
        self._rollout = rollout.id if among is None else among.group
        self._arms = {rollout.version: "canary"}
        # What an arm of an A/B rollout is called in the log; and its part of what it shares with the champion.
        self._name = "canary" if among is None else label(rollout.version)
        self._odds = None if among is None else among.odds(rollout.version, rollout.plan.split.explore)
        if rollout.champion is not None:
            self._arms[rollout.champion] = "champion"
        self._candidate = rollout.version
        self._slow_above = slow_bound_ms(rollout.plan, rollout.baseline)
        baseline = rollout.baseline
        self._requests: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._slow: Counter[str] = Counter()
        rule = latency_rule(rollout.plan)
        self._latency = rule.metric if rule is not None else "p99_latency"
        self._failures = {"error_rate": _FirstFailures(), self._latency: _FirstFailures()}
        self._answers = {arm: _FirstAnswers() for arm in ("champion", "canary", "version")}
        self._scores = {
            "canary": _FirstScores(baseline.canary_edges),
            "shadow": _FirstScores(baseline.canary_edges),
            "champion": _FirstScores(baseline.champion_edges),
        }
        plan = rollout.plan
        wants_pairs = plan.edition > 1 and plan.shadow is not None
        self._paired = PairCollector(plan.segments) if wants_pairs else None
        self._pairs = _Pairs(self._paired)
        self._values = ValueCollector(rollout)
        self._outcomes = OutcomeCollector(rollout)
        dealt = DealtCollector(rollout)
        self._dealt = dealt if dealt.wanted else None

    @property
    def worst_pairs(self) -> tuple[WorstPair, ...]:
        """The shadow pairs whose scores differ most."""
        return () if self._paired is None else self._paired.worst

    def add_events(self, events: Iterable[EventRecord]) -> None:
        """Takes business events in, in any order, each once or more often."""
        self._values.add(events)

    def add_outcomes(self, outcomes: Iterable[OutcomeRecord]) -> None:
        """Takes in what really happened, in any order, each once or more often."""
        self._outcomes.add(outcomes)

    def add(self, records: Iterable[Prediction]) -> None:
        """Counts the records that belong to this rollout."""
        for record in records:
            if record.rollout == self._rollout and record.model_name == self._model:
                self._count(record)

    def _count(self, record: Prediction) -> None:
        shadow = record.arm == "shadow"
        arm = "shadow" if shadow else self._arms.get(record.model_version)
        # Another shadow, or a version that the caller pinned: no draw, no evidence.
        if (
            arm is None
            or record.arm != (self._name if arm == "canary" else arm)
            or (shadow and record.model_version != self._candidate)
        ):
            return
        share = _UNSEEN if shadow else self._share(record, arm)
        slow = self._slow_above is not None and record.latency_ms > self._slow_above and not shadow
        self._tally(record, arm, slow)
        if record.status >= 500:
            self._failures["error_rate"].add(record, arm, share)
        if slow and share != _UNSEEN:
            self._failures[self._latency].add(record, arm, share)
        if share == _UNSEEN:
            self._pairs.add(record)
        else:
            self._values.expose(record, share, canary=arm == "canary")
            self._outcomes.expose(record, share, canary=arm == "canary")
        if self._dealt is not None and not shadow:
            self._dealt.add(record, share, canary=arm == "canary")

    def _share(self, record: Prediction, arm: str) -> float:
        """How probable the new version was, of the two that are compared."""
        if self._odds is not None:
            return self._odds
        return round(record.propensity if arm == "canary" else 1.0 - record.propensity, 12)

    def _tally(self, record: Prediction, arm: str, slow: bool) -> None:
        failed = record.status >= 500
        self._requests[arm] += 1
        self._errors[arm] += failed
        self._slow[arm] += slow
        answer = _Answer(record.received_at, record.request_id, failed, slow)
        if arm != "champion":
            self._answers["version"].add(record.unit_id, answer)
        if arm != "shadow":
            self._answers[arm].add(record.unit_id, answer)
        if not failed and record.score is not None:
            self._scores[arm].add(record, record.score)

    def total(self) -> Evidence:
        """Everything since the rollout began."""
        failures = [group for metric, found in self._failures.items() for group in found.groups(metric)]
        served, shadow = self._failures["error_rate"].unseen()
        everything = Evidence(
            requests=dict(self._requests),
            errors=dict(self._errors),
            slow=dict(self._slow),
            failures=tuple(failures),
            scores={arm: tuple(found.cells) for arm, found in self._scores.items()},
            shadow=self._pairs.total(served, shadow),
            units={arm: found.total() for arm, found in self._answers.items()},
            values=(*self._values.total(), *self._outcomes.total()),
            paired=() if self._paired is None else self._paired.total(),
            dealt=UNSET if self._dealt is None else self._dealt.total(),
        )
        return merge(everything, Evidence())

    def since(self, seen: Evidence) -> Evidence:
        """What makes the total of what was already seen: merged with `seen` it gives `total()`, exactly.

        Where a log lost its unsynced end to a power cut, what was seen of that end is taken back.
        """
        return less(self.total(), seen)


class _Answer(NamedTuple):
    """One answer to a unit. Answers are compared field by field: the least is the first."""

    at: float
    request: str
    failed: bool
    slow: bool


class _FirstAnswers:
    """The first answer to each unit: a heavy user who retries a thousand times is one trial, not a thousand."""

    def __init__(self) -> None:
        self._units: dict[str, _Answer] = {}
        self._failed = 0
        self._slow = 0

    def add(self, unit: str, answer: _Answer) -> None:
        known = self._units.get(unit)
        if known is None:
            if len(self._units) >= _UNITS:
                return
        elif known <= answer:
            return
        else:
            self._failed -= known.failed
            self._slow -= known.slow
        self._units[unit] = answer
        self._failed += answer.failed
        self._slow += answer.slow

    def total(self) -> Units:
        return Units(len(self._units), self._failed, self._slow)


class _FirstScores:
    """The cell of each unit's first score: one heavy user is one draw from the arm."""

    def __init__(self, edges: tuple[float, ...]) -> None:
        self._edges = list(edges)
        self._units: dict[str, tuple[float, str, int]] = {}
        self.cells = [0] * (len(edges) + 1)

    def add(self, record: Prediction, score: float) -> None:
        first = (record.received_at, record.request_id, bisect_right(self._edges, score))
        known = self._units.get(record.unit_id)
        if known is None:
            if len(self._units) >= _UNITS:
                return
        elif known <= first:
            return
        else:
            self.cells[known[2]] -= 1
        self._units[record.unit_id] = first
        self.cells[first[2]] += 1


class _Failure(NamedTuple):
    at: float
    request: str
    share: float


class _FirstFailures:
    """Each unit's first failure: later ones of the same unit are not independent of it, in whatever phase they come.

    While the version answers unseen, a request that fails on both sides says nothing: it is the request's doing.
    """

    def __init__(self) -> None:
        self._champion: dict[str, _Failure] = {}
        self._version: dict[str, _Failure] = {}
        self._found: Counter[tuple[float, bool]] = Counter()  # (share, whether the champion's)

    def add(self, record: Prediction, arm: str, share: float) -> None:
        if share >= 1.0:  # all traffic on one arm compares nothing
            return
        side = self._champion if arm == "champion" else self._version
        failure, known = _Failure(record.received_at, record.request_id, share), side.get(record.unit_id)
        if known is None:
            if len(side) >= _UNITS:
                return
        elif known <= failure:
            return
        before = self._verdict(record.unit_id)
        side[record.unit_id] = failure
        after = self._verdict(record.unit_id)
        if before != after:
            self._found.subtract(before)
            self._found.update(after)

    def _verdict(self, unit: str) -> tuple[tuple[float, bool], ...]:
        """What the unit counts as: one failure at a share and on a side, or nothing."""
        champion, version = self._champion.get(unit), self._version.get(unit)
        if champion is None or version is None:
            one = champion or version
            return () if one is None else ((one.share, version is None),)
        if champion[:2] == version[:2]:
            return ()
        return ((min(champion, version).share, champion < version),)

    def groups(self, metric: str) -> list[FirstFailures]:
        """Those that came while both arms had traffic."""
        shares = {share for share, _ in self._found if share != _UNSEEN}
        return [FirstFailures(metric, share, self._found[share, True], self._found[share, False]) for share in shares]

    def unseen(self) -> tuple[int, int]:
        """Units of the shadow phase that (the champion, the shadow) failed first."""
        return self._found[_UNSEEN, True], self._found[_UNSEEN, False]


class _Pairs:
    """Joins a unit's request's two answers by its id, whichever is read first; one without a score pairs with none."""

    def __init__(self, paired: PairCollector | None) -> None:
        self._paired = paired
        self._served: dict[tuple[str, str], Prediction] = {}
        self._shadows: dict[tuple[str, str], Prediction] = {}
        self._order: deque[tuple[str, str]] = deque()
        self._pairs = 0
        self._flips = 0
        self._sum = 0.0
        self._squares = 0.0

    def add(self, record: Prediction) -> None:
        if record.score is None:
            return
        mine, others = self._served, self._shadows
        if record.arm == "shadow":
            mine, others = others, mine
        key = (record.unit_id, record.request_id)
        other = others.pop(key, None)
        if other is None:
            mine[key] = record
            self._wait(key)
        elif record.arm == "shadow":
            self._meet(record, other)
        else:
            self._meet(other, record)

    def _wait(self, key: tuple[str, str]) -> None:
        self._order.append(key)
        if len(self._order) > _WAITING:
            oldest = self._order.popleft()
            self._served.pop(oldest, None)
            self._shadows.pop(oldest, None)

    def _meet(self, shadow: Prediction, served: Prediction) -> None:
        assert shadow.score is not None
        assert served.score is not None
        difference = shadow.score - served.score
        self._pairs += 1
        self._flips += shadow.prediction != served.prediction
        self._sum += exact(difference)
        self._squares += exact(difference * difference)
        if self._paired is not None:
            self._paired.meet(shadow, served, difference)

    def total(self, served_failed: int, shadow_failed: int) -> ShadowPairs:
        return ShadowPairs(self._pairs, self._flips, self._sum, self._squares, served_failed, shadow_failed)
