"""replay: the journal's decisions, taken again from what was kept."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.core.listing import counted
from fairlead.core.replay import Replay
from fairlead.errors import NotFound
from fairlead.faces.cli.output import emit_json, instant, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations import recounts, rollouts
from fairlead.operations.context import Context
from fairlead.operations.recounts import Recounted

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
_EXIT = {"same": 0, "different": 1, "unproven": 3}
_SHOWN = 20


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(replay)


def replay(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="ID", help="A rollout, another decision, an entry's number, or a model; none: all.")
    ] = "",
    kind: Annotated[str, typer.Option(help=f"Only {', '.join(one.name for one in recounts.KINDS)}.")] = "",
    json: Json = False,
) -> None:
    """Takes decisions again from what was kept, and compares them byte for byte. Exits with 0 where all are the same,
    1 where one differs, 3 where none differs and one cannot be recomputed."""
    home = opened(context)
    if name and kind in ("", "rollout") and _rollout(home, name, json):
        return
    found = recounts.recount(home, name, kind)
    emit_json(found) if json else _say(found)
    raise typer.Exit(_EXIT[found.state])


def _rollout(home: Context, rollout_id: str, json: bool) -> bool:
    """Of a rollout, every decision; of one with several arms, each arm's. False where there is none of that name."""
    try:
        results = rollouts.replays(home, rollout_id)
    except NotFound:
        return False
    if json:
        told = [_as_json(one, result) for one, result in results.items()]
        emit_json(told[0] if rollout_id in results else told)
    else:
        for one, result in results.items():
            _say_replay(one, result)
    raise typer.Exit(0 if all(result.matches for result in results.values()) else 1)


def _say(found: Recounted) -> None:
    for tally in found.kinds:
        say(tally.sentence)
    rows = [
        (one.kind, one.id, str(one.seq), instant(one.at), state(one.state), one.said or "byte for byte")
        for one in found.found[:_SHOWN]
    ]
    if rows:
        table("", ("kind", "decision", "entry", "at (UTC)", "came out", "first difference, or why not"), rows)
    if len(found.found) > _SHOWN:
        say(f"and {counted(len(found.found) - _SHOWN, 'other')}: --json has them all")


def _as_json(rollout_id: str, result: Replay) -> dict[str, object]:
    return {
        "rollout": rollout_id,
        "matches": result.matches,
        "decisions": len(result.decisions),
        "phase": result.final.phase,
        "digest": result.digest,
        "first_difference": result.first_difference,
    }


def _say_replay(rollout_id: str, result: Replay) -> None:
    if result.matches:
        say(
            f"{rollout_id}: {counted(len(result.decisions), 'decision')} recomputed, each the same byte for byte; "
            f"ended {result.final.phase.value.replace('_', ' ')} ({result.digest[:16]})"
        )
    else:
        say(f"{rollout_id}: the journal and the recomputation differ: {result.first_difference}")
