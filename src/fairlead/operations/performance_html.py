"""A performance report as HTML: one self-contained page, or a fragment for a notebook. No script, no network."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import isfinite

from fairlead.core.listing import counted
from fairlead.core.verdict import Verdict
from fairlead.operations import performance_svg as svg
from fairlead.operations.page_style import document, note, table
from fairlead.operations.performance_clock import long
from fairlead.operations.performance_values import ClassRow, Content, SliceRow, interval, label_of, number
from fairlead.stats.performance.measure import UNDEFINED
from fairlead.stats.performance.segments import Comparison, Standing

MOST_SLICES, SLICES_IN_NOTEBOOK = 60, 12

MORE_STYLE = """
.fl .measured{--tone:var(--cur)}
.fl .wide{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 16px;overflow-x:auto}
.fl .wide svg{min-width:620px}
.fl .pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(300px,1fr));gap:14px;align-items:start}
.fl .pair .card svg{max-width:420px;margin-left:auto;margin-right:auto}.fl .card p.soft{font-size:12.5px}
.fl .wide svg text{font-size:12px}.fl svg text.name,.fl svg text.count{fill:var(--ink)}
.fl svg text.count{font-weight:600;font-size:12px}
.fl .dot{fill:var(--cur)}.fl .hollow{fill:var(--card);stroke:var(--cur);stroke-width:1.8}.fl .then{fill:var(--ref)}
.fl .whisker{stroke:var(--cur);stroke-width:2;stroke-opacity:.55}
.fl .bad .dot{fill:var(--bad)}.fl .bad .whisker{stroke:var(--bad)}
.fl .open .dot{fill:var(--card);stroke:var(--cur);stroke-width:1.8}
.fl .mean{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:4 4}
.fl .cell{fill:var(--cur)}.fl .miss{fill:var(--bad)}
.fl .tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;margin-top:14px}
.fl .tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px 14px}
.fl .tile b{display:block;font-size:21px;font-weight:600;letter-spacing:-.01em;font-variant-numeric:tabular-nums}
.fl .tile span{color:var(--soft);font-size:12.5px}.fl .first{border-color:var(--cur)}
.fl ul{margin:14px 0 0;padding-left:18px;color:var(--soft);font-size:13px}
"""
SAYS = {
    Standing.BREACHED: ("critical", "worse"),
    Standing.HOLDS: ("holds", "not worse"),
    Standing.UNDECIDED: ("undecided", "undecided"),
    Standing.UNMEASURED: ("unmeasured", "unmeasured"),
}


def page(verdict: Verdict, content: Content, changes: Sequence[Comparison], *, compared: bool) -> str:
    """A whole document; light and dark follow the reader's system."""
    body = _body(verdict, content, changes, (compared, MOST_SLICES))
    return document(f"Performance: {verdict.outcome}", MORE_STYLE, body)


def fragment(verdict: Verdict, content: Content, changes: Sequence[Comparison], *, compared: bool) -> str:
    """What a notebook shows: the same, with fewer slices."""
    body = _body(verdict, content, changes, (compared, SLICES_IN_NOTEBOOK))
    return note(MORE_STYLE, body)


def _body(verdict: Verdict, content: Content, changes: Sequence[Comparison], how: tuple[bool, int]) -> str:
    compared, most = how
    counts = content.counts
    neutral = not compared and content.metrics[content.primary].defined and content.matured
    word, tone = ("measured", "measured") if neutral else (verdict.outcome, verdict.outcome)
    size = f"{escape(content.target)}, {content.task}: {counts.measured:,} of {counted(counts.rows, 'row')} measured"
    notes = "".join(f"<li>{escape(note)}</li>" for note in (*content.notes, *left_out(content)))
    return (
        f'<main><h1>Performance report</h1><p class="soft">{size}</p>'
        f'<section class="verdict {tone}"><b>{word}</b><p>{escape(verdict.reason)}</p></section>'
        f"{_tiles(content)}{_changes(content, changes)}{_windows(content)}{_slices(content, most)}{_cards(content)}"
        f"{_classes(content)}<h2>How this was read</h2><ul style='margin:0'>{notes}</ul>"
        f'<p class="soft" style="margin-top:12px">Intervals are at {content.level:.0%}, each for itself, for rows '
        "that do not depend on each other.</p></main>"
    )


def left_out(content: Content) -> list[str]:
    """What was not measured, and why, a sentence each."""
    counts = content.counts
    told = (
        (counts.labels_missing, "without a label"),
        (counts.labels_unusable, "with an infinite label"),
        (counts.predictions_missing, "without a prediction"),
        (counts.predictions_unusable, "with an infinite prediction"),
        (counts.undated, "with a label or a prediction without its instant"),
        (counts.after_as_of, "predicted after the instant of reading"),
        (counts.labels_after_as_of, "with a label observed after the instant of reading"),
        (counts.immature, "with a label, but too recent: theirs have not matured"),
    )
    return [f"left out: {count:,} row{'s' * (count != 1)} {what}" for count, what in told if count]


def _tiles(content: Content) -> str:
    tiles = [
        f'<div class="tile{" first" if name == content.primary else ""}"><span>{escape(label_of(name))}</span>'
        f"<b>{number(one.value)}</b><span>{interval(one) or 'not defined'}</span></div>"
        for name, one in content.metrics.items()
        if name != "cost_per_row"
    ]
    money = content.money
    if money is not None:
        priced = ", ".join(f"{number(value)} a {name.replace('_', ' ')}" for name, value in money.cost.items())
        tiles += [
            f'<div class="tile" title="{escape(priced)}"><span>{what}</span><b>{number(one.value)}</b>'
            f"<span>{interval(one)}</span></div>"
            for what, one in (("cost of these decisions", money.total), ("cost of one", money.per_row))
        ]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _changes(content: Content, changes: Sequence[Comparison]) -> str:
    if not changes:
        return ""
    heads = ("rows", label_of(content.primary), "reference", "change", "interval", "q-value", "")
    rows = "".join(f"<tr><td>{escape(one.name)}</td>{_compared(one)}</tr>" for one in changes)
    return f"<h2>Against the reference</h2>{table(('', *heads), rows)}"


