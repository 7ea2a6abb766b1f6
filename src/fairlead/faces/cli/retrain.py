"""retrain check, retrain run."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.faces.cli.output import emit_json, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations import retraining

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Name = Annotated[str, typer.Argument(metavar="NAME")]
_SHOWN = 30


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="Triggers with reasons; champion against challenger."
    )
    group.command()(check)
    group.command()(run)
    app.add_typer(group, name="retrain")


def check(context: typer.Context, model: Name, json: Json = False) -> None:
    """What each trigger says now and what speaks against a run, what was decided after each window, and what came of
    the runs."""
    seen = retraining.standing(opened(context), model)
    if json:
        emit_json(seen)
        return
    words = {True: "met", False: "not met", None: "unmeasured"}
    rows = [(one.trigger, one.by, words[one.met], one.reason, "; ".join(one.against)) for one in seen.now]
    table("now", ("trigger", "by", "", "because", "against a run"), rows)
    if not seen.trains:
        say("nothing trains: the settings have no retraining.command, and no trainer")
    if seen.decisions:
        shown = seen.decisions[-_SHOWN:]
        decided = [(one.window, state("triggered" if one.triggered else "no"), one.reason) for one in shown]
        table("decided", ("window", "retrain", "because"), decided)
    if len(seen.decisions) > _SHOWN:
        say(f"and {len(seen.decisions) - _SHOWN} earlier: --json lists all")
    if seen.finished:
        came = [(one.run, "-" if one.version is None else str(one.version), one.reason) for one in seen.finished]
        table("runs", ("run", "version", "what came of it"), came[-_SHOWN:])


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
