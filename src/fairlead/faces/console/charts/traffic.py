"""Who answers: the split now, and how it came about."""

from __future__ import annotations

from markupsafe import Markup

from fairlead.faces.console.charts.scale import linear
from fairlead.faces.console.charts.svg import drawing, path, tag
from fairlead.faces.console.words import duration, percent
from fairlead.operations.overview import RolloutView

_WIDTH = 560.0
_PAGE = 1180.0
_LEAST = 4.0  # a canary of 0.1 % must still be seen


def traffic_bar(rollout: RolloutView) -> Markup:
    """The canary's and the champion's share of the traffic as one bar."""
    share = rollout.share
    split = min(_WIDTH, max(_LEAST, share * _WIDTH)) if share > 0 else 0.0
    before = f"champion v{rollout.champion}" if rollout.champion is not None else "no champion"
    parts = [tag("rect", x=0, y=0, width=_WIDTH, height=14, class_="champion-fill")]
    if split:
        parts.append(tag("rect", x=0, y=0, width=split, height=14, class_="canary-fill"))
        if split < _WIDTH:
            parts.append(tag("line", x1=split, x2=split, y1=0, y2=14, class_="gap"))
    label = f"Traffic: v{rollout.version} {percent(share)}, {before} {percent(1 - share)}"
    return drawing(_WIDTH, 14, label, parts, "traffic", stretched=True)


def traffic_history(rollout: RolloutView) -> Markup:
    """The canary's share over the rollout's time, as steps."""
    end = max(rollout.decided_at or rollout.started_at, rollout.started_at + 0.001)
    x, y = linear((rollout.started_at, end), (44, _PAGE - 12)), linear((0, 1), (92, 12))
    corners: list[tuple[float, float]] = []
    for place, point in enumerate(rollout.shares):
        until = rollout.shares[place + 1].at if place + 1 < len(rollout.shares) else end
        corners += [(x(point.at), y(point.share)), (x(until), y(point.share))]
    area = [(x(rollout.started_at), y(0)), *corners, (x(end), y(0))]
    parts = [
        tag("line", x1=44, x2=_PAGE - 12, y1=y(0), y2=y(0), class_="axis"),
        tag("line", x1=44, x2=_PAGE - 12, y1=y(1), y2=y(1), class_="grid"),
        tag("text", "0 %", x=38, y=y(0) + 4, class_="tick", text_anchor="end"),
        tag("text", "100 %", x=38, y=y(1) + 4, class_="tick", text_anchor="end"),
        tag("path", d=path(area) + "Z", class_="canary-area"),
        tag("path", d=path(corners), class_="line is-accent"),
        tag("text", "start", x=44, y=112, class_="tick"),
        tag("text", f"+{duration(end - rollout.started_at)}", x=_PAGE - 12, y=112, class_="tick", text_anchor="end"),
    ]
    said = ", ".join(f"{percent(p.share)} after {duration(p.at - rollout.started_at)}" for p in rollout.shares)
    return drawing(_PAGE, 118, f"Share of v{rollout.version} over time: {said}", parts, "history")
