"""experiment plan, experiment read; with start, stop and list beside them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.text import Text

from fairlead.core.listing import counted
from fairlead.errors import UsageError
from fairlead.faces.cli import experiment_life, experiment_plan
from fairlead.faces.cli.experiment_plan import figure_of
from fairlead.faces.cli.options import share_option
from fairlead.faces.cli.output import emit_json, leave, probability, say, state, table

if TYPE_CHECKING:
    from fairlead.operations.experiments import ArmComparison
    from fairlead.stats.experiment.compare import Difference

Column = Annotated[str | None, typer.Option(metavar="COLUMN", help="A column, sum(x), max(x), or a ratio x / y.")]
Rules = Annotated[list[str] | None, typer.Option(metavar="RULE", help='As "refunds <= control + 1%"; repeatable.')]
Split = Annotated[
    list[str] | None, typer.Option("--share", metavar="ARM=SHARE", help="The planned split, if uneven; repeatable.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
_PARTS = 20
_OF_BOTH = ("source", "html", "json")  # what a file and a started experiment are both read with


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    group = typer.Typer(no_args_is_help=True, help="A/B experiments: how many units, and what came of it.")
    group.command()(experiment_plan.plan)
    group.command()(experiment_life.start)
    group.command()(read)
    group.command()(experiment_life.stop)
    group.command("list")(experiment_life.listed)
    app.add_typer(group, name="experiment")


def read(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="FILE|EXPERIMENT", help="Parquet, CSV or JSON lines; or what `start` began.")
    ],
    arm: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of arms.")] = None,
    metric: Column = None,
    unit: Annotated[str | None, typer.Option(metavar="COLUMN", help="What was randomised, if rows repeat it.")] = None,
    control: Annotated[str | None, typer.Option(metavar="ARM", help="The arm to compare with.")] = None,
    planned: Annotated[int | None, typer.Option(metavar="N", help="Planned units an arm: read once, then.")] = None,
    always_valid: Annotated[bool, typer.Option("--always-valid", help="Read as often as you like.")] = False,
    guardrail: Rules = None,
    covariate: Annotated[str | None, typer.Option(metavar="COLUMN", help="Measured before it began (CUPED).")] = None,
    segment: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="By part; repeatable.")] = None,
    share_of: Split = None,
    time: Annotated[str | None, typer.Option(metavar="COLUMN", help="The order in which units came.")] = None,
    lower_is_better: Annotated[bool, typer.Option("--lower-is-better", help="The metric is a cost.")] = False,
    alpha: Annotated[str, typer.Option(help="The chance of a false finding.")] = "5%",
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Writes the report as a page, too.")] = None,
    json: Json = False,
) -> None:
    """What an experiment showed, and what to do: ship, investigate, extend, iterate, stop, or fix the assignment.

    A data file is read by the options; an experiment that was started, or a model's latest, by the terms it began with.
    """
    if not experiment_life.is_file(source):
        _read_started(context, source, html, json=json)
    if arm is None or metric is None:
        raise UsageError(f"{source} is a data file: name its columns with --arm and --metric")
    from fairlead.operations.experiments import compare_arms

    report = compare_arms(
        source,
        arm=arm,
        metric=metric,
        unit=unit,
        control=control,
        planned=planned,
        covariate=covariate,
        guardrails=guardrail or (),
        segments=segment or (),
        method="always-valid" if always_valid else None,
        expected_shares=_shares(share_of or []),
        alpha=share_option("--alpha", alpha),
        higher_is_better=not lower_is_better,
        time=time,
    )
    if html is not None:
        report.save_html(html)
    if json:
        emit_json(report.to_dict())
    else:
        _show(report)
    raise leave(report.verdict.outcome)


def _read_started(context: typer.Context, name: str, html: Path | None, *, json: bool) -> NoReturn:
    """Reads an experiment that was started. Raises `UsageError` for options of a file."""
    stated = [context.get_parameter_source(option) for option in context.params if option not in _OF_BOTH]
    if any(one is not None and one.name == "COMMANDLINE" for one in stated):
        raise UsageError(f"{name} is an experiment, read by the terms it was started with: give --json and --html")
    report = experiment_life.read_started(context, name, html, json=json)
    if not json:
        _show(report)
    raise leave(report.verdict.outcome)


def _shares(texts: list[str]) -> dict[str, float] | None:
    found = {}
    for text in texts:
        name, equals, said = text.rpartition("=")
        if not equals or not name:
            raise UsageError(f"--share {text}: write the arm and its share, as in control=80%")
        found[name] = share_option("--share", said)
    return found or None


def _show(report: ArmComparison) -> None:
    say(f"{report.decision.value}: {report.verdict.reason}")
    for note in report.notes:
        say(f"note: {note}")
    rows: list[tuple[str | Text, ...]] = [
        (report.metric, one.treatment, state(one.decision.action.value), *_cells(one.difference))
        for one in report.primary
    ]
    rows += [
        (one.rule.text, one.treatment, state(one.health.value), *_cells(one.difference)) for one in report.guardrails
    ]
    rows += [
        (
            f"{one.column} = {one.value}",
            one.treatment,
            f"q {one.q_value:.2g}{' *' * one.flagged}",
            *_cells(one.difference),
        )
        for one in report.segments[:_PARTS]
    ]
    heads = ("metric", "arm", "", "control", "treatment", "difference", "interval", "lift", "p")
    if rows:
        say("")
        table("", heads, rows, heads[3:])
    if len(report.segments) > _PARTS:
        say(f"and {counted(len(report.segments) - _PARTS, 'more part')}: --json lists all")


def _cells(found: Difference | None) -> tuple[str, ...]:
    if found is None:
        return ("–",) * 6
    rate = found.kind.value == "proportion"
    scale = 100.0 if rate else 1.0
    unknown = found.low == float("-inf")
    return (
        figure_of(found.control, rate=rate),
        figure_of(found.treatment, rate=rate),
        f"{scale * found.difference:+.3g}",
        "not yet" if unknown else f"{scale * found.low:+.3g} to {scale * found.high:+.3g}",
        "–" if found.lift is None else f"{100 * found.lift:+.3g} %",
        probability(found.p_value),
    )
