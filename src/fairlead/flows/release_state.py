"""What the controller knows of one model's release: a fold of the journal, and the log's evidence beside it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Sequence

import msgspec
from msgspec import Raw

from fairlead.core.advance import advance, apply_operator
from fairlead.core.after import PromotionEvidence
from fairlead.core.asked_of import arms_for
from fairlead.core.event import (
    AliasMoved,
    DeployAsked,
    DeployRefused,
    Entry,
    EvidenceSeen,
    OperatorAsked,
    PromotionSeen,
    RolloutDecided,
    RolloutStarted,
    RouteApplied,
    RouteChanged,
    VersionRegistered,
    canonical,
)
from fairlead.core.record import EventRecord, OutcomeRecord, Prediction
from fairlead.core.rollout import Baseline, Decision, Evidence, Phase, Rollout, start
from fairlead.core.route import ModelRoute
from fairlead.errors import Refused
from fairlead.flows.after import Aftercare
from fairlead.flows.baseline import Recent
from fairlead.flows.evidence import Collector
from fairlead.flows.routing import desired_route, shared_route

_LOG = logging.getLogger("fairlead.release")
OVER = (Phase.PROMOTED, Phase.ROLLED_BACK)


def raw(value: object) -> Raw:
    """A value as it stands in a fact: its one canonical byte string."""
    return Raw(canonical(value))


class Track:
    """One rollout, and the log's evidence for it. An A/B rollout has one for each challenger."""

    def __init__(self, rollout: Rollout) -> None:
        self.rollout = rollout
        self.collector = Collector(rollout)
        self.after = Aftercare(rollout)
        self.share = 0.0
        self.looked_at = 0.0
        self.doomed = False  # it lost its traffic, whether or not the journal knows already

    @property
    def group(self) -> str:
        """What an operator means who means all arms of it."""
        among = self.rollout.plan.among
        return self.rollout.id if among is None else among.group

    @property
    def runs(self) -> bool:
        """Whether it is not over."""
        return self.rollout.phase not in OVER

    def unseen(self) -> Evidence:
        """What the log has that the rollout's journal does not."""
        return self.collector.since(self.rollout.seen)

    def ask(self, evidence: Evidence, now: float) -> Decision:
        """What `advance` says, without changing anything."""
        return advance(self.rollout, evidence, now)[1]


