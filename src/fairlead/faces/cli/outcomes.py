"""outcomes import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlead.core.listing import counted
from fairlead.faces.cli.output import emit_json, say
from fairlead.faces.cli.session import opened
from fairlead.operations import events, outcomes

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What really happened.")
    group.callback()(_group)
    group.command("import")(import_)
    app.add_typer(group, name="outcomes")


def _group() -> None:
    """What really happened."""


def import_(
    context: typer.Context,
    model: Annotated[str, typer.Argument(metavar="NAME")],
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Parquet, CSV or JSON lines.")],
    request_id: Annotated[str, typer.Option(help="The column of request ids.")] = "request_id",
    outcome: Annotated[str, typer.Option(help="The column of outcomes.")] = "outcome",
    observed_at: Annotated[str, typer.Option(help="The column of instants; without it: now.")] = "observed_at",
    json: Json = False,
) -> None:
    """Writes outcomes to the log: the same outcome twice is one, and one may come before its prediction. A file with
    the columns unit_id, name and value, and at or event_id, is read as business events."""
    columns = outcomes.OutcomeColumns(request_id, outcome, observed_at)
    written = events.import_file(opened(context), model, path, columns)
    if json:
        found = {"outcomes": written.outcomes} | ({"without": written.without} if written.without else {})
        emit_json({"events": written.events} if written.events else found)
    elif written.events:
        say(f"{counted(written.events, 'business event')} in the log")
    else:
        left = f"; {counted(written.without, 'row')} without one left out" if written.without else ""
        say(f"{counted(written.outcomes, 'outcome')} in the log{left}")
