"""A soak as a picture: latency, what became of the requests, and memory, over the same seconds."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Sequence
from math import ceil, log10
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from fairlead.faces.console.charts.svg import path, tag

if TYPE_CHECKING:
    from benchmarks.soak import Second, Soak
    from benchmarks.soak_verdict import Verdict

WIDTH, LEFT, RIGHT = 960.0, 64.0, 132.0
PLOT = WIDTH - LEFT - RIGHT
TOP, GAP = 98.0, 46.0
HEIGHTS = (230.0, 130.0, 96.0)
REST_SHARE = 0.42  # of the width, for the time before `AHEAD` seconds ahead of the spike
AHEAD = 60
COARSE, NEAR = 5, 60  # seconds a point far from the spike; how near to it each second is a point
INK, MUTED, GRID, SPIKE = "#1f2933", "#66727f", "#e4e8ec", "#fdf3e3"
QUICK, SLOWLY, SHED, MEMORY, CPU = "#2563eb", "#b45309", "#c8323c", "#0f766e", "#8b95a1"
FONT = "font-family:Inter,'Segoe UI',Helvetica,Arial,sans-serif"


class Scale(NamedTuple):
    """From values to the height of a panel; on a logarithm where the values span decades."""

    top: float
    height: float
    low: float
    high: float
    is_log: bool = False

    def y(self, value: float) -> float:
        """Where a value stands."""
        low, high = (log10(self.low), log10(self.high)) if self.is_log else (self.low, self.high)
        at = log10(max(value, self.low)) if self.is_log else value
        return self.top + self.height * (1.0 - (min(max(at, low), high) - low) / (high - low))


class Time(NamedTuple):
    """From seconds to the width: what lies around the spike gets more of it than the long rest before."""

    total: int
    turn: int  # the second from which time is drawn wider

    def x(self, second: float) -> float:
        """Where a second stands."""
        if second <= self.turn:
            return LEFT + PLOT * REST_SHARE * second / max(1, self.turn)
        wide = (second - self.turn) / (self.total - self.turn)
        return LEFT + PLOT * (REST_SHARE + (1.0 - REST_SHARE) * wide)


def draw(found: Soak, verdicts: Sequence[Verdict]) -> str:
    """The whole picture as SVG."""
    tops = [TOP]
    for height in HEIGHTS[:-1]:
        tops.append(tops[-1] + height + GAP)
    bottom = tops[-1] + HEIGHTS[-1]
    time = Time(len(found.resident_mib), max(1, found.spike_at - AHEAD))
    parts = [
        tag("rect", width=WIDTH, height=bottom + 64, fill="#ffffff"),
        *_title(found),
        *_spike(found, time, bottom),
        tag(
            "path",
            d=path([(time.x(time.turn), TOP), (time.x(time.turn), bottom)]),
            stroke=MUTED,
            stroke_dasharray="2 4",
        ),
        *_latency(found, time, Scale(tops[0], HEIGHTS[0], *_decades(found), is_log=True)),
        *_requests(found, time, tops[1], HEIGHTS[1]),
        *_memory(found, time, tops[2], HEIGHTS[2]),
        *_minutes(time, bottom),
        _text(LEFT, bottom + 52, _summary(verdicts), 12, MUTED),
    ]
    label = "Latency, answered and refused requests, and memory of a gateway worker before, in and after a spike"
    made = tag(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {bottom + 64:g}",
        role="img",
        aria_label=label,
        style=FONT,
    )
    return str(made) + "\n"


def render(picture: str, target: Path) -> None:
    """The picture as Chromium draws it, where Chromium is."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("no chromium here: the picture is not rendered")
        return
    height = TOP + sum(HEIGHTS) + GAP * (len(HEIGHTS) - 1) + 64
    with tempfile.TemporaryDirectory() as name:
        page = Path(name) / "page.html"
        style = "<style>body{margin:0}svg{display:block}</style>"
        page.write_text(f"<!doctype html><meta charset=utf-8>{style}{picture}")
        size = f"--window-size={WIDTH:.0f},{height:.0f}"
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=2"]
        command = [chromium, *options, size, f"--screenshot={target}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True)


def _title(found: Soak) -> list[Markup]:
    minutes, spike = found.spike_at // 60, found.spike_ends_at - found.spike_at
    quick, slow = found.rates["quick"], found.rates["slow"]
    said = (
        f"One worker: {quick} requests a second to a quick model and {slow} to a slow one for {minutes} minutes, then "
        f"{found.factor} times as many for {spike} seconds."
    )
    more = "Latencies count from when a request was due. Right of the dotted line, time is drawn wider."
    return [
        _text(LEFT, 30, "A soak and a spike", 20, INK, weight="600"),
        _text(LEFT, 50, said, 11.5, MUTED),
        _text(LEFT, 66, more, 11.5, MUTED),
    ]


def _spike(found: Soak, time: Time, bottom: float) -> list[Markup]:
    left, right = time.x(found.spike_at), time.x(found.spike_ends_at)
    band = tag("rect", x=left, y=TOP, width=right - left, height=bottom - TOP, fill=SPIKE)
    return [band, _text((left + right) / 2, TOP - 6, f"×{found.factor}", 12, SLOWLY, anchor="middle", weight="600")]


def _latency(found: Soak, time: Time, scale: Scale) -> list[Markup]:
    parts = _heading("Latency of the answered, ms", scale.top)
    tick = 10.0 ** ceil(log10(scale.low))
    while tick <= scale.high:
        parts += _rule(scale.y(tick), f"{tick:,g}")
        tick *= 10
    for name, colour in (("slow", SLOWLY), ("quick", QUICK)):
        seconds = found.models[name]
        for which, width, opacity in (("p99_ms", 1.2, 0.55), ("p50_ms", 1.8, 1.0)):
            values = [getattr(one, which) for one in seconds]
            points = [(x, scale.y(y)) for x, y in _thinned(found, time, values, median) if y >= 0.0]
            parts.append(_line(points, colour, width, opacity))
    ends = {
        f"{name} p{which}": (scale.y(_last(found.models[name], f"p{which}_ms")), colour)
        for name, colour in (("slow", SLOWLY), ("quick", QUICK))
        for which in (99, 50)
    }
    return parts + _labels(ends)


def _requests(found: Soak, time: Time, top: float, height: float) -> list[Markup]:
    most = max(one.due for seconds in found.models.values() for one in seconds)
    high, step = _round(most)
    scale = Scale(top, height, 0.0, high)
    parts = _heading("Requests a second", top)
    for at in range(int(high // step) + 1):
        parts += _rule(scale.y(at * step), f"{at * step:,.0f}")
    lines: tuple[tuple[str, str, Callable[[Second], float]], ...] = (
        ("quick", QUICK, lambda one: one.answered),
        ("slow", SLOWLY, lambda one: one.answered),
        ("slow", SHED, lambda one: one.shed),
    )
    for name, colour, value in lines:
        values = [float(value(one)) for one in found.models[name]]
        parts.append(_line([(x, scale.y(y)) for x, y in _thinned(found, time, values, _mean)], colour, 1.6, 1.0))
    ends = {
        "quick answered": (scale.y(found.models["quick"][-1].answered), QUICK),
        "slow answered": (scale.y(found.models["slow"][-1].answered), SLOWLY),
        "slow shed (503)": (scale.y(0.0), SHED),
    }
    return parts + _labels(ends)


def _memory(found: Soak, time: Time, top: float, height: float) -> list[Markup]:
    high, step = _round(max(found.resident_mib) * 1.15)
    scale, share = Scale(top, height, 0.0, high), Scale(top, height, 0.0, max(1.0, *found.cpu_share))
    parts = _heading("Memory of the worker, MiB; grey: its share of a core", top)
    for at in range(int(high // step) + 1):
        parts += _rule(scale.y(at * step), f"{at * step:,.0f}")
    cpu = [(x, share.y(y)) for x, y in _thinned(found, time, found.cpu_share, _mean)]
    memory = [(x, scale.y(y)) for x, y in _thinned(found, time, found.resident_mib, _mean)]
    parts += [_line(cpu, CPU, 1.2, 0.8), _line(memory, MEMORY, 1.8, 1.0)]
    rest = median(found.cpu_share[-10:])
    ends = {
        f"{median(found.resident_mib[-10:]):.0f} MiB": (scale.y(found.resident_mib[-1]), MEMORY),
        f"CPU {rest:.0%}": (share.y(rest), MUTED),
    }
    return parts + _labels(ends)


def _minutes(time: Time, bottom: float) -> list[Markup]:
    parts = [tag("path", d=path([(LEFT, bottom), (LEFT + PLOT, bottom)]), stroke=MUTED, fill="none")]
    step = 60 if time.total > 240 else 15
    for second in range(0, time.total + 1, step):
        said = f"{second // 60}" if step == 60 else f"{second} s"
        parts.append(_text(time.x(second), bottom + 17, said, 11, MUTED, anchor="middle"))
    return [*parts, _text(LEFT + PLOT + 14, bottom + 17, "minutes" if step == 60 else "", 11, MUTED)]


def _summary(verdicts: Sequence[Verdict]) -> str:
    held = sum(one.holds for one in verdicts)
    return "All verdicts hold." if held == len(verdicts) else f"{held} of {len(verdicts)} verdicts hold."


def _thinned(
    found: Soak, time: Time, values: Sequence[float], middle: Callable[[list[float]], float]
) -> Iterable[tuple[float, float]]:
    """A point a second near the spike, and elsewhere one for some seconds: the file stays small."""
    at = 0
    while at < len(values):
        near = found.spike_at - NEAR <= at < found.spike_ends_at + NEAR
        some = list(values[at : at + (1 if near else COARSE)])
        yield time.x(at + len(some) / 2.0), middle(some)
        at += len(some)


def _decades(found: Soak) -> tuple[float, float]:
    values = [value for seconds in found.models.values() for one in seconds for value in (one.p50_ms, one.p99_ms)]
    known = [value for value in values if value > 0.0]
    return min(known) / 1.3, max(known) * 1.3


def _round(value: float) -> tuple[float, float]:
    """A round end for an axis, and the step of its lines."""
    step = 10.0 ** int(log10(value))
    for part in (0.2, 0.25, 0.5, 1.0, 2.0):
        if value / (step * part) <= 5:
            return step * part * (int(value / (step * part)) + 1), step * part
    return step * 10, step * 2


def _last(seconds: Sequence[Second], which: str) -> float:
    return float(median(getattr(one, which) for one in seconds[-10:]))


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _heading(said: str, top: float) -> list[Markup]:
    return [_text(LEFT, top - 8, said, 12, INK, weight="600")]


def _rule(y: float, said: str) -> list[Markup]:
    line = tag("path", d=path([(LEFT, y), (LEFT + PLOT, y)]), stroke=GRID, fill="none")
    return [line, _text(LEFT - 8, y + 4, said, 11, MUTED, anchor="end")]


def _line(points: Iterable[tuple[float, float]], colour: str, width: float, opacity: float) -> Markup:
    return tag(
        "path",
        d=path(points),
        fill="none",
        stroke=colour,
        stroke_width=f"{width}",
        stroke_linejoin="round",
        opacity=f"{opacity}" if opacity < 1.0 else None,
    )


def _labels(ends: dict[str, tuple[float, str]], apart: float = 14.0) -> list[Markup]:
    """Names at the lines' ends, moved apart where they would cover each other."""
    placed: list[tuple[float, str, str]] = []
    for said, (y, colour) in sorted(ends.items(), key=lambda item: item[1][0]):
        lowest = placed[-1][0] + apart if placed else y
        placed.append((max(y, lowest), said, colour))
    return [_text(LEFT + PLOT + 8, y + 4, said, 11.5, colour, weight="600") for y, said, colour in placed]


def _text(x: float, y: float, said: str, size: float, colour: str, *, anchor: str = "", weight: str = "") -> Markup:
    return tag(
        "text",
        said,
        x=x,
        y=y,
        fill=colour,
        font_size=f"{size:g}",
        text_anchor=anchor or None,
        font_weight=weight or None,
    )
