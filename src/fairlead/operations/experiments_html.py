"""An experiment as HTML: one self-contained page, or a fragment for a notebook. No script, no network."""

from __future__ import annotations

from html import escape
from math import exp, isfinite

from fairlead.core.experiment import Health
from fairlead.core.listing import counted
from fairlead.core.verdict import Outcome
from fairlead.operations.experiment_findings import Findings
from fairlead.operations.experiment_reading import Guarded, Part
from fairlead.operations.experiments_svg import STYLE, Mark, forest, plot, sequence
from fairlead.operations.page_style import document, note, table
from fairlead.stats.experiment.compare import Difference, Kind

PARTS, PARTS_IN_NOTEBOOK = 40, 8
TONES = {Outcome.HOLDS: "holds", Outcome.BREACHED: "breached", Outcome.UNDECIDED: "undecided"}
HEALTHS = {Health.HELD: "holds", Health.OPEN: "undecided", Health.DEGRADED: "breached"}
HEADS = ("what", "arm", "state", "control", "treatment", "difference", "lift", "p")


def page(report: Findings) -> str:
    """A whole document; light and dark follow the reader's system."""
    return document(f"Experiment: {report.decision}", STYLE, _body(report, PARTS))


def fragment(report: Findings) -> str:
    """What a notebook shows."""
    return note(STYLE, _body(report, PARTS_IN_NOTEBOOK))


def _body(report: Findings, limit: int) -> str:
    verdict = report.verdict
    how = "read once, at its planned units" if report.method == "fixed" else "read at every look"
    size = f"{counted(sum(one.units for one in report.arms), 'unit')} in {len(report.arms)} arms, {how}"
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    return (
        f'<main><h1>Experiment: {escape(report.metric)}</h1><p class="soft">{size}</p>'
        f'<section class="verdict {verdict.outcome}"><b>{report.decision}</b><p>{escape(verdict.reason)}</p></section>'
        f"{_pictures(report, limit)}{_arms(report)}{_figures(report, limit)}"
        + (f'<ul class="note-list">{notes}</ul>' if notes else "")
        + f'<p class="soft" style="margin-top:12px">{_small_print(report)}</p></main>'
    )


def _pictures(report: Findings, limit: int) -> str:
    marks = [
        _mark(one.treatment, one.difference, TONES.get(one.decision.verdict.outcome, "none"))
        for one in report.primary
        if one.difference is not None
    ]
    if not marks:
        return ""
    level = f"{100 * (1 - report.level):.4g} %"
    drawn = plot(f"{report.metric}, {level} intervals", forest(marks))
    for one in report.primary:
        if one.difference is not None and one.looks:
            rate = one.difference.kind is Kind.RATE
            picture = sequence(one.looks, 100.0 if rate else 1.0, " points" if rate else "")
            said = f"{one.treatment}: the difference{' in points' if rate else ''} as units came"
            drawn += plot(f"{said}; the shade holds the truth at all looks together", picture)
    held = [_guard_mark(one, _of(report, one.treatment)) for one in report.guardrails if one.difference is not None]
    drawn += plot("guardrails; the dashed line is what may be lost", forest(held))
    cut = [
        _mark(f"{one.column} = {one.value}{_of(report, one.treatment)}", one.difference, _part_tone(report, one))
        for one in report.segments[:limit]
    ]
    return f"<h2>Against {escape(report.control)}</h2>{drawn}{plot('segments, most evident first', forest(cut))}"


def _mark(label: str, found: Difference, tone: str) -> Mark:
    if found.lift is not None and (isfinite(found.lift_low) or isfinite(found.lift_high)):
        return Mark(label, 100 * found.lift, 100 * found.lift_low, 100 * found.lift_high, tone)
    scale, unit = (100.0, " points") if found.kind is Kind.RATE else (1.0, "")
    return Mark(label, scale * found.difference, scale * found.low, scale * found.high, tone, unit=unit)


def _of(report: Findings, treatment: str) -> str:
    """Which treatment, where there are several."""
    return f" · {treatment}" if len(report.arms) > 2 else ""


