"""Reference against current, drawn from two profiles as inline SVG. Colours come from the page's style."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import frexp, ldexp

import numpy as np

from fairlead.core.listing import counted
from fairlead.stats.exact import Floats
from fairlead.stats.profile import CategoryProfile, ColumnProfile, NumericProfile

WIDTH, HEIGHT, FLOOR = 340, 132, 110  # pixels; the axis labels lie below the floor
BINS = 36
HALF = float(np.finfo(np.float64).max) / 2
BARS = 14  # at most this many values or categories are drawn one by one


def chart(reference: ColumnProfile, current: ColumnProfile) -> str:
    """A picture of two profiles on one grid: bars for few values, else two histograms over the bulk of both.

    Where one side has no finite value, bars say how many are infinite.
    """
    if isinstance(reference, NumericProfile) and isinstance(current, NumericProfile):
        if not (reference.finite and current.finite):
            return _bars(*_infinite(reference, current))
        values = _few_values(reference, current)
        return _histogram(reference, current) if values is None else _bars(*values)
    if isinstance(reference, CategoryProfile) and isinstance(current, CategoryProfile):
        return _bars(*_categories(reference, current))
    raise TypeError(f"column {reference.grid.name!r}: numbers cannot be drawn against categories")


def _few_values(one: NumericProfile, two: NumericProfile) -> tuple[list[str], Floats, Floats] | None:
    both = one + two
    counts = np.asarray(both.counts)
    filled = np.flatnonzero(counts)
    if filled.size > BARS or both.low_infinite + both.high_infinite:
        return None
    with np.errstate(over="ignore"):  # by halves: the distance of two huge values leaves float64
        halves = both.place_sums[filled] / counts[filled] * ldexp(1.0, -1 - both.grid.exponent) + both.grid.origin / 2
    means = 2.0 * np.clip(halves, -HALF, HALF)
    f, g = (np.asarray(side.counts)[filled] / max(side.present, 1) for side in (one, two))
    return [f"{mean:.4g}" for mean in means], f, g


def _infinite(one: NumericProfile, two: NumericProfile) -> tuple[list[str], Floats, Floats]:
    f, g = (
        np.array([side.low_infinite, side.finite, side.high_infinite]) / max(side.present, 1) for side in (one, two)
    )
    return ["−∞", "finite", "+∞"], f, g


def _categories(one: CategoryProfile, two: CategoryProfile) -> tuple[list[str], Floats, Floats]:
    names = list(one.grid.categories)
    rows: list[tuple[str, int, int]] = list(zip(names, one.counts, two.counts, strict=True))
    rows += [(name, one.unseen.get(name, 0), two.unseen.get(name, 0)) for name in sorted({*one.unseen, *two.unseen})]
    if one.buckets or two.buckets:
        rows.append(("not listed", sum(one.buckets), sum(two.buckets)))
    n, m = max(one.present, 1), max(two.present, 1)
    rows.sort(key=lambda row: -max(row[1] / n, row[2] / m))
    shown, rest = rows[:BARS], rows[BARS:]
    if rest:
        last = [shown.pop(), *rest]
        shown.append((f"{counted(len(last), 'other')}", sum(row[1] for row in last), sum(row[2] for row in last)))
    return [row[0] for row in shown], np.array([row[1] / n for row in shown]), np.array([row[2] / m for row in shown])


def _bars(labels: Sequence[str], reference: Floats, current: Floats) -> str:
    step = WIDTH / max(len(labels), 1)
    top = max(float(reference.max(initial=0)), float(current.max(initial=0)), 1e-12)
    width = min(step * 0.36, 26.0)
    drawn = []
    for place, (label, f, g) in enumerate(zip(labels, reference.tolist(), current.tolist(), strict=True)):
        middle = (place + 0.5) * step
        tip = f"<title>{escape(label)}: {f:.1%} reference, {g:.1%} current</title>"
        pair = _bar("ref", middle - width, f / top, width) + _bar("cur", middle, g / top, width)
        fits = max(int(step / 6.2), 3)
        short = label if len(label) <= fits else label[: fits - 1] + "…"
        text = f'<text x="{middle:.1f}" y="{FLOOR + 14}" text-anchor="middle">{escape(short)}</text>'
        drawn.append(f"<g>{tip}{pair}{text}</g>")
    return _svg("".join(drawn), "shares of each value, reference and current")


def _bar(kind: str, x: float, share: float, width: float) -> str:
    high = share * (FLOOR - 6)
    return f'<rect class="{kind}" x="{x:.1f}" y="{FLOOR - high:.1f}" width="{width:.1f}" height="{high:.1f}" rx="1.5"/>'


def _histogram(one: NumericProfile, two: NumericProfile) -> str:
    curves = [_distribution(side) for side in (one, two)]
    low = min(_quantile(*curve, 0.005) for curve in curves)
    high = max(_quantile(*curve, 0.995) for curve in curves)
    size = frexp(max(abs(low), abs(high)))[1]  # in units of the bulk, so that no step leaves float64's range
    edges = np.linspace(ldexp(low, -size), ldexp(high, -size), BINS + 1)
    shares = [np.diff(np.interp(edges, _in_units(ends, size), climb)) for ends, climb in curves]
    top = max(float(share.max()) for share in shares) or 1.0
    reference, current = (_steps(share / top) for share in shares)
    body = (
        f'<path class="ref" d="M0,{FLOOR} {reference} L{WIDTH},{FLOOR} Z"/>'
        f'<path class="cur-fill" d="M0,{FLOOR} {current} L{WIDTH},{FLOOR} Z"/>'
        f'<path class="cur-line" d="M0,{FLOOR} {current} L{WIDTH},{FLOOR}"/>'
    )
    marks = ((0, "start", low), (WIDTH / 2, "middle", low / 2 + high / 2), (WIDTH, "end", high))
    axis = "".join(f'<text x="{x:.0f}" y="{FLOOR + 14}" text-anchor="{side}">{at:.4g}</text>' for x, side, at in marks)
    return _svg(body + axis, f"histograms from {low:.4g} to {high:.4g}, reference and current")


def _quantile(ends: Floats, climb: Floats, share: float) -> float:
    return float(ends[min(int(np.searchsorted(climb, share)), ends.size - 1)])


def _in_units(values: Floats, size: int) -> Floats:
    """The values over 2^size, those far outside the bulk cut off."""
    with np.errstate(over="ignore"):
        return np.clip(np.ldexp(values, -size), -1e300, 1e300)


def _distribution(side: NumericProfile) -> tuple[Floats, Floats]:
    """Points of the cumulative distribution. Under- and overflow are drawn as wide as their mean allows."""
    cuts = np.asarray(side.grid.cuts)
    low, high = side.minimum or 0.0, side.maximum or 0.0
    ends, climb = cuts, np.cumsum(side.counts)[:-1] / max(side.present, 1)
    if side.counts[0] and low < cuts[0]:
        under = min(2.0 * float(side.sums[0] / (side.counts[0] - side.low_infinite)) - low, float(cuts[0]))
        ends, climb = np.concatenate(([low, max(under, low)], ends)), np.concatenate(([0.0, climb[0]], climb))
    if side.counts[-1] and high > cuts[-1]:
        over = max(2.0 * float(side.sums[-1] / (side.counts[-1] - side.high_infinite)) - high, float(cuts[-1]))
        ends, climb = np.append(ends, [min(over, high), high]), np.append(climb, [climb[-1], 1.0])
    return ends, climb


def _steps(heights: Floats) -> str:
    step = WIDTH / heights.size
    tops = [(place * step, FLOOR - height * (FLOOR - 6)) for place, height in enumerate(heights.tolist())]
    return " ".join(f"L{x:.1f},{y:.1f} L{x + step:.1f},{y:.1f}" for x, y in tops)


def _svg(body: str, says: str) -> str:
    line = f'<line class="axis" x1="0" y1="{FLOOR}" x2="{WIDTH}" y2="{FLOOR}"/>'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(says)}">{body}{line}</svg>'
