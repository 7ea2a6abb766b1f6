"""The rollout of a pipeline's run, as the journal tells it."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from fairlead.core.event import (
    AnyFact,
    DeployAsked,
    DeployRefused,
    OperatorAsked,
    RolloutDecided,
    RolloutStarted,
    RouteApplied,
)
from fairlead.core.pipeline import asked_by, left_by_hand
from fairlead.core.rollout import Decision, Phase, Plan

KINDS = ("deploy_asked", "deploy_refused", "rollout_started", "operator_asked", "rollout_decided", "route_applied")


class Own(Struct, frozen=True):
    """A run's rollout: empty `id` before one was asked for. `refused` says why the controller could not start it.

    `asked`: something was asked of it and is not performed yet. `applied`: every worker has the route of the last move.
    """

    id: str = ""
    version: int = 0
    plan: Plan | None = None
    champion: int | None = None
    started: bool = False
    refused: str = ""
    decision: Decision | None = None
    asked: bool = False
    applied: bool = False

    @property
    def phase(self) -> Phase | None:
        """Where it stands; None before the first decision."""
        return None if self.decision is None else self.decision.after

    @property
    def share(self) -> float:
        """The version's share of the traffic, 0 to 1."""
        return 0.0 if self.decision is None else self.decision.share

    @property
    def reason(self) -> str:
        """What the controller last said of it."""
        if self.decision is not None:
            return self.decision.reason
        return "nothing was decided yet" if self.started else "it has not begun: is `fairlead up` running?"

    @property
    def by_hand(self) -> bool:
        """Whether it has had what its step asks for, and waits to be let on."""
        return self.decision is not None and left_by_hand(self.decision)

    @property
    def for_a_person(self) -> bool:
        """Whether it waits for somebody, and not for the pipeline."""
        return self.phase is Phase.HELD and not self.by_hand and not self.asked

    def after(self, fact: AnyFact, run: str, version: int) -> Own:
        """The same with the model's next fact; a deploy that `run` asks for begins it."""
        if isinstance(fact, DeployAsked):
            ours = fact.version == version and fact.reason.partition(";")[0] == asked_by(run)
            return Own(fact.rollout, version, fact.plan) if ours else self
        if not self.id:
            return self
        if isinstance(fact, OperatorAsked):
            return self._asked(fact)
        return self._moved(fact) if getattr(fact, "rollout", "") == self.id else self

    def _asked(self, fact: OperatorAsked) -> Own:
        """What was performed names the rollout, what was refused says so; neither is open any more."""
        if fact.seen == self.id:
            return replace(self, asked=True)
        return replace(self, asked=False) if fact.reason.startswith("refused: ") else self

    def _moved(self, fact: AnyFact) -> Own:
        match fact:
            case DeployRefused():
                return replace(self, refused=fact.reason)
            case RolloutStarted():
                return replace(self, started=True, champion=fact.champion)
            case RouteApplied():
                return replace(self, applied=True)
            case RolloutDecided():
                return self._decided(msgspec.json.decode(fact.decision, type=Decision))
        return self

    def _decided(self, decision: Decision) -> Own:
        same = self.decision is not None and self.decision.share == decision.share
        return replace(self, decision=decision, asked=False, applied=self.applied and same)
