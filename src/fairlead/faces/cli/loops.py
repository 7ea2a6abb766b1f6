"""loops: does the model shape what the next one learns from?"""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.core.listing import counted
from fairlead.core.loops import LoopReport
from fairlead.faces.cli.output import emit_json, instant, leave, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations.loops import loops as read

_SHOWN = 12


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(loops)


def loops(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NAME", help="A served model.")],
    challenger: Annotated[
        str, typer.Option(metavar="V", help="Values this version's decisions on the logged requests.")
    ] = "",
    reward: Annotated[
        str, typer.Option(metavar="EVENT", help="What pays; left out: whether the decision proved right.")
    ] = "",
    keep: Annotated[str, typer.Option(metavar="REASON", help="Journals the reading, for this reason.")] = "",
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """How varied decisions are over time, how many explore, what moved in slices, and whether labels depend on what was
    decided. Exit 0: no loop is seen; 1: one is; 3: not enough to tell."""
    report = read(opened(context), model, challenger=challenger, reward=reward, keep=keep)
    if json:
        emit_json(report)
    else:
        _show(report)
    raise leave(report.verdict.outcome)


def _show(report: LoopReport) -> None:
    verdict = report.verdict
    say(f"{verdict.outcome.value}: {verdict.reason}")
    say(f"{counted(report.rows, 'decision')} from {instant(report.since)} to {instant(report.until)}")
    table("", ("question", "", ""), [(one.name, state(one.outcome.value), one.reason) for one in report.parts])
    rows = [
        (
            slot.window,
            f"{slot.entropy.decisions:,}",
            f"{slot.entropy.bits:.2f}",
            f"{slot.entropy.low:.2f}",
            f"{slot.entropy.high:.2f}",
        )
        for slot in report.slots[-_SHOWN:]
    ]
    table("", ("window", "decisions", "bits", "low", "high"), rows, ("decisions", "bits", "low", "high"))
