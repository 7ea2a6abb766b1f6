"""A window's stored report, read for the overview."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, cast

import msgspec

from fairlead.core.check import SCORE_NAME
from fairlead.core.event import WindowJudged
from fairlead.core.report import CALM, SCORE, Correlation, FeatureShift, Performance, report_of
from fairlead.core.verdict import Outcome
from fairlead.operations.overview_cost import cost_view
from fairlead.operations.overview_values import DriftView, Heat, HeatRow, PerformanceView, WindowView

MOST_COLUMNS, MOST_ROWS = 26, 30
_LEVELS = ("none", "warning", "critical", "unmeasured")


def outcome_of(text: str) -> Outcome:
    """The outcome by its word; a word that is none is `unmeasured`, never a pass.

    >>> outcome_of("holds").value, outcome_of("fine").value
    ('holds', 'unmeasured')
    """
    return Outcome(text) if text in set(Outcome) else Outcome.UNMEASURED


def window_view(judged_at: float, fact: WindowJudged) -> WindowView:
    """What the page shows of a judged window. A report that does not fit leaves what its fact says, and says so."""
    bare = WindowView(
        name=fact.window,
        starts_at=fact.starts_at,
        ends_at=fact.ends_at,
        judged_at=judged_at,
        rows=fact.rows,
        verdict=outcome_of(fact.verdict),
        evidence=(fact.evidence,) if fact.evidence else (),
    )
    try:
        report = report_of(fact)
    except msgspec.MsgspecError as error:
        reason = f"the report of this window cannot be read: {error}"
        return msgspec.structs.replace(bare, reason=reason, readable=False)
    layers = {layer.name: msgspec.structs.replace(layer, reason=_named(layer.reason)) for layer in report.layers}
    return msgspec.structs.replace(
        bare,
        version=report.version,
        reason=_named(report.reason),
        drift=tuple(_drift(each) for each in report.drift),
        performance=_performance(report.performance) if report.performance else None,
        quadrant=report.quadrant.value,
        quadrant_reason=report.quadrant_reason,
        data=layers.get("data"),
        model=layers.get("model"),
        suspects=tuple(_name(each) for each in report.suspects),
        change=report.harm.change,
        segment=report.harm.segment,
        correlation=report.correlation if isinstance(report.correlation, Correlation) else None,
        cost=cost_view(report),
    )


def heat_of(windows: Sequence[WindowView]) -> Heat:
    """Features by windows, the worst feature first: most windows at critical, then the largest effect.

    Only the last `MOST_COLUMNS` windows and the worst `MOST_ROWS` features: a page must stay small, the API has all.
    """
    windows = windows[-MOST_COLUMNS:]
    names: dict[str, list[DriftView | None]] = {}
    for place, window in enumerate(windows):
        for each in window.drift:
            names.setdefault(each.name, [None] * len(windows))[place] = each
    rows = sorted((HeatRow(name, tuple(cells)) for name, cells in names.items()), key=_badness)
    return Heat(
        tuple(window.name for window in windows),
        tuple(window.starts_at for window in windows),
        tuple(rows[:MOST_ROWS]),
        len(rows),
    )


def _badness(row: HeatRow) -> tuple[int, float, str]:
    seen = [cell for cell in row.cells if cell is not None]
    critical = sum(cell.level == "critical" for cell in seen)
    return -critical, -max((cell.ratio or 0.0 for cell in seen), default=0.0), row.name


def _name(name: str) -> str:
    return SCORE_NAME if name == SCORE else name


def _named(reason: str) -> str:
    """A stored reason with the model's output by its name: editions before the third wrote the column's."""
    return reason.replace(SCORE, SCORE_NAME)


def _drift(each: FeatureShift) -> DriftView:
    level = each.level if each.level in _LEVELS else "unmeasured"
    return DriftView(
        name=_name(each.name),
        level=cast(Literal["none", "warning", "critical", "unmeasured"], level),
        method=each.method,
        effect=each.effect,
        ratio=None if each.effect is None or not each.threshold else each.effect / each.threshold,
        reason=each.reason or (CALM if each.level == "none" else ""),
        broken=each.broken,
        metric_change=each.metric_change,
        metric_low=each.metric_low,
        metric_high=each.metric_high,
        money=each.money,
    )


def _performance(each: Performance) -> PerformanceView:
    realised = each.realised is not None
    return PerformanceView(
        metric=each.metric,
        estimated=each.estimated,
        realised=each.realised,
        low=each.low if realised else each.estimated_low,
        high=each.high if realised else each.estimated_high,
        matured_share=each.matured_share,
        reference=each.reference,
        outcome=each.verdict,
        reason=_named(each.reason),
    )
