"""From measured parts to one verdict and one sentence. Benign drift holds; what is not known yet is undecided."""

from __future__ import annotations

import msgspec

from fairlead.core.harm import HarmPolicy
from fairlead.core.listing import counted
from fairlead.core.quadrant import Quadrant
from fairlead.core.report import SCORE, Harm, Layer, Performance, Stage, WindowReport, metric_name
from fairlead.core.verdict import Outcome, Verdict


def conclude(report: WindowReport, data: Verdict, policy: HarmPolicy) -> WindowReport:
    """Fills in the verdicts, layers and reasons of a report whose measurements are complete."""
    if report.rows == 0:
        reason = f"no request to {report.model} was answered in window {report.window}"
        if report.failed:
            reason = (
                f"none of {counted(report.failed, 'request')} to {report.model} was answered in window {report.window}"
            )
        return msgspec.structs.replace(
            report, verdict=Outcome.UNMEASURED, reason=reason, layers=(Layer("data", Outcome.UNMEASURED, reason),)
        )
    model = _model(report, policy)
    window = _window(report, data, model)
    performance = report.performance
    if performance is not None:
        performance = msgspec.structs.replace(performance, verdict=model.outcome, reason=model.reason)
    return msgspec.structs.replace(
        report,
        verdict=window.outcome,
        reason=window.reason,
        performance=performance,
        layers=(Layer("data", data.outcome, data.reason), Layer("model", model.outcome, model.reason)),
    )


def _window(report: WindowReport, data: Verdict, model: Verdict) -> Verdict:
    if report.harmful:
        return Verdict(Outcome.BREACHED, f"{model.reason}{_while(report)}: harmful")
    broken = "; ".join(shift.broken for shift in report.broken[:3])
    if broken and not (report.stage is Stage.MATURED and report.quadrant is Quadrant.BENIGN):
        return Verdict(Outcome.BREACHED, f"{broken}; {model.reason}")
    if data.outcome is Outcome.UNMEASURED:
        return data
    if report.moved and report.quadrant is Quadrant.BENIGN:
        so_far = "" if report.stage is Stage.MATURED else " so far"
        return Verdict(model.outcome, f"{_moved(report)} moved, yet {model.reason}: benign{so_far}")
    return Verdict(model.outcome, f"{model.reason}{_while(report)}")


def _model(report: WindowReport, policy: HarmPolicy) -> Verdict:
    """What is known of the performance, and whether it is enough."""
    performance = report.performance
    if performance is None or performance.reference is None:
        return Verdict(Outcome.UNMEASURED, "the version has no labelled held-out rows to compare its performance with")
    if report.harmful:
        return Verdict(Outcome.BREACHED, _harmful(performance, report.harm))
    if report.stage is Stage.MATURED and performance.labels >= policy.at_least_labels:
        return _realised(performance, report.harm)
    return _waiting(report, performance, policy)


def _realised(performance: Performance, harm: Harm) -> Verdict:
    name = metric_name(performance.metric)
    text = (
        f"{name} is {_band(performance.realised, performance.low, performance.high)} "
        f"against {performance.reference:.3f} on {counted(performance.labels, 'matured label')}"
    )
    if harm.level == "warning":
        return Verdict(Outcome.UNDECIDED, f"{text}, {harm.drop or 0.0:.1%} worse")
    return Verdict(Outcome.HOLDS, text)


def _waiting(report: WindowReport, performance: Performance, policy: HarmPolicy) -> Verdict:
    name = metric_name(performance.metric)
    if performance.estimated is None:
        estimate = f"{name} is not known yet"
    else:
        band = _band(performance.estimated, performance.estimated_low, performance.estimated_high)
        estimate = f"{name} is estimated at {band} against {performance.reference:.3f}"
    if report.stage is Stage.MATURED:
        came = f"only {counted(performance.labels, 'label')} came, {policy.at_least_labels:,} are needed"
    else:
        came = f"{performance.matured_share:.0%} of the labels have come"
    if performance.early is not None:
        came = f"{came}: {performance.early.sentence}"
    return Verdict(Outcome.UNDECIDED, f"{estimate}; {came}")


def _harmful(performance: Performance, harm: Harm) -> str:
    name = metric_name(performance.metric)
    if harm.level == "critical" and performance.realised is not None:
        verb = "fell" if performance.realised < (performance.reference or 0.0) else "rose"
        band = _band(performance.realised, performance.low, performance.high)
        return (
            f"{name} {verb} from {performance.reference:.3f} to {band} on "
            f"{counted(performance.labels, 'matured label')}"
        )
    return f"{harm.reason}, on {counted(performance.labels, 'matured label')} in this window"


def _while(report: WindowReport) -> str:
    if report.moved:
        return f" while {_moved(report)} moved"
    apart = report.uncoupled
    return " while the inputs stood still" if apart is None else f" while {apart.reason}"


def _moved(report: WindowReport) -> str:
    """The first three suspects, or what moved where nothing is suspected."""
    named = [name for name in report.suspects if name != SCORE] or list(report.moved)
    others = len(report.moved) - len(named[:3])
    tail = f" and {others} more" if others > 0 else ""
    return ", ".join(named[:3]) + tail


def _band(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