class ModelState:
    """One model. Only `fold` changes what the journal tells; `observe` only adds evidence."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.champion: int | None = None
        self.bundles: dict[int, str] = {}
        self.tracks: list[Track] = []  # the latest rollout, or the arms of it
        self.asked: deque[DeployAsked] = deque()
        self.requests: deque[tuple[Entry, OperatorAsked]] = deque()
        self.recent = Recent()
        self.swaps: list[RouteChanged] = []  # published tables that some worker may not have yet

    @property
    def main(self) -> Track | None:
        """The latest rollout: of several arms the promoted one, else one that runs, else the last."""
        by_phase = sorted(self.tracks, key=lambda one: (one.rollout.phase is Phase.PROMOTED, one.runs))
        return by_phase[-1] if by_phase else None

    @property
    def rollout(self) -> Rollout | None:
        """The latest rollout, as `main` says."""
        return self.main.rollout if self.main is not None else None

    @property
    def running(self) -> Rollout | None:
        """The rollout that is not over, if any."""
        return next((one.rollout for one in self.tracks if one.runs), None)

    @property
    def champion_bundle(self) -> str | None:
        """The digest of what serves now."""
        return None if self.champion is None else self.bundles.get(self.champion)

    def observe(self, records: Sequence[Prediction]) -> None:
        """Takes log records in, as evidence and as the champion's recent past."""
        self.recent.add(records, self.champion)
        for track in self.tracks:
            track.collector.add(records)
            track.after.observe(records)

    def observe_outcomes(self, outcomes: Sequence[OutcomeRecord]) -> None:
        """Takes outcomes in, of whatever model they are, as evidence and for the watch over a promoted version."""
        for track in self.tracks:
            track.collector.add_outcomes(outcomes)
            track.after.observe_outcomes(outcomes)

    def observe_events(self, events: Sequence[EventRecord]) -> None:
        """Takes business events in, as evidence of what followed from answers."""
        for track in self.tracks:
            track.collector.add_events(events)
            track.after.observe_events(events)

    def next_asked(self) -> list[DeployAsked]:
        """What is to be started together: one rollout, or all arms of one."""
        first = self.asked[0].plan.among
        if first is None:
            return [self.asked[0]]
        return [one for one in self.asked if one.plan.among is not None and one.plan.among.group == first.group]

    def check_deploy(self, asked: DeployAsked) -> None:
        """Raises `Refused` for a version that cannot be rolled out beside the present champion."""
        known = self.bundles.get(asked.version)
        if known is not None and known != asked.bundle:
            raise Refused(
                f"version {asked.version} of {self.name} was registered with another bundle: register it anew"
            )
        if asked.version == self.champion:
            raise Refused(f"version {asked.version} of {self.name} is the champion already")

    def route(self) -> ModelRoute | None:
        """What the route table should say; None before the first champion."""
        main, champion = self.main, self.champion
        if champion is None:
            return None
        if main is None:
            return desired_route(champion, None, 0.0, self.bundles)
        rollout, among = main.rollout, main.rollout.plan.among
        standing = [one.rollout.version for one in self.tracks if one.runs and not one.doomed]
        if among is not None and standing and rollout.phase is not Phase.PROMOTED:
            return shared_route(champion, among, rollout.plan.split, standing, self.bundles)
        if main.doomed:
            back = rollout.champion if champion == rollout.version else champion
            return desired_route(champion if back is None else back, None, 0.0, self.bundles)
        return desired_route(champion, rollout, main.share, self.bundles)

    def ask_operator(self, request: OperatorAsked, now: float) -> list[tuple[Track, Decision]]:
        """What an operator's verb leads to, for each arm that is meant. Raises `Refused` when it makes no sense now."""
        meant = [one for one in self.tracks if request.seen in ("", one.rollout.id, one.group)]
        if not self.tracks:
            raise Refused(
                f"{self.name} has no rollout to {request.verb}: start one with `fairlead deploy {self.name}@V`"
            )
        if not meant:
            raise Refused(f"rollout {request.seen} is over: look at `fairlead rollout {self.name}` and ask again")
        arms = arms_for(request.verb, [one.rollout for one in meant])
        return [
            (one, apply_operator(one.rollout, request.verb, now, request.reason, request.by)[1])
            for one in meant
            if one.rollout in arms
        ]

    def others(self, promoted: Track) -> list[Track]:
        """The arms that end when another one is promoted."""
        return [one for one in self.tracks if one is not promoted and one.runs]

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
            case PromotionSeen():
                self._fold_promotion(fact, entry.at)
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

    def _track(self, rollout: str) -> Track | None:
        return next((one for one in self.tracks if one.rollout.id == rollout), None)

    def _fold_decided(self, fact: RolloutDecided, at: float) -> None:
        track = self._track(fact.rollout)
        if track is not None:
            track.share = msgspec.json.decode(fact.decision, type=Decision).share
            track.looked_at = at
            if track.rollout.phase is Phase.PROMOTED and track.after.state is None:
                track.after.promoted(track.rollout, at)

    def _fold_promotion(self, fact: PromotionSeen, at: float) -> None:
        track = self._track(fact.rollout)
        if track is not None:
            track.after.fold(msgspec.json.decode(fact.evidence, type=PromotionEvidence), at)

    def _fold_started(self, fact: RolloutStarted, at: float) -> None:
        self.asked = deque(one for one in self.asked if one.rollout != fact.rollout)
        baseline = msgspec.json.decode(fact.baseline, type=Baseline)
        try:
            rollout = start(fact.rollout, fact.model, fact.version, fact.champion, fact.plan, baseline, at)
        except Refused as error:
            _LOG.error("rollout %s cannot be started and is passed over: %s", fact.rollout, error.line)
            return
        self.bundles[fact.version] = fact.bundle
        track = Track(rollout)
        beside = fact.plan.among is not None and all(one.group == track.group for one in self.tracks)
        self.tracks = [*self.tracks, track] if beside else [track]

    def _fold_evidence(self, fact: EvidenceSeen, at: float) -> None:
        track = self._track(fact.rollout)
        if track is not None:
            evidence = msgspec.json.decode(fact.evidence, type=Evidence)
            track.rollout = advance(track.rollout, evidence, at)[0]

    def _fold_operator(self, fact: OperatorAsked, entry: Entry) -> None:
        """A request has no rollout; what became of it names the rollout, or nothing when it was refused."""
        if fact.rollout is None:
            self.requests.append((entry, fact))
            return
        if self.requests and self.requests[0][1].verb == fact.verb:
            self.requests.popleft()
        track = self._track(fact.rollout)
        if track is not None:
            track.rollout = apply_operator(track.rollout, fact.verb, entry.at, fact.reason, fact.by)[0]
