"""Charts of a performance report as inline SVG. Colours come from the page's style; sizes are pixels at full size."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import floor, isfinite, isnan, log10, sqrt

from fairlead.core.listing import counted
from fairlead.operations.performance_values import CurvePoint, WindowRow
from fairlead.stats.performance.calibration import Bin
from fairlead.stats.performance.measure import Measure
from fairlead.stats.performance.segments import Standing

WIDE, SQUARE = 1000, 340
MOST_CLASSES = 12
_TONES = {Standing.BREACHED: "bad", Standing.UNDECIDED: "open", Standing.UNMEASURED: "open", Standing.HOLDS: ""}

Dot = tuple[str, int, Measure, Standing]  # a slice's name, its rows, its value, its standing


def over_time(windows: Sequence[WindowRow], metric: str, overall: Measure, label: str) -> str:
    """A metric over windows: the band is its interval, a hollow point a window whose labels have not matured, a small
    grey point what was known when the window ended, the dashed line the value over all measured rows."""
    left, right, top, floor_ = 46, WIDE - 10, 10, 210
    shown = [(at, window, window.metrics.get(metric)) for at, window in enumerate(windows)]
    there = [(at, window, one) for at, window, one in shown if one is not None and one.defined]
    if not there:
        return ""
    low, high, ticks = _scale([end for _, _, one in there for end in _ends(one)] + [overall.value])
    step = (right - left) / max(len(windows), 1)

    def x(at: int) -> float:
        return left + (at + 0.5) * step

    def y(value: float) -> float:
        return floor_ - (min(max(value, low), high) - low) / (high - low) * (floor_ - top)

    grid = "".join(
        f'<line class="axis" x1="{left}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text x="{left - 6}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{tick:.4g}</text>'
        for tick in ticks
    )
    body = grid
    for run in _runs([at for at, _, _ in there]):
        body += _band([(x(at), y(_ends(one)[0]), y(_ends(one)[1])) for at, _, one in there if at in run], step)
        line = " L".join(f"{x(at):.1f},{y(one.value):.1f}" for at, _, one in there if at in run)
        body += f'<path class="cur-line" d="M{line}"/>'
    body += f'<line class="mean" x1="{left}" x2="{right}" y1="{y(overall.value):.1f}" y2="{y(overall.value):.1f}"/>'
    for at, window, one in there:
        if window.at_close.defined and window.labels_at_close < window.labels:
            body += f'<circle class="then" cx="{x(at):.1f}" cy="{y(window.at_close.value):.1f}" r="2.5"/>'
        tip = f"{window.name}: {_text(one)}, {window.labels:,} of {counted(window.rows, 'label')} known"
        kind = "dot" if window.ripe else "dot hollow"
        place = f'cx="{x(at):.1f}" cy="{y(one.value):.1f}" r="4"'
        body += f'<circle class="{kind}" {place}><title>{escape(tip)}</title></circle>'
    every = max(1, -(-len(windows) // 9))
    body += "".join(
        f'<text x="{x(at):.1f}" y="{floor_ + 18}" text-anchor="middle">{escape(window.name)}</text>'
        for at, window in enumerate(windows)
        if at % every == 0
    )
    return _svg(body, WIDE, 236, f"{label} over {counted(len(windows), 'window')}, with intervals")


def dots(rows: Sequence[Dot], overall: Measure, label: str) -> str:
    """A metric of each slice with its interval; the dashed line is the value over all rows, red worse than the rest."""
    left, right, line = 240, WIDE - 70, 22
    there = [row for row in rows if row[2].defined]
    if not there:
        return ""
    low, high, ticks = _scale([end for row in there for end in _ends(row[2])] + [overall.value])
    bottom = line * len(rows) + 6

    def x(value: float) -> float:
        return left + (min(max(value, low), high) - low) / (high - low) * (right - left)

    body = "".join(
        f'<line class="axis" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="0" y2="{bottom}"/>'
        f'<text x="{x(tick):.1f}" y="{bottom + 15}" text-anchor="middle">{tick:.4g}</text>'
        for tick in ticks
    )
    if overall.defined:
        body += f'<line class="mean" x1="{x(overall.value):.1f}" x2="{x(overall.value):.1f}" y1="0" y2="{bottom}"/>'
    for at, (name, size, value, standing) in enumerate(rows):
        y = at * line + line / 2 + 3
        body += (
            f'<text class="name" x="{left - 10}" y="{y + 4:.1f}" text-anchor="end">{escape(_short(name, 36))}</text>'
        )
        body += f'<text x="{WIDE}" y="{y + 4:.1f}" text-anchor="end">{size:,}</text>'
        if value.defined:
            a, b = _ends(value)
            body += (
                f'<g class="{_TONES[standing]}"><title>{escape(name)}: {_text(value)}</title>'
                f'<line class="whisker" x1="{x(a):.1f}" x2="{x(b):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
                f'<circle class="dot" cx="{x(value.value):.1f}" cy="{y:.1f}" r="4.5"/></g>'
            )
    return _svg(body, WIDE, bottom + 22, f"{label} of {counted(len(rows), 'slice')}, with intervals")


def reliability(bins: Sequence[Bin]) -> str:
    """What came true against what was said: on the dashed diagonal, probabilities mean what they say. The bars below
    show how many rows each bin has."""
    left, right, top, floor_ = 36, SQUARE - 8, 8, 268
    most = max(one.rows for one in bins)

    def x(value: float) -> float:
        return left + value * (right - left)

    def y(value: float) -> float:
        return floor_ - value * (floor_ - top)

    body = "".join(
        f'<line class="axis" x1="{left}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text x="{left - 6}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{tick:g}</text>'
        f'<text x="{x(tick):.1f}" y="{floor_ + 56}" text-anchor="middle">{tick:g}</text>'
        for tick in (0, 0.25, 0.5, 0.75, 1)
    )
    body += f'<line class="mean" x1="{x(0)}" y1="{y(0)}" x2="{x(1)}" y2="{y(1)}"/>'
    points = " L".join(f"{x(one.score):.1f},{y(one.share.value):.1f}" for one in bins)
    body += f'<path class="cur-line" d="M{points}"/>'
    for one in bins:
        tip = f"said {one.score:.3f}, came true {_text(one.share)}, {counted(one.rows, 'row')}"
        tall = 36 * sqrt(one.rows / most)
        body += (
            f"<g><title>{tip}</title>"
            f'<line class="whisker" x1="{x(one.score):.1f}" x2="{x(one.score):.1f}" '
            f'y1="{y(one.share.low):.1f}" y2="{y(one.share.high):.1f}"/>'
            f'<circle class="dot" cx="{x(one.score):.1f}" cy="{y(one.share.value):.1f}" r="4"/>'
            f'<rect class="ref" x="{x(one.low) + 1:.1f}" y="{floor_ + 42 - tall:.1f}" '
            f'width="{x(one.high) - x(one.low) - 2:.1f}" height="{tall:.1f}" rx="1.5"/></g>'
        )
    return _svg(
        body, SQUARE, floor_ + 62, "reliability diagram: the share that came true by the probability that was said"
    )


def matrix(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> str:
    """The confusion matrix: a row a true class, a column a predicted one, shaded by the row's share."""
    k = len(classes)
    left, top = 92, 40
    cell = (SQUARE - left) / k
    high = min(cell, 86.0)
    middle = [left + (at + 0.5) * cell for at in range(k)]
    body = (
        _label(left + k * cell / 2, 12, "predicted", "") + f'<text x="{left - 8}" y="12" text-anchor="end">true</text>'
    )
    for i, name in enumerate(classes):
        total, at = max(sum(counts[i]), 1), top + (i + 0.5) * high
        side = f'<text class="name" x="{left - 8}" y="{at + 4:.1f}" text-anchor="end">{escape(_short(name, 13))}</text>'
        body += side + _label(middle[i], top - 8, escape(_short(name, max(int(cell / 6.5), 2))), "name")
        for j, count in enumerate(counts[i]):
            share = count / total
            tip = f"{escape(name)} predicted as {escape(classes[j])}: {count:,}, {share:.1%} of the row"
            body += (
                f'<g><title>{tip}</title><rect class="{"cell" if i == j else "cell miss"}" '
                f'x="{left + j * cell + 1:.1f}" y="{top + i * high + 1:.1f}" width="{cell - 2:.1f}" '
                f'height="{high - 2:.1f}" rx="3" fill-opacity="{0.06 + 0.5 * share:.3f}"/>'
                f"{_label(middle[j], at + (0 if high > 40 else 4), _compact(count), 'count')}"
                f"{_label(middle[j], at + 15, f'{share:.1%}', 'name') if high > 40 else ''}</g>"
            )
    return _svg(body, SQUARE, int(top + k * high + 4), "confusion matrix")


