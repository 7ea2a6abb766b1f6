"""A readiness report as HTML: one self-contained page. No script, no network."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

from msgspec import Struct

from fairlead.core.checklist import PHASES, Line, State
from fairlead.core.gate import Check, GateReport, digest_of_report
from fairlead.core.gate_sections import SECTIONS, TITLES, section_of
from fairlead.core.listing import counted
from fairlead.core.test_score import AREAS, MlTestScore
from fairlead.core.verdict import Outcome
from fairlead.operations.page_style import document, table

WORDS = {Outcome.HOLDS: "ready", Outcome.BREACHED: "not ready"}
TONES = {
    "holds": "holds",
    "proven": "holds",
    "attested": "holds",
    "waived": "warning",
    "expired": "warning",
    "undecided": "undecided",
    "unmeasured": "unmeasured",
    "breached": "breached",
    "failed": "breached",
}
ORDER = {"breached": 0, "unmeasured": 1, "undecided": 2, "waived": 3}
HEADS = ("check", "", "measured", "required", "took")
STATES: tuple[State, ...] = ("proven", "attested", "waived", "open", "expired", "failed")
STYLE = """
.fl .score{display:grid;grid-template-columns:minmax(120px,auto) 1fr auto;gap:8px 14px;align-items:center;
background:var(--card);border:1px solid var(--line);border-radius:8px;padding:16px 20px}
.fl .track{height:10px;border-radius:5px;background:var(--line);overflow:hidden}
.fl .track i{display:block;height:100%;background:var(--cur)}.fl .track i.least{background:var(--warn)}
.fl .score b{font-variant-numeric:tabular-nums;text-align:right}
.fl .gate table{table-layout:fixed}.fl :is(.gate,.list) :is(th,td){text-align:left;vertical-align:top}
.fl .gate td{white-space:normal}.fl .gate th:nth-child(1){width:180px}.fl .gate th:nth-child(2){width:104px}
.fl .gate th:nth-child(4){width:28%}.fl .gate th:nth-child(5){width:64px}
.fl .gate :is(th,td):nth-child(5){text-align:right}.fl .gate td:nth-child(3){color:var(--ink)}
.fl td.dim{color:var(--soft);opacity:.75}.fl .list td.text{min-width:200px}
@media (max-width:760px){.fl .gate :is(th,td):nth-child(n+4){display:none}.fl .gate th:nth-child(1){width:32%}
.fl .gate th:nth-child(2){width:92px}}
.fl details{margin-top:12px}.fl summary{cursor:pointer;color:var(--soft);font-weight:600;padding:4px 0}
.fl code{font-size:12px;overflow-wrap:anywhere}.fl .small{margin-top:24px;font-size:12.5px;color:var(--soft)}
.fl .tag.none{color:var(--mute)}
"""


class Readiness(Struct, frozen=True):
    """A report with what the same evidence says of the ML Test Score and the checklists."""

    report: GateReport
    score: MlTestScore
    lines: tuple[Line, ...]


def page(found: Readiness) -> str:
    """A whole document; light and dark follow the reader's system."""
    report = found.report
    name = f"{report.model}@{report.version}"
    against = f"against version {report.champion}" if report.champion is not None else "against no champion yet"
    body = (
        f'<main><h1>Readiness of {escape(name)}</h1><p class="soft">for {escape(report.environment)}, measured '
        f"{_instant(report.measured_at)} UTC in {report.seconds:.0f} s, {against}</p>"
        f'<section class="verdict {report.outcome}"><b>{WORDS.get(report.outcome, "not decided")}</b>'
        f"<p>{escape(report.reason)}</p></section>"
        f"{_waiting(report)}{_score(found.score)}{''.join(_section(report, section) for section in SECTIONS)}"
        f"{_checklists(found.lines)}{_small_print(report)}</main>"
    )
    return document(f"Readiness of {name}", STYLE, body)


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")


def _tag(state: str) -> str:
    return f'<span class="tag {TONES.get(state, "none")}">{escape(state)}</span>'