def _part_tone(report: Findings, one: Part) -> str:
    if not one.flagged:
        return "none"
    return "holds" if (one.difference.difference > 0.0) == report.higher_is_better else "breached"


def _guard_mark(one: Guarded, whose: str) -> Mark:
    assert one.difference is not None
    found, rule = one.difference, one.rule
    sign = -1.0 if rule.higher_is_better else 1.0
    base = 1.0 if rule.relative else found.control
    share = 100.0 * sign * rule.margin / base if base else None
    mark = _mark(f"{rule.text}{whose}", found, HEALTHS[one.health])
    return Mark(mark.label, mark.value, mark.low, mark.high, mark.tone, share if mark.unit == " %" else None, mark.unit)


def _arms(report: Findings) -> str:
    total = max(sum(one.units for one in report.arms), 1)
    planned = any(one.planned is not None for one in report.arms)
    heads = ("arm", "units", "share", "planned share", "measured", *(("planned units",) if planned else ()))
    rows = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{one.units:,}</td><td>{one.units / total:.1%}</td>"
        f"<td>{one.expected_share:.1%}</td><td>{one.measured:,}</td>"
        f"{'' if one.planned is None else f'<td>{one.planned:,}</td>'}</tr>"
        for one in report.arms
    )
    return f"<h2>Arms</h2>{table(heads, rows)}"


def _figures(report: Findings, limit: int) -> str:
    rows = [
        _row(
            report.metric, one.treatment, one.decision.action.value, _tone(one.decision.verdict.outcome), one.difference
        )
        for one in report.primary
    ]
    rows += [
        _row(one.rule.text, one.treatment, one.health.value, HEALTHS[one.health], one.difference)
        for one in report.guardrails
    ]
    rows += [
        _row(
            f"{one.column} = {one.value}",
            one.treatment,
            f"flagged, q {one.q_value:.2g}" if one.flagged else f"q {one.q_value:.2g}",
            _part_tone(report, one),
            one.difference,
        )
        for one in report.segments[:limit]
    ]
    left = len(report.segments) - limit
    more = f'<p class="soft">and {counted(left, "more part")}, none of them more evident</p>' if left > 0 else ""
    return f"<h2>Figures</h2>{table(HEADS, ''.join(rows))}{more}" if rows else ""


def _tone(outcome: Outcome) -> str:
    return TONES.get(outcome, "unmeasured")


def _row(what: str, arm: str, state: str, tone: str, found: Difference | None) -> str:
    head = f'<td>{escape(what)}</td><td>{escape(arm)}</td><td><span class="tag {tone}">{escape(state)}</span></td>'
    if found is None:
        return f'<tr>{head}<td class="text" colspan="{len(HEADS) - 3}">not read</td></tr>'
    scale, unit = (100.0, " %") if found.kind is Kind.RATE else (1.0, "")
    lift = "" if found.lift is None else f"{100 * found.lift:+.3g} %"
    cells = (
        f"{scale * found.control:.4g}{unit}",
        f"{scale * found.treatment:.4g}{unit}",
        f"{scale * found.difference:+.3g} ({_span(scale * found.low, scale * found.high)})",
        f"{lift} ({_span(100 * found.lift_low, 100 * found.lift_high)})" if lift else "",
        "&lt; 0.0001" if found.p_value < 1e-4 else f"{found.p_value:.2g}",
    )
    return f"<tr>{head}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _span(low: float, high: float) -> str:
    ends = [f"{end:+.3g}" if isfinite(end) else "…" for end in (low, high)]
    return f"{ends[0]} to {ends[1]}"


def _small_print(report: Findings) -> str:
    said = f"Sample ratio: E = {exp(min(report.ratio_log_e, 700.0)):.3g}, broken at 100. "
    if report.method == "fixed":
        said += "Intervals and p-values hold for one reading at the planned units. "
    else:
        said += "Intervals hold at all looks together, from 100 units an arm on; p is 1 over the largest E so far. "
    if len(report.arms) > 2:
        said += f"Each treatment is read at {100 * report.level:.2g} %, {100 * report.alpha:.2g} % in all. "
    return said + "Guardrails are read one-sided; parts of segments are flagged by Benjamini-Hochberg over all of them."
