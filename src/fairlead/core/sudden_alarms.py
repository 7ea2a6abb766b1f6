"""What labels show unlike the last windows, to people. Medium: whether it does harm is another question."""

from __future__ import annotations

from msgspec.structs import replace

from fairlead.core.alert import Alarm
from fairlead.core.report import Stage, WindowReport
from fairlead.core.sudden import Sudden
from fairlead.core.verdict import Outcome, Verdict

WORSE = "sudden-loss"
PRIOR = "class-shift"


def alarms_of_labels(report: WindowReport, runbook: str) -> tuple[Alarm, ...]:
    """Both conditions, breached or not; none for a report of an earlier edition."""
    found = report.harm.sudden
    if not isinstance(found, Sudden):
        return ()
    where = f"{report.model} version {report.version}, window {report.window}"
    alarms = (
        _alarm(report, WORSE, f"Answers became worse than they were lately: {where}", found.worse),
        _alarm(report, PRIOR, f"A class became commoner or rarer: {where}", found.prior),
    )
    return tuple(replace(one, runbook=runbook) for one in alarms)


def _alarm(report: WindowReport, alert: str, title: str, told: str) -> Alarm:
    if told:
        verdict = Verdict(Outcome.BREACHED, told)
    elif report.stage is Stage.MATURED:
        verdict = Verdict(Outcome.HOLDS, "the labels are as in the last windows")
    else:
        verdict = Verdict(Outcome.UNDECIDED, "labels are due")
    return Alarm(report.model, alert, "medium", title, verdict)
