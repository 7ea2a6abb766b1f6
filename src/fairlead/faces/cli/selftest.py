"""selftest: false rollbacks, measured on the model's own traffic."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.core.listing import counted
from fairlead.faces.cli.output import emit_json, leave, progress, say, table
from fairlead.faces.cli.session import opened
from fairlead.operations.selftest import REQUESTS, RUNS, SelfTestReport
from fairlead.operations.selftest import selftest as run


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(selftest)


def selftest(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NAME[@V]")],
    runs: Annotated[int, typer.Option(help="Rollouts of the version against itself.")] = RUNS,
    requests: Annotated[int, typer.Option(help="The latest answers that each of them deals anew.")] = REQUESTS,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Deals a version's own logged answers to it and itself, again and again: how many rollouts would be rolled back?

    Exit 0: proven to be within the budget. 1: beyond it. 3: not proven, or not enough traffic.
    """
    with progress(f"rollouts of {model} against itself") as told:
        report = run(opened(context), model, runs, requests, told)
    emit_json(report) if json else _show(report)
    raise leave(report.outcome)


def _show(report: SelfTestReport) -> None:
    say(f"{report.model}@{report.version}: {report.reason}")
    if not report.runs:
        return
    say(f"each dealt {counted(report.requests, 'request')} of {counted(report.units, 'unit')} anew")
    rows = [(phase.replace("_", " "), f"{count:,}") for phase, count in sorted(report.phases.items())]
    rows += [(f"broken: {guardrail}", f"{count:,}") for guardrail, count in sorted(report.guardrails.items())]
    table("", ("ended", "rollouts"), rows, right=("rollouts",))
