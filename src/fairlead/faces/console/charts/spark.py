"""A figure over the windows in the room of a word: its line, its interval, what it was on the held-out rows."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome
from fairlead.faces.console.charts.svg import drawing, path, tag
from fairlead.operations.overview_parts import Line, Seen

_WIDTH, _HEIGHT, _EDGE = 148.0, 30.0, 4.0


def spark(line: Line, windows: Sequence[str], chosen: str) -> Markup:
    """One window is one step; the window that is looked at has the large dot, a breach one of its own colour."""
    places = {name: place for place, name in enumerate(windows)}
    seen = [(places[one.window], one) for one in line.seen if one.window in places and one.value is not None]
    if not seen:
        return Markup("")
    values = [value for _, one in seen for value in (one.value, one.low, one.high, one.before) if value is not None]
    least, most = min(values), max(values)
    room = (most - least) or 1.0

    def x(place: int) -> float:
        return _EDGE + (_WIDTH - 2 * _EDGE) * (place / (len(windows) - 1) if len(windows) > 1 else 0.5)

    def y(value: float) -> float:
        return _HEIGHT - _EDGE - (_HEIGHT - 2 * _EDGE) * (value - least) / room

    parts: list[Markup] = []
    before = seen[-1][1].before
    if before is not None:
        parts.append(tag("line", x1=_EDGE, x2=_WIDTH - _EDGE, y1=y(before), y2=y(before), class_="reference"))
    parts += [
        tag("line", x1=x(place), x2=x(place), y1=y(one.low), y2=y(one.high), class_="whisker")
        for place, one in seen
        if one.low is not None and one.high is not None
    ]
    parts.append(tag("path", d=path([(x(place), y(one.value or 0.0)) for place, one in seen]), class_="line"))
    parts += [_dot(one, x(place), y(one.value or 0.0), chosen=one.window == chosen) for place, one in seen]
    label = f"{line.part}, {line.what}, over {counted(len(seen), 'window')}"
    return drawing(_WIDTH, _HEIGHT, label, parts, "spark", fixed=True)


def _dot(one: Seen, x: float, y: float, *, chosen: bool) -> Markup:
    bad = one.outcome is Outcome.BREACHED
    tone = "is-bad" if bad else "is-warning" if one.outcome is Outcome.UNDECIDED and one.reason else ""
    said = f"{one.window}: {one.value:.3g}{f'. {one.reason}' if one.reason else ''}"
    size = 3.2 if chosen else 2.6 if bad else 1.4
    return tag("circle", tag("title", said), cx=x, cy=y, r=size, class_=f"dot {tone}{' chosen' if chosen else ''}")
