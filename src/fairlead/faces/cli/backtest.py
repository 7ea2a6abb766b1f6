"""backtest: would these monitors have paged?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from fairlead.core.backtest import RuleScore
from fairlead.errors import UsageError
from fairlead.faces.cli.options import duration_option
from fairlead.faces.cli.output import emit_json, leave, progress_note, say, table
from fairlead.faces.cli.session import Session, opened
from fairlead.operations.backtest_values import BacktestReport, Budget, FaultLine

SHOWN = 60

_TIMESTAMP = typer.Option(metavar="COL", help="Of a table: when each answer was given.")
_REFERENCE = typer.Option(metavar="DATA|INSTANT", help="What is compared with: a table, or all before an instant.")
_SEGMENT = typer.Option(metavar="COL", help="Of a table: answers are told apart by it, too.")
_PROTECTED = typer.Option(metavar="COL", help="Of a table: its groups must be treated alike.")


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    app.command()(backtest)


def backtest(
    context: typer.Context,
    what: Annotated[str, typer.Argument(metavar="NAME|FILE", help="A served model, or a table of logged answers.")],
    days: Annotated[float, typer.Option(help="Of a model: how much of its log.")] = 90.0,
    timestamp: Annotated[str | None, _TIMESTAMP] = None,
    target: Annotated[str | None, typer.Option(metavar="COL", help="The truths.")] = None,
    prediction: Annotated[str | None, typer.Option(metavar="COL", help="The decisions, or values.")] = None,
    score: Annotated[str | None, typer.Option(metavar="COL", help="The probability of the positive class.")] = None,
    reference: Annotated[str | None, _REFERENCE] = None,
    column: Annotated[list[str] | None, typer.Option(metavar="COL", help="Only these features.")] = None,
    segment: Annotated[list[str] | None, _SEGMENT] = None,
    protected: Annotated[list[str] | None, _PROTECTED] = None,
    label_delay: Annotated[str, typer.Option(metavar="LENGTH", help="How long a label takes.")] = "0s",
    observed_at: Annotated[str | None, typer.Option(metavar="COL", help="When each label came.")] = None,
    threshold: Annotated[float, typer.Option(help="From which score a 1 is decided.")] = 0.5,
    window: Annotated[
        str | None, typer.Option(metavar="LENGTH", help="1h, 1d, 7d, ... or month [default: the settings', or 1d].")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(metavar="PAGES/LENGTH", help="False pages allowed, as 1/30d [default: the settings'].")
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="Injects the catalogue of faults, too.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="A page, too.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Would these monitors have paged? False pages, delay and power per rule, before anything is switched on. Exit 0:
    within the budget of false pages; 1: over it; 3: too little data to say."""
    from fairlead.operations.backtest_html import save
    from fairlead.operations.backtest_read import is_file

    allowed = None if budget is None else budget_option(budget)
    if is_file(what):
        from fairlead.operations.fault_runs import backtest_table

        if timestamp is None:
            raise UsageError(f"name the column of event times in {what}: --timestamp COL")
        progress_note(f"reading {what}")
        report = backtest_table(
            what, faults=faults, timestamp=timestamp, target=target, prediction=prediction, score=score,
            reference=reference, columns=column, label_delay=label_delay, observed_at=observed_at,
            threshold=threshold, window=window or "1d", budget=allowed, segments=segment or (),
            protected=protected or (),
        )  # fmt: skip
    else:
        from fairlead.operations.fault_runs import backtest_model

        of_table = (timestamp, target, prediction, score, reference, column, observed_at, segment, protected)
        if any(one is not None for one in of_table):
            raise UsageError(f"{what!r} is no data file: --timestamp, --target and their like need one")
        report = backtest_model(
            opened(context), what, faults=faults, days=days, window=window, budget=allowed, folder=_folder(context)
        )
    if html is not None:
        save(report, html)
    if json:
        emit_json(report.to_dict())
    else:
        show(report)
    raise leave(report.verdict.outcome)


def _folder(context: typer.Context) -> Path:
    """Where the settings lie."""
    config = context.obj.config if isinstance(context.obj, Session) else None
    return config.absolute().parent if config else Path.cwd()


def budget_option(text: str) -> Budget:
    """A budget such as `1/30d`. Raises `UsageError`.

    >>> budget_option("2/7d")
    Budget(pages=2.0, per_seconds=604800.0)
    """
    pages, _, period = text.partition("/")
    try:
        number = float(pages)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e9:
        raise UsageError(f"--budget: {text!r} is no number of pages in a period: write it as 1/30d")
    seconds = duration_option("--budget", period or "30d")
    if seconds <= 0:
        raise UsageError(f"--budget: {text!r} is a period of no length: write it as 1/30d")
    return Budget(number, seconds)


def show(report: BacktestReport) -> None:
    """The verdict, the rules by sections, what could not be asked, the faults."""
    say(f"{report.verdict.outcome.value}: {report.verdict.reason}")
    say(
        f"against {report.reference}" + ("" if report.reference_loss is None else f", loss {report.reference_loss:.4f}")
    )
    heads = ("rule", "windows", "false", "notices", "false", "pages", "found", "delay", "90 %", "real")
    rows: list[tuple[str | Text, ...]] = [_rule(report.rules[0])]
    for title, rules in report.sections.items():
        rows += [(Text(title, style="bold"), *[""] * (len(heads) - 1)), *map(_rule, rules)]
    table("", heads, rows, heads[1:])
    for one in report.rules:
        if one.note:
            say(f"{one.rule}: {one.note}")
    for reason, missing in report.unasked.items():
        say(f"not measured here: {', '.join(one.rule for one in missing)}: {reason}")
    if report.faults:
        _faults(report.faults)
    for note in report.notes:
        say(note)


def _rule(one: RuleScore) -> tuple[str | Text, ...]:
    from fairlead.operations.backtest_html import delay_text

    return (
        one.rule,
        f"{one.breached:,}",
        f"{one.false_windows:,}",
        f"{one.notices:,}",
        f"{one.false_notices:,}",
        f"{one.pages:,}" if one.pages else "",
        f"{one.found} of {one.stretches}" if one.stretches else "",
        delay_text(one.delay_median),
        delay_text(one.delay_worst),
        "" if one.real_share is None else f"{one.real_share:.0%}",
    )


def _faults(faults: tuple[FaultLine, ...]) -> None:
    asked = [one for one in faults if one.right is not None]
    heads = ("fault", "in", "", "by", "late", "first suspect", "")
    rows = [
        (
            one.fault,
            one.column,
            Text("found", style="green") if one.found else Text("missed", style="red"),
            one.by,
            "" if one.windows is None else str(one.windows),
            one.suspect,
            "" if one.right is None else "right" if one.right else "wrong",
        )
        for one in faults[:SHOWN]
    ]
    table("", heads, rows, ("late",))
    found, right = sum(one.found for one in faults), sum(bool(one.right) for one in asked)
    say(f"{found} of {len(faults)} faults found; the right column suspected first in {right} of {len(asked)}")
