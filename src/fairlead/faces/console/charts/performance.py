"""Realised against estimated performance, window by window, with the reference and what was promoted when."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from fairlead.core.listing import counted
from fairlead.faces.console.charts.scale import Scale, linear, ticks
from fairlead.faces.console.charts.svg import drawing, path, tag
from fairlead.faces.console.words import month, percent
from fairlead.operations.overview import Mark, PerformanceView, WindowView

_WIDTH, _HEIGHT = 1120.0, 314.0
_LEFT, _RIGHT, _TOP, _BOTTOM, _BARS = 46.0, 990.0, 62.0, 234.0, 272.0
_LANES, _LANE = 3, 15.0  # flags' names stand above the chart in lanes, so that neighbours do not overlap
_LETTER = 6.6  # about the width of a letter of a flag's name

_Seen = Sequence[tuple[int, PerformanceView]]


def performance_chart(windows: Sequence[WindowView], marks: Sequence[Mark]) -> Markup:
    """One metric over windows. The band is the interval of what is realised; the bars below are the matured share."""
    seen = [(place, window.performance) for place, window in enumerate(windows) if window.performance is not None]
    low, high = _domain([view for _, view in seen])
    x, y = _places(len(windows)), linear((low, high), (_BOTTOM, _TOP))
    parts = [
        *_grid(low, high, y),
        *_reference(seen, x, y),
        *_band(seen, x, y),
        *_line([(place, view.estimated) for place, view in seen], "estimated", x, y),
        *_line([(place, view.realised) for place, view in seen], "realised", x, y),
        *_names(seen, y),
        *_matured(seen, x),
        *_months(windows, x),
        *_marks(windows, marks, x),
        *_hovers(windows, seen, x),
    ]
    return drawing(_WIDTH, _HEIGHT, _label(windows, seen), parts, "performance")


def _label(windows: Sequence[WindowView], seen: _Seen) -> str:
    if not seen:
        return "Performance: nothing measured yet"
    place, last = seen[-1]
    return f"Performance over {counted(len(windows), 'window')}; in {windows[place].name}: {figures(last)}"


def _places(count: int) -> Scale:
    room = (_RIGHT - _LEFT) / max(count, 1)
    return lambda place: _LEFT + room * (place + 0.5)


def _domain(views: Sequence[PerformanceView]) -> tuple[float, float]:
    values = [
        value
        for view in views
        for value in (view.estimated, view.realised, view.low, view.high, view.reference)
        if value is not None
    ]
    low, high = min(values, default=0.0), max(values, default=1.0)
    room = max((high - low) * 0.12, 0.005)
    return low - room, high + room


def _grid(low: float, high: float, y: Scale) -> list[Markup]:
    parts: list[Markup] = []
    for value in ticks(low, high, 5):
        parts.append(tag("line", x1=_LEFT, x2=_RIGHT, y1=y(value), y2=y(value), class_="grid"))
        parts.append(tag("text", f"{value:g}", x=_LEFT - 8, y=y(value) + 4, class_="tick", text_anchor="end"))
    return parts


def _reference(seen: _Seen, x: Scale, y: Scale) -> list[Markup]:
    """What each window was held to: a step where another version, with its own held-out value, was judged."""
    half = (x(1) - x(0)) / 2
    steps = [(place, view.reference) for place, view in seen if view.reference is not None]
    parts: list[Markup] = []
    for at, (place, value) in enumerate(steps):
        joined = at > 0 and steps[at - 1] == (place - 1, value)
        if not joined:
            end = next((p for p, v in steps[at:] if (p + 1, value) not in steps), place)
            parts.append(
                tag("line", x1=x(place) - half, x2=x(end) + half, y1=y(value), y2=y(value), class_="reference")
            )
    return parts


def _band(seen: _Seen, x: Scale, y: Scale) -> list[Markup]:
    """The interval, as a filled shape for each run of neighbouring windows and a whisker where one stands alone."""
    bounds = [(place, view.low, view.high) for place, view in seen]
    known = [(place, low, high) for place, low, high in bounds if low is not None and high is not None]
    parts: list[Markup] = []
    for run in _runs([place for place, _, _ in known]):
        mine = known[run.start : run.stop]
        upper = [(x(place), y(high)) for place, _, high in mine]
        lower = [(x(place), y(low)) for place, low, _ in mine]
        parts.append(tag("path", d=path([*upper, *reversed(lower)]) + "Z", class_="band"))
    return parts


def _line(points: Sequence[tuple[int, float | None]], name: str, x: Scale, y: Scale) -> list[Markup]:
    """A line through what is known, broken where a window has no value."""
    known = [(place, value) for place, value in points if value is not None]
    parts: list[Markup] = []
    for run in _runs([place for place, _ in known]):
        mine = [(x(place), y(value)) for place, value in known[run.start : run.stop]]
        parts.append(tag("path", d=path(mine), class_=f"line {name}"))
        if name == "realised" or len(mine) == 1:
            parts += [tag("circle", cx=at, cy=value, r=3, class_=f"dot {name}") for at, value in mine]
    return parts


def _runs(places: Sequence[int]) -> list[range]:
    """Where the neighbours are: ranges of indices whose places follow each other.

    >>> _runs([3, 4, 7]), _runs([])
    ([range(0, 2), range(2, 3)], [])
    """
    starts = [at for at, place in enumerate(places) if at == 0 or places[at - 1] != place - 1]
    return [range(start, end) for start, end in pairwise([*starts, len(places)])]


def _last(points: Sequence[tuple[int, float | None]]) -> float | None:
    return next((value for _, value in reversed(points) if value is not None), None)


def _names(seen: _Seen, y: Scale) -> list[Markup]:
    """The lines' names at their right end, pushed apart where they would overlap."""
    lines = (
        ("realised", _last([(place, view.realised) for place, view in seen])),
        ("estimated", _last([(place, view.estimated) for place, view in seen])),
        ("reference", _last([(place, view.reference) for place, view in seen])),
    )
    wanted = sorted((y(value) + 4, name, value) for name, value in lines if value is not None)
    parts: list[Markup] = []
    lowest = 0.0
    for at, name, value in wanted:
        lowest = max(at, lowest + 15)
        parts.append(tag("text", f"{value:.3f} {name}", x=_RIGHT + 8, y=lowest, class_=f"end {name}-text"))
    return parts


