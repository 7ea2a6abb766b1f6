"""Draws latency against offered load: one line for the median of each system, one for its 99th percentile."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from math import ceil, floor, log10
from pathlib import Path
from shutil import which
from typing import NamedTuple

from markupsafe import Markup

from fairlead.faces.console.charts.scale import Scale, linear
from fairlead.faces.console.charts.svg import Attribute, path, tag

WIDTH, HEIGHT = 860, 480
LEFT, RIGHT, TOP, BOTTOM = 66, 24, 56, 52
COLOURS = ("#1f5fbf", "#c2571a", "#5b7d2a", "#7a3fa0", "#8a6d00", "#3b3b3b")
INK, GRID = "#333333", "#dddddd"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Curve(NamedTuple):
    """A system's points: requests a second, and the latency's median and 99th percentile in milliseconds."""

    name: str
    points: list[tuple[float, float, float]]


def draw(curves: Sequence[Curve], title: str) -> str:
    """An SVG document. Both axes are logarithmic: the systems lie decades apart."""
    points = [point for curve in curves for point in curve.points]
    rates = [rate for rate, _, _ in points]
    across = _decades(min(rates), max(rates), (LEFT, WIDTH - RIGHT))
    up = _decades(min(p50 for _, p50, _ in points), max(p99 for _, _, p99 in points), (HEIGHT - BOTTOM, TOP))
    parts = [tag("rect", width=WIDTH, height=HEIGHT, fill="white"), _text(title, LEFT, 22, font_weight="bold")]
    for value, at in across.marks:
        parts.append(tag("line", x1=at, x2=at, y1=TOP, y2=HEIGHT - BOTTOM, stroke=GRID))
        parts.append(_text(f"{value:,.6g}", at, HEIGHT - BOTTOM + 18, text_anchor="middle"))
    for value, at in up.marks:
        parts.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=at, y2=at, stroke=GRID))
        parts.append(_text(f"{value:,.6g}", LEFT - 8, at + 4, text_anchor="end"))
    parts.append(_text("requests offered a second", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, text_anchor="middle"))
    parts.append(_text("latency in ms: p99 solid, median dashed", LEFT, TOP - 12))
    for place, curve in enumerate(curves):
        parts.extend(_lines(curve, COLOURS[place % len(COLOURS)], across.scale, up.scale))
        parts.append(_text(curve.name, WIDTH - RIGHT, TOP + 16 + 18 * place, fill=COLOURS[place % len(COLOURS)]))
    style: dict[str, Attribute] = {"font_family": "sans-serif", "font_size": 13.0}
    return str(tag("svg", *parts, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {WIDTH} {HEIGHT}", **style))


def save(file: Path, curves: Sequence[Curve], title: str) -> None:
    """Writes the drawing, as PNG by a browser. Ends the program where there is none."""
    document = draw(curves, title)
    if file.suffix != ".png":
        file.write_text(document, encoding="utf-8")
        return
    browser = next((found for name in BROWSERS if (found := which(name))), None)
    if browser is None:
        sys.exit(f"{file} needs Chromium, which is not on the PATH: install it, or name an .svg file")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "curve.html"
        source.write_text(f"<style>body{{margin:0}}svg{{width:{WIDTH}px}}</style>{document}", encoding="utf-8")
        size = f"--window-size={WIDTH},{HEIGHT}"
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size]
        command += [f"--user-data-dir={folder}/profile", f"--screenshot={file.absolute()}", source.as_uri()]
        subprocess.run(command, check=True, capture_output=True)


class _Axis(NamedTuple):
    scale: Scale
    marks: list[tuple[float, float]]


def _decades(low: float, high: float, places: tuple[float, float]) -> _Axis:
    """From a power of ten to a power of ten, or to a half of one: marks at 1, 2 and 5."""
    first, last = floor(log10(low)), ceil(log10(high))
    marks = [step * 10.0**decade for decade in range(first, last + 1) for step in (1, 2, 5)]
    least = max((mark for mark in marks if mark <= low), default=low)
    most = min((mark for mark in marks if mark >= high), default=high)
    inner = linear((log10(least), log10(most)), places)
    inside = [mark for mark in marks if least <= mark <= most]
    return _Axis(lambda value: inner(log10(value)), [(mark, inner(log10(mark))) for mark in inside])


def _lines(curve: Curve, colour: str, across: Scale, up: Scale) -> list[Markup]:
    drawn = []
    for column, dash in ((1, "5 4"), (2, None)):
        places = [(across(point[0]), up(point[column])) for point in sorted(curve.points)]
        line: dict[str, Attribute] = {"fill": "none", "stroke": colour, "stroke_width": 2.0, "stroke_dasharray": dash}
        drawn.append(tag("path", d=path(places), **line))
        drawn.extend(tag("circle", cx=x, cy=y, r=2.6, fill=colour) for x, y in places)
    return drawn


def _text(words: str, x: float, y: float, fill: str = INK, **attributes: str) -> Markup:
    anchor = attributes.pop("text_anchor", "start" if fill == INK else "end")
    return tag("text", words, x=x, y=y, fill=fill, text_anchor=anchor, **attributes)
