"""journal verify, journal show."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.core.event import canonical
from fairlead.core.listing import counted
from fairlead.faces.cli.output import emit_json, instant, say
from fairlead.faces.cli.session import opened
from fairlead.operations import journal

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The append-only record of every fact.")
    group.command()(verify)
    group.command()(show)
    app.add_typer(group, name="journal")


def verify(context: typer.Context, json: Json = False) -> None:
    """Recomputes the hash chain: any edit, deletion or reordering is found."""
    length = journal.verify(opened(context))
    emit_json({"entries": length, "holds": True}) if json else say(
        f"the chain of {counted(length, 'entry', 'entries')} holds"
    )


def show(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Only this model's facts.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many, newest last.")] = 50,
    json: Json = False,
) -> None:
    """The newest facts."""
    entries = journal.entries(opened(context), model=model, limit=limit)
    if json:
        emit_json(entries)
        return
    for entry in entries:
        say(f"{entry.seq:>6}  {instant(entry.at)}  {entry.actor}  {canonical(entry.fact).decode()[:160]}")