def delays(curve: Sequence[CurvePoint], horizon: float | None, wanted: float, unit: tuple[float, str]) -> str:
    """The share of labels that are known by their delay, with its interval; the dashed lines mark the matured share."""
    left, right, top, floor_ = 36, SQUARE - 8, 8, 268
    size, name = unit
    longest = max(curve[-1].delay, 1e-9)

    def x(delay: float) -> float:
        return left + delay / longest * (right - left)

    def y(share: float) -> float:
        return floor_ - share * (floor_ - top)

    body = "".join(
        f'<line class="axis" x1="{left}" x2="{right}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
        f'<text x="{left - 6}" y="{y(tick) + 3.5:.1f}" text-anchor="end">{tick:.0%}</text>'
        for tick in (0, 0.25, 0.5, 0.75, 1)
    )
    body += _band([(x(point.delay), y(point.share.low), y(point.share.high)) for point in curve], 0)
    line = " ".join(f"H{x(point.delay):.1f} V{y(point.share.value):.1f}" for point in curve)
    body += f'<path class="cur-line" d="M{left},{floor_} {line}"/>'
    if horizon is not None:
        body += f'<path class="mean" fill="none" d="M{left},{y(wanted):.1f} H{x(horizon):.1f} V{floor_}"/>'
    body += "".join(
        f'<text x="{x(share * longest):.1f}" y="{floor_ + 16}" text-anchor="{side}">{share * longest / size:.3g}</text>'
        for share, side in ((0, "start"), (0.5, "middle"), (1, "end"))
    )
    body += (
        f'<text x="{(left + right) / 2:.0f}" y="{floor_ + 34}" text-anchor="middle">{name} since the prediction</text>'
    )
    return _svg(body, SQUARE, floor_ + 40, "the share of labels known by their delay")


