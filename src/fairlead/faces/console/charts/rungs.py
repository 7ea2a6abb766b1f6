"""The rungs over time: one row a layer, one cell a window, with what was deployed and which window is looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from markupsafe import Markup

from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome
from fairlead.faces.console.charts.svg import drawing, tag
from fairlead.faces.console.words import month
from fairlead.operations.ladder_links import Cell, Strip
from fairlead.operations.overview import Mark

_ROW, _TOP, _NAMES, _WIDTH = 26.0, 34.0, 138.0, 1168.0
_MOST, _LEAST = 84.0, 24.0
_TONES = {Outcome.HOLDS: "is-good", Outcome.UNDECIDED: "is-warning", Outcome.BREACHED: "is-bad"}


def rungs_chart(strips: Sequence[Strip], chosen: str, marks: Sequence[Mark], address: Callable[[str], str]) -> Markup:
    """The four rows, business on top. Each column leads to its window."""
    cells = strips[0].cells if strips else ()
    if not cells:
        return Markup("")
    width = min(_MOST, max(_LEAST, (_WIDTH - _NAMES) / len(cells)))
    height = _TOP + _ROW * len(strips) + 20
    parts = [
        tag("text", strip.name, x=0, y=_TOP + _ROW * place + _ROW / 2 + 4, class_="row-name")
        for place, strip in enumerate(strips)
    ]
    parts += _labels(cells, width)
    parts += [
        _column(strips, place, width, address(cell.window), chosen=cell.window == chosen)
        for place, cell in enumerate(cells)
    ]
    parts += _flags(cells, marks, width, height)
    label = f"{counted(len(strips), 'layer')} over {counted(len(cells), 'window')}"
    return drawing(_NAMES + width * len(cells) + 2, height, label, parts, "rungs", fixed=True)


def _labels(cells: Sequence[Cell], width: float) -> list[Markup]:
    every = max(1, round(58 / width + 0.49))
    short = len(cells) > 1 and cells[1].starts_at - cells[0].starts_at < 86_400.0
    found = []
    for place in range(0, len(cells), every):
        cell = cells[place]
        name, year = month(cell.starts_at)
        text = cell.window[11:16] if short and len(cell.window) > 15 else name
        above = name if short else year
        x = _NAMES + place * width + 2
        if not place or (above != _above(cells[place - every], short=short)):
            found.append(tag("text", above, x=x, y=12, class_="tick strong"))
        found.append(tag("text", text, x=x, y=26, class_="tick"))
    return found


def _above(cell: Cell, *, short: bool) -> str:
    name, year = month(cell.starts_at)
    return name if short else year


def _column(strips: Sequence[Strip], place: int, width: float, href: str, *, chosen: bool) -> Markup:
    left = _NAMES + place * width
    parts = []
    if chosen:
        box = {"x": left - 0.5, "y": _TOP - 3, "width": width + 1, "height": _ROW * len(strips) + 6}
        parts.append(tag("rect", class_="chosen", **box))
    for row, strip in enumerate(strips):
        cell, top = strip.cells[place], _TOP + _ROW * row
        said = cell.outcome.value if cell.outcome is not None else "nobody looked"
        title = tag("title", f"{strip.name}, {cell.window}: {said}{f'. {cell.reason}' if cell.reason else ''}")
        tone = _TONES.get(cell.outcome, "is-muted") if cell.outcome is not None else "is-none"
        box = {"x": left + 2, "y": top + 2, "width": width - 4, "height": _ROW - 4}
        parts.append(tag("rect", title, class_=f"cell {tone}", **box))
        parts += _sign(cell.outcome, left + width / 2, top + _ROW / 2)
    name = strips[0].cells[place].window
    return tag("a", *parts, href=href, aria_label=f"Window {name}", aria_current="true" if chosen else None)


def _sign(outcome: Outcome | None, x: float, y: float) -> list[Markup]:
    """A state never rests on its colour alone."""
    if outcome is Outcome.BREACHED:
        return [tag("path", d=f"M{x - 5:.1f} {y + 4.5:.1f}l5 -9l5 9z", class_="sign")]
    if outcome is Outcome.UNDECIDED:
        return [tag("path", d=f"M{x:.1f} {y - 5:.1f}l5 5l-5 5l-5 -5z", class_="sign")]
    if outcome is Outcome.UNMEASURED:
        return [tag("path", d=f"M{x - 4:.1f} {y:.1f}h8", class_="sign line")]
    return []


def _flags(cells: Sequence[Cell], marks: Sequence[Mark], width: float, height: float) -> list[Markup]:
    """What was deployed, at the end of the window after which it happened."""
    names = [cell.window for cell in cells]
    found = []
    for mark in marks:
        if mark.window not in names:
            continue
        x = _NAMES + (names.index(mark.window) + 1) * width
        tone = "is-bad" if mark.kind == "rolled_back" else "is-accent"
        anchor = "end" if x > _NAMES + width * len(cells) - 90 else "start"
        text_x = x - 5 if anchor == "end" else x + 5
        found.append(
            tag("line", tag("title", mark.text), x1=x, x2=x, y1=_TOP - 6, y2=height - 4, class_=f"flag {tone}")
        )
        said = mark.text.split(" ", maxsplit=1)[0] + (" back" if mark.kind == "rolled_back" else " live")
        found.append(tag("text", said, x=text_x, y=height - 5, text_anchor=anchor, class_=f"flag-text {tone}"))
    return found
