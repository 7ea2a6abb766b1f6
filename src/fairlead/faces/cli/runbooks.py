"""runbooks build: a page for each alert that is configured; with --rehearse its steps are tried first."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.faces.cli.output import emit_json, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations import runbooks

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Pages that say what to do, as configured.")
    group.command()(build)
    group.callback()(lambda: None)
    app.add_typer(group, name="runbooks")


def build(
    context: typer.Context,
    rehearse: Annotated[bool, typer.Option("--rehearse", help="Tries each step that harms nobody.")] = False,
    json: Json = False,
) -> None:
    """Writes the runbooks; exit code 1 where a rehearsed step did not work."""
    home = opened(context)
    tried = runbooks.rehearse(home) if rehearse else ()
    folder, books = runbooks.build(home)
    if json:
        emit_json({"folder": str(folder), "runbooks": books, "rehearsed": tried})
    else:
        seen = {one.step: one for one in tried}
        if seen:
            rows = [(name, state("holds" if one.passed else "breached"), one.reason) for name, one in seen.items()]
            table("rehearsed", ("step", "", ""), rows)
        say(f"{len(books)} runbooks in {folder}")
    raise typer.Exit(1 if any(not one.passed for one in tried) else 0)
