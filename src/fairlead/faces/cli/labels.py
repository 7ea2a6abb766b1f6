"""labels curve, labels sample, labels estimate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, cast

import typer

from fairlead.core.label_sample import KINDS
from fairlead.core.listing import counted
from fairlead.errors import UsageError
from fairlead.faces.cli.options import duration_option
from fairlead.faces.cli.output import emit_json, figure, say, table
from fairlead.faces.cli.session import opened
from fairlead.operations import labels

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Name = Annotated[str, typer.Argument(metavar="NAME")]
_DAY = 86_400.0


def add_to(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(
        no_args_is_help=True, rich_markup_mode=None, help="How late labels come, and which to ask for first."
    )
    group.command()(curve)
    group.command()(sample)
    group.command()(estimate)
    app.add_typer(group, name="labels")


def curve(
    context: typer.Context,
    model: Name,
    last: Annotated[str, typer.Option(metavar="90d", help="How much of the log, back from its end.")] = "90d",
    json: Json = False,
) -> None:
    """How late the labels come, from when a window counts as matured, and what the labels so far say of all answers."""
    seen = labels.curve(opened(context), model, duration_option("--last", last))
    if json:
        emit_json(seen)
        return
    old = f"{seen.oldest / _DAY:.1f} days old"
    say(f"{counted(seen.labels, 'label')} of {counted(seen.answers, 'answer')}, the oldest {old}")
    rows = [
        (f"{share:.0%}", f"{seconds / _DAY:.2f}", f"{at.low:.0%} to {at.high:.0%}")
        for share, at, seconds in seen.delays
    ]
    table("", ("of all answers", "days", "95 % interval of the share"), rows, ("of all answers", "days"))
    say(f"a window counts as matured {seen.matures.seconds / _DAY:.2f} days after its end: {seen.matures.reason}")
    if seen.read_off != seen.matures:
        say(f"the log says: {seen.read_off.reason} (labels: {{delay: auto}} goes by it)")
    if seen.all_rows is not None:
        one = seen.all_rows.measure
        say(
            f"{seen.loss} of all answers, by {counted(seen.all_rows.labels, 'label')} and the scores of the rest: "
            f"{figure(one.value)} ({figure(one.low)} to {figure(one.high)}), if labels that come early are like others"
        )
    if seen.early is not None:
        gap = seen.early.gap
        word = "are not like late ones" if seen.early.differs else "are not seen to differ from late ones"
        say(f"on answers old enough, early labels {word}: {figure(gap.low)} to {figure(gap.high)} apart")
    elif seen.all_rows is not None:
        say("early labels are not compared with late ones: too few of either are there, or all come at the same delay")


def sample(
    context: typer.Context,
    model: Name,
    output: Annotated[Path, typer.Option(metavar="FILE", help="A .csv or .parquet file that is not there yet.")],
    rows: Annotated[int, typer.Option(help="How many answers to label.")] = 200,
    by: Annotated[str, typer.Option(metavar="|".join(KINDS), help="What makes an answer worth its label.")] = "mixed",
    seed: Annotated[int | None, typer.Option(help="Of the draw [default: how many were drawn before].")] = None,
    json: Json = False,
) -> None:
    """Draws answers to be labelled first, each with its stated probability. Fill in `outcome` where you can, then:
    outcomes import NAME FILE, and labels estimate NAME FILE."""
    if by not in KINDS:
        raise UsageError(f"--by {by} is unknown: use {', '.join(KINDS)}")
    kind = cast("Literal['uncertainty', 'drift', 'random', 'mixed']", by)
    made = labels.sample(opened(context), model, rows, kind, output, seed)
    if json:
        emit_json(made)
    else:
        say(f"{counted(made.rows, 'answer')} of {made.population:,} are in {made.path} ({made.batch}, {made.why})")


def estimate(
    context: typer.Context,
    model: Name,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="What `labels sample` wrote.")],
    json: Json = False,
) -> None:
    """What a batch's labels say of all answers that it was drawn from, each by its probability."""
    seen = labels.estimate(opened(context), model, path)
    if json:
        emit_json(seen)
    else:
        say(f"{seen.labels:,} of {counted(seen.rows, 'row')} have their label")
        one = seen.mean
        said = f"{figure(one.value)} ({figure(one.low)} to {figure(one.high)})" if one.defined else "not known yet"
        say(f"{seen.loss} of all {seen.population:,} answers that they were drawn from: {said}")
    raise typer.Exit(0 if seen.mean.defined else 3)
