"""What a window report or a rolled-back rollout asks to be told. Benign drift asks for nothing."""

from __future__ import annotations

from msgspec.structs import replace

from fairlead.core.alert import Alarm
from fairlead.core.quadrant import Quadrant
from fairlead.core.report import Stage, WindowReport
from fairlead.core.rollout import Decision
from fairlead.core.verdict import Outcome, Verdict

HARMFUL = "harmful-drift"
DEGRADED = "degraded-performance"
DATA = "data-quality"
SILENT = "unmeasured-window"
ROLLBACK = "rollout-rolled-back"
GOLDEN = "golden-set-failed"
PROMOTION = "promotion-regressed"
REGRESS_HELD = "regress-held"
LOG_REFUSED = "log-refused"
METRIC = "metric-threshold"  # of a condition in the settings that names no runbook
UNMEASURED = "unmeasured-condition"
UNACKNOWLEDGED = "incident-unacknowledged"


def alarms_of(report: WindowReport) -> tuple[Alarm, ...]:
    """Every condition of a report, breached or not: those that hold end what stood before."""
    seen = {"type": "window", "window": report.window, "stage": report.stage.value, "judged_at": report.judged_at}
    found = (_harmful(report), _degraded(report), _data(report), _silent(report))
    return tuple(replace(one, basis=seen) for one in found)


def alarm_of_rollback(model: str, version: int, decision: Decision) -> Alarm:
    """A new version lost its traffic."""
    return Alarm(
        model=model,
        alert=f"{ROLLBACK}:{decision.rollout}",
        severity="high",
        title=f"{model} version {version} was rolled back",
        verdict=Verdict(Outcome.BREACHED, decision.reason),
    )


def runbook_of(alert: str) -> str:
    """The runbook's name of an alert's key.

    >>> runbook_of("rollout-rolled-back:ro-7")
    'rollout-rolled-back'
    """
    return alert.partition(":")[0]


def _harmful(report: WindowReport) -> Alarm:
    severity = "critical" if report.harm.level == "critical" else "high"
    title = f"Harmful drift in {report.model} version {report.version}, window {report.window}"
    if report.harmful:
        outcome = Outcome.BREACHED
    elif report.stage is Stage.MATURED and report.performance is not None and report.performance.labels:
        outcome = Outcome.HOLDS
    else:
        outcome = Outcome.UNDECIDED  # without labels nothing is known to be harmless
    return Alarm(report.model, HARMFUL, severity, title, Verdict(outcome, report.reason))


def _degraded(report: WindowReport) -> Alarm:
    """The metric slipped by 5 to 10 %, or is estimated to have fallen while labels are still due."""
    performance = report.performance
    title = f"{report.model} version {report.version} slips in window {report.window}"
    if performance is None or report.harmful:
        return Alarm(report.model, DEGRADED, "low", title, Verdict(Outcome.UNDECIDED, report.reason))
    foretold = report.stage is Stage.CLOSED and report.quadrant is Quadrant.COVARIATE
    if report.harm.level == "warning" or foretold:
        return Alarm(report.model, DEGRADED, "low", title, Verdict(Outcome.BREACHED, performance.reason))
    return Alarm(report.model, DEGRADED, "low", title, Verdict(Outcome.HOLDS, performance.reason))


def _data(report: WindowReport) -> Alarm:
    """Broken columns. Labels that show them harmless quiet them."""
    title = f"Broken data reaches {report.model} version {report.version}, window {report.window}"
    reason = "; ".join(shift.broken for shift in report.broken[:5])
    if report.verdict is Outcome.UNMEASURED:
        verdict = Verdict(Outcome.UNDECIDED, report.reason)
    elif not reason:
        verdict = Verdict(Outcome.HOLDS, "no column is broken")
    elif report.stage is Stage.MATURED and report.quadrant is Quadrant.BENIGN:
        verdict = Verdict(Outcome.HOLDS, f"{reason}; yet benign: {report.quadrant_reason}")
    else:
        verdict = Verdict(Outcome.BREACHED, reason)
    return Alarm(report.model, DATA, "medium", title, verdict)


def _silent(report: WindowReport) -> Alarm:
    title = f"{report.model} cannot be judged in window {report.window}"
    outcome = Outcome.BREACHED if report.verdict is Outcome.UNMEASURED else Outcome.HOLDS
    return Alarm(report.model, SILENT, "medium", title, Verdict(outcome, report.reason))
