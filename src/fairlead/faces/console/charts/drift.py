"""The drift map: features down, windows across. Colour steps at the thresholds, and marks that do not need colour."""

from __future__ import annotations

from bisect import bisect_right
from functools import lru_cache

from markupsafe import Markup

from fairlead.core.listing import counted
from fairlead.faces.console.charts.svg import drawing, tag
from fairlead.faces.console.words import distance, month
from fairlead.operations.overview import DriftView, Heat, HeatRow

# Steps of the effect divided by its critical threshold; the step at 1 is where a feature is critical.
STEPS = (0.1, 0.2, 0.4, 0.7, 1.0, 2.0, 4.0)
_ROW, _TOP = 22.0, 30.0
_LEAST, _MOST, _WIDTH = 18.0, 84.0, 1170.0
_LETTER, _LONGEST = 7.3, 34  # pixels of a letter at most, letters of a name


@lru_cache(maxsize=16)
def drift_map(heat: Heat) -> tuple[Markup, Markup]:
    """Two pictures side by side: the features' names, which stay, and the cells, which scroll where they are many.

    Remembered, because a map changes once a window and is asked for every second.
    """
    count = len(heat.windows)
    names_width = min(_LONGEST, max((len(row.name) for row in heat.rows), default=0)) * _LETTER + 14
    cell = min(_MOST, max(_LEAST, (_WIDTH - names_width) / max(count, 1)))
    height = _TOP + _ROW * len(heat.rows) + 2
    label = f"Drift of {counted(len(heat.rows), 'feature')} over {counted(count, 'window')}, the worst feature first"
    names = [
        tag("text", _short(row.name), x=names_width - 10, y=_middle(place) + 4, text_anchor="end", class_="row-name")
        for place, row in enumerate(heat.rows)
    ]
    cells = [*_columns(heat, cell), *(_row(heat, row, place, cell) for place, row in enumerate(heat.rows))]
    return (
        drawing(names_width, height, "Names of the features, the worst first", names, "heat-names", fixed=True),
        drawing(cell * count, height, label, cells, "heat", fixed=True),
    )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _middle(place: int) -> float:
    return _TOP + _ROW * place + _ROW / 2


def _columns(heat: Heat, cell: float) -> list[Markup]:
    """Window labels, as many as fit. A year is named once."""
    every = max(1, round(38 / cell + 0.49))
    labels: list[Markup] = []
    year = ""
    for place in range(0, len(heat.windows), every):
        name, its_year = month(heat.starts[place])
        if its_year != year:
            labels.append(tag("text", its_year, x=place * cell + 2, y=10, class_="tick strong"))
            year = its_year
        labels.append(tag("text", name, x=place * cell + 2, y=23, class_="tick"))
    return labels


def _row(heat: Heat, row: HeatRow, place: int, cell: float) -> Markup:
    top = _TOP + _ROW * place
    parts: list[Markup] = []
    for column, view in enumerate(row.cells):
        left = column * cell
        box = {"x": left + 1, "y": top + 1, "width": cell - 2, "height": _ROW - 2}
        parts.append(
            tag("rect", tag("title", _title(heat.windows[column], row.name, view)), class_=_class(view), **box)
        )
        parts += _mark(view, left + cell / 2, top + _ROW / 2)
    return tag("g", *parts)


def _class(view: DriftView | None) -> str:
    if view is None or view.level == "unmeasured" or view.ratio is None:
        return "h-none"
    return f"h{bisect_right(STEPS, view.ratio)}"


def _mark(view: DriftView | None, x: float, y: float) -> list[Markup]:
    if view is None or view.level == "none":
        return []
    if view.level == "critical":
        return [tag("path", d=f"M{x - 3.5:.1f} {y + 3:.1f}l3.5 -6.5l3.5 6.5z", class_="mark-critical")]
    if view.level == "warning":
        return [tag("circle", cx=x, cy=y, r=2, class_="mark-warning")]
    return [tag("text", "?", x=x, y=y + 4, text_anchor="middle", class_="tick")]


def _title(window: str, name: str, view: DriftView | None) -> str:
    if view is None:
        return f"{name}, {window}: not looked at"
    effect = f"{distance(view.method)} {view.effect:.3f}" if view.effect is not None else "no value"
    said = view.level if view.level != "none" else "not beyond chance" if (view.ratio or 0.0) >= 1 else ""
    return f"{name}, {window}: {effect}" + (f", {said}" if said else "")
