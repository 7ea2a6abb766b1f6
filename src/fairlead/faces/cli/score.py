"""score: batch inference."""

from __future__ import annotations

from typing import Annotated

import typer

from fairlead.core.listing import counted
from fairlead.faces.cli.options import share_option
from fairlead.faces.cli.output import emit_json, progress, say
from fairlead.faces.cli.session import opened
from fairlead.operations import scoring
from fairlead.operations.scoring_values import Scored, Scoring

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(score)


def score(
    context: typer.Context,
    version: Annotated[str, typer.Argument(metavar="NAME@V", help="A version, or an alias as in NAME@champion.")],
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="Parquet (also a folder), a Delta table, CSV or JSON lines.")
    ],
    output: Annotated[
        str, typer.Argument(metavar="OUTPUT", help="FILE.parquet, FILE.csv, TABLE.delta, or a folder of Parquet.")
    ],
    engine: Annotated[str, typer.Option(metavar="local|ray", help="Threads of this machine, or Ray.")] = "local",
    workers: Annotated[int | None, typer.Option(help="Parts at a time [default: one for each core].")] = None,
    id_column: Annotated[str | None, typer.Option("--id", metavar="COL", help="The column of request ids.")] = None,
    unit: Annotated[str | None, typer.Option(metavar="COL", help="The column of units, for the log.")] = None,
    timestamp: Annotated[
        str | None, typer.Option(metavar="COL", help="The column of event times, for the log.")
    ] = None,
    keep: Annotated[list[str] | None, typer.Option(metavar="COL", help="Copied to the output; repeatable.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Ends at the first row without an answer: exit 2.")] = False,
    max_errors: Annotated[
        str, typer.Option(metavar="SHARE", help="More rows without an answer than this: exit 1.")
    ] = "1%",
    log: Annotated[bool, typer.Option("--log/--no-log", help="Predictions go to the log, as arm batch.")] = True,
    lookup: Annotated[
        bool, typer.Option("--lookup/--no-lookup", help="Features that the settings look up are looked up.")
    ] = True,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replaces an output that is there.")] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begins again what was cut off.")] = False,
    json: Json = False,
) -> None:
    """Answers every row of a table with a registered version. Cut off and run again, it goes on where it was."""
    asked = Scoring(
        version=version,
        source=source,
        output=output,
        id=id_column,
        unit=unit,
        timestamp=timestamp,
        keep=tuple(keep or ()),
        engine=engine,
        workers=workers,
        strict=strict,
        max_errors=share_option("--max-errors", max_errors),
        log=log,
        lookup=lookup,
        overwrite=overwrite,
        restart=restart,
    )
    with progress("scoring") as told:
        found = scoring.score(opened(context), asked, progress=told)
    emit_json(found) if json else _show(found)
    if found.bad:
        raise typer.Exit(1)


def _show(found: Scored) -> None:
    say(f"{found.model}@{found.version} (bundle {found.digest[:16]}) answered {counted(found.rows, 'row')} of "
        f"{found.source}")  # fmt: skip
    speed = f"{found.seconds:.1f} s, {found.rows_per_second:,.0f} rows/s"
    say(speed if not found.resumed else f"{speed}; {counted(found.resumed, 'row')} of an earlier run were kept")
    if found.refused or found.failed:
        said = f"{found.refused:,} refused by the contract, {found.failed:,} failed in the model"
        over = f", more than the {100 * found.max_errors:.4g}% that --max-errors allows" if found.bad else ""
        say(f"without an answer: {said} ({found.errors:.3%}{over})")
    if found.fell_back:
        say(f"answered by another than the version: {counted(found.fell_back, 'row')}, see the column fallback")
    if found.quarantined:
        say(f"kept of what was refused: {counted(found.quarantined, 'row')}, see `fairlead log quarantine`")
    if found.looked_up:
        said = ", ".join(f"{number:,} {what}" for what, number in found.looked_up.items())
        say(f"entities looked up: {said}")
    for where, number in found.strange.items():
        name, _, what = where.rpartition(" ")
        say(f"let through: {name} {what.replace('_', ' ')}, {counted(number, 'value')}")
    logged = f"logged as {found.batch}" if found.logged else "not logged"
    say(f"{found.output} is written; {logged}")
