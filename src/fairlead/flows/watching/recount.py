"""A judged window judged again, from what was kept of it."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from fairlead.core.event import WindowJudged, canonical
from fairlead.core.recount import State, compared, compared_fields
from fairlead.core.report import Layer, Stage, WindowReport, fact_of, report_of
from fairlead.core.verdict import Outcome
from fairlead.errors import TableError
from fairlead.flows.watching.verdicts import EDITION, EDITIONS, WindowEvidence, judged
from fairlead.stats.profile import TableProfile

NOT_KEPT = "no evidence of it was kept: judged before there was any, or left out by monitoring.evidence"


def recount_window(
    fact: WindowJudged, evidence: WindowEvidence | None, reference: TableProfile | None, before: WindowReport | None
) -> tuple[State, str]:
    """Judges again what the journal says of a window. `before` is its report at the close, where there is one."""
    try:
        report = report_of(fact)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return "unproven", f"its report cannot be read by this fairlead: {error}"
    state: State
    if evidence is None:
        state, said = ("same", "") if _without_verdict(report) else ("unproven", NOT_KEPT)
    elif evidence.edition not in EDITIONS:
        return "unproven", f"judged by edition {evidence.edition} of the watch; this fairlead has {EDITION}"
    elif not evidence.at_close and before is None:
        return "different", "it rests on the window's judgement at its close, which the journal does not hold"
    else:
        try:
            state, said = compared(bytes(fact.report), canonical(judged(evidence, reference, before)))
        except TableError as error:
            return "different", f"its counts are not of its bundle: {error.line}"
    return (state, said) if state == "different" else _told(fact, report, (state, said))


def _told(fact: WindowJudged, report: WindowReport, found: tuple[State, str]) -> tuple[State, str]:
    """Whether the fact says of its report what the report says."""
    state, said = compared_fields(_plain(fact), _plain(fact_of(report, fact.evidence)), "the journal's ")
    return (state, said) if state == "different" else found


def _plain(fact: WindowJudged) -> WindowJudged:
    return replace(fact, report=msgspec.Raw(b'""'))  # compared by itself


def _without_verdict(report: WindowReport) -> bool:
    """Whether nothing was judged, and the report says no more than that: no answers, or none that can be judged."""
    bare = report.performance is None and not report.drift and not report.harmful
    said = report.layers == (Layer("data", Outcome.UNMEASURED, report.reason),)
    return bare and said and report.verdict is Outcome.UNMEASURED and report.stage is Stage.MATURED
