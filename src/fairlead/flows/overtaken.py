"""Windows mature long after later ones were judged, and windows that slide share their answers: what an older window
says does not end what a newer one said last, or one fault would be told again and again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from fairlead.core.alert import Alarm
from fairlead.core.event import AlertQuieted, AlertRaised, Entry, WindowJudged
from fairlead.core.report import Stage, WindowReport
from fairlead.core.verdict import Outcome


def still_said(known: Sequence[Entry], alarms: Iterable[Alarm], report: WindowReport) -> tuple[Alarm, ...]:
    """The alarms of a report without those that hold where a later window has breached the same alert. `known` are the
    model's facts before."""
    alarms = tuple(alarms)
    if report.stage is Stage.CLOSED:  # windows close in their order
        return alarms
    facts = [entry.fact for entry in known]
    later = {fact.window for fact in facts if isinstance(fact, WindowJudged) and fact.starts_at > report.starts_at} - {
        report.window
    }
    if not later:
        return alarms
    breached = {
        fact.alert: fact
        for fact in facts
        if isinstance(fact, AlertRaised) or (isinstance(fact, AlertQuieted) and not fact.recovered)
    }
    return tuple(
        alarm
        for alarm in alarms
        if alarm.verdict.outcome is not Outcome.HOLDS or _window_of(breached.get(alarm.alert)) not in later
    )


def _window_of(fact: AlertRaised | AlertQuieted | None) -> str:
    """The window that breached an alert the last time; empty for none, and for an alert that is of no window."""
    if fact is None or not fact.seen:
        return ""
    seen: Any = msgspec.json.decode(fact.seen)
    basis = seen.get("basis") if isinstance(seen, dict) else None
    return str(basis.get("window", "")) if isinstance(basis, dict) else ""
