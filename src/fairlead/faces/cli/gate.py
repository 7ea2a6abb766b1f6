"""gate: the readiness checks."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.core.gate import Check
from fairlead.faces.cli.output import emit_json, progress_note, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations import gates

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(gate)


def gate(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NAME@V")],
    environment: Annotated[str, typer.Option(help="dev, staging or production.")] = "production",
    json: Json = False,
) -> None:
    """Measures whether a version is ready, and keeps the evidence. A version without a passed gate is not deployed."""

    def told(check: Check) -> None:
        progress_note(f"{check.name}: {check.outcome.value}")

    report = gates.gate(opened(context), version, environment, told)
    if json:
        emit_json(report)
    else:
        rows = [
            (check.name.replace("_", " "), state(check.outcome.value), check.reason, f"{check.seconds:.1f} s")
            for check in report.checks
        ]
        table("", ("check", "", "measured", "took"), rows, ("took",))
        name = f"{report.model}@{report.version}"
        say(
            f"{name} passed: `fairlead deploy {name}`"
            if report.passed
            else f"{name} did not pass: {', '.join(report.failed)}"
        )
    raise typer.Exit(0 if report.passed else 1)
