"""windows: what is kept by the hour of a served model, and filling it again from the log."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.core.listing import counted, first_of
from fairlead.faces.cli.output import emit_json, instant, say, table
from fairlead.faces.cli.session import opened
from fairlead.operations.windows import backfill as fill
from fairlead.operations.windows import kept

Model = Annotated[str, typer.Argument(metavar="NAME", help="A served model.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    windows = typer.Typer(no_args_is_help=True, help="What is kept by the hour, and filling it again from the log.")
    windows.command("list")(list_)
    windows.command()(backfill)
    app.add_typer(windows, name="windows")


def list_(context: typer.Context, model: Model, json: Json = False) -> None:
    """What is kept of a model, by version: from when until when, how many rows, which segments."""
    found = kept(opened(context), model)
    if json:
        emit_json(found)
        return
    if not found:
        say(f"nothing is kept of {model} yet: a controller does so as windows close, and `windows backfill` afterwards")
        raise typer.Exit(3)
    heads = ("version", "from", "to", "slots", "rows", "late", "segments")
    rows = [
        (
            str(one.version),
            instant(one.starts_at),
            instant(one.ends_at),
            f"{one.slots:,}",
            f"{one.rows:,}",
            f"{one.late:,}",
            first_of(one.segments) if one.segments else "",
        )
        for one in found
    ]
    table("", heads, rows, heads[3:6])


def backfill(
    context: typer.Context,
    models: Annotated[list[str], typer.Argument(metavar="NAME...", help="Served models.")],
    since: Annotated[str | None, typer.Option("--from", metavar="INSTANT", help="Left out: all of the log.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="INSTANT", help="Left out: what was judged.")] = None,
    shrink: Annotated[
        bool, typer.Option(help="Also where the log has fewer rows than were counted: after an erasure.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why; the journal keeps it.")] = "",
    json: Json = False,
) -> None:
    """Counts the log's rows of a time again, hour by hour. What was judged stands; doing it twice changes nothing."""
    here = opened(context)
    found = [one for model in models for one in fill(here, model, since, until, shrink=shrink, reason=reason)]
    if json:
        emit_json(found)
        return
    if not found:
        say(f"the log has no answer of {', '.join(models)} in that time: there is nothing to fill")
        raise typer.Exit(3)
    for one in found:
        late = f"; {counted(one.late, 'row')} came later than the judgement, which stands" if one.late else ""
        say(
            f"{one.model}@{one.version}, {instant(one.starts_at)} to {instant(one.ends_at)}: "
            f"{counted(one.rows, 'row')} in {counted(one.slots, 'slot')}{late}"
        )
        if one.stayed:
            say(
                f"{counted(one.stayed, 'slot')} stayed as they were: the log no longer has all of their rows; "
                "--shrink takes its word all the same"
            )
