"""retrain check, retrain run."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.errors import NotFound
from fairlead.faces.cli.output import emit_json, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations import retraining

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Name = Annotated[str, typer.Argument(metavar="NAME")]


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Triggers with reasons; champion against challenger."
    )
    group.command()(check)
    group.command()(run)
    app.add_typer(group, name="retrain")


def check(context: typer.Context, model: Name, json: Json = False) -> None:
    """What was decided about retraining after each window, and why."""
    decided = retraining.decisions(opened(context), model)
    if not decided:
        raise NotFound(f"no window of {model} has been judged yet: `fairlead up` watches it")
    if json:
        emit_json(decided)
        return
    rows = [(fact.window, state("triggered" if fact.triggered else "no"), fact.reason) for fact in decided]
    table("", ("window", "retrain", "because"), rows)


def run(
    context: typer.Context,
    model: Name,
    key: Annotated[str, typer.Option("--run", help="The run's key; a finished run is not done again.")] = "",
    reason: Annotated[str, typer.Option(help="Why, for the journal.")] = "asked for by hand",
    json: Json = False,
) -> None:
    """Trains a challenger on the log's labelled rows, gates it against the champion, and deploys it if it passes."""
    home = opened(context)
    finished = retraining.retrain(home, model, key or f"retrain-{model}-{int(home.clock.now())}", reason)
    emit_json(finished) if json else say(finished.reason)
    raise typer.Exit(0 if finished.beats_champion else 1)
