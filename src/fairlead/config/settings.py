"""The settings: one frozen value, read once and handed down. Every field has a default that works on a laptop."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from fairlead.config.database import DatabaseUrl
from fairlead.config.fields import Duration, Section, Share, Size
from fairlead.config.grammar import duration
from fairlead.config.models import LimitSettings, ModelSettings
from fairlead.config.observability import LoggingSettings, Observing, TracingSettings
from fairlead.config.prediction_log import LogSettings
from fairlead.config.rollout import RolloutSettings, Strategy
from fairlead.core.admission import Limits
from fairlead.core.fallback import OnFailure

Severity = Literal["critical", "high", "medium", "low"]


class Serving(Section, frozen=True):
    """The data plane and the control plane. Loopback unless told otherwise."""

    host: str = "127.0.0.1"
    port: int = 8080
    control_port: int = 8081
    workers: int = 2
    durability: Literal["batch", "sync"] = "batch"
    limits: LimitSettings = LimitSettings()


class Gates(Section, frozen=True):
    """What a version must measure up to before it may be deployed."""

    p99: Duration = Duration(0.05)
    peak_memory: Size = Size(1_000_000_000)
    against_champion: Literal["better", "not_worse"] = "better"
    margin: float = 0.01
    valid_for: Duration = Duration(30 * 86400)


class Monitoring(Section, frozen=True):
    """Windows by event time (`window`: a duration, or `month` for calendar months, UTC), and what processes tell of
    themselves."""

    window: str = "7d"
    lateness: Duration = Duration(0)
    alpha: Share = Share(0.01)
    logging: LoggingSettings = LoggingSettings()
    tracing: TracingSettings = TracingSettings()

    def __post_init__(self) -> None:
        """Reads the window now, so that a wrong one is told at the start."""
        if self.window != "month":
            duration(self.window)

    @property
    def window_seconds(self) -> float | None:
        """The window's length; None for calendar months."""
        return None if self.window == "month" else duration(self.window)

    @property
    def observing(self) -> Observing:
        """What the processes tell of themselves."""
        return Observing(self.logging, self.tracing)


class Channel(Section, frozen=True):
    """Where notices of some severities go."""

    name: str
    type: Literal["console", "webhook"]
    url: str = ""
    severity: tuple[Severity, ...] = ("critical", "high", "medium", "low")


class Alerting(Section, frozen=True):
    """Who is told, how often, and where the runbooks are."""

    owner: str = "unassigned"
    runbooks: str = "docs/runbooks"
    repeat_after: Duration = Duration(7 * 86400)
    channels: tuple[Channel, ...] = (Channel("console", "console"),)


class Retraining(Section, frozen=True):
    """When a challenger is trained, from how much, and how. Without a command nothing is trained."""

    command: str = ""
    rows: int = 15_000
    at_least_labels: int = 1_000
    at_most_every: Duration = Duration(30 * 86400)
    timeout: Duration = Duration(3600)
    strategy: Strategy = "shadow"
    promote: Literal["gated", "manual"] = "gated"


class Settings(Section, frozen=True):
    """The whole file."""

    project: str = "fairlead"
    models: dict[str, ModelSettings] = field(default_factory=dict)
    serving: Serving = Serving()
    gates: Gates = Gates()
    rollout: RolloutSettings = RolloutSettings()
    monitoring: Monitoring = Monitoring()
    alerting: Alerting = Alerting()
    retraining: Retraining = Retraining()
    log: LogSettings = LogSettings()
    # Formats that run code when they are loaded.
    trust: tuple[Literal["pickle", "joblib", "cloudpickle", "python", "pyfunc"], ...] = ()
    database: DatabaseUrl = DatabaseUrl("")  # PostgreSQL; empty: SQLite and files in the home folder
    tracking_uri: str = ""  # an MLflow server; empty: SQLite in the home folder

    def limits(self) -> dict[str, Limits]:
        """What models may take up: by name for those with limits of their own, under the empty name for all others."""
        every = self.serving.limits.over(Limits())
        own = {name: known.limits.over(every) for name, known in self.models.items()}
        return {"": every, **{name: limits for name, limits in own.items() if limits != every}}

    def on_failure(self) -> dict[str, OnFailure]:
        """The models that do something else than fail where a version does."""
        known = {name: model.on_failure for name, model in self.models.items()}
        return {name: wanted for name, wanted in known.items() if wanted is not OnFailure.ERROR}

    def owner_of(self, model: str) -> str:
        """Who answers for a model."""
        known = self.models.get(model)
        return (known.owner if known else "") or self.alerting.owner
