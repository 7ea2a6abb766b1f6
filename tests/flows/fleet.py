"""A home with versions, the workers that serve them, and their traffic: for what happens during and after rollouts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Raw

from fairlead.core.bundle import PROFILE
from fairlead.core.event import AnyFact, DeployAsked, Entry, RolloutDecided, VersionRegistered
from fairlead.core.record import Prediction
from fairlead.core.rollout import Aftercare, Decision, Guardrail, Phase, Plan, ShadowPlan, Step
from fairlead.core.route import choose
from fairlead.flows.release import Release
from fairlead.ports import GoldenState, WorkerState
from fairlead.stats.columns import NumericColumn
from fairlead.stats.profile import profile
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.routes import MemoryBoard

RULES = (
    Guardrail("error_rate <= 1.25 * champion", "error_rate", 1.25, relative=True),
    Guardrail("prediction_psi < 0.25", "prediction_psi", 0.25),
)
AFTER = Aftercare(7 * 86_400.0, 90 * 86_400.0)
QUICK = Plan("canary", (Step(0.5, 0.0, 20), Step(1.0)), RULES, edition=2, after=AFTER)
HELD = Plan("canary", (Step(0.5, 0.0, 10**9), Step(1.0)), RULES, edition=2, after=AFTER)
UNSEEN = msgspec.structs.replace(HELD, shadow=ShadowPlan(0.0, 10**9))


class Fleet:
    """Versions 1 to 3 of one model on two workers; version 1 is deployed. `golden` and `errors` are what workers say,
    by worker."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.journal, self.board = ManualClock(), MemoryJournal(), MemoryBoard()
        self.bundles = ScriptedBundles(folder / "bundles")
        self.golden: dict[int, list[GoldenState]] = {0: [], 1: []}
        self.log: list[Prediction] = []
        self.rng = np.random.default_rng(11)
        self.asked = 0
        self.told: set[str] = set()  # the requests whose outcomes were sent
        text = msgspec.json.encode(profile((NumericColumn("__score__", np.linspace(0.0, 1.0, 1000)),))).decode()
        self.digests = []
        for number in (1, 2, 3):
            place = folder / f"new-{number}"
            self.digests.append(self.bundles.put(place, example(place, note=str(number), **{PROFILE: text})))
        self.add(*(VersionRegistered("hotel", n + 1, digest, "july") for n, digest in enumerate(self.digests)))
        self.release = self.controller()
        self.deploy(1, QUICK)
        self.tick()

    def controller(self) -> Release:
        """A controller that starts now, on what is there."""
        release = Release(self.journal, self.board, self.bundles, self.clock)
        release.observe(self.log)
        return release

    def add(self, *facts: AnyFact, actor: str = "ana") -> None:
        """Writes facts."""
        self.journal.append(facts, actor=actor, at=self.clock.now())

    def deploy(self, version: int, plan: Plan) -> None:
        """An operator asks for a rollout."""
        self.add(DeployAsked("hotel", f"r{version}", version, self.digests[version - 1], plan))
        self.tick()

    def promote(self, version: int, plan: Plan = QUICK) -> None:
        """A rollout to its good end."""
        self.deploy(version, plan)
        for _ in range(100):
            if self.champion == version:
                break
            self.traffic(50)
        assert self.champion == version

    def tick(self, seconds: float = 0.1) -> None:
        """Some time; the workers have the table, and say so."""
        self.clock.advance(seconds)
        now, generation = self.clock.now(), self.board.current().generation
        for worker, golden in self.golden.items():
            self.board.report(WorkerState(worker, 100 + worker, generation, now, now, golden=tuple(golden)))
        self.release.tick()

    def fails(self, version: int, *workers: int, holds: bool = False) -> None:
        """What workers say from now on of a version's golden rows."""
        for worker in workers or self.golden:
            others = [one for one in self.golden[worker] if one.version != version]
            reason = "" if holds else "golden row 3 is answered 0.2 differently"
            self.golden[worker] = [*others, GoldenState("hotel", version, holds, reason, self.clock.now())]

    def traffic(
        self,
        requests: int,
        seconds: float = 1.0,
        failing: float = 0.0,
        score: Callable[[int], float] | None = None,
        slow: float = 0.0,
        units: Sequence[str] = (),
    ) -> None:
        """Requests over some seconds that follow the table, each of a unit of its own unless `units` are named."""
        table = self.board.current().models["hotel"]
        begun, records = self.clock.now(), []
        for place in range(requests):
            self.asked += 1
            unit = units[place % len(units)] if units else f"u{self.asked}"
            route = choose(table, unit)
            at = begun + seconds * place / requests
            failed = self.rng.random() < failing
            value = None if failed else float(self.rng.random() if score is None else score(route.version))
            latency = 500.0 if self.rng.random() < slow else 5.0
            records.append(
                Prediction(
                    f"q{self.asked}", "hotel", route.version, route.arm, unit, route.propensity, at, at, Raw(b"{}"),
                    0 if value is None or value < 0.5 else 1, value, latency, status=500 if failed else 200,
                    rollout=table.salt,
                )
            )  # fmt: skip
        self.log += records
        self.release.observe(records)
        self.tick(seconds)

    @property
    def champion(self) -> int:
        """Who has most of the published traffic."""
        return self.board.current().models["hotel"].arms[-1].version

    def entries(self, *kinds: str) -> list[Entry]:
        """The journal's entries of some kinds."""
        return list(self.journal.read(kinds=kinds))

    def ending(self, rollout: str) -> tuple[Decision, str]:
        """The last decision of a rollout, and whose it is."""
        found = [
            entry
            for entry in self.entries("rollout_decided")
            if isinstance(entry.fact, RolloutDecided) and entry.fact.rollout == rollout
        ]
        assert isinstance(found[-1].fact, RolloutDecided)
        return msgspec.json.decode(found[-1].fact.decision, type=Decision), found[-1].actor

    def is_back(self, rollout: str) -> bool:
        """Whether it was taken back by the controller."""
        decision, actor = self.ending(rollout)
        return decision.after is Phase.ROLLED_BACK and actor == "controller"
