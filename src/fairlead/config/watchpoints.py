"""The conditions of the settings, wherever they are stated, as what is looked at each minute."""

from __future__ import annotations

from fairlead.config.aim import aims_at
from fairlead.config.alerting import AlertSettings
from fairlead.config.conditions import condition
from fairlead.config.settings import Settings
from fairlead.config.usual_alerts import MESSAGES, STAND_INS
from fairlead.core import alarm
from fairlead.core.watchpoint import Watchpoint

ROLLBACK = "rollback-trigger"
CRITICAL = "critical"  # the end of a graver level's name


def watchpoints(settings: Settings, model: str | None = None) -> tuple[Watchpoint, ...]:
    """What is stated, of a model or (None) of any: `alerting.alerts`, their graver levels under `NAME:critical`, and
    `monitoring.metrics` with a threshold under `metric-NAME`."""
    alerts = _aimed(settings, model) if model is not None else list(settings.alerting.alerts)
    stated = [
        Watchpoint(alert.name, alert.parsed, alert.severity, alert.message, alert.owner, alert.runbook)
        for alert in alerts
    ]
    stated += [
        Watchpoint(f"{alert.name}:{CRITICAL}", graver, "critical", alert.message, alert.owner, alert.runbook)
        for alert in alerts
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


def stand_ins(settings: Settings, model: str | None = None) -> tuple[Watchpoint, ...]:
    """What is watched though nobody states it, for the metrics that nothing stated of a model, or (None) of all of
    them, is of: under the metric's name, its graver level under `NAME:SEVERITY`. What they cannot measure is nobody's
    trouble."""
    if not settings.alerting.defaults:
        return ()
    known = {alert.parsed.metric for alert in _aimed(settings, model)}
    known |= {metric.condition.metric for metric in settings.monitoring.metrics if metric.condition is not None}
    return tuple(
        Watchpoint(
            name if first else f"{name}:{severity}", condition(text), severity, MESSAGES.get(name, ""), runbook=name
        )
        for name, levels in STAND_INS.items()
        if name not in known
        for first, (text, severity) in zip((True, False), levels, strict=True)
    )


def _aimed(settings: Settings, model: str | None) -> list[AlertSettings]:
    """The alerts that are of a model; None: those that are of every one."""
    alerts = settings.alerting.alerts
    if model is None:
        return [alert for alert in alerts if alert.models is None]
    return [alert for alert in alerts if aims_at(alert.models, model)]


def rollback_watchpoint(settings: Settings) -> Watchpoint | None:
    """`pipeline.rollback.trigger`; None where there is none. Its alert is for what is not automatic."""
    trigger = settings.pipeline.rollback.condition
    if trigger is None:
        return None
    message = f"Version {{version}} of {{model}} meets its rollback trigger {trigger.text}"
    return Watchpoint(ROLLBACK, trigger, "high", message, runbook=alarm.ROLLBACK)
