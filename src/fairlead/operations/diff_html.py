"""Two versions side by side as HTML: one self-contained page. No script, no network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from fairlead.core.check import telling, words
from fairlead.core.contract_diff import Change
from fairlead.core.listing import counted
from fairlead.core.version_diff import ANSWERS, DataDiff, QualityShift, Side, VersionDiff, Weight
from fairlead.operations.drift_svg import chart
from fairlead.operations.page_style import document, table
from fairlead.stats.drift import ColumnDrift, Level
from fairlead.stats.profile import ColumnProfile

CHARTS = 12
STYLE = """
.fl .sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));gap:14px;margin-top:20px}
.fl .sides .card{padding-bottom:12px}.fl .sides .tag{--tone:var(--mute)}
.fl .says{display:grid;grid-template-columns:repeat(auto-fit,minmax(280px,1fr));gap:14px}
.fl .says .verdict{margin-top:14px}.fl .says .verdict p{font-size:14px}
.fl .pairs table{table-layout:fixed}.fl .pairs :is(th,td){text-align:left;vertical-align:top;white-space:normal}
.fl .pairs th:first-child{width:24%}.fl .pairs td{overflow-wrap:anywhere}
.fl .pairs td:first-child{color:var(--soft)}.fl .pairs .old{color:var(--soft)}.fl .pairs .new{font-weight:500}
.fl .pairs .same :is(td){color:var(--soft);font-weight:400}
.fl .weights td:first-child{max-width:220px;overflow-wrap:anywhere;white-space:normal}
.fl .bar{width:44%}.fl .bar div{height:7px;border-radius:3px;margin:2px 0;background:var(--ref)}
.fl .bar div.cur{background:var(--cur)}
@media (max-width:760px){.fl .pairs th:first-child{width:31%}}
.fl .weights td:first-child{min-width:72px}
.fl code{font-size:12px;overflow-wrap:anywhere}.fl .small{margin-top:12px;font-size:12.5px;color:var(--soft)}
"""
_DIGEST = re.compile(r"[0-9a-f]{40,64}")
_TONES = {Level.CRITICAL: "critical", Level.WARNING: "warning", Level.NONE: "none"}
_HEADS = ("column", "", "effect", "what moved most", "p-value", "rows before", "rows after")

Pairs = dict[str, tuple[ColumnProfile, ColumnProfile]]


def page(found: VersionDiff, pairs: Pairs) -> str:
    """A whole document; `pairs` are both sides' profiles on one grid, by the column's name."""
    title = f"{found.model}: version {found.before.version} and version {found.after.version}"
    one, two = f"@{found.before.version}", f"@{found.after.version}"
    body = (
        f"<main><h1>{escape(title)}</h1>"
        f'<p class="soft">What {escape(found.model)}{two} has otherwise than {escape(found.model)}{one}</p>'
        f'<div class="sides">{_side(found.before, "ref")}{_side(found.after, "cur")}</div>'
        f"{_says(found)}"
        f"{_changes('Lineage', found.lineage, (one, two), '')}"
        f"{_data(found.data, pairs, (one, two))}"
        f"{_metrics(found, (one, two))}"
        f"{_importances(found, (one, two))}"
        f"{_changes('Schema', found.schema, (one, two), 'Both have the same contract.')}"
        f"{_changes('Model card', found.card, (one, two), 'The cards say the same.')}"
        f"{_changes('Environment', found.environment, (one, two), 'Both were made with the same packages.')}</main>"
    )
    return document(title, STYLE, body)


def _side(side: Side, tone: str) -> str:
    at = datetime.fromtimestamp(side.registered_at, UTC).strftime("%Y-%m-%d %H:%M")
    words = ", ".join((side.status.replace("none", "in no environment"), *side.aliases))
    return (
        f'<article class="card"><header><b><span class="key" style="margin-left:0;background:var(--{tone})"></span>'
        f'version {side.version}</b><span class="tag">{escape(words)}</span></header>'
        f'<p class="soft">registered {at} UTC</p><p><code>{escape(side.bundle)}</code></p></article>'
    )


def _says(found: VersionDiff) -> str:
    """What matters most, in a line each: the data, the quality, the contract."""
    if found.before.bundle == found.after.bundle:
        return '<section class="verdict none"><b>the same</b><p>The two are one bundle: nothing differs.</p></section>'
    data = found.data.verdict
    boxes = [_box(data.outcome, "data", data.reason)]
    if found.quality is not None:
        quality = found.quality.verdict
        boxes.append(_box(quality.outcome, "quality", f"{quality.reason} ({_interval(found.quality)})"))
    else:
        boxes.append(_box("unmeasured", "quality", found.unmeasured.get("quality", "")))
    changed = counted(len(found.schema), "line of the contract differs", "lines of the contract differ")
    boxes.append(_box("warning" if found.schema else "holds", "schema", changed if found.schema else "the same"))
    return f'<div class="says">{"".join(boxes)}</div>'


def _box(tone: str, name: str, reason: str) -> str:
    return f'<section class="verdict {tone}"><b>{name}</b><p>{escape(reason)}</p></section>'


def _interval(quality: QualityShift) -> str:
    return f"95 % interval; {'the same' if quality.same_rows else 'each on its own'} held-out rows"


def _changes(title: str, lines: Sequence[Change], sides: tuple[str, str], same: str) -> str:
    if not lines:
        return f'<h2>{title}</h2><p class="soft">{same}</p>'
    rows = "".join(
        f'<tr class="same"><td>{escape(line.what)}</td><td>{_value(line.before)}</td><td>the same</td></tr>'
        if line.same
        else f'<tr><td>{escape(line.what)}</td><td class="old">{_value(line.before)}</td>'
        f'<td class="new">{_value(line.after)}</td></tr>'
        for line in lines
    )
    return f'<h2>{title}</h2><div class="pairs">{table(("", *sides), rows)}</div>'


def _value(text: str) -> str:
    if not text.strip():
        return "–"
    if _DIGEST.fullmatch(text):
        return f'<code title="{text}">{text[:16]}…</code>'
    return escape(text)


def _data(data: DataDiff, pairs: Pairs, sides: tuple[str, str]) -> str:
    drawn = [one for one in data.columns if not one.unmeasured and one.name in pairs]
    moved = [one for one in drawn if one.level is not Level.NONE]
    cards = "".join(_card(one, pairs) for one in (moved or drawn)[:CHARTS])
    key = "".join(
        f'<span class="key" style="background:var(--{tone})"></span>{side}'
        for tone, side in zip(("ref", "cur"), sides, strict=True)
    )
    alone = "".join(
        f'<p class="small">Only {side} has {escape(", ".join(names))}.</p>'
        for side, names in zip(sides, (data.only_before, data.only_after), strict=True)
        if names
    )
    rows = "".join(_column(one) for one in data.columns)
    return (
        f'<h2>Training data<span class="soft" style="font-weight:400">{key}</span></h2>'
        f'<div class="cards">{cards}</div><div style="height:14px"></div>{table(_HEADS, rows)}{alone}'
        '<p class="small">Both training sets on the grid of the first; '
        f"{ANSWERS} are those to its own held-out rows. An effect of 1 is the critical limit; a column is flagged only "
        "if it is also significant after Benjamini-Hochberg over all columns.</p>"
    )


def _card(one: ColumnDrift, pairs: Pairs) -> str:
    most = telling(one)
    said = "" if most is None else f" · {words(one, most)}"
    return (
        f'<article class="card"><header><b>{escape(one.name)}</b>'
        f'<span class="tag {_TONES[one.level]}">{_word(one)}{said}</span></header>{chart(*pairs[one.name])}</article>'
    )


def _word(one: ColumnDrift) -> str:
    return "within limits" if one.level is Level.NONE else str(one.level)


def _column(one: ColumnDrift) -> str:
    if one.unmeasured:
        return (
            f'<tr><td>{escape(one.name)}</td><td><span class="tag unmeasured">unmeasured</span></td>'
            f'<td class="text" colspan="5">{escape(one.unmeasured)}</td></tr>'
        )
    most = telling(one)
    said = "" if most is None else words(one, most)
    return (
        f'<tr><td>{escape(one.name)}</td><td><span class="tag {_TONES[one.level]}">{_word(one)}</span></td>'
        f"<td>{one.effect:.2f}</td><td>{said}</td><td>{_probability(one.p_value)}</td>"
        f"<td>{one.reference_rows:,}</td><td>{one.current_rows:,}</td></tr>"
    )


def _probability(value: float | None) -> str:
    if value is None:
        return ""
    return "&lt; 0.0001" if value < 1e-4 else f"{value:.2g}"


def _metrics(found: VersionDiff, sides: tuple[str, str]) -> str:
    rows = "".join(
        f"<tr><td>{escape(one.name)}</td><td>{_figure(one.before)}</td><td>{_figure(one.after)}</td>"
        f"<td>{_signed(one.difference)}</td></tr>"
        for one in found.metrics
    )
    quality = found.quality
    told = "" if quality is None else f'<p class="small">{escape(quality.verdict.reason)}; {_interval(quality)}.</p>'
    return f"<h2>Metrics on the held-out rows</h2>{table(('', *sides, 'difference'), rows)}{told}"


def _importances(found: VersionDiff, sides: tuple[str, str]) -> str:
    title = "<h2>Importances: what shuffling a feature costs</h2>"
    if not found.importances:
        return f'{title}<p class="soft">{escape(found.unmeasured.get("importances", "none was measured"))}</p>'
    most = max(max(abs(one.before or 0.0), abs(one.after or 0.0)) for one in found.importances) or 1.0
    rows = "".join(_weight(one, most) for one in found.importances)
    return f'{title}<div class="weights">{table(("feature", "", *sides, "difference"), rows)}</div>'


def _weight(one: Weight, most: float) -> str:
    wide = [max(0.0, value or 0.0) / most for value in (one.before, one.after)]
    bars = f'<div style="width:{wide[0]:.1%}"></div><div class="cur" style="width:{wide[1]:.1%}"></div>'
    return (
        f'<tr><td>{escape(one.feature)}</td><td class="bar">{bars}</td><td>{_figure(one.before)}</td>'
        f"<td>{_figure(one.after)}</td><td>{_signed(one.difference)}</td></tr>"
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{value:+.4f}"
