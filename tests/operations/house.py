"""A home with two registered versions of one model, none of them measured."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from pathlib import Path

from msgspec.structs import replace

from fairlead.adapters.gate_store import GateStore
from fairlead.adapters.route_file import RouteFile
from fairlead.adapters.segment_log import SegmentLog
from fairlead.adapters.segment_reader import SegmentReader
from fairlead.config.gates import Gates
from fairlead.config.settings import Settings
from fairlead.core.environment import Environment
from fairlead.core.event import AliasMoved, VersionRegistered
from fairlead.core.gate import CHECKS, Check, CheckName, GateReport
from fairlead.core.verdict import Outcome
from fairlead.operations.context import Context
from fairlead.testing.bundles import ScriptedBundles, example
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.registry import MemoryRegistry

AT = 1_700_000_000.0


class House:
    """The home, its neighbours, and reports as a gate run would leave them."""

    def __init__(self, home: Path, settings: Settings) -> None:
        self.clock, self.journal, self.registry = ManualClock(AT), MemoryJournal(), MemoryRegistry()
        self.bundles = ScriptedBundles(home / "bundles")
        self.gates = GateStore(home / "gates")
        self.home = home
        self.digests = []
        for number in ("1", "2"):
            place = home / f"draft-{number}"
            manifest = example(place, note=number)
            self.digests.append(self.bundles.put(place, manifest))
            self.registry.register(manifest, self.digests[-1], place)
        self.context = Context(
            home=home,
            settings=settings,
            actor="ana",
            clock=self.clock,
            journal=self.journal,
            bundles=self.bundles,
            board=RouteFile(home / "routes"),
            follow_board=lambda: nullcontext(RouteFile(home / "routes")),
            open_registry=lambda: self.registry,
            open_log=lambda: SegmentReader(home / "log"),
            open_writer=lambda: SegmentLog(home / "log", 0),
            open_trainer=lambda: None,
        )

    def told(self) -> House:
        """The journal knows the versions too."""
        for version, bundle in enumerate(self.digests, 1):
            self.journal.append([VersionRegistered("hotel", version, bundle, "july")], actor="ana", at=AT)
        return self

    def under(self, settings: Settings) -> Context:
        """The same home under other settings."""
        return dataclasses.replace(self.context, settings=settings)

    def crown(self, version: int) -> None:
        """Makes a version the champion, in the journal and in the registry."""
        self.journal.append([AliasMoved("hotel", "champion", version, None)], actor="controller", at=self.clock.now())
        self.registry.set_alias("hotel", "champion", version)

    def report(
        self,
        version: int = 1,
        broken: Outcome | None = None,
        environment: Environment = "production",
        **outcomes: Outcome,
    ) -> GateReport:
        """A report of a gate run now; `broken` is what became of its last check, `outcomes` of others by name."""
        names: dict[CheckName, Outcome] = dict.fromkeys(CHECKS, Outcome.HOLDS)
        checks = tuple(
            Check(name, broken if broken and name == CHECKS[-1] else outcomes.get(name, held), "as measured", {}, "")
            for name, held in names.items()
        )
        policy = self.context.settings.gates.policy(environment)
        bundle = self.digests[version - 1]
        return GateReport("hotel", version, bundle, environment, self.clock.now(), 5.0, checks, policy)

    def measured(self, report: GateReport) -> GateReport:
        """The report is kept and journalled, as a gate run does."""
        self.gates.put(report)
        self.journal.append([report.fact], actor="ana", at=self.clock.now())
        return report

    def compared(self, version: int, champion: int) -> GateReport:
        """A kept report of a version against a champion."""
        report = self.report(version)
        return self.measured(replace(report, champion=champion, champion_bundle=self.digests[champion - 1]))


def settled(**gates: object) -> Settings:
    """Settings whose gates say so much."""
    return Settings(gates=Gates(**gates))  # type: ignore[arg-type]  # fields by name
