"""features: what is looked up for a model's requests, and tables to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fairlead.core.listing import counted
from fairlead.faces.cli.output import emit_json, say, table
from fairlead.faces.cli.session import opened
from fairlead.operations import features

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Model = Annotated[str, typer.Argument(metavar="NAME", help="A model whose settings name features.")]


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, help="Features of a feature store.")
    group.command()(plan)
    group.command()(frame)
    app.add_typer(group, name="features")


def plan(context: typer.Context, name: Model, json: Json = False) -> None:
    """Asks Feast what the settings name, and writes it down for the gateway, which holds no Feast."""
    made = features.plan(opened(context, create=True), name)
    if json:
        emit_json(made)
        return
    rows = [(view, ", ".join(names)) for view, names in made.views.items()]
    table(f"{name} is looked up by {', '.join(made.keys)}", ("view", "features"), rows)
    say(f"written to {made.path} (Feast {made.feast}); workers read it with the next version that they load")


def frame(
    context: typer.Context,
    name: Model,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The Parquet file to write.")],
    entities: Annotated[
        Path, typer.Option(metavar="DATA", help="Who and when: the store's keys, a time, and what else you like.")
    ],
    time_column: Annotated[str, typer.Option(help="When the features are wanted of each row.")] = "event_timestamp",
    json: Json = False,
) -> None:
    """Joins a model's features to a table, each as it was known at the row's time; every row comes back."""
    made = features.frame(opened(context, create=True), name, entities, out, time_column)
    if json:
        emit_json(made)
        return
    rows = [(feature, f"{known:,}") for feature, known in made.known.items()]
    table("", ("feature", "known"), rows, ("known",))
    say(f"{counted(made.rows, 'row')} written to {made.out}")
