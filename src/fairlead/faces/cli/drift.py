"""drift: two tables, or the last windows of a served model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from fairlead.errors import UsageError
from fairlead.faces.cli.output import emit_json, figure, leave, probability, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.faces.cli.status import model_view
from fairlead.operations.drift import DriftReport
from fairlead.operations.drift import drift as compare

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
_SHOWN = 30


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(drift)


def drift(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="NAME", help="A served model: its last judged window.")] = None,
    reference: Annotated[
        Path | None, typer.Option(metavar="A", help="What it was: Parquet, CSV or JSON lines.")
    ] = None,
    current: Annotated[Path | None, typer.Option(metavar="B", help="What it is now.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="Only this column; repeatable.")] = None,
    alpha: Annotated[float, typer.Option(help="The share of false flags among flagged columns.")] = 0.01,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes the report as a page, too.")] = None,
    json: Json = False,
) -> None:
    """Has the data moved? Two tables, or a served model's last window against its training data."""
    if model is not None:
        if reference is not None or current is not None:
            raise UsageError("name a model, or give --reference and --current: not both")
        _window(context, model, json=json)
        return
    if reference is None or current is None:
        raise UsageError("give --reference A and --current B, or the name of a served model")
    report = compare(reference, current, columns=column or None, alpha=alpha)
    if html is not None:
        report.save_html(html)
    if json:
        emit_json(report.to_dict())
    else:
        _show(report)
    raise leave(report.verdict.outcome)


def _show(report: DriftReport) -> None:
    say(f"{report.verdict.outcome.value}: {report.verdict.reason}")
    rows: list[tuple[str | Text, ...]] = []
    for column in report.columns[:_SHOWN]:
        found = {distance.name: distance for distance in column.distances}
        rows.append(
            (
                column.name,
                state("unmeasured" if column.unmeasured else column.level),
                *(figure(found[name].corrected) if name in found else "" for name in _DISTANCES),
                probability(column.p_value),
            )
        )
    table("", ("column", "level", *_DISTANCES.values(), "p"), rows, (*_DISTANCES.values(), "p"))
    if len(report.columns) > _SHOWN:
        say(f"and {len(report.columns) - _SHOWN} more columns: --json lists all")


_DISTANCES = {"psi": "PSI", "ks": "KS", "js": "JS", "wasserstein": "W1", "chi_squared": "Cramér's V"}


def _window(context: typer.Context, model: str, *, json: bool) -> None:
    windows = [window for window in model_view(opened(context), model).windows if window.drift]
    if not windows:
        say(f"no window of {model} has been judged yet: `fairlead up` judges each as it closes")
        raise typer.Exit(3)
    last = windows[-1]
    if json:
        emit_json(last)
    else:
        say(f"{last.name}: {last.verdict.value}: {last.reason}")
        rows = [(one.name, state(one.level), one.method, figure(one.effect), one.reason) for one in last.drift]
        table("", ("feature", "level", "distance", "effect", ""), rows, ("effect",))
    raise leave(last.data.outcome if last.data is not None else last.verdict)
