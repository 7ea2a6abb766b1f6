"""What the decisions of a window cost, by the settings' cost matrix: the business layer's, where nobody logs events."""

from __future__ import annotations

from collections.abc import Sequence

from fairlead.core.change import COST, less
from fairlead.core.quadrant import Band
from fairlead.core.report import Performance, WindowReport
from fairlead.core.telling_harm import DAY, UNIT, whole
from fairlead.core.verdict import Outcome, Verdict, worst
from fairlead.operations.overview_values import CostView, WindowView


def cost_view(report: WindowReport) -> CostView | None:
    """The reading of a report; None where no cost of decisions is stated."""
    performance = report.performance
    found = None if performance is None else next((one for one in performance.also if one.metric == COST), None)
    if performance is None or found is None:
        return None
    labelled = found.realised is not None and _by_labels(report, performance)
    value, low, high = (
        (found.realised, found.low, found.high)
        if labelled
        else (found.estimated, found.estimated_low, found.estimated_high)
    )
    before = found.reference, found.reference_low, found.reference_high
    return CostView(value, low, high, *before, labelled=labelled, broken=bool(report.broken))


def with_cost(verdict: Verdict, windows: Sequence[WindowView]) -> Verdict:
    """The business layer with what decisions cost in the newest of some windows, oldest first. It takes the place of
    what is unmeasured; beside figures of events it is told after them, and makes it worse where labels show so."""
    last = windows[-1] if windows else None
    if last is None:
        return verdict
    found = _told(last)
    if found is None and not last.rows:
        known = next((told for one in reversed(windows) if (told := _told(one)) is not None), None)
        found = known and Verdict(Outcome.UNMEASURED, f"no answers in {last.name}; last: {known.reason}")
    if found is None:
        return verdict
    if verdict.outcome is Outcome.UNMEASURED:
        return found
    labelled = last.cost is not None and last.cost.labelled
    outcome = worst([verdict, found]).outcome if labelled else verdict.outcome
    return Verdict(outcome, f"{verdict.reason.removesuffix('.')}; {found.reason}")


def _by_labels(report: WindowReport, performance: Performance) -> bool:
    change = report.harm.change
    return change.realised if change is not None else performance.estimated is None


def _told(window: WindowView) -> Verdict | None:
    cost = window.cost
    if cost is None:
        return None
    if cost.broken and not cost.labelled:
        why = "a column is broken, so scores say nothing of it until labels come"
        return Verdict(Outcome.UNMEASURED, f"{window.name}: what decisions cost is not known: {why}.")
    if cost.value is None:
        return None
    text = f"{window.name}: decisions cost about {_per_day(window, cost.value)} {UNIT} a day"
    if cost.low is not None and cost.high is not None:
        text += (
            f" ({_per_day(window, cost.low)} to {_per_day(window, cost.high)}{'' if cost.labelled else ', estimated'})"
        )
    elif not cost.labelled:
        text += ", estimated"
    if cost.reference is not None:
        text += f", {_per_day(window, cost.reference)} as the held-out rows promised"
    return Verdict(_outcome(cost), f"{text}.")


def _outcome(cost: CostView) -> Outcome:
    """Whether labels show that it costs more than the held-out rows promised. How much more matters is for a condition
    on `daily_cost` to say, so that it is more breaks nothing by itself."""
    if not cost.labelled:
        return Outcome.UNDECIDED
    now, before = _band(cost.value, cost.low, cost.high), _band(cost.reference, cost.reference_low, cost.reference_high)
    if now is None or before is None:
        return Outcome.UNMEASURED
    return Outcome.UNDECIDED if less(now, before).low > 0.0 else Outcome.HOLDS


def _band(value: float | None, low: float | None, high: float | None) -> Band | None:
    return None if value is None or low is None or high is None else Band(value, low, high)


def _per_day(window: WindowView, each: float) -> str:
    seconds = window.ends_at - window.starts_at
    return whole(each * window.rows * DAY / seconds if seconds > 0 else 0.0)
