"""The conditions of the settings, wherever they are stated, as what is looked at each minute."""

from __future__ import annotations

from fairlead.config.conditions import condition
from fairlead.config.settings import Settings
from fairlead.config.usual_alerts import STAND_INS
from fairlead.core import alarm
from fairlead.core.watchpoint import Watchpoint

ROLLBACK = "rollback-trigger"
CRITICAL = "critical"  # the end of a graver level's name


def watchpoints(settings: Settings) -> tuple[Watchpoint, ...]:
    """What is stated: `alerting.alerts`, their graver levels under `NAME:critical`, and `monitoring.metrics` with a
    threshold under `metric-NAME`."""
    stated = [
        Watchpoint(alert.name, alert.parsed, alert.severity, alert.message, alert.owner, alert.runbook)
        for alert in settings.alerting.alerts
    ]
    stated += [
        Watchpoint(f"{alert.name}:{CRITICAL}", graver, "critical", alert.message, alert.owner, alert.runbook)
        for alert in settings.alerting.alerts
        if (graver := alert.parsed_critical) is not None
    ]
    metrics = [
        Watchpoint(
            f"metric-{metric.name}",
            metric.condition,
            metric.severity,
            f"{metric.name} is {{value}} in {{model}}",
            metric.owner,
            metric.runbook or alarm.METRIC,
        )
        for metric in settings.monitoring.metrics
        if metric.condition is not None
    ]
    return (*stated, *metrics)


def stand_ins(settings: Settings) -> tuple[Watchpoint, ...]:
    """What is watched though nobody states it, for the metrics that nothing stated is of: under the metric's name, its
    graver level under `NAME:SEVERITY`. What they cannot measure is nobody's trouble."""
    if not settings.alerting.defaults:
        return ()
    known = {alert.parsed.metric for alert in settings.alerting.alerts}
    known |= {metric.condition.metric for metric in settings.monitoring.metrics if metric.condition is not None}
    return tuple(
        Watchpoint(name if first else f"{name}:{severity}", condition(text), severity, "", runbook=name)
        for name, levels in STAND_INS.items()
        if name not in known
        for first, (text, severity) in zip((True, False), levels, strict=True)
    )


def rollback_watchpoint(settings: Settings) -> Watchpoint | None:
    """`pipeline.rollback.trigger`; None where there is none. Its alert is for what is not automatic."""
    trigger = settings.pipeline.rollback.condition
    if trigger is None:
        return None
    message = f"Version {{version}} of {{model}} meets its rollback trigger {trigger.text}"
    return Watchpoint(ROLLBACK, trigger, "high", message, runbook=alarm.ROLLBACK)
