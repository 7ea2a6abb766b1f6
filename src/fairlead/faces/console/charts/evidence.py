"""The evidence of one guardrail over time, against the threshold at which the canary loses its traffic."""

from __future__ import annotations

from markupsafe import Markup

from fairlead.core.rollout import Call
from fairlead.faces.console.charts.scale import Scale, linear
from fairlead.faces.console.charts.svg import drawing, path, tag
from fairlead.faces.console.words import duration
from fairlead.operations.overview import GuardrailView, RolloutView

_HEIGHT = 132.0
_DEPTH = 0.6  # how far below zero is shown, as a multiple of the threshold
_LEFT, _TOP, _BOTTOM = 30.0, 12.0, 108.0
NARROW, WIDE = 232.0, 372.0  # pixels that a third of a card and of a page has: letters keep their size


def evidence_chart(rollout: RolloutView, rail: GuardrailView, width: float = NARROW) -> Markup:
    """Log e over the rollout's time. Above the threshold the evidence suffices to roll back, whenever one looks.

    What lies far below zero speaks strongly for the canary and is drawn at the bottom edge.
    """
    points, right = rail.points, width - 8
    last = points[-1].at if points else rollout.started_at
    floor = -_DEPTH * rail.threshold_log_e
    lowest = max(floor, min((point.log_e for point in points), default=0.0))
    highest = max((point.log_e for point in points), default=0.0)
    x = linear((rollout.started_at, max(last, rollout.started_at + 0.001)), (_LEFT, right))
    y = linear((min(lowest, -1.0) * 1.08, max(highest, rail.threshold_log_e) * 1.18), (_BOTTOM, _TOP))
    line = [(x(point.at), y(max(floor, point.log_e))) for point in points]
    parts = [*_threshold(rail, y(rail.threshold_log_e), right), *_zero(y(0.0), right), *_shares(rollout, x, last)]
    if line:
        parts.append(tag("path", d=path(line), class_=f"line {_tone(rail)}"))
        parts.append(tag("circle", cx=line[-1][0], cy=line[-1][1], r=3.5, class_=f"dot {_tone(rail)}"))
    elapsed = duration(last - rollout.started_at)
    parts.append(tag("text", "start", x=_LEFT, y=_HEIGHT - 8, class_="tick"))
    parts.append(tag("text", f"+{elapsed}", x=right, y=_HEIGHT - 8, class_="tick", text_anchor="end"))
    return drawing(width, _HEIGHT, _label(rail, elapsed), parts, "evidence")


def _label(rail: GuardrailView, elapsed: str) -> str:
    state = "has crossed" if rail.crossed else "has not crossed"
    return (
        f"Evidence against the canary for {rail.guardrail} over {elapsed}: log e {rail.log_e:.2f}, at most "
        f"{rail.log_e_max:.2f}, {state} the threshold {rail.threshold_log_e:.2f}"
    )


def _tone(rail: GuardrailView) -> str:
    if rail.crossed or rail.call is Call.REGRESS:
        return "is-bad"
    return "is-good" if rail.call is Call.SAFE else "is-accent"


def _threshold(rail: GuardrailView, at: float, right: float) -> list[Markup]:
    return [
        tag("rect", x=_LEFT, y=_TOP - 8, width=right - _LEFT, height=at - _TOP + 8, class_="zone-bad"),
        tag("line", x1=_LEFT, x2=right, y1=at, y2=at, class_="threshold"),
        tag("text", f"{rail.threshold_log_e:.1f}", x=_LEFT - 6, y=at + 4, class_="tick is-bad", text_anchor="end"),
        tag("text", "rolls back above", x=_LEFT + 6, y=at - 5, class_="tick is-bad threshold-label"),
    ]


def _zero(at: float, right: float) -> list[Markup]:
    return [
        tag("line", x1=_LEFT, x2=right, y1=at, y2=at, class_="axis"),
        tag("text", "0", x=_LEFT - 6, y=at + 4, class_="tick", text_anchor="end"),
    ]


def _shares(rollout: RolloutView, x: Scale, last: float) -> list[Markup]:
    return [
        tag("line", x1=x(point.at), x2=x(point.at), y1=_BOTTOM, y2=_BOTTOM + 5, class_="step-mark")
        for point in rollout.shares
        if point.at <= last
    ]
