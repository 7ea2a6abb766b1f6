"""The demo's summary as a person reads it."""

from __future__ import annotations

from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fairlead.core.listing import counted
from fairlead.faces.demo.summary import Month, Released, Summary


def show(document: Summary, terminal: Console, *, keep: bool) -> None:
    """Prints the summary."""
    terminal.print()
    _requests(document, terminal)
    _months(document, terminal)
    _drift(document, terminal)
    _rollouts(document, terminal)
    _where(document, terminal, keep=keep)


def _heading(terminal: Console, text: str) -> None:
    terminal.print(Text(text, style="bold"))


def _line(terminal: Console, text: str) -> None:
    """Prints text as it is: what comes from a model's name or a reason is never markup."""
    terminal.print(Text(text))


def _requests(document: Summary, terminal: Console) -> None:
    _heading(terminal, "Traffic")
    _line(
        terminal,
        f"  {document.predictions_requested:,} predictions asked for over HTTP, "
        f"{document.predictions_answered:,} answered, "
        f"{document.predictions_lost} lost, {document.non_2xx} errors; "
        f"{document.workers_killed} worker killed on the way ({document.reconnects} connections had to ask again)",
    )


def _months(document: Summary, terminal: Console) -> None:
    _heading(terminal, "AUC by month: estimated before the labels, realised after")
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 2))
    for name in ("month", "version", "estimated", "realised", "95 % interval", "labels", ""):
        justify: Literal["left", "right"] = "left" if name in ("month", "") else "right"
        grid.add_column(name, header_style="dim", justify=justify, no_wrap=True)
    for month in document.performance:
        grid.add_row(*_month(month))
    terminal.print(grid)
    for name, area in document.left_alone.items():
        _line(terminal, f"  {name} on the bookings of Jul-Aug 2017: AUC {area:.3f}")


def _month(month: Month) -> tuple[str | Text, ...]:
    interval = "" if month.low is None or month.high is None else f"{month.low:.3f} - {month.high:.3f}"
    return (
        month.month,
        str(month.version),
        "–" if month.estimated is None else f"{month.estimated:.3f}",
        "–" if month.realised is None else f"{month.realised:.3f}",
        interval,
        f"{month.matured_share:.0%}",
        Text(_bar(month), style="red" if month.harmful else "green"),
    )


def _bar(month: Month) -> str:
    """AUC above chance, a block for each 0.02."""
    blocks = "" if month.realised is None else "█" * round(max(0.0, month.realised - 0.5) * 50)
    return blocks + (" harmful" if month.harmful else "")


def _drift(document: Summary, terminal: Console) -> None:
    _heading(terminal, "Drift")
    if document.drift.first_breach_at is None:
        _line(terminal, f"  {document.drift.reason}")
    else:
        _line(terminal, f"  first breach in {document.drift.first_breach_at}: {document.drift.reason}")
        _line(terminal, f"  suspects by harm: {', '.join(document.drift.features[:6])}")
    for run in document.retrainings:
        _line(terminal, f"  retrained because {run.reason}")
        _line(terminal, f"  {run.result}")


def _rollouts(document: Summary, terminal: Console) -> None:
    _heading(terminal, "Rollouts")
    for one in document.rollouts:
        style = {"promoted": "green", "rolled_back": "red"}.get(one.outcome, "yellow")
        terminal.print(Text.assemble("  ", (one.outcome.replace("_", " "), style), f"  {one.why}"))
        terminal.print(Text(f"    {_evidence(one)}", style="dim"))


def _evidence(one: Released) -> str:
    parts = [f"{counted(one.requests_exposed, 'request')} answered by it before the decision"]
    if one.evidence_log_e is not None and one.threshold_log_e is not None:
        parts.append(f"{one.guardrail}: ln e {one.evidence_log_e:.2f} against {one.threshold_log_e:.2f}")
    if one.seconds_to_decision is not None:
        parts.append(f"decided after {one.seconds_to_decision:.1f} s")
    if one.seconds_to_swap is not None:
        parts.append(f"route swapped {one.seconds_to_swap * 1000:.0f} ms later")
    return "; ".join(parts)


def _where(document: Summary, terminal: Console, *, keep: bool) -> None:
    _heading(terminal, "Incidents")
    for incident in document.incidents:
        _line(
            terminal,
            f"  {incident.id}: {incident.title}" + (f" ({incident.postmortem})" if incident.postmortem else ""),
        )
    if not document.incidents:
        _line(terminal, "  none")
    _heading(
        terminal, f"Done in {document.seconds:.0f} s; {document.journal_entries} facts in the journal, its chain holds"
    )
    home = f"fairlead --home {document.home}"
    for one in document.rollouts:
        _line(terminal, f"  {home} replay {one.id}")
    _line(terminal, f"  {home} why {document.model}")
    if keep:
        _line(terminal, f"  console: {document.console}   (stop it with: kill {document.process})")
    else:
        _line(terminal, "  --keep leaves the console up")
