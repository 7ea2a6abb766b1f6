"""A home in which an experiment runs: what a controller and a gateway would have written, on a clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Raw
from tests.operations.house import AT, House

from fairlead.adapters.fact_log import SegmentFacts
from fairlead.adapters.segment_log import SegmentLog
from fairlead.config.settings import Settings
from fairlead.core.advance import apply_operator
from fairlead.core.arms import CHAMPION, dealt_arms
from fairlead.core.event import (
    DeployAsked,
    DeployRefused,
    OperatorAsked,
    RolloutDecided,
    RolloutStarted,
    canonical,
)
from fairlead.core.experiment_terms import Terms
from fairlead.core.record import EventRecord, OutcomeRecord, Prediction
from fairlead.core.replay import fold
from fairlead.core.rollout import Baseline
from fairlead.core.route import ModelRoute, choose

BASELINE = Raw(canonical(Baseline(None, (), ())))
TERMS = Terms("conversion", 0, (), window=600.0, delay=60.0)


class Rig(House):
    """Version 1 is the champion, version 2 passed its gate; callers name their unit."""

    def __init__(self, home: Path, settings: Settings | None = None) -> None:
        super().__init__(home, settings or Settings())
        self.told().crown(1)
        self.measured(self.compared(2, 1))
        self.rng = np.random.default_rng(5)
        self.asked = 0

    def begins(self) -> None:
        """The controller starts what was asked for."""
        started = {entry.fact.rollout for entry in self.journal.read(kinds=["rollout_started"])}  # type: ignore[union-attr]
        for entry in list(self.journal.read(kinds=["deploy_asked"])):
            fact = entry.fact
            if isinstance(fact, DeployAsked) and fact.rollout not in started:
                begun = RolloutStarted(fact.model, fact.rollout, fact.version, fact.bundle, 1, fact.plan, BASELINE)
                self.journal.append([begun], actor="controller", at=self.clock.now())

    def refuses(self) -> None:
        """The controller cannot start what was asked for."""
        for entry in list(self.journal.read(kinds=["deploy_asked"])):
            fact = entry.fact
            assert isinstance(fact, DeployAsked)
            refused = DeployRefused(fact.model, fact.rollout, fact.version, "its gate is too old")
            self.journal.append([refused], actor="controller", at=self.clock.now())

    def obeys(self) -> None:
        """The controller performs what an operator asked for last."""
        asked = [entry.fact for entry in self.journal.read(kinds=["operator_asked"])][-1]
        assert isinstance(asked, OperatorAsked)
        self.ends(asked.verb)

    def ends(self, verb: str = "abort") -> None:
        """Every arm that runs ends by an operator's verb."""
        kinds = ["rollout_started", "evidence_seen", "operator_asked", "rollout_decided"]
        for state in fold(self.journal.read(model="hotel", kinds=kinds), "hotel").values():
            if state.phase not in ("promoted", "rolled_back"):
                _, decision = apply_operator(state, verb, self.clock.now())
                raw = Raw(canonical(decision))
                self.journal.append(
                    [OperatorAsked("hotel", verb, rollout=state.id), RolloutDecided("hotel", state.id, raw)],
                    actor="controller",
                    at=self.clock.now(),
                )

    def come(
        self,
        units: int,
        convert: Callable[[str], float],
        *,
        requests: int = 1,
        seconds: float = 10.0,
        at: float = 5.0,
        named: bool = True,
        group: str = "hotel-ab-1",
        **more: Any,
    ) -> None:
        """Units that were never seen before come over so many seconds; each converts with its arm's probability, `at`
        seconds after its first request. `named`: whether their caller says who they are."""
        among = next(
            fact.plan.among
            for entry in self.journal.read(kinds=["deploy_asked"])
            if isinstance(fact := entry.fact, DeployAsked)
            and fact.plan.among is not None
            and fact.plan.among.group == group
        )
        route = ModelRoute(dealt_arms(among, 1, [arm.version for arm in among.shares]), {}, salt=group)
        predictions, events = [], []
        for number in range(units):
            self.asked += 1
            unit, now = f"u{self.asked}", self.clock.now() + seconds * number / units
            to = choose(route, unit)
            for turn in range(requests):
                key = f"{unit}/{turn}" if named else unit
                predictions.append(answer(key, unit, now + turn, to.version, to.arm, to.rollout, **more))
            if self.rng.random() < convert(to.arm):
                events.append(event(unit, now + at))
        self.clock.advance(seconds)
        self.log(predictions, events)

    def before(self, units: int, share: float = 0.1, days: float = 10.0) -> None:
        """The model's own traffic before anything is tried, up to now, and what it converts."""
        since, predictions, events = self.clock.now() - days * 86_400.0, [], []
        for number in range(units):
            at = since + days * 86_400.0 * number / units
            predictions.append(answer(f"old{number}/0", f"old{number}", at, 1, CHAMPION, ""))
            if self.rng.random() < share:
                events.append(event(f"old{number}", at + 5.0))
        self.log(predictions, events)

    def log(
        self, predictions: list[Prediction], events: list[EventRecord], outcomes: list[OutcomeRecord] | None = None
    ) -> None:
        """Writes them to the log, as a worker does."""
        with closing(SegmentLog(self.home / "log", 0)) as log:
            log.predictions(predictions)
            log.outcomes(outcomes or [])
        with closing(SegmentFacts(self.home / "log", 0)) as facts:
            facts.add_events(events)


def answer(
    key: str, unit: str, at: float, version: int, arm: str, rollout: str, city: str = "Oslo", **more: Any
) -> Prediction:
    """An answered request."""
    features = Raw(msgspec.json.encode({"city": city, "nights": 2}))
    record = Prediction(key, "hotel", version, arm, unit, 0.5, at, at, features, 0, 0.5, 2.0, rollout=rollout)
    return msgspec.structs.replace(record, **more)


def event(unit: str, at: float, name: str = "conversion", value: float = 1.0, told: float | None = None) -> EventRecord:
    """What a unit's caller logged."""
    return EventRecord(f"{unit}/{name}/{at}", "hotel", unit, name, value, at, at if told is None else told)


__all__ = ["AT", "TERMS", "Rig", "answer", "event"]
