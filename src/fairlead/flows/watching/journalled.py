"""The reports of windows as the journal holds them, and as little of them as a watch has to remember."""

from __future__ import annotations

import logging
from zlib import compress

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from fairlead.core.event import WindowJudged
from fairlead.core.listing import counted
from fairlead.core.report import Harm, Layer, WindowReport, report_of
from fairlead.core.verdict import Outcome
from fairlead.flows.watching.judge import Policy, Seen, empty
from fairlead.flows.watching.verdicts import WindowEvidence
from fairlead.ports import Journal

_LOG = logging.getLogger("fairlead.watch")
JUDGED = ("window_judged",)


def short_of(report: WindowReport) -> WindowReport:
    """All that is left to know of it; a year of hourly windows must not fill the memory."""
    bare = replace(report.without_parts, performance=None, layers=(), reason="", quadrant_reason="", harm=Harm())
    return replace(bare, against=UNSET)


def with_habit(report: WindowReport, evidence: WindowEvidence) -> WindowReport:
    """The report of a window of which no evidence is kept: it says itself what a watch that starts anew must know."""
    habit = evidence.leaps.habit
    return report if habit is UNSET else replace(report, habit=compress(habit, 1))


def whole(journal: Journal, short: WindowReport, before: int) -> WindowReport:
    """The whole report of a window's close, which the journal holds after a place and nobody else does."""
    for entry in journal.read(before, model=short.model, kinds=JUDGED):
        if isinstance(entry.fact, WindowJudged) and entry.fact.starts_at == short.starts_at:
            report = report_of(entry.fact)
            if (report.stage, report.judged_at) == (short.stage, short.judged_at):
                return report
    return short


def read(fact: WindowJudged) -> WindowReport | None:
    """The report in a fact; None, and a line in the log, for one that cannot be read."""
    try:
        return report_of(fact)
    except msgspec.MsgspecError as error:
        _LOG.warning("the report of window %s of %s cannot be read: %s", fact.window, fact.model, error)
        return None


def remarkable(report: WindowReport) -> bool:
    """Whether somebody may ask why: something moved, broke or did harm."""
    return report.verdict is Outcome.BREACHED or report.harmful or bool(report.moved) or bool(report.broken)


def unreadable(seen: Seen, version: int, rows: int, reason: str, policy: Policy) -> WindowReport:
    """The report of a window whose version cannot be asked about."""
    bare = empty(seen, version, policy)
    line = f"{counted(rows, 'answer')} cannot be judged: {reason}"
    return replace(bare, rows=rows, reason=line, layers=(Layer("data", Outcome.UNMEASURED, line),))
