"""simulate: what would that version have answered?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlead.core.listing import counted
from fairlead.faces.cli.output import emit_json, figure, instant, leave, say, table
from fairlead.faces.cli.session import opened


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(simulate)


def simulate(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME@V", help="The version that answers now.")],
    window: Annotated[str, typer.Option(metavar="SPAN", help="2026-01-01/7d, or 7d for the last seven days.")] = "7d",
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Both answers, a Parquet row a request.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Answers the logged requests of a past window by another version, and compares. Nothing is logged or served.
    Exit 0: the metric would not have been worse; 1: it would; 3: too few labels."""
    from fairlead.operations.simulate import simulate as run

    found = run(opened(context), name, window, output)
    if json:
        emit_json(found.to_dict())
    else:
        say(f"{found.verdict.outcome.value}: {found.verdict.reason}")
        by = ", ".join(f"{number:,} by version {version}" for version, number in found.others.items())
        say(f"{counted(found.requests, 'request')} from {instant(found.starts_at)} to {instant(found.ends_at)}: {by}")
        rows = [
            (one.served.metric, figure(one.served.realised, 4), figure(one.simulated.realised, 4),
             f"{figure(one.simulated.low, 4)} to {figure(one.simulated.high, 4)}")
            for one in found.metrics
        ]  # fmt: skip
        heads = ("metric", "as served", "simulated", "95 % interval")
        if rows:
            table("", heads, rows, heads[1:])
    raise leave(found.verdict.outcome)
