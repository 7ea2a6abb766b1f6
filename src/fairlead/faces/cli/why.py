"""why: one sentence for each decision."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.faces.cli.output import emit_json, instant, say
from fairlead.faces.cli.session import opened
from fairlead.operations import reasons, rollouts
from fairlead.operations.context import Context
from fairlead.operations.refused import Refusal, refusals


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(why)


def why(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME|ID", help="A model, or NAME@V, a report, window, alert, run, entry, …")
    ],
    everything: Annotated[bool, typer.Option("--all", help="Every decision about the model.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """One sentence for each decision: about a model's rollouts and the deploys that were refused, or about whatever
    else is named."""
    home = opened(context)
    found = reasons.all_of(home, name) if everything else reasons.reasons(home, name)
    if not found:
        _of_model(home, name, json)
        return
    if json:
        emit_json(found)
        return
    for one in found:
        say(f"{one.entry:>6}  {instant(one.at)}  {one.why}")


def _of_model(home: Context, model: str, json: bool) -> None:
    refused = refusals(home, model)
    views = rollouts.rollouts(home, model) if refused else rollouts.rollouts(home, model) or rollouts.arms(home, model)
    if json:
        told = [{"rollout": view.id, "phase": str(view.phase.value), "why": view.why} for view in views]
        emit_json([*told, *({"rollout": one.rollout, "phase": "refused", "why": one.reason} for one in refused)])
        return
    lines = [(view.decision.at if view.decision else view.started_at, f"{view.id}: {view.why}") for view in views]
    lines += [(one.at, _told(one)) for one in refused]
    for at, line in sorted(lines):
        say(f"{instant(at)}  {line}")


def _told(refused: Refusal) -> str:
    return f"{refused.rollout}: version {refused.version} was refused: {refused.reason}"
