"""What the controller knows of one model's release: a fold of the journal, and the log's evidence beside it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from fairlead.core.advance import advance, apply_operator
from fairlead.core.event import (
    AliasMoved,
    DeployAsked,
    Entry,
    EvidenceSeen,
    OperatorAsked,
    RolloutDecided,
    RolloutStarted,
    VersionRegistered,
    canonical,
)
from fairlead.core.record import Prediction
from fairlead.core.rollout import Baseline, Decision, Evidence, Phase, Rollout, start
from fairlead.errors import Refused
from fairlead.flows.baseline import Recent
from fairlead.flows.evidence import Collector

OVER = (Phase.PROMOTED, Phase.ROLLED_BACK)


def raw(value: object) -> Raw:
    """A value as it stands in a fact: its one canonical byte string."""
    return Raw(canonical(value))


class ModelState:
    """One model. Only `fold` changes what the journal tells; `observe` only adds evidence."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.champion: int | None = None
        self.bundles: dict[int, str] = {}
        self.rollout: Rollout | None = None
        self.share = 0.0
        self.asked: deque[DeployAsked] = deque()
        self.requests: deque[tuple[Entry, OperatorAsked]] = deque()
        self.looked_at = 0.0
        self.recent = Recent()
        self._collector: Collector | None = None

    @property
    def running(self) -> Rollout | None:
        """The rollout that is not over, if any."""
        return self.rollout if self.rollout is not None and self.rollout.phase not in OVER else None

    @property
    def champion_bundle(self) -> str | None:
        """The digest of what serves now."""
        return None if self.champion is None else self.bundles.get(self.champion)

    def observe(self, records: Sequence[Prediction]) -> None:
        """Takes log records in, as evidence and as the champion's recent past."""
        self.recent.add(records, self.champion)
        if self._collector is not None:
            self._collector.add(records)

    def unseen(self) -> Evidence:
        """What the log has that the running rollout's journal does not."""
        assert self.rollout is not None
        assert self._collector is not None
        return self._collector.since(self.rollout.seen)

    def ask(self, evidence: Evidence, now: float) -> tuple[Rollout, Decision]:
        """What `advance` says, without changing anything."""
        assert self.rollout is not None
        return advance(self.rollout, evidence, now)

    def ask_operator(self, request: OperatorAsked, now: float) -> Decision:
        """What an operator's verb leads to. Raises `Refused` when it makes no sense now."""
        if self.rollout is None:
            raise Refused(
                f"{self.name} has no rollout to {request.verb}: start one with `fairlead deploy {self.name}@V`"
            )
        return apply_operator(self.rollout, request.verb, now, request.reason)[1]

    def fold(self, entry: Entry) -> None:
        """Takes one fact of the journal in."""
        fact = entry.fact
        match fact:
            case VersionRegistered():
                self.bundles[fact.version] = fact.bundle
            case AliasMoved(alias="champion"):
                self.champion = fact.version
            case DeployAsked():
                self.asked.append(fact)
            case RolloutStarted():
                self._fold_started(fact, entry.at)
            case EvidenceSeen():
                self._fold_evidence(fact, entry.at)
            case OperatorAsked():
                self._fold_operator(fact, entry)
            case RolloutDecided():
                decision = msgspec.json.decode(fact.decision, type=Decision)
                self.share = decision.share
                self.looked_at = entry.at
            case _:
                pass

    def _fold_started(self, fact: RolloutStarted, at: float) -> None:
        if self.asked and self.asked[0].rollout == fact.rollout:
            self.asked.popleft()
        baseline = msgspec.json.decode(fact.baseline, type=Baseline)
        self.rollout = start(fact.rollout, fact.model, fact.version, fact.champion, fact.plan, baseline, at)
        self._collector = Collector(self.rollout)
        self.share = 0.0

    def _fold_evidence(self, fact: EvidenceSeen, at: float) -> None:
        if self.rollout is not None and self.rollout.id == fact.rollout:
            evidence = msgspec.json.decode(fact.evidence, type=Evidence)
            self.rollout = advance(self.rollout, evidence, at)[0]

    def _fold_operator(self, fact: OperatorAsked, entry: Entry) -> None:
        """A request has no rollout; what became of it names the rollout, or nothing when it was refused."""
        if fact.rollout is None:
            self.requests.append((entry, fact))
            return
        if self.requests and self.requests[0][1].verb == fact.verb:
            self.requests.popleft()
        if fact.rollout and self.rollout is not None and self.rollout.id == fact.rollout:
            self.rollout = apply_operator(self.rollout, fact.verb, entry.at, fact.reason)[0]
