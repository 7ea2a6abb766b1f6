"""A timeline as HTML: which column moved in which window, and how. One self-contained page, or a fragment of one."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import isfinite

from fairlead.core.listing import counted
from fairlead.operations.page_style import document, note
from fairlead.operations.timeline_values import DriftWindow, Timeline
from fairlead.stats.drift import ColumnDrift, Level

ROWS, ROWS_IN_NOTEBOOK = 60, 12
STRIPES = 160  # windows drawn one by one; of more, neighbours share a stripe that shows the worst of them
WIDTH, STEP, LABEL = 900, 20, 170  # pixels
CHARTS = 8
LINE_WIDTH, LINE_HEIGHT = 340, 96

MORE_STYLE = """
.fl .none-cell{fill:var(--good);fill-opacity:.16}.fl .warning-cell{fill:var(--warn);fill-opacity:.75}
.fl .critical-cell{fill:var(--bad)}.fl .unmeasured-cell{fill:var(--mute);fill-opacity:.35}
.fl .heat text.name{font-size:12px;fill:var(--ink)}.fl .series{fill:none;stroke:var(--cur);stroke-width:1.6}
.fl .zero{stroke:var(--line)}.fl .mark{stroke:var(--bad);stroke-dasharray:3 3}
"""
WORST = (Level.CRITICAL, Level.WARNING, Level.NONE)


def page(timeline: Timeline) -> str:
    """A whole document; light and dark follow the reader's system."""
    return document(f"Drift over time: {timeline.verdict.outcome}", MORE_STYLE, _body(timeline, ROWS))


def fragment(timeline: Timeline) -> str:
    """What a notebook shows."""
    return note(MORE_STYLE, _body(timeline, ROWS_IN_NOTEBOOK))


def _body(timeline: Timeline, rows: int) -> str:
    windows, names = timeline.windows, timeline.columns
    total = sum(window.rows for window in windows)
    undated = f", {counted(timeline.undated, 'row')} without a timestamp left out" if timeline.undated else ""
    against = counted(timeline.reference.rows, "reference row")
    size = f"{counted(total, 'row')} in {counted(len(windows), 'window')} against {against}{undated}"
    more = f'<p class="soft">and {len(names) - rows:,} more, none of them worse</p>' if len(names) > rows else ""
    outcome = timeline.verdict.outcome
    return (
        f'<main><h1>Drift over time</h1><p class="soft">{size}</p>'
        f'<section class="verdict {outcome}"><b>{outcome}</b><p>{escape(timeline.verdict.reason)}</p></section>'
        f"<h2>Columns by window</h2>{_heat(windows, names[:rows])}{more}{_cards(timeline)}"
        '<p class="soft" style="margin-top:12px">Each window spends its false discovery rate anew. The lines show each '
        "window's distance from the reference, less what chance adds, with its sign.</p></main>"
    )


def _heat(windows: Sequence[DriftWindow], names: Sequence[str]) -> str:
    stripes = _stripes(windows)
    wide = (WIDTH - LABEL) / max(len(stripes), 1)
    height = len(names) * STEP + 24
    parts = []
    for row, name in enumerate(names):
        y = row * STEP
        short = name if len(name) <= 24 else name[:23] + "…"
        parts.append(f'<text class="name" x="0" y="{y + 14}">{escape(short)}<title>{escape(name)}</title></text>')
        for place, stripe in enumerate(stripes):
            found = [(window, column) for window in stripe for column in window.columns if column.name == name]
            if found:
                parts.append(_cell(LABEL + place * wide, y + 2, wide, min(found, key=lambda one: _rank(one[1]))))
    ends = ((LABEL, "start", windows[0]), (WIDTH, "end", windows[-1]))
    axis = "".join(f'<text x="{x}" y="{height - 6}" text-anchor="{side}">{one.name}</text>' for x, side, one in ends)
    says = f"levels of {len(names)} columns in {len(windows)} windows"
    return (
        f'<div class="card"><svg class="heat" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{says}">'
        f"{''.join(parts)}{axis}</svg></div>"
    )


def _stripes(windows: Sequence[DriftWindow]) -> list[Sequence[DriftWindow]]:
    step = -(-len(windows) // STRIPES)
    return [windows[start : start + step] for start in range(0, len(windows), step)]


def _rank(column: ColumnDrift) -> tuple[int, float]:
    return (3 if column.unmeasured else WORST.index(column.level)), -column.effect


def _cell(x: float, y: float, wide: float, found: tuple[DriftWindow, ColumnDrift]) -> str:
    window, column = found
    kind = "unmeasured" if column.unmeasured else str(column.level)
    says = column.unmeasured or f"{column.level}, {column.effect:.2f} of the critical limit"
    tip = f"<title>{escape(column.name)}, {window.name}: {escape(says)}</title>"
    gap = min(1.0, wide * 0.15)
    place = f'x="{x:.1f}" y="{y}" width="{wide - gap:.2f}" height="{STEP - 4}"'
    return f'<rect class="{kind}-cell" {place} rx="1.5">{tip}</rect>'


def _cards(timeline: Timeline) -> str:
    shown = [name for name in timeline.columns if name in timeline.shapes][:CHARTS]
    if not shown:
        return ""
    cards = "".join(_card(timeline, name) for name in shown)
    return f'<h2>How they changed</h2><div class="cards">{cards}</div>'


def _card(timeline: Timeline, name: str) -> str:
    shape = timeline.shapes[name]
    line = _line(timeline.distances[name], shape.starts)
    return (
        f'<article class="card"><header><b>{escape(name)}</b><span class="tag critical">{shape.form}</span></header>'
        f'{line}<p class="soft" style="margin:4px 0 6px">{escape(shape.reason)}</p></article>'
    )


def _line(values: Sequence[float], starts: int | None) -> str:
    known = [(place, value) for place, value in enumerate(values) if isfinite(value)]
    low, high = min(0.0, *(value for _, value in known)), max(1e-9, *(value for _, value in known))
    room = (high - low) or 1.0

    def x(place: float) -> float:
        return place * LINE_WIDTH / max(len(values) - 1, 1)

    def y(value: float) -> float:
        return 6 + (high - value) / room * (LINE_HEIGHT - 12)

    path = " ".join(f"{'L' if step else 'M'}{x(place):.1f},{y(value):.1f}" for step, (place, value) in enumerate(known))
    mark = ""
    if starts is not None and 0 < starts < len(values):
        at = x(starts - 0.5)
        mark = f'<line class="mark" x1="{at:.1f}" y1="0" x2="{at:.1f}" y2="{LINE_HEIGHT}"/>'
    zero = f'<line class="zero" x1="0" y1="{y(0):.1f}" x2="{LINE_WIDTH}" y2="{y(0):.1f}"/>'
    says = f"distance from the reference in {len(values)} windows"
    return (
        f'<svg viewBox="0 0 {LINE_WIDTH} {LINE_HEIGHT}" role="img" aria-label="{says}">'
        f'{zero}{mark}<path class="series" d="{path}"/></svg>'
    )
