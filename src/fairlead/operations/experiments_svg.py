"""An experiment drawn as inline SVG: lifts with their intervals, and the sequence of looks. Colours are the page's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, isfinite, log10

from msgspec import Struct

from fairlead.core.listing import counted
from fairlead.stats.experiment.compare import Look

WIDTH = 960
LABELS, FIGURES = 300, 210  # pixels left and right of the plot
ROW = 30
STYLE = """
.fl .plot{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 18px 10px}
.fl .plot svg text{font-size:12px}.fl .zero{stroke:var(--soft);stroke-width:1.2}
.fl .mark line{stroke:var(--tone);stroke-width:2.4}.fl .mark circle,.fl .mark path{fill:var(--tone)}
.fl .mark line.limit{stroke:var(--warn);stroke-width:2;stroke-dasharray:3 2}
.fl .plot svg text.name{fill:var(--ink);font-size:13px}.fl .plot svg text.figure{fill:var(--ink);font-size:12.5px}
.fl .note-list{margin:6px 0 0;padding-left:18px;color:var(--soft)}
.fl .plot{overflow-x:auto}.fl .plot svg{min-width:620px}
.fl .plot+.plot{margin-top:12px}.fl .plot .cap{color:var(--soft);font-size:13px;margin:0 0 8px}
"""
HEIGHT, FLOOR, LEFT = 240, 210, 60


class Mark(Struct, frozen=True):
    """A row of the forest: an estimate with its interval in per cent, and the tone of the page that colours it."""

    label: str
    value: float
    low: float
    high: float
    tone: str
    margin: float | None = None
    unit: str = " %"


def plot(caption: str, picture: str) -> str:
    """A picture in a box under its caption, which is plain text; nothing around no picture."""
    return f'<section class="plot"><p class="cap">{escape(caption)}</p>{picture}</section>' if picture else ""


def forest(marks: Sequence[Mark], of: str = "differences from the control", *, signed: bool = True) -> str:
    """Each mark on one axis through 0; an end beyond the axis becomes an arrow; a margin is a dashed tick.

    `of` tells those who hear the picture what it is; figures are `signed` where they are differences. Nothing for no
    mark.
    """
    if not marks:
        return ""
    sign = "+" if signed else ""
    low, high = _reach(marks)
    steps = ticks(low, high)
    low, high = min(low, steps[0]), max(high, steps[-1])
    scale = (WIDTH - LABELS - FIGURES) / (high - low)

    def at(value: float) -> float:
        return LABELS + (min(max(value, low), high) - low) * scale

    height = ROW * len(marks) + 8
    grid = "".join(
        f'<line class="axis" x1="{at(x):.1f}" y1="0" x2="{at(x):.1f}" y2="{height}"/>'
        f'<text x="{at(x):.1f}" y="{height + 15}" text-anchor="middle">{_tick(x, sign)}</text>'
        for x in steps
    )
    zero = f'<line class="zero" x1="{at(0):.1f}" y1="0" x2="{at(0):.1f}" y2="{height}"/>'
    rows = "".join(_mark(one, ROW * place + ROW / 2 + 4, at, (low, high), sign) for place, one in enumerate(marks))
    says = "; ".join(f"{one.label} {one.value:{sign}.3g}{one.unit}" for one in marks)
    return _svg(grid + zero + rows, height + 24, f"{of} with their intervals: {says}")


def _mark(one: Mark, y: float, at: Callable[[float], float], ends: tuple[float, float], sign: str) -> str:
    left, right = at(one.low), at(one.high)
    arrows = ""
    if one.low < ends[0]:
        arrows += f'<path d="M{left:.1f},{y:.1f} l7,-5 v10 Z"/>'
    if one.high > ends[1]:
        arrows += f'<path d="M{right:.1f},{y:.1f} l-7,-5 v10 Z"/>'
    limit = ""
    if one.margin is not None:
        x = at(one.margin)
        limit = f'<line class="limit" x1="{x:.1f}" y1="{y - 10:.1f}" x2="{x:.1f}" y2="{y + 10:.1f}"/>'
    label = one.label if len(one.label) <= 44 else one.label[:43] + "…"
    figures = f"{one.value:{sign}.3g}{one.unit} ({_end(one.low, sign)} to {_end(one.high, sign)})"
    return (
        f'<g class="mark {one.tone}"><text class="name" x="0" y="{y + 4:.1f}">{escape(label)}</text>{limit}'
        f'<line x1="{left:.1f}" y1="{y:.1f}" x2="{right:.1f}" y2="{y:.1f}"/>{arrows}'
        f'<circle cx="{at(one.value):.1f}" cy="{y:.1f}" r="4.5"/>'
        f'<text class="figure" x="{WIDTH}" y="{y + 4:.1f}" text-anchor="end">{escape(figures)}</text></g>'
    )


def sequence(looks: Sequence[Look], scale: float, unit: str) -> str:
    """The difference and its confidence sequence over units; `scale` is 100 for points. Nothing for fewer than two."""
    if len(looks) < 2:
        return ""
    values = [(one.units, scale * one.difference, scale * one.low, scale * one.high) for one in looks]
    last = values[len(values) // 4]  # the first looks are wide: the axis follows what came after
    low = min(0.0, last[2], *(one[1] for one in values[len(values) // 4 :]))
    high = max(0.0, last[3], *(one[1] for one in values[len(values) // 4 :]))
    steps = ticks(low, high)
    low, high = min(low, steps[0]), max(high, steps[-1])
    first, end = values[0][0], values[-1][0]

    def x(units: float) -> float:
        return LEFT + (units - first) / max(end - first, 1) * (WIDTH - LEFT - 10)

    def y(value: float) -> float:
        return FLOOR - (min(max(value, low), high) - low) / (high - low) * (FLOOR - 10)

    grid = "".join(
        f'<line class="{"zero" if abs(at) < 1e-12 else "axis"}" x1="{LEFT}" y1="{y(at):.1f}" x2="{WIDTH - 10}" '
        f'y2="{y(at):.1f}"/><text x="{LEFT - 8}" y="{y(at) + 4:.1f}" text-anchor="end">{_tick(at)}</text>'
        for at in steps
    )
    upper = " ".join(f"L{x(n):.1f},{y(top):.1f}" for n, _, _, top in values)
    lower = " ".join(f"L{x(n):.1f},{y(bottom):.1f}" for n, _, bottom, _ in reversed(values))
    middle = " ".join(f"L{x(n):.1f},{y(value):.1f}" for n, value, _, _ in values)
    body = (
        f'<path class="cur-fill" d="M{upper[1:]} {lower} Z"/><path class="cur-line" d="M{middle[1:]}"/>'
        f'<text x="{LEFT}" y="{FLOOR + 20}">{counted(first, "unit")}</text>'
        f'<text x="{WIDTH - 10}" y="{FLOOR + 20}" text-anchor="end">{counted(end, "unit")}</text>'
    )
    return _svg(grid + body, HEIGHT, f"the difference in{unit} and what it may be, as units came")


def ticks(low: float, high: float) -> list[float]:
    """Round numbers that span from `low` to `high`, 0 among them if it lies between.

    >>> ticks(-3.2, 8.1)
    [-5.0, 0.0, 5.0, 10.0]
    """
    span = high - low
    if span <= 1e-9 * max(1.0, abs(low), abs(high)):  # a point, as far as a picture goes
        span, high = 1.0, low
    raw = span / 4
    power = 10.0 ** floor(log10(raw))
    step = next(power * one for one in (1.0, 2.0, 5.0, 10.0) if power * one >= raw)
    first = floor(low / step + 1e-9)
    count = max(2, ceil(high / step - 1e-9) - first + 1)
    return [round((first + place) * step, 12) for place in range(count)]


def _reach(marks: Sequence[Mark]) -> tuple[float, float]:
    """From the lowest to the highest end that is not more than thrice as far out as any estimate or inner end."""
    inner = max(abs(one.value) for one in marks)
    inner = max([inner, *(min(abs(one.low), abs(one.high)) for one in marks if isfinite(one.low + one.high))])
    bound = 3.0 * max(inner, 1e-6)
    ends = [0.0, *(end for one in marks for end in (one.low, one.value, one.high, one.margin or 0.0))]
    near = [max(min(end, bound), -bound) for end in ends]
    return min(near), max(near)


def _tick(value: float, sign: str = "+") -> str:
    return f"{value:{sign}.4g}" if value else "0"


def _end(value: float, sign: str) -> str:
    return f"{value:{sign}.3g}" if isfinite(value) else "unknown"


def _svg(body: str, height: float, says: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(says, quote=True)}">{body}</svg>'
