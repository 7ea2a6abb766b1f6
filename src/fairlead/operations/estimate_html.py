"""An estimate report as HTML: one self-contained page, or a fragment for a notebook. No script, no network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import isfinite

import numpy as np

from fairlead.core.report import metric_name
from fairlead.operations.estimate_values import Chunk, Estimated, Reading
from fairlead.operations.page_style import document, note
from fairlead.stats.performance import UNDEFINED, Measure

WIDE, HIGH, LEFT, BASE = 720.0, 220.0, 46.0, 190.0  # pixels; the axis labels lie left and below
CHARTS_IN_NOTEBOOK = 1
ROWS_IN_NOTEBOOK = 12
MORE_STYLE = """
.fl .band{fill:var(--cur);fill-opacity:.18;stroke:none}.fl .est{fill:none;stroke:var(--cur);stroke-width:1.8}
.fl .real{fill:none;stroke:var(--ink);stroke-width:1.6;stroke-dasharray:4 3}.fl circle.real{fill:var(--ink);stroke:none}
.fl circle.est{fill:var(--cur);stroke:none}.fl .level{stroke:var(--ref);stroke-width:1.4}
.fl .spread{stroke:var(--ink);stroke-width:1}
.fl .cards.wide{grid-template-columns:repeat(auto-fill,minmax(460px,1fr))}
"""
HEADS = ("chunk", "verdict", "rows", "labels", "method", "estimated", "realised", "corrected", "quadrant")


def page(report: Estimated) -> str:
    """A whole document; light and dark follow the reader's system."""
    return document(
        f"Estimate: {report.verdict.outcome}", MORE_STYLE, _body(report, len(report.chunks), len(report.reference))
    )


def fragment(report: Estimated) -> str:
    """What a notebook shows: the verdict, the primary metric's chart, the first chunks."""
    body = _body(report, ROWS_IN_NOTEBOOK, CHARTS_IN_NOTEBOOK)
    return note(MORE_STYLE, body)


def _body(report: Estimated, rows: int, charts: int) -> str:
    total = sum(chunk.rows for chunk in report.chunks)
    labels = sum(chunk.labels for chunk in report.chunks)
    size = f"{report.reference_rows:,} labelled reference rows; {total:,} current rows, {labels:,} of them labelled"
    left = len(report.chunks) - rows
    more = f'<p class="soft">and {left:,} more chunks</p>' if left > 0 else ""
    tone, reason = report.verdict.outcome, escape(report.verdict.reason)
    return (
        f'<main><h1>Performance without labels</h1><p class="soft">{size}</p>'
        f'<section class="verdict {tone}"><b>{tone}</b><p>{reason}</p></section>'
        f'<p class="soft" style="margin-top:10px">{escape(report.reason)}</p>'
        f"{_cards(report, charts)}<h2>Chunks, by {escape(metric_name(report.metric))}</h2>"
        f'<div class="scroll"><table><thead><tr>{"".join(f"<th>{head}</th>" for head in HEADS)}</tr></thead>'
        f"<tbody>{''.join(_row(chunk, report.metric) for chunk in report.chunks[:rows])}</tbody></table></div>{more}"
        f'<p class="soft" style="margin-top:12px">{_assumes(report)}</p></main>'
    )


def _assumes(report: Estimated) -> str:
    what = "the error given the inputs" if report.task == "regression" else "the truth given the inputs"
    return (
        f"Bands are {report.level:.0%} intervals of what labels will show, for one chunk each; they hold as long as "
        f"{what} stayed as it was on the reference. A realised value outside the band is evidence that it did not."
    )


def _cards(report: Estimated, limit: int) -> str:
    names = sorted(report.reference, key=lambda name: name != report.metric)
    drawn = [name for name in names if any(_defined(chunk, name) for chunk in report.chunks)][:limit]
    if not drawn:
        return ""
    cards = "".join(
        f'<article class="card"><header><b>{escape(metric_name(name))}</b></header>{chart(report, name)}</article>'
        for name in drawn
    )
    key = "".join(
        f'<span class="key" style="background:var(--{tone})"></span>{text}'
        for tone, text in (("cur", "estimated"), ("ink", "realised"), ("ref", "reference"))
    )
    return (
        f'<h2>By chunk<span class="soft" style="font-weight:400">{key}</span></h2><div class="cards wide">{cards}</div>'
    )


def _defined(chunk: Chunk, name: str) -> bool:
    reading = chunk.reading(name)
    return reading is not None and (reading.estimated.defined or reading.realised.defined)


