"""Rules on the reports of windows: what the watch judges and tells nobody by itself, and what is common practice."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from fairlead.core.group_alarms import FAIRNESS, GROUP
from fairlead.core.groups import GroupReport
from fairlead.core.harm import USUAL
from fairlead.core.report import SCORE, Correlation, FeatureShift, Stage, WindowReport
from fairlead.core.verdict import Outcome
from fairlead.stats.performance import HIGHER_IS_BETTER

UNCOUPLED = "correlations change"


class Rule(Struct, frozen=True):
    """A condition on a report: breached, holding, or not decided."""

    name: str
    says: str
    asks: Callable[[WindowReport], Outcome]


def _moved(report: WindowReport) -> Outcome:
    return _if(report, any(one.level == "critical" for one in _features(report)))


def _uncoupled(report: WindowReport) -> Outcome:
    known = report.correlation
    if not isinstance(known, Correlation) or known.level == "unmeasured":
        return _LATER
    return _if(report, known.moved)


def _psi(report: WindowReport) -> Outcome:
    return _if(report, any((one.psi or 0.0) > 0.25 for one in _features(report)))


def _p_value(report: WindowReport) -> Outcome:
    return _if(report, any(one.p_value is not None and one.p_value < 0.05 for one in _features(report)))


def _estimated(report: WindowReport) -> Outcome:
    """At the close only: afterwards there are labels."""
    seen = report.performance
    if report.stage is Stage.MATURED and seen is not None and seen.labels:
        return Outcome.UNDECIDED
    if seen is None or seen.estimated is None or seen.reference is None:
        return Outcome.UNDECIDED
    sign = 1.0 if seen.metric in HIGHER_IS_BETTER else -1.0
    worst = seen.estimated_high if sign > 0 else seen.estimated_low
    fell = sign * (seen.reference - seen.estimated) > 0.1 * abs(seen.reference)
    sure = worst is not None and sign * (seen.reference - worst) > 0.0
    return _if(report, fell and sure)


def _dropped(report: WindowReport) -> Outcome:
    return _if(report, report.harm.level == "critical" and report.harm.drop is not None) if _ripe(report) else _LATER


def _log_loss(report: WindowReport) -> Outcome:
    """What neither ranking nor decisions show: probabilities that have become wrong, as when a rare class doubles."""
    readings = () if report.performance is None else report.performance.also
    seen = next((one for one in readings if one.metric == "log_loss"), None)
    if not _ripe(report) or seen is None or seen.low is None or seen.reference is None or seen.reference_high is None:
        return _LATER
    worse = (seen.realised or 0.0) > 1.1 * seen.reference
    return _if(report, worse and seen.low > seen.reference_high)


def _exceeds(report: WindowReport) -> Outcome:
    found = report.harm.p_tolerated
    return _LATER if not _ripe(report) or found is None else _if(report, found <= USUAL)


def _bet(report: WindowReport) -> Outcome:
    if not _ripe(report) or report.harm.threshold <= 0:
        return _LATER
    return _if(report, report.harm.log_e >= report.harm.threshold)


_LATER = Outcome.UNDECIDED
RULES: tuple[Rule, ...] = (
    Rule("drop of the realised metric", "a tenth worse than the reference, beyond both intervals", _dropped),
    Rule("loss of the window", "a tenth or .01 above the held-out loss, with p < 2.5 %", _exceeds),
    Rule("test of the live loss", "a bet against the held-out bound, over all windows", _bet),
    Rule("log loss", "a tenth above the reference, beyond both intervals", _log_loss),
    Rule("drop of the estimated metric", "the same without labels, at the close", _estimated),
    Rule(UNCOUPLED, "numbers go together otherwise than on the reference, by more than .10", _uncoupled),
    Rule("any column drifts", "critical by its distance, beyond chance", _moved),
    Rule("any column PSI > 0.25", "threshold practice, without a test", _psi),
    Rule("any column p < 0.05", "significance practice, without a correction", _p_value),
)


def _ripe(report: WindowReport) -> bool:
    return report.stage is Stage.MATURED and report.performance is not None and report.performance.labels > 0


def _features(report: WindowReport) -> list[FeatureShift]:
    return [one for one in report.drift if one.name != SCORE]


def _if(report: WindowReport, breached: bool) -> Outcome:
    if not report.rows:
        return Outcome.UNDECIDED
    return Outcome.BREACHED if breached else Outcome.HOLDS


def unasked(rule: str, reports: Iterable[WindowReport]) -> str:
    """Why a judgement was not made of any of the windows; empty where it was, and for those that always are."""
    why = _WHY.get(rule)
    if why is None:
        return ""
    reason = "there is no window"
    for report in reports:
        reason = why(report)
        if not reason:
            return ""
    return reason


def _no_correlation(report: WindowReport) -> str:
    known = report.correlation
    if not isinstance(known, Correlation):
        return "there are no rows to compare correlations with"
    return known.reason if known.level == "unmeasured" else ""


def _no_group(report: WindowReport) -> str:
    found = report.groups
    seen = isinstance(found, GroupReport) and (found.classes or found.groups)
    return "" if seen else "the reference has no labelled rows, or nothing that tells its answers apart"


def _no_fairness(report: WindowReport) -> str:
    found = report.groups
    seen = isinstance(found, GroupReport) and found.fairness
    return "" if seen else "no column with protected groups is named, nor looks like one"


_WHY: dict[str, Callable[[WindowReport], str]] = {
    UNCOUPLED: _no_correlation,
    GROUP: _no_group,
    FAIRNESS: _no_fairness,
}
