"""incident list, show, note, postmortem."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.faces.cli.output import emit_json, instant, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations import incidents

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Id = Annotated[str, typer.Argument(metavar="INCIDENT")]


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="What went wrong, and what became of it.")
    group.command("list")(list_)
    group.command()(show)
    group.command()(note)
    group.command()(postmortem)
    app.add_typer(group, name="incident")


def list_(
    context: typer.Context,
    model: Annotated[str | None, typer.Option(help="Only this model's.")] = None,
    json: Json = False,
) -> None:
    """All incidents, newest first."""
    found = incidents.list_incidents(opened(context), model)
    if json:
        emit_json(found)
        return
    if not found:
        say("no incidents")
        return
    rows = [(one.id, state(one.state), one.severity, instant(one.opened_at), one.title) for one in found]
    table("", ("incident", "state", "severity", "opened (UTC)", ""), rows)


def show(context: typer.Context, incident: Id, json: Json = False) -> None:
    """One incident with its timeline."""
    found = incidents.show_incident(opened(context), incident)
    if json:
        emit_json(found)
        return
    say(f"{found.id}  {found.state}, {found.severity}, {found.category}; owner {found.owner or 'unassigned'}")
    say(f"{found.title}: {found.reason}")
    table("timeline", ("when (UTC)", "who", ""), [(instant(one.at), one.actor, one.text) for one in found.timeline])


def note(
    context: typer.Context,
    incident: Id,
    text: Annotated[str, typer.Argument(help="What was seen or done.")],
    becomes: Annotated[str, typer.Option("--state", help="acknowledged, mitigated or resolved.")] = "",
) -> None:
    """Writes down what a person saw or did."""
    found = incidents.note_incident(opened(context), incident, text, becomes)
    say(f"{found.id} is {found.state}")


def postmortem(context: typer.Context, incident: Id) -> None:
    """The postmortem: drafted from the facts, with what people have written into it."""
    typer.echo(incidents.read_postmortem(opened(context), incident))
