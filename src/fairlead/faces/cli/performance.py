"""performance: realised and estimated, by window."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from fairlead.faces.cli.output import emit_json, figure, leave, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.faces.cli.status import model_view

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(performance)


def performance(
    context: typer.Context, model: Annotated[str, typer.Argument(metavar="NAME")], json: Json = False
) -> None:
    """The primary metric of each judged window: estimated without labels, realised with them, and how many came."""
    view = model_view(opened(context), model)
    windows = [window for window in view.windows if window.performance is not None]
    if json:
        emit_json(
            [
                {"window": window.name, "version": window.version, **msgspec.to_builtins(window.performance)}
                for window in windows
            ]
        )
        return
    if not windows:
        say(f"no window of {model} has been judged yet: `fairlead up` judges each as it closes")
        raise typer.Exit(3)
    rows = []
    for window in windows:
        seen = window.performance
        assert seen is not None
        rows.append(
            (
                window.name,
                str(window.version),
                seen.metric,
                figure(seen.reference),
                figure(seen.estimated),
                figure(seen.realised),
                f"{figure(seen.low)} to {figure(seen.high)}",
                "" if seen.matured_share is None else f"{seen.matured_share:.0%}",
                state(seen.outcome.value),
            )
        )
    columns = ("window", "version", "metric", "reference", "estimated", "realised", "95 % interval", "labels", "")
    table("", columns, rows, columns[3:8])
    last = windows[-1].performance
    assert last is not None
    raise leave(last.outcome)
