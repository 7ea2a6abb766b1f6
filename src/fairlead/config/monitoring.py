"""What is watched: windows, named metrics with a bound, and what the processes tell of themselves."""

from __future__ import annotations

from typing import Literal

from fairlead.config.conditions import condition
from fairlead.config.fields import Bare, Duration, Section, Share
from fairlead.config.grammar import duration
from fairlead.config.observability import LoggingSettings, Observing, TracingSettings
from fairlead.config.severity import Severity
from fairlead.config.watched import known_metric, watchable
from fairlead.core.condition import Condition
from fairlead.errors import SettingsError


class MetricSettings(Section, frozen=True):
    """A metric that is watched, and the comparison that raises an alert: `{name: error_rate, alert_threshold: ">1%"}`.

    `type` is what the metric is to Prometheus; it changes nothing of the comparison.
    """

    name: str
    type: Literal["histogram", "counter", "gauge", "summary"] = "gauge"
    alert_threshold: Bare | None = None
    severity: Severity = "medium"
    owner: str = ""
    runbook: str = ""

    def __post_init__(self) -> None:
        """Reads the comparison now, so that a wrong one is told at the start."""
        known_metric(self.name)
        if self.condition is not None:
            watchable(self.condition)

    @property
    def condition(self) -> Condition | None:
        """When it alerts; None for a metric that is only watched."""
        return None if self.alert_threshold is None else condition(self.alert_threshold, self.name)


class Monitoring(Section, frozen=True):
    """Windows by event time (`window`: a duration, or `month` for calendar months, UTC), and what processes tell of
    themselves. `evidence` says of which windows it is kept what they were judged from, for `keep_evidence`: of all, of
    those in which something moved or broke, or of none; `replay` judges the others no more."""

    window: str = "7d"
    lateness: Duration = Duration(0)
    alpha: Share = Share(0.01)
    evidence: Literal["all", "breached", "none"] = "all"
    keep_evidence: Duration = Duration(400 * 86_400)
    metrics: tuple[MetricSettings, ...] = ()
    logging: LoggingSettings = LoggingSettings()
    tracing: TracingSettings = TracingSettings()

    def __post_init__(self) -> None:
        """Reads the window now, so that a wrong one is told at the start."""
        if self.window != "month":
            duration(self.window)
        names = [metric.name for metric in self.metrics]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise SettingsError(f"monitoring.metrics names {twice} twice: keep one")

    @property
    def window_seconds(self) -> float | None:
        """The window's length; None for calendar months."""
        return None if self.window == "month" else duration(self.window)

    @property
    def observing(self) -> Observing:
        """What the processes tell of themselves."""
        return Observing(self.logging, self.tracing)