def chart(report: Estimated, name: str) -> str:
    """The estimated band against the realised values of one metric, chunk by chunk."""
    readings = [chunk.reading(name) for chunk in report.chunks]
    reference = report.reference[name]
    low, high = _range(readings, reference)

    def down(value: float) -> float:
        return 10 + (BASE - 10) * (high - value) / (high - low)

    step = (WIDE - LEFT - 10) / max(len(readings), 1)
    across = [LEFT + (place + 0.5) * step for place in range(len(readings))]
    level = f"{down(reference.value):.1f}"
    body = f'<line class="level" x1="{LEFT}" x2="{WIDE}" y1="{level}" y2="{level}"/>'
    for run in _runs([one is not None and one.estimated.defined for one in readings]):
        body += _band([(across[i], readings[i]) for i in run], down, step)
    body += "".join(_realised(x, one, down) for x, one in zip(across, readings, strict=True) if one is not None)
    marks = "".join(
        f'<text x="{LEFT - 6}" y="{down(value) + 3:.1f}" text-anchor="end">{value:.3g}</text>' for value in (low, high)
    )
    ends = {0: "start", len(readings) - 1: "end"} if len(readings) > 1 else {0: "middle"}
    marks += "".join(
        f'<text x="{across[i]:.1f}" y="{BASE + 16}" text-anchor="{side}">{escape(report.chunks[i].name)}</text>'
        for i, side in ends.items()
    )
    line = f'<line class="axis" x1="{LEFT}" y1="{BASE}" x2="{WIDE}" y2="{BASE}"/>'
    says = f"{metric_name(name)} by chunk, estimated against realised, from {low:.4g} to {high:.4g}"
    return f'<svg viewBox="0 0 {WIDE:.0f} {HIGH:.0f}" role="img" aria-label="{escape(says)}">{body}{marks}{line}</svg>'


def _range(readings: Sequence[Reading | None], reference: Measure) -> tuple[float, float]:
    seen = [reference.value]
    for one in readings:
        if one is not None:
            seen += [one.estimated.low, one.estimated.high, one.realised.value]
    there = [value for value in seen if isfinite(value)] or [0.0]
    low, high = min(there), max(there)
    pad = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - pad, high + pad


def _runs(there: Sequence[bool]) -> list[list[int]]:
    """The unbroken runs of places where something is."""
    places = np.flatnonzero(there)
    if not places.size:
        return []
    return [run.tolist() for run in np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)]


def _band(points: Sequence[tuple[float, Reading | None]], down: Callable[[float], float], step: float) -> str:
    known = [(x, one.estimated) for x, one in points if one is not None]
    if len(known) == 1:  # a lone chunk is drawn as wide as half its place
        x, only = known[0]
        known = [(x - step / 4, only), (x + step / 4, only)]
    upper = " L".join(f"{x:.1f},{down(one.high):.1f}" for x, one in known)
    lower = " L".join(f"{x:.1f},{down(one.low):.1f}" for x, one in reversed(known))
    middle = " L".join(f"{x:.1f},{down(one.value):.1f}" for x, one in known)
    return f'<path class="band" d="M{upper} L{lower} Z"/><path class="est" d="M{middle}"/>'


def _realised(x: float, reading: Reading, down: Callable[[float], float]) -> str:
    value = reading.realised
    if not value.defined:
        return ""
    tip = f"<title>realised {_text(value)}, estimated {_text(reading.estimated)}</title>"
    return f'<circle class="real" cx="{x:.1f}" cy="{down(value.value):.1f}" r="3">{tip}</circle>'


def _row(chunk: Chunk, metric: str) -> str:
    tone = chunk.verdict.outcome
    verdict = f'<td><span class="tag {tone}" title="{escape(chunk.verdict.reason)}">{tone}</span></td>'
    reading = chunk.reading(metric)
    parts = (reading.estimated, reading.realised, reading.powered) if reading else (UNDEFINED,) * 3
    cells = "".join(f"<td>{_text(part)}</td>" for part in parts)
    effective = "" if chunk.effective is None else f" ({chunk.effective:,.0f} effective)"
    quadrant = f'<td class="text" title="{escape(chunk.quadrant_reason)}">{chunk.quadrant.value}</td>'
    return (
        f"<tr><td>{escape(chunk.name)}</td>{verdict}<td>{chunk.rows:,}</td><td>{chunk.labels:,}</td>"
        f'<td class="text">{chunk.method}{effective}</td>{cells}{quadrant}</tr>'
    )


def _text(measure: Measure) -> str:
    if not measure.defined:
        return ""
    return f"{measure.value:.4g} [{measure.low:.4g}, {measure.high:.4g}]"
