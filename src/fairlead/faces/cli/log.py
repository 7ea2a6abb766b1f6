"""log status, compact, erase, quarantine."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.core.listing import counted
from fairlead.faces.cli.output import emit_json, instant, say, table
from fairlead.faces.cli.session import opened
from fairlead.operations import prediction_log
from fairlead.operations.quarantine import quarantine as refused_rows
from fairlead.operations.slot_store import keeps_slots

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="The prediction log.")
    group.callback()(_group)
    group.command()(status)
    group.command()(compact)
    group.command()(erase)
    group.command()(quarantine)
    app.add_typer(group, name="log")


def _group() -> None:
    """The prediction log."""


def status(context: typer.Context, json: Json = False) -> None:
    """Where the log stands: the segments, the table, and what is wrong. Exit 1 when something is."""
    found = prediction_log.status(opened(context))
    if json:
        emit_json(found)
    else:
        last = found.last
        rows = [
            ("segments", f"{counted(found.segments, 'file')}, {found.segment_bytes:,} bytes"),
            ("not in the table yet", f"{found.waiting_bytes:,} bytes"),
            ("table", found.table or "none"),
            *(("rows", f"{count:,} {kind}") for kind, count in sorted(found.rows.items())),
            *((kind, f"{count:,} in segments") for kind, count in sorted(found.facts.items())),
            ("last round", instant(last.at) if last else "none yet"),
            ("damaged records passed over", f"{last.damaged:,}" if last else "0"),
            ("trouble", found.trouble or "none"),
        ]
        table("", ("", ""), rows)
    raise typer.Exit(1 if found.trouble else 0)


def compact(context: typer.Context, json: Json = False) -> None:
    """Moves what the segments hold into the table, now; drops and thins what is due."""
    moved = prediction_log.compact(opened(context))
    if json:
        emit_json(moved)
        return
    say(f"{counted(moved.predictions, 'prediction')} and {counted(moved.outcomes, 'outcome')} are in the table")


def erase(
    context: typer.Context,
    unit: Annotated[str, typer.Argument(metavar="UNIT", help="The unit id, as the callers send it.")],
    reason: Annotated[str, typer.Option(help="For the journal; it must not name the subject.")] = "",
    json: Json = False,
) -> None:
    """Removes a subject's predictions and their outcomes from the log, with their bytes. It cannot be undone."""
    here = opened(context)
    erased = prediction_log.erase(here, unit, reason)
    if json:
        emit_json(erased)
        return
    refused = f" (and {counted(erased.refused, 'refused row')})" if erased.refused else ""
    say(f"{counted(erased.predictions, 'prediction')} and {counted(erased.outcomes, 'outcome')} are gone{refused}")
    if erased.predictions and keeps_slots(here):
        say("counts by the hour still include them: `fairlead windows backfill NAME --shrink` takes them out")


def quarantine(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="A model [default: all].")] = None,
    json: Json = False,
) -> None:
    """The rows that contracts refused, by reason and field, with the latest of each."""
    found = refused_rows(opened(context), name)
    if json:
        emit_json(found)
        return
    if not found.rows:
        off = "" if found.is_on else ": the settings keep none; say `log: {quarantine: {}}`"
        say(f"no refused row is kept{off}")
        return
    say(f"{counted(found.rows, 'refused row')}")
    rows = [
        (f"{one.model}@{one.version}", one.what.replace("_", " "), one.field, f"{one.rows:,}", instant(one.last_at),
         one.examples[-1].reason)
        for one in found.reasons
    ]  # fmt: skip
    table("", ("version", "reason", "field", "rows", "last", "for instance"), rows, ("rows",))