def _score(score: MlTestScore) -> str:
    bars = "".join(_bar(area, score.areas[area], least=score.areas[area] == score.score) for area in AREAS)
    rows = "".join(
        f'<tr><td>{one.area} {one.number}</td><td>{one.points:g}</td><td class="text">{escape(one.text)}</td>'
        f'<td class="text">{escape(one.reason)}</td></tr>'
        for one in score.points
    )
    return (
        f"<h2>ML Test Score {score.score:g} of 7</h2>"
        f'<div class="score">{bars}</div>'
        f'<p class="soft" style="margin-top:8px">The least of its four areas: {escape(score.reading)}.</p>'
        f'<details class="list"><summary>The 28 tests</summary>{table(("test", "points", "", "why"), rows)}</details>'
    )


def _bar(area: str, points: float, *, least: bool) -> str:
    return (
        f'<span>{area}</span><div class="track"><i class="{"least" if least else "more"}" '
        f'style="width:{100 * points / 7:.1f}%"></i></div><b>{points:g}</b>'
    )


def _waiting(report: GateReport) -> str:
    """What does not hold, and what somebody answers for: above everything else."""
    names = {*report.failed, *report.waived}
    checks = sorted((check for check in report.checks if check.name in names), key=lambda check: ORDER[check.state])
    if not checks:
        return ""
    rows = "".join(_row(check, asked=True) for check in checks)
    return f'<h2>What does not hold</h2><div class="gate">{table(HEADS, rows)}</div>'


def _section(report: GateReport, section: str) -> str:
    checks = [check for check in report.checks if section_of(check.name) == section]
    if not checks:
        return ""
    rows = "".join(_row(check, asked=check.name in report.policy.required) for check in checks)
    title = next(text for name, text in TITLES.items() if name == section)
    return f'<h2>{title}</h2><div class="gate">{table(HEADS, rows)}</div>'


def _row(check: Check, *, asked: bool) -> str:
    said = check.reason
    if check.waived is not None:
        day = _instant(check.waived.until)[:10]
        said += f" Waived by {check.waived.by} until {day}: {check.waived.reason}"
    state = _tag(check.state) if asked or check.holds else f'<span class="tag none">{check.state}, not asked for</span>'
    return (
        f"<tr><td>{escape(check.name.replace('_', ' '))}</td><td>{state}</td>"
        f'<td class="text">{escape(said)}</td><td class="text dim">{escape(check.required)}</td>'
        f"<td>{check.seconds:.1f} s</td></tr>"
    )


def _checklists(lines: tuple[Line, ...]) -> str:
    if not lines:
        return ""
    heads = ("checklist", *STATES)
    rows = "".join(
        f"<tr><td>{phase.replace('-', ' ')}</td>{''.join(_count(lines, phase, state) for state in STATES)}</tr>"
        for phase in PHASES
    )
    waiting = [line for line in lines if line.state in ("open", "expired", "failed")]
    items = "".join(
        f"<tr><td>{escape(line.name)}</td><td>{_tag(line.state)}</td><td class=text>{escape(line.text)}</td>"
        f"<td class=text>{escape(line.reason)}</td></tr>"
        for line in sorted(waiting, key=lambda line: line.state != "failed")
    ).replace("class=text", 'class="text"')
    more = (
        f'<details class="list"><summary>{counted(len(waiting), "item waits", "items wait")}</summary>'
        f"{table(('item', '', '', 'why'), items)}</details>"
        if waiting
        else ""
    )
    return f"<h2>Checklists</h2>{table(heads, rows)}{more}"


def _count(lines: tuple[Line, ...], phase: str, state: State) -> str:
    number = sum(line.phase == phase and line.state == state for line in lines)
    return f"<td>{number}</td>" if number else '<td class="dim">–</td>'


def _small_print(report: GateReport) -> str:
    policy = report.policy
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    return (
        f'<p class="small">Bundle <code>{report.bundle}</code><br>Report <code>{digest_of_report(report)}</code><br>'
        f"{counted(len(policy.required), 'check')} of {len(report.checks)} asked for in {escape(report.environment)}; "
        f"the report counts for {policy.max_age_days:g} days, for this bundle, against this champion, and by no "
        f"stricter policy. Measured on {escape(machine) or 'an unnamed machine'}.</p>"
    )
