"""The promised settings at work on one model: records and windows in, notices and facts out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from msgspec import Raw

from fairlead.app.compose import alert_policy, retrain_policy
from fairlead.config.load import load_settings, parse_settings
from fairlead.config.settings import Settings
from fairlead.config.watchpoints import rollback_watchpoint, watchpoints
from fairlead.core.event import AliasMoved, AnyFact, VersionRegistered
from fairlead.core.record import Prediction
from fairlead.core.report import WindowReport, fact_of
from fairlead.flows.conditions import Conditions, Rollback
from fairlead.flows.live import Live
from fairlead.flows.metrics_now import MetricsNow, Prices
from fairlead.flows.respond import Responder, ResponsePolicy
from fairlead.ports import Notice, Notifier
from fairlead.testing.clock import ManualClock
from fairlead.testing.journal import MemoryJournal
from fairlead.testing.notifier import MemoryNotifier

PAGE = Path(__file__).parent.parent / "config" / "page.yaml"
MODEL = "hotel"
AnyKind = TypeVar("AnyKind", bound=AnyFact)


def page_settings() -> Settings:
    """What the page says."""
    return load_settings(PAGE, {"SLACK_WEBHOOK": "https://hooks.slack.com/services/x"})


class Desk:
    """A model's conditions and responder over one journal, with a channel in memory for each of the settings'."""

    def __init__(self, settings: Settings | str | None = None) -> None:
        self.settings = parse_settings(settings) if isinstance(settings, str) else settings or page_settings()
        self.journal = MemoryJournal()
        self.clock = ManualClock(1_700_000_000.0)
        self.channels: dict[MemoryNotifier, tuple[str, ...]] = {
            MemoryNotifier(one.name): self.settings.alerting.takes(one) for one in self.settings.alerting.channels
        }  # fmt: skip
        self.number = 0
        self.journal.append(
            [VersionRegistered(MODEL, 1, "b", "july"), AliasMoved(MODEL, "champion", 1, None)],
            actor="ana",
            at=self.clock.now(),
        )
        self.start()

    def start(self) -> None:
        """What a restarted controller has: the journal."""
        settings = self.settings
        cost = settings.models[MODEL].cost if MODEL in settings.models else None
        prices = Prices() if cost is None else Prices(cost.matrix, cost.budget)
        self.metrics = MetricsNow(MODEL, Live(float(settings.alerting.window)), prices)
        point = rollback_watchpoint(settings)
        back = settings.pipeline.rollback
        rollback = None if point is None else Rollback(point, float(back.within), back.automatic)
        self.conditions = Conditions(MODEL, watchpoints(settings), self.metrics, self.journal, rollback)
        policy = ResponsePolicy(
            alert_policy(settings.alerting, "growth", "docs/runbooks"), retrain_policy(settings.retraining)
        )
        notifiers: dict[Notifier, Sequence[str]] = dict(self.channels.items())
        self.responder = Responder(
            MODEL, self.journal, notifiers, self.clock, lambda incident, _: incident, policy, lambda _: 10_000
        )

    def traffic(self, requests: int, failed: int = 0, *, version: int = 1, ms: float = 20.0, arm: str = "") -> None:
        """That many requests in the last minute, the first of which failed."""
        now = self.clock.now()
        records = []
        for place in range(requests):
            self.number += 1
            at = now - 50.0 + 40.0 * place / requests
            status = 500 if place < failed else 200
            records.append(
                Prediction(
                    f"q{self.number}", MODEL, version, arm or ("champion" if version == 1 else "canary"),
                    f"u{self.number}", 0.5, at, at, Raw(b"{}"), 0, 0.5, ms, status=status,
                )
            )  # fmt: skip
        self.metrics.observe(records, now)

    def window(self, report: WindowReport) -> None:
        """A judged window, in the journal."""
        self.journal.append([fact_of(report)], actor="watch", at=self.clock.now())

    def look(self, seconds: float = 60.0) -> list[Notice]:
        """A minute later: the notices that went out by any channel, each once."""
        self.clock.advance(seconds)
        now = self.clock.now()
        response = self.responder.on_alarms(self.conditions.look(now), now)
        return list(response.notices)

    def quiet(self) -> None:
        """Ten minutes without a request."""
        self.clock.advance(600.0)

    def sent(self, channel: str) -> list[Notice]:
        """What a channel was sent."""
        return next(one.sent for one in self.channels if one.name == channel)

    def facts(self, kind: type[AnyKind]) -> list[AnyKind]:
        """The facts of one kind."""
        return [entry.fact for entry in self.journal.read() if isinstance(entry.fact, kind)]
