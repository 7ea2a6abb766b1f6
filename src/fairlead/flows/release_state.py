"""What the controller knows of one model's release: a fold of the journal, and the log's evidence beside it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from fairlead.core.advance import advance, apply_operator
from fairlead.core.event import (
    AliasMoved,
    DeployAsked,
    DeployRefused,
    Entry,
    EvidenceSeen,
    OperatorAsked,
    RolloutDecided,
    RolloutStarted,
    RouteApplied,
    RouteChanged,
    VersionRegistered,
    canonical,
)
from fairlead.core.record import Prediction
from fairlead.core.rollout import Baseline, Decision, Evidence, Phase, Rollout, start
from fairlead.core.route import ModelRoute
from fairlead.errors import Refused
from fairlead.flows.baseline import Recent
from fairlead.flows.evidence import Collector
from fairlead.flows.routing import desired_route

_LOG = logging.getLogger("fairlead.release")
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
        self.swaps: list[RouteChanged] = []  # published tables that some worker may not have yet
        self._doomed = ""  # a rollout that lost its traffic, whether or not the journal knows already
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

    def check_deploy(self, asked: DeployAsked) -> None:
        """Raises `Refused` for a version that cannot be rolled out beside the present champion."""
        known = self.bundles.get(asked.version)
        if known is not None and known != asked.bundle:
            raise Refused(
                f"version {asked.version} of {self.name} was registered with another bundle: register it anew"
            )
        if asked.version == self.champion:
            raise Refused(f"version {asked.version} of {self.name} is the champion already")

    def doom(self, rollout: Rollout) -> None:
        """Takes a rollout's traffic away from now on, before the journal is told."""
        self._doomed = rollout.id

    def route(self) -> ModelRoute | None:
        """What the route table should say; None before the first champion."""
        if self.champion is None:
            return None
        rollout, champion = self.rollout, self.champion
        if rollout is not None and rollout.id == self._doomed:
            back = rollout.champion if champion == rollout.version else champion
            return desired_route(champion if back is None else back, None, 0.0, self.bundles)
        return desired_route(champion, rollout, self.share, self.bundles)

    def ask_operator(self, request: OperatorAsked, now: float) -> Decision:
        """What an operator's verb leads to. Raises `Refused` when it makes no sense now."""
        if request.seen and (self.rollout is None or self.rollout.id != request.seen):
            raise Refused(f"rollout {request.seen} is over: look at `fairlead rollout {self.name}` and ask again")
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
                self._fold_version(fact)
            case AliasMoved(alias="champion"):
                self.champion = fact.version
            case DeployAsked() | DeployRefused():
                self._fold_deploy(fact)
            case RouteChanged():
                self.swaps.append(fact)
            case RouteApplied():
                self.swaps = [swap for swap in self.swaps if swap.generation > fact.generation]
            case _:
                self._fold_rollout(entry)

    def _fold_rollout(self, entry: Entry) -> None:
        fact = entry.fact
        match fact:
            case RolloutStarted():
                self._fold_started(fact, entry.at)
            case EvidenceSeen():
                self._fold_evidence(fact, entry.at)
            case OperatorAsked():
                self._fold_operator(fact, entry)
            case RolloutDecided():
                self._fold_decided(fact, entry.at)
            case _:
                pass

    def _fold_version(self, fact: VersionRegistered) -> None:
        """A version is its first bundle for ever: another one under its number is not what was gated."""
        if self.bundles.setdefault(fact.version, fact.bundle) != fact.bundle:
            _LOG.error("version %d of %s was registered again with another bundle: ignored", fact.version, self.name)

    def _fold_deploy(self, fact: DeployAsked | DeployRefused) -> None:
        """The queue; asking twice under one id is asking once."""
        waiting = [one for one in self.asked if one.rollout != fact.rollout]
        if isinstance(fact, DeployAsked):
            waiting.append(fact)
        self.asked = deque(waiting)

    def _fold_decided(self, fact: RolloutDecided, at: float) -> None:
        if self.rollout is not None and self.rollout.id == fact.rollout:
            self.share = msgspec.json.decode(fact.decision, type=Decision).share
            self.looked_at = at

    def _fold_started(self, fact: RolloutStarted, at: float) -> None:
        self.asked = deque(one for one in self.asked if one.rollout != fact.rollout)
        baseline = msgspec.json.decode(fact.baseline, type=Baseline)
        try:
            rollout = start(fact.rollout, fact.model, fact.version, fact.champion, fact.plan, baseline, at)
        except Refused as error:
            _LOG.error("rollout %s cannot be started and is passed over: %s", fact.rollout, error.line)
            return
        self.bundles[fact.version] = fact.bundle
        self.rollout = rollout
        self._collector = Collector(rollout)
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
