"""A backtest as HTML: when it would have paged, against when harm was real; every rule beside it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from fairlead.core.alert import PAGING
from fairlead.core.backtest import Realised, RuleScore, near_harm
from fairlead.core.listing import counted
from fairlead.operations.backtest_values import DAY, BacktestReport, FaultLine, WindowLine
from fairlead.operations.page_style import document, table
from fairlead.operations.report_output import written

WIDTH, HEIGHT, TOP = 1060, 190, 18  # pixels
ROWS = 400

MORE_STYLE = """
.fl .harm{fill:var(--bad);fill-opacity:.13}.fl .loss{fill:none;stroke:var(--cur);stroke-width:1.6}
.fl .limit{stroke:var(--ref);stroke-dasharray:4 3}.fl .page{stroke:var(--bad);stroke-width:2}
.fl .false-page{stroke:var(--warn);stroke-width:2}.fl .good{--tone:var(--good)}
.fl td.reason{min-width:340px}.fl .said th{text-align:left}.fl .said td{text-align:left}
.fl .says{white-space:normal}.fl tr.noted td{border-bottom:0;padding-bottom:2px}
.fl tr.note td{text-align:left;white-space:normal;color:var(--soft);padding-top:0;max-width:1000px}
.fl tr.part th{text-align:left;padding-top:14px}.fl h3{margin:18px 0 8px;font-size:14px}
.fl .keys{margin:8px 0 0;font-size:12px;color:var(--soft)}.fl td.left{text-align:left}
"""


def page(report: BacktestReport) -> str:
    """A whole document; light and dark follow the reader's system."""
    return document(f"Backtest: {report.verdict.outcome}", MORE_STYLE, _body(report))


def save(report: BacktestReport, path: str | Path) -> Path:
    """Writes the page. Raises `UsageError` where the file cannot be written."""
    return written(path, page(report))


def delay_text(seconds: float | None) -> str:
    """A delay as a person reads it.

    >>> delay_text(0.0), delay_text(86400.0), delay_text(5400.0), delay_text(None)
    ('at once', '1 d', '1.5 h', '')
    """
    if seconds is None:
        return ""
    if seconds <= 0:
        return "at once"
    return f"{seconds / DAY:.3g} d" if seconds >= DAY else f"{seconds / 3600:.3g} h"


def _body(report: BacktestReport) -> str:
    rows = sum(one.rows for one in report.windows)
    size = f"{counted(rows, 'row')} in {counted(len(report.windows), 'window')}, against {report.reference}"
    name = f"Backtest of {escape(report.model)}" if report.model else "Backtest"
    outcome = report.verdict.outcome
    notes = "".join(f'<p class="soft">{escape(one)}</p>' for one in report.notes)
    return (
        f'<main><h1>{name}</h1><p class="soft">{escape(size)}</p>'
        f'<section class="verdict {outcome}"><b>{outcome}</b><p>{escape(report.verdict.reason)}</p></section>'
        f"<h2>Harm and pages</h2>{_chart(report)}"
        f"<h2>Rules on the same windows</h2>{_rules(report)}"
        f"{_faults(report.faults)}<h2>Windows</h2>{_windows(report)}"
        f'<div style="margin-top:14px">{notes}<p class="soft">{_DEFINED}</p></div></main>'
    )


_DEFINED = (
    "A window is harmful where the mean loss of all its labels lies two standard errors above the held-out loss by a "
    "tenth of it and by 0.01. A page is false where no harmful window lies within one window of it. Delay counts from "
    "the end of the first harmful window."
)


def _chart(report: BacktestReport) -> str:
    windows = report.windows
    losses = [one.loss for one in windows if one.loss is not None]
    if not losses:
        return '<p class="soft">No window has enough labels: there is no loss to draw.</p>'
    top = max(*losses, (report.reference_loss or 0.0) * 1.3, 1e-9) * 1.05
    step = WIDTH / len(windows)

    def y(loss: float) -> float:
        return TOP + (1 - loss / top) * (HEIGHT - 2 * TOP)

    parts = [
        f'<rect class="harm" x="{place * step:.1f}" y="{TOP}" width="{step:.2f}" height="{HEIGHT - 2 * TOP}">'
        f"<title>{escape(one.window)}: harmful</title></rect>"
        for place, one in enumerate(windows)
        if one.harmful
    ]
    if report.reference_loss is not None:
        at = y(report.reference_loss)
        parts.append(f'<line class="limit" x1="0" y1="{at:.1f}" x2="{WIDTH}" y2="{at:.1f}"/>')
    parts.append(f'<path class="loss" d="{_path(windows, step, y)}"/>')
    for place, one in enumerate(report.lines):
        if one.paged:
            kind = "false-page" if near_harm(windows, place) is False else "page"
            at = (place + 0.5) * step
            parts.append(
                f'<line class="{kind}" x1="{at:.1f}" y1="4" x2="{at:.1f}" y2="{HEIGHT - TOP}">'
                f"<title>{escape(one.name)}: {escape(one.reason)}</title></line>"
            )
    ends = f'<text x="0" y="{HEIGHT - 3}">{escape(windows[0].window)}</text>'
    ends += f'<text x="{WIDTH}" y="{HEIGHT - 3}" text-anchor="end">{escape(windows[-1].window)}</text>'
    says = f"loss of {len(windows)} windows, harm and pages"
    return (
        f'<div class="card"><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{says}">'
        f'{"".join(parts)}{ends}</svg><p class="keys">line: mean loss of the window; dashed: held-out loss; shaded: '
        "real harm; red bar: a page near harm; amber bar: a false page</p></div>"
    )