def _band(points: Sequence[tuple[float, float, float]], step: float) -> str:
    """A band through (x, low, high); one point is drawn a third of a step wide."""
    if len(points) == 1:
        at, low, high = points[0]
        points = [(at - step / 6, low, high), (at + step / 6, low, high)]
    there = " L".join(f"{x:.1f},{low:.1f}" for x, low, _ in points)
    back = " L".join(f"{x:.1f},{high:.1f}" for x, _, high in reversed(points))
    return f'<path class="cur-fill" d="M{there} L{back} Z"/>'


def _runs(places: Sequence[int]) -> list[set[int]]:
    """Places that follow each other without a gap."""
    runs: list[set[int]] = []
    for place in places:
        if runs and place - 1 in runs[-1]:
            runs[-1].add(place)
        else:
            runs.append({place})
    return runs


def _ends(one: Measure) -> tuple[float, float]:
    low = one.low if isfinite(one.low) else one.value
    return low, one.high if isfinite(one.high) else one.value


def _scale(values: Sequence[float]) -> tuple[float, float, list[float]]:
    """Round ends around values, and about five ticks between."""
    there = [value for value in values if not isnan(value)]
    low, high = min(there), max(there)
    spread = (high - low) or abs(high) or 1.0
    raw = spread / 4
    size = 10 ** floor(log10(raw))
    step = next(size * times for times in (1, 2, 2.5, 5, 10) if size * times >= raw)
    first, last = floor(low / step), -floor(-high / step)
    last += last == first
    return first * step, last * step, [place * step for place in range(first, last + 1)]


def _label(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{text}</text>'


def _text(one: Measure) -> str:
    return f"{one.value:.4g} ({one.low:.4g} to {one.high:.4g})"


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _compact(count: int) -> str:
    return f"{count:,}" if count < 100_000 else f"{count / 1e6:.2f}M" if count >= 1_000_000 else f"{count / 1e3:.0f}k"


def _svg(body: str, width: int, height: int, says: str) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(says)}">{body}</svg>'
