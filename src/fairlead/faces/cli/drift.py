"""drift: two tables, or the last windows of a served model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.text import Text

from fairlead.core.listing import counted
from fairlead.core.report import SCORE
from fairlead.errors import UsageError
from fairlead.faces.cli.output import emit_json, figure, leave, probability, progress, say, state, table
from fairlead.faces.cli.session import opened
from fairlead.faces.cli.status import model_view
from fairlead.operations.drift import drift as compare
from fairlead.operations.drift_model import Asked, ModelDrift, model_drift
from fairlead.operations.drift_report import DriftReport
from fairlead.operations.streaming import drift_sources
from fairlead.operations.timeline import DriftTimeline, drift_timeline
from fairlead.stats.drift import Level
from fairlead.stats.shape import Form

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
ALPHA = 0.01
_SHOWN = 30


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(drift)


def drift(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Argument(metavar="NAME[@N]", help="A served model: its last judged window, or any time.")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="A", help="What it was: a file; of a model training, previous, season, or v3."),
    ] = None,
    current: Annotated[Path | None, typer.Option(metavar="B", help="What it is now.")] = None,
    column: Annotated[list[str] | None, typer.Option(help="Only this column; repeatable.")] = None,
    alpha: Annotated[float, typer.Option(help="The share of false flags among flagged columns.")] = ALPHA,
    timestamp: Annotated[str | None, typer.Option(metavar="COL", help="Cuts B into windows by this column.")] = None,
    window: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="How long a window is, or what of a model is looked at: 7d.")
    ] = None,
    segment: Annotated[str | None, typer.Option(metavar="COL=VALUE", help="A model's rows of this value.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", metavar="INSTANT", help="Of a model: 2026-07-01, or with a time.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="INSTANT", help="Up to then, not included.")] = None,
    engine: Annotated[
        str, typer.Option(metavar="memory|local|ray", help="local and ray read files larger than memory.")
    ] = "memory",
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes the report as a page, too.")] = None,
    json: Json = False,
) -> None:
    """Has the data moved? Two tables, one of them over time, or a served model: its last judged window, or any time."""
    if model is not None:
        if current is not None or timestamp is not None or column or engine != "memory" or alpha != ALPHA:
            raise UsageError(
                f"{model!r} is a served model: it takes --window, --segment, --reference, --from, --to, --html and "
                "--json; --current and its like compare files"
            )
        _of_model(context, model, (window, segment, reference, since, until), html, json=json)
    if segment is not None or since is not None or until is not None:
        raise UsageError("--segment, --from and --to are of a served model: name one")
    if reference is None or current is None:
        raise UsageError("give --reference A and --current B, or the name of a served model")
    if (timestamp is None) != (window is None):
        raise UsageError("windows need both --timestamp COL and --window LENGTH")
    if timestamp is not None and window is not None:
        _over_time(reference, current, timestamp, window, (column, alpha, engine, html, json))
    report = _compared(reference, current, engine, columns=column or None, alpha=alpha)
    report_and_leave(report, lambda: show_report(report), html, json=json)


def _over_time(
    reference: Path,
    current: Path,
    timestamp: str,
    window: str,
    how: tuple[list[str] | None, float, str, Path | None, bool],
) -> NoReturn:
    column, alpha, engine, html, json = how
    if engine != "memory":
        raise UsageError("windows are cut in memory: leave --engine out")
    found = drift_timeline(reference, current, timestamp=timestamp, window=window, columns=column or None, alpha=alpha)
    report_and_leave(found, lambda: _show_timeline(found), html, json=json)


def _of_model(
    context: typer.Context,
    model: str,
    asked: tuple[str | None, str | None, Path | None, str | None, str | None],
    html: Path | None,
    *,
    json: bool,
) -> NoReturn:
    """The last judged window where nothing else is asked for, else any time, from its slots."""
    window, segment, reference, since, until = asked
    if all(one is None for one in (*asked, html)) and "@" not in model:
        _window(context, model, json=json)
    kind = "training" if reference is None else str(reference)
    found = model_drift(opened(context), model, Asked(window, segment or "", kind, since, until))
    report_and_leave(found, lambda: _show_model(found), html, json=json)


def _compared(reference: Path, current: Path, engine: str, *, columns: list[str] | None, alpha: float) -> DriftReport:
    """In memory, or in parts with a bar that shows how far the reading is."""
    if engine not in ("local", "ray"):
        return compare(reference, current, columns=columns, alpha=alpha, engine=engine)
    with progress("reading") as told:
        return drift_sources(reference, current, columns=columns, alpha=alpha, engine=engine, progress=told)


def report_and_leave(
    report: DriftReport | DriftTimeline | ModelDrift, show: Callable[[], None], html: Path | None, *, json: bool
) -> NoReturn:
    """Writes the page, prints, and leaves with the verdict's exit code."""
    if html is not None:
        report.save_html(html)
    if json:
        emit_json(report.to_dict())
    else:
        show()
    raise leave(report.verdict.outcome)


def _show_timeline(found: DriftTimeline) -> None:
    say(f"{found.verdict.outcome.value}: {found.verdict.reason}")
    rows: list[tuple[str | Text, ...]] = []
    for window in found.windows[-_SHOWN:]:
        moved = [column.name for column in window.columns if column.level is not Level.NONE]
        named = ", ".join(moved[:4]) + (f" and {len(moved) - 4} more" if len(moved) > 4 else "")
        rows.append((window.name, f"{window.rows:,}", state(window.verdict.outcome.value), named))
    table("", ("window", "rows", "", "moved"), rows, ("rows",))
    if len(found.windows) > _SHOWN:
        say(f"and {counted(len(found.windows) - _SHOWN, 'earlier window')}: --json lists all")
    for name, shape in found.shapes.items():
        if shape.form is Form.STILL:
            say(f"{name}: as far from the reference in every window; {shape.reason}")
        else:
            since = "" if shape.starts is None else f" from {found.windows[shape.starts].name}"
            say(f"{name}: {shape.form.value}{since}; {shape.reason}")


def _show_model(found: ModelDrift) -> None:
    for line in found.said:
        say(line)
    show_report(found.report)


def show_report(report: DriftReport) -> None:
    """The verdict, and the columns, worst first."""
    say(f"{report.verdict.outcome.value}: {report.verdict.reason}")
    if not report.columns:
        return
    rows: list[tuple[str | Text, ...]] = []
    for column in report.columns[:_SHOWN]:
        found = {distance.name: distance for distance in column.distances}
        rows.append(
            (
                "model score" if column.name == SCORE else column.name,
                state("unmeasured" if column.unmeasured else column.level),
                *(figure(found[name].corrected) if name in found else "" for name in _DISTANCES),
                probability(column.p_value),
            )
        )
    table("", ("column", "level", *_DISTANCES.values(), "p"), rows, (*_DISTANCES.values(), "p"))
    if len(report.columns) > _SHOWN:
        say(f"and {counted(len(report.columns) - _SHOWN, 'more column')}: --json lists all")


_DISTANCES = {"psi": "PSI", "ks": "KS", "js": "JS", "wasserstein": "W1", "chi_squared": "Cramér's V"}


def _window(context: typer.Context, model: str, *, json: bool) -> NoReturn:
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