def _path(windows: Sequence[Realised], step: float, y: object) -> str:
    assert callable(y)
    parts, pen = [], "M"
    for place, one in enumerate(windows):
        if one.loss is None:
            pen = "M"
            continue
        parts.append(f"{pen}{(place + 0.5) * step:.1f},{y(one.loss):.1f}")
        pen = "L"
    return " ".join(parts)


def _rules(report: BacktestReport) -> str:
    heads = (
        "rule", "windows", "false, per 30 d", "notices", "false, per 30 d", "pages", "harm found", "delay", "90 %",
        "real",
    )  # fmt: skip
    rows = _rule(report.rules[0], own=True)
    for title, rules in report.sections.items():
        rows += f'<tr class="part"><th colspan="{len(heads)}">{escape(title)}</th></tr>' + "".join(map(_rule, rules))
    return table(heads, rows) + _unasked(report)


def _rule(one: RuleScore, *, own: bool = False) -> str:
    name = f"<b>{escape(one.rule)}</b>" if own else escape(one.rule)
    graver = ", ".join(f"{count} {name}" for name in PAGING if (count := one.severities.get(name)))
    cells = (
        f"{one.breached:,}",
        f"{one.false_windows_per_30d:.2f}",
        f"{one.notices:,}",
        f"{one.false_notices_per_30d:.2f}",
        graver,
        f"{one.found} of {one.stretches}" if one.stretches else "",
        delay_text(one.delay_median),
        delay_text(one.delay_worst),
        "" if one.real_share is None else f"{one.real_share:.0%}",
    )
    says = f'<br><span class="soft says">{escape(one.says)}</span>' if one.says else ""
    note = f'<tr class="note"><td colspan="{len(cells) + 1}">{escape(one.note)}</td></tr>' if one.note else ""
    kind = ' class="noted"' if note else ""
    return f"<tr{kind}><td>{name}{says}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>{note}"


def _unasked(report: BacktestReport) -> str:
    rows = "".join(
        f'<tr><td>{escape(one.rule)}</td><td class="text">{escape(one.says)}</td>'
        f'<td class="text">{escape(reason)}</td></tr>'
        for reason, missing in report.unasked.items()
        for one in missing
    )
    if not rows:
        return ""
    listed = table(("rule", "asks", "why"), rows)
    return f'<h3>Not measured here</h3><div class="said">{listed}</div>'


def _faults(faults: Sequence[FaultLine]) -> str:
    if not faults:
        return ""
    found = sum(one.found for one in faults)
    asked = [one for one in faults if one.right is not None]
    right = sum(bool(one.right) for one in asked)
    said = (
        f"{found} of {counted(len(faults), 'fault')} found; the right column suspected first in {right} of {len(asked)}"
    )
    rows = "".join(map(_fault, faults))
    heads = ("fault", "in", "", "by", "windows late", "first suspect", "right", "pages", "")
    listed = f'<div class="said">{table(heads, rows)}</div>'
    return f'<h2>Faults, injected</h2><p class="soft" style="margin:0 0 10px">{said}</p>{listed}'


def _fault(one: FaultLine) -> str:
    state, word = ("holds", "found") if one.found else ("breached", "missed")
    right = "" if one.right is None else "yes" if one.right else "no"
    return (
        f'<tr><td>{escape(one.fault)}</td><td class="text">{escape(one.column)}</td>'
        f'<td><span class="tag {state}">{word}</span></td><td class="text">{escape(one.by)}</td>'
        f'<td>{"" if one.windows is None else one.windows}</td><td class="text">{escape(one.suspect)}</td>'
        f'<td>{right}</td><td>{"yes" if one.paged else ""}</td><td class="text">{escape(one.note)}</td></tr>'
    )


def _windows(report: BacktestReport) -> str:
    lines = report.lines[-ROWS:]
    more = f'<p class="soft">the last {ROWS} of {len(report.lines):,}</p>' if len(report.lines) > ROWS else ""
    heads = ("window", "rows", "labels", "loss", "harm", "paged", "verdict", "")
    return more + table(heads, "".join(_window(one) for one in lines))


def _window(one: WindowLine) -> str:
    harm = "" if one.harmful is None else "yes" if one.harmful else "no"
    loss = "" if one.loss is None else f"{one.loss:.4f}"
    return (
        f"<tr><td>{escape(one.name)}</td><td>{one.rows:,}</td><td>{one.labels:,}</td><td>{loss}</td><td>{harm}</td>"
        f'<td>{"yes" if one.paged else ""}</td><td><span class="tag {one.outcome}">{one.outcome}</span></td>'
        f'<td class="text reason">{escape(one.reason)}</td></tr>'
    )
