"""A drift report as HTML: one self-contained page, or a fragment for a notebook. No script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from fairlead.core.check import LABELS, telling
from fairlead.core.verdict import Verdict
from fairlead.operations.drift_svg import chart
from fairlead.stats.distances import Distance
from fairlead.stats.drift import RATIOS, ColumnDrift, Level
from fairlead.stats.profile import TableProfile

CHARTS = 12
CHARTS_IN_NOTEBOOK = 3
ROWS_IN_NOTEBOOK = 12

STYLE = """
.fl{--ink:#1c2430;--soft:#5b6675;--line:#dfe4ea;--card:#fff;--back:#f5f7f9;--ref:#aab4c0;--cur:#0b6bcb;
--bad:#b42318;--warn:#a15c07;--good:#19713d;--mute:#5b6675;
font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:var(--ink);background:var(--back)}
@media (prefers-color-scheme:dark){.fl{--ink:#e7ebf0;--soft:#9aa6b4;--line:#2c3540;--card:#171d25;--back:#0f141a;
--ref:#5c6876;--cur:#58a6ff;--bad:#ff8a7d;--warn:#f2b35e;--good:#63d08f;--mute:#9aa6b4}}
.fl *{box-sizing:border-box}
.fl main{max-width:1120px;margin:0 auto;padding:32px 24px 48px}
.fl h1{font-size:22px;margin:0 0 2px;letter-spacing:-.01em}.fl h2{font-size:15px;margin:32px 0 12px}
.fl p{margin:0}.fl .soft{color:var(--soft)}
.fl .verdict{background:var(--card);border:1px solid var(--line);border-left:5px solid var(--tone);border-radius:8px;
padding:16px 20px;margin-top:20px}
.fl .verdict b{color:var(--tone);text-transform:uppercase;letter-spacing:.06em;font-size:13px}
.fl .verdict p{font-size:16px;margin-top:2px}
.fl .breached,.fl .critical{--tone:var(--bad)}.fl .unmeasured,.fl .undecided,.fl .warning{--tone:var(--warn)}
.fl .holds{--tone:var(--good)}.fl .none{--tone:var(--mute)}
.fl .cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(320px,1fr));gap:14px}
.fl .card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 16px 8px;min-width:0}
.fl .card header{display:flex;flex-wrap:wrap;gap:0 8px;align-items:baseline;justify-content:space-between}
.fl .card svg{margin-top:8px}
.fl .card header b{overflow-wrap:anywhere}
.fl .tag{color:var(--tone);font-size:12px;font-weight:600;white-space:nowrap}
.fl svg{display:block;width:100%;height:auto;overflow:visible}.fl svg text{font-size:10.5px;fill:var(--soft)}
.fl .ref{fill:var(--ref)}.fl rect.cur{fill:var(--cur)}.fl .cur-fill{fill:var(--cur);fill-opacity:.18}
.fl .cur-line{fill:none;stroke:var(--cur);stroke-width:1.8;stroke-linejoin:round}.fl .axis{stroke:var(--line)}
.fl .key{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 5px 0 14px}
.fl .scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}
.fl table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums;color:var(--ink)}
.fl th,.fl td{padding:7px 7px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap;background:none}
.fl th{color:var(--soft);font-weight:600}.fl tr:last-child td{border-bottom:0}
.fl th:first-child,.fl td:first-child,.fl td.text{text-align:left}.fl td.text{white-space:normal;color:var(--soft)}
.fl td .tag{font-size:12px}
.fl.note main{padding:12px 0;max-width:960px;margin:0}.fl.note{background:none}
@media print{.fl{--back:#fff}.fl .card{break-inside:avoid}}
"""

HEADS = (
    "column",
    "level",
    "q-value",
    "PSI",
    "KS",
    "JS",
    "W1",
    "V",
    "null rate",
    "unseen",
    "outside",
    "rare class",
    "detectable",
)
DISTANCES = ("psi", "ks", "js", "wasserstein", "chi_squared", "null_rate", "unseen", "outside", "rare")
SAYS = {Level.CRITICAL: "critical", Level.WARNING: "warning", Level.NONE: "within limits"}


def page(verdict: Verdict, columns: Sequence[ColumnDrift], reference: TableProfile, current: TableProfile) -> str:
    """A whole document, `columns` worst first; light and dark follow the reader's system."""
    body = _body(verdict, columns, (reference, current), len(columns), CHARTS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>Drift: {escape(verdict.outcome)}</title><style>body{{margin:0}}{STYLE}</style></head>"
        f'<body class="fl">{body}</body></html>'
    )


def fragment(verdict: Verdict, columns: Sequence[ColumnDrift], reference: TableProfile, current: TableProfile) -> str:
    """What a notebook shows: the verdict, the worst columns and three charts."""
    body = _body(verdict, columns, (reference, current), ROWS_IN_NOTEBOOK, CHARTS_IN_NOTEBOOK)
    return f'<style>{STYLE}</style><div class="fl note">{body}</div>'


def _body(
    verdict: Verdict, columns: Sequence[ColumnDrift], sides: tuple[TableProfile, TableProfile], rows: int, charts: int
) -> str:
    reference, current = sides
    left = len(columns) - rows
    size = f"{reference.rows:,} reference rows, {current.rows:,} current rows, {len(columns):,} columns"
    more = f'<p class="soft">and {left:,} more, none of them worse</p>' if left > 0 else ""
    return (
        f'<main><h1>Drift report</h1><p class="soft">{size}</p>'
        f'<section class="verdict {verdict.outcome}"><b>{verdict.outcome}</b><p>{escape(verdict.reason)}</p></section>'
        f"{_cards(columns, sides, charts)}<h2>Columns, worst first</h2>"
        f'<div class="scroll"><table><thead><tr>{"".join(f"<th>{head}</th>" for head in HEADS)}</tr></thead>'
        f"<tbody>{''.join(_row(column) for column in columns[:rows])}</tbody></table></div>{more}"
        '<p class="soft" style="margin-top:12px">Distances are less what chance alone adds. A column is flagged only '
        "if it is significant after Benjamini-Hochberg over all columns and a significant distance exceeds its limit. "
        "The last column is the smallest PSI that these rows would have shown with 80 % power.</p></main>"
    )


def _cards(columns: Sequence[ColumnDrift], sides: tuple[TableProfile, TableProfile], limit: int) -> str:
    one, two = ({profile.grid.name: profile for profile in side.columns} for side in sides)
    measured = [column for column in columns if not column.unmeasured]
    flagged = [column for column in measured if column.level is not Level.NONE]
    shown = (flagged or measured)[:limit]
    if not shown:
        return ""
    cards = "".join(
        f'<article class="card"><header><b>{escape(column.name)}</b>'
        f'<span class="tag {column.level}">{SAYS[column.level]}{_most(column)}</span></header>'
        f"{chart(one[column.name], two[column.name])}</article>"
        for column in shown
    )
    title = "What moved most" if flagged else "The largest differences, none of them evident"
    key = (
        '<span class="soft" style="font-weight:400"><span class="key" style="background:var(--ref)"></span>reference'
        '<span class="key" style="background:var(--cur)"></span>current</span>'
    )
    return f'<h2>{title}{key}</h2><div class="cards">{cards}</div>'


def _most(column: ColumnDrift) -> str:
    most = telling(column)
    return "" if most is None else f" · {LABELS[most.name]} {most.corrected:.2g}"


def _row(column: ColumnDrift) -> str:
    name = f"<td>{escape(column.name)}</td>"
    if column.unmeasured:
        reason = f'<td class="text" colspan="{len(HEADS) - 2}">{escape(column.unmeasured)}</td>'
        return f'<tr>{name}<td><span class="tag unmeasured">unmeasured</span></td>{reason}</tr>'
    by_name = {one.name: one for one in column.distances}
    cells = "".join(f"<td>{_number(by_name.get(each))}</td>" for each in DISTANCES)
    level = f'<td><span class="tag {column.level}">{SAYS[column.level]}</span></td>'
    return f"<tr>{name}{level}<td>{_short(column.q_value)}</td>{cells}<td>{_short(column.detectable)}</td></tr>"


def _number(one: Distance | None) -> str:
    if one is None:
        return ""
    if one.name in RATIOS:
        return "" if one.p_value is None else f"×{one.value:.3g}"
    interval = f"95 % interval {one.low:.3g} to {one.high:.3g}; measured {one.value:.3g}"
    return f'<span title="{interval}">{one.corrected:.3f}</span>'


def _short(number: float | None) -> str:
    if number is None:
        return ""
    return "&lt; 0.0001" if number < 1e-4 else f"{number:.2g}"
