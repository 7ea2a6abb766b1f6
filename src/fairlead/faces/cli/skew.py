"""skew: what a model is served with against what it was trained on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from fairlead.core.listing import counted
from fairlead.errors import UsageError
from fairlead.faces.cli.drift import report_and_leave, show_report
from fairlead.faces.cli.options import duration_option, share_option
from fairlead.faces.cli.output import emit_json, leave, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.operations.context import Context
from fairlead.operations.skew import REQUEST_ID, FeatureSkew, Matching, SkewReport, distribution_skew, value_skew

SHOWN = 30
_STATES = {"within": "holds", "beyond": "breached", "open": "undecided"}


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(skew)


def skew(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A served model.")],
    training: Annotated[
        Path | None, typer.Option(metavar="DATA", help="The training data with its keys: compares value by value.")
    ] = None,
    on: Annotated[
        str, typer.Option(metavar="COL", help="The column of the request ids; with --time, of the unit ids.")
    ] = REQUEST_ID,
    time: Annotated[str | None, typer.Option(metavar="COL", help="The column of the event times.")] = None,
    at_most: Annotated[str, typer.Option(metavar="SHARE", help="Unequal values that are allowed.")] = "1%",
    version: Annotated[str, typer.Option(metavar="V", help="Whose reference, without --training.")] = "champion",
    window: Annotated[str | None, typer.Option(metavar="LENGTH", help="Only the last 7d, 12h, ... of the log.")] = None,
    alpha: Annotated[float, typer.Option(help="How often the verdict may be wrong.")] = 0.01,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Without --training: a page, too.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Does the model see what it was trained on? With --training the same requests' values, else the distributions of
    the log against the version's reference. Exit 0: it does; 1: it does not; 3: not enough data yet."""
    home = opened(context)
    since = _since(home, window)
    if training is None:
        if time is not None or on != REQUEST_ID:
            raise UsageError(
                "--on and --time say how requests are found in --training DATA: give it, or leave them out"
            )
        found = distribution_skew(home, name, version, alpha=alpha, since=since)
        report_and_leave(found, lambda: show_report(found), html, json=json)
    if html is not None:
        raise UsageError("--html is a page of distributions: leave --training out, or take --json")
    report = value_skew(
        home, name, training, Matching(on, time), limit=share_option("--at-most", at_most), alpha=alpha, since=since
    )
    if json:
        emit_json(report.to_dict())
    else:
        _show(report)
    raise leave(report.verdict.outcome)


def _since(home: Context, window: str | None) -> float:
    return 0.0 if window is None else max(0.0, home.clock.now() - duration_option("--window", window))


def _show(report: SkewReport) -> None:
    say(f"{report.verdict.outcome.value}: {report.verdict.reason}")
    say(f"{report.joined:,} of {counted(report.served, 'logged request')} found by {report.key}")
    if report.ambiguous:
        say(f"{counted(report.ambiguous, 'row')} of the training data share their key with another and are left out")
    if report.absent:
        say(f"not in the training data: {', '.join(report.absent)}")
    rows = [_row(one) for one in report.features[:SHOWN]]
    heads = ("feature", "", "unequal", "of", "share", "low", "high", "served", "trained")
    if rows:
        table("", heads, rows, heads[2:7])
    if len(report.features) > SHOWN:
        say(f"and {counted(len(report.features) - SHOWN, 'more feature')}: --json lists all")


def _row(one: FeatureSkew) -> tuple[str | Text, ...]:
    found = one.found
    first = one.examples[0] if one.examples else None
    shares = (f"{part:.2%}" for part in (found.share, found.low, found.high))
    sides = (first.served, first.trained) if first else ("", "")
    return (found.name, state(_STATES[found.place]), f"{found.unequal:,}", f"{found.pairs:,}", *shares, *sides)
