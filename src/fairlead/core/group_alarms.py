"""What a window says of its classes and groups to people. Medium: a part that the whole does not show wakes nobody."""

from __future__ import annotations

from fairlead.core.alert import Alarm
from fairlead.core.groups import GroupReport
from fairlead.core.report import Stage, WindowReport
from fairlead.core.verdict import Outcome, Verdict

GROUP = "group-degraded"
FAIRNESS = "unequal-treatment"
_TOLD = 5


def alarms_of_groups(report: WindowReport, runbook: str) -> tuple[Alarm, ...]:
    """Both conditions, breached or not; none for a report that holds no groups."""
    found = report.groups
    if not isinstance(found, GroupReport):
        return ()
    where = f"{report.model} version {report.version}, window {report.window}"
    return (
        _alarm(report, (GROUP, f"A part of the answers became worse: {where}"), found.worse, runbook),
        _alarm(report, (FAIRNESS, f"Groups are treated less alike: {where}"), found.unfair, runbook),
    )


def _alarm(report: WindowReport, names: tuple[str, str], told: tuple[str, ...], runbook: str) -> Alarm:
    """Where the whole is harmful, that is told, and its parts are not told beside it. Labels end what stood."""
    alert, title = names
    if told and not (report.harmful and alert == GROUP):
        more = f"; and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        verdict = Verdict(Outcome.BREACHED, "; ".join(told[:_TOLD]) + more)
    elif report.stage is Stage.MATURED and not told:
        verdict = Verdict(Outcome.HOLDS, "every part of the answers is as on the held-out rows, or too small to tell")
    else:
        verdict = Verdict(Outcome.UNDECIDED, "labels are due" if not told else "the whole became worse")
    return Alarm(report.model, alert, "medium", title, verdict, runbook=runbook)