def _hovers(windows: Sequence[WindowView], seen: _Seen, x: Scale) -> list[Markup]:
    """A strip for each window whose title says its figures."""
    half = (x(1) - x(0)) / 2
    parts: list[Markup] = []
    for place, view in seen:
        title = tag("title", f"{windows[place].name}: {figures(view)}")
        box = {"x": x(place) - half, "y": _TOP, "width": half * 2, "height": _BARS - _TOP}
        parts.append(tag("rect", title, class_="hover", **box))
    return parts


def figures(view: PerformanceView) -> str:
    """One window's figures in words."""
    values = (("realised", view.realised), ("estimated", view.estimated), ("reference", view.reference))
    said = [f"{name} {value:.3f}" for name, value in values if value is not None]
    if view.low is not None and view.high is not None:
        said.append(f"interval {view.low:.3f} to {view.high:.3f}")
    if view.matured_share is not None:
        said.append(f"{percent(view.matured_share)} matured")
    return f"{view.metric} " + (", ".join(said) or "not measured")


def _matured(seen: _Seen, x: Scale) -> list[Markup]:
    """How much of each window's truth is known: full height is all of it."""
    width = min(26.0, (x(1) - x(0)) * 0.6)
    parts = [tag("text", "labels", x=_LEFT - 8, y=_BARS, class_="tick", text_anchor="end")]
    for place, view in seen:
        left, share = x(place) - width / 2, view.matured_share
        parts.append(tag("rect", x=left, y=_BARS - 18, width=width, height=18, class_="matured-room"))
        if share:
            parts.append(tag("rect", x=left, y=_BARS - 18 * share, width=width, height=18 * share, class_="matured"))
    return parts


def _months(windows: Sequence[WindowView], x: Scale) -> list[Markup]:
    every = max(1, round(32 / max(x(1) - x(0), 1.0) + 0.49))
    parts: list[Markup] = []
    year = ""
    for place in range(0, len(windows), every):
        name, its_year = month(windows[place].starts_at)
        parts.append(tag("text", name, x=x(place), y=_BARS + 17, class_="tick", text_anchor="middle"))
        if its_year != year:
            parts.append(tag("text", its_year, x=x(place), y=_BARS + 31, class_="tick strong", text_anchor="middle"))
            year = its_year
    return parts


def _marks(windows: Sequence[WindowView], marks: Sequence[Mark], x: Scale) -> list[Markup]:
    """Flags between two windows: after the last one judged before it happened. Of several in one gap, all are named."""
    places = {window.name: place for place, window in enumerate(windows)}
    gaps: dict[float, list[Mark]] = {}
    for mark in marks:
        gaps.setdefault(places.get(mark.window or "", -1) + 0.5, []).append(mark)
    parts: list[Markup] = []
    taken = [-1.0] * _LANES
    for gap, here in sorted(gaps.items()):
        at = min(max(x(gap), _LEFT), _RIGHT)
        tone = "is-bad" if here[-1].kind == "rolled_back" else "is-accent"
        symbols = " ".join(("▼ " if mark.kind == "rolled_back" else "▲ ") + mark.text for mark in here)
        width = len(symbols) * _LETTER
        anchor, start = ("start", at) if at + width < _WIDTH else ("end", at - width)
        lane = next((lane for lane in range(_LANES) if taken[lane] < start), _LANES - 1)
        taken[lane] = start + width + 8
        height = _TOP - 14 - lane * _LANE
        parts.append(tag("line", x1=at, x2=at, y1=height + 4, y2=_BOTTOM, class_=f"flag {tone}"))
        parts.append(tag("text", symbols, x=at, y=height, class_=f"flag-text {tone}", text_anchor=anchor))
    return parts
