"""The settings: one frozen value, read once and handed down. Every field has a default that works on a laptop."""

from __future__ import annotations

from typing import Literal

from msgspec import field

from fairlead.config.alerting import Alerting
from fairlead.config.database import DatabaseUrl
from fairlead.config.drift_detection import DriftDetection
from fairlead.config.fields import Section
from fairlead.config.gates import Gates
from fairlead.config.incidents import Incidents
from fairlead.config.loops import Loops
from fairlead.config.models import LimitSettings, ModelSettings
from fairlead.config.monitoring import Monitoring
from fairlead.config.names import nearest
from fairlead.config.pipeline import Pipeline
from fairlead.config.prediction_log import LogSettings
from fairlead.config.registry import RegistrySettings
from fairlead.config.retraining import Retraining
from fairlead.config.rollout import RolloutSettings
from fairlead.core.admission import Limits
from fairlead.core.environment import Environment
from fairlead.core.fallback import OnFailure
from fairlead.errors import SettingsError


class Serving(Section, frozen=True):
    """The data plane and the control plane. Loopback unless told otherwise."""

    host: str = "127.0.0.1"
    port: int = 8080
    control_port: int = 8081
    workers: int = 2
    durability: Literal["batch", "sync"] = "batch"
    limits: LimitSettings = LimitSettings()


class Settings(Section, frozen=True):
    """The whole file."""

    project: str = "fairlead"
    environment: Environment = "production"  # what this home serves: whose gate a deploy needs
    models: dict[str, ModelSettings] = field(default_factory=dict)
    serving: Serving = Serving()
    gates: Gates = Gates()
    rollout: RolloutSettings = RolloutSettings()
    monitoring: Monitoring = Monitoring()
    drift_detection: DriftDetection = DriftDetection()
    alerting: Alerting = Alerting()
    incidents: Incidents = Incidents()
    loops: Loops = Loops()
    pipeline: Pipeline = Pipeline()
    retraining: Retraining = Retraining()
    registry: RegistrySettings = RegistrySettings()
    log: LogSettings = LogSettings()
    # Formats that run code when they are loaded.
    trust: tuple[Literal["pickle", "joblib", "cloudpickle", "python", "pyfunc"], ...] = ()
    database: DatabaseUrl = DatabaseUrl("")  # PostgreSQL; empty: SQLite and files in the home folder
    tracking_uri: str = ""  # an MLflow server; empty: SQLite in the home folder

    def __post_init__(self) -> None:
        """Refuses drift actions that would tell nobody."""
        for action in self.drift_detection.actions.on_drift_detected:
            if action.alert and not self.alerting.channels_called(action.alert):
                raise SettingsError(
                    f"drift_detection.actions alerts {action.alert!r}, which is no channel's name and no type of one: "
                    f"{nearest(action.alert, (channel.name for channel in self.alerting.channels))}"
                )

        self._check_escalation()

    def _check_escalation(self) -> None:
        """Refuses an escalation of incidents that would tell nobody."""
        known = {channel.name for channel in self.alerting.channels}
        for name in (name for step in self.incidents.escalate for name in step.to):
            if name not in known:
                raise SettingsError(
                    f"incidents.escalate tells {name!r}, which is no channel: {nearest(name, sorted(known))}"
                )

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
