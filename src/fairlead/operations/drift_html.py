"""A drift report as HTML: one self-contained page, or a fragment for a notebook. No script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from fairlead.core.check import telling, words
from fairlead.core.listing import counted
from fairlead.core.report import SCORE
from fairlead.core.verdict import Verdict
from fairlead.operations.drift_svg import chart
from fairlead.operations.page_style import document, note, table
from fairlead.stats.distances import Distance
from fairlead.stats.drift import RATIOS, ColumnDrift, Level
from fairlead.stats.profile import TableProfile

CHARTS = 12
CHARTS_IN_NOTEBOOK = 3
ROWS_IN_NOTEBOOK = 12

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


def page(
    verdict: Verdict,
    columns: Sequence[ColumnDrift],
    reference: TableProfile,
    current: TableProfile,
    said: Sequence[str] = (),
) -> str:
    """A whole document, `columns` worst first, below lines that say what is compared; light and dark follow the
    reader's system."""
    body = _body(verdict, columns, (reference, current), len(columns), CHARTS, said)
    return document(f"Drift: {verdict.outcome}", "", body)


def fragment(verdict: Verdict, columns: Sequence[ColumnDrift], reference: TableProfile, current: TableProfile) -> str:
    """What a notebook shows: the verdict, the worst columns and three charts."""
    body = _body(verdict, columns, (reference, current), ROWS_IN_NOTEBOOK, CHARTS_IN_NOTEBOOK)
    return note("", body)


def _body(
    verdict: Verdict,
    columns: Sequence[ColumnDrift],
    sides: tuple[TableProfile, TableProfile],
    rows: int,
    charts: int,
    said: Sequence[str] = (),
) -> str:
    reference, current = sides
    left = len(columns) - rows
    size = (
        f"{counted(reference.rows, 'reference row')}, {counted(current.rows, 'current row')}, "
        f"{counted(len(columns), 'column')}"
    )
    more = f'<p class="soft">and {left:,} more, none of them worse</p>' if left > 0 else ""
    lines = "".join(f"<p>{escape(line)}</p>" for line in said)
    return (
        f'<main><h1>Drift report</h1>{lines}<p class="soft">{size}</p>'
        f'<section class="verdict {verdict.outcome}"><b>{verdict.outcome}</b><p>{escape(verdict.reason)}</p></section>'
        f"{_cards(columns, sides, charts)}<h2>Columns, worst first</h2>"
        f"{table(HEADS, ''.join(_row(column) for column in columns[:rows]))}{more}"
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
        f'<article class="card"><header><b>{_named(column)}</b>'
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


def _named(column: ColumnDrift) -> str:
    return "model score" if column.name == SCORE else escape(column.name)


def _most(column: ColumnDrift) -> str:
    most = telling(column)
    return "" if most is None else f" · {words(column, most)}"


def _row(column: ColumnDrift) -> str:
    name = f"<td>{_named(column)}</td>"
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