def _compared(one: Comparison) -> str:
    tone, word = SAYS[one.standing]
    cells = (
        f"{one.rows:,}",
        number(one.value.value),
        number(one.other.value),
        _signed(one.gap.value),
        f"{_signed(one.gap.low)} to {_signed(one.gap.high)}" if one.gap.defined else "",
        "" if one.q_value != one.q_value else "&lt; 0.001" if one.q_value < 1e-3 else f"{one.q_value:.3f}",
        f'<span class="tag {tone}">{word}</span>',
    )
    return "".join(f"<td>{cell}</td>" for cell in cells)


def _windows(content: Content) -> str:
    label = label_of(content.primary)
    drawn = svg.over_time(content.windows, content.primary, content.metrics[content.primary], label)
    if not drawn:
        return ""
    late = any(not window.ripe for window in content.windows)
    moved = any(window.labels_at_close < window.labels and window.at_close.defined for window in content.windows)
    told = ["Dashed: all measured rows."]
    if content.maturity is not None:
        told += ["Hollow: its labels have not matured."] * late + [
            "Grey: as it was known when the window ended."
        ] * moved
    return f'<h2>{escape(label)} over time</h2><div class="wide">{drawn}<p class="soft">{" ".join(told)}</p></div>'


def _slices(content: Content, most: int) -> str:
    if not content.segments:
        return ""
    label = label_of(content.primary)
    shown = content.segments[:most]
    left = len(content.segments) - len(shown)
    found = [
        (f"{row.column} = {row.name}", row.rows, row.metrics.get(content.primary, UNDEFINED), row.against_rest.standing)
        for row in shown
    ]
    drawn = svg.dots(found, content.metrics[content.primary], label)
    more = f'<p class="soft">and {counted(left, "more slice")}</p>' if left else ""
    heads = ("slice", "rows", label, "the rest", "difference", "interval", "q-value", "")
    rows = "".join(_slice(row) for row in shown)
    return (
        f'<h2>{escape(label)} by slice</h2><div class="wide">{drawn}<p class="soft">Dashed: all measured rows. Red: '
        "worse than the rest. Hollow: undecided. On the right, rows.</p></div>"
        f'<div style="margin-top:14px">{table(heads, rows)}</div>{more}'
    )


def _slice(row: SliceRow) -> str:
    name = f"{escape(row.column)} = {escape(row.name)}"
    return f'<tr title="{escape(row.reason)}"><td>{name}</td>{_compared(row.against_rest)}</tr>'


def _cards(content: Content) -> str:
    cards = []
    if content.reliability:
        what = "the positive class" if content.task == "binary" else "the predicted class"
        text = f"Probability of {what} against how often it came true; bars: rows, on a square-root scale."
        cards.append(("Reliability", svg.reliability(content.reliability), text + _parts(content)))
    if content.confusion and len(content.classes) <= svg.MOST_CLASSES and content.counts.measured:
        cards.append(("Confusion matrix", svg.matrix(content.confusion, content.classes), "Shares are of the row."))
    found = content.maturity
    if found is not None and found.curve:
        unit = next((size, name) for least, size, name in _UNITS if found.curve[-1].delay >= least)
        text = f"{found.matured.value:.0%} of the labels are known."
        if found.horizon is not None:
            text += f" {found.wanted:.0%} come within {long(found.horizon)}."
        cards.append(("When labels come", svg.delays(found.curve, found.horizon, found.wanted, unit), text))
    drawn = "".join(
        f'<article class="card"><header><b>{title}</b></header>{picture}<p class="soft">{escape(text)}</p></article>'
        for title, picture, text in cards
    )
    return f'<h2>In detail</h2><div class="pair">{drawn}</div>' if drawn else ""


# The shortest axis for a unit, its seconds, its name.
_UNITS = (
    (2 * 86_400.0, 86_400.0, "days"),
    (7_200.0, 3_600.0, "hours"),
    (120.0, 60.0, "minutes"),
    (0.0, 1.0, "seconds"),
)


def _parts(content: Content) -> str:
    parts = content.brier_parts
    if parts is None:
        return ""
    whole, calibration, refinement = content.metrics["brier"].value, parts.calibration, parts.refinement
    return f" Brier {number(whole)} = calibration {number(calibration)} + refinement {number(refinement)}."


def _classes(content: Content) -> str:
    if not content.by_class:
        return ""
    areas = any(row.card.auroc.defined for row in content.by_class)
    heads = ("class", "rows", "predicted", "precision", "", "recall", "", "F1", "", *(("AUROC", "") if areas else ()))
    rows = "".join(_class(row, areas=areas) for row in content.by_class)
    return f"<h2>Class by class</h2>{table(heads, rows)}"


def _class(row: ClassRow, *, areas: bool) -> str:
    card = row.card
    measures = (card.precision, card.recall, card.f1, *((card.auroc,) if areas else ()))
    cells = "".join(f'<td>{number(one.value)}</td><td class="text">{interval(one)}</td>' for one in measures)
    return f"<tr><td>{escape(row.name)}</td><td>{card.support:,}</td><td>{card.predicted:,}</td>{cells}</tr>"


def _signed(value: float) -> str:
    return (
        number(value) if not isfinite(value) else ("+" if value > 0 else "−" if value < 0 else "") + number(abs(value))
    )
