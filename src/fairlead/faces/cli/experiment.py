"""experiment plan, experiment read; with start, stop and list beside them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from fairlead.core.listing import counted
from fairlead.errors import UsageError
from fairlead.faces.cli import experiment_life
from fairlead.faces.cli.options import share_option
from fairlead.faces.cli.output import emit_json, leave, probability, say, state, table

if TYPE_CHECKING:
    from fairlead.operations.experiments import ArmComparison, ExperimentPlan
    from fairlead.stats.experiment.compare import Difference

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
_TRAFFIC = re.compile(r"\s*(\d+(?:[.,]\d+)*)\s*(?:/|per)?\s*(day|week|month|hour)?\s*")
_DAYS = {"day": 1.0, "week": 7.0, "month": 30.4375, "hour": 1 / 24}
_PARTS = 20
_OF_BOTH = ("source", "html", "json")  # what a file and a started experiment are both read with


def add_to(app: typer.Typer) -> None:
    """Adds the verb."""
    group = typer.Typer(no_args_is_help=True, help="A/B experiments: how many units, and what came of it.")
    group.command()(plan)
    group.command()(experiment_life.start)
    group.command()(read)
    group.command()(experiment_life.stop)
    group.command("list")(experiment_life.listed)
    app.add_typer(group, name="experiment")


def plan(
    baseline: Annotated[str, typer.Option(metavar="VALUE", help="What the metric is now: 10% or 0.1, or a mean.")],
    detect: Annotated[
        str | None, typer.Option(metavar="VALUE", help="What is to be told from it: 11%, or a mean.")
    ] = None,
    metric: Annotated[str, typer.Option(help="proportion or mean.")] = "proportion",
    sd: Annotated[float | None, typer.Option(help="The standard deviation of a mean's units.")] = None,
    alpha: Annotated[str, typer.Option(help="The chance of a false finding.")] = "5%",
    power: Annotated[str, typer.Option(help="The chance of finding the effect.")] = "80%",
    traffic: Annotated[
        str | None, typer.Option(metavar="N/day", help="Units that come, on all arms: 2000/day, 9000/week.")
    ] = None,
    weeks: Annotated[int | None, typer.Option(min=1, help="How long it may take: what could be found then?")] = None,
    arms: Annotated[int, typer.Option(help="The control and the treatments.")] = 2,
    ratio: Annotated[float, typer.Option(help="Treatment units per control unit.")] = 1.0,
    margin: Annotated[str, typer.Option(help="Show that it is not worse by more than this: 1%.")] = "0",
    correlation: Annotated[float, typer.Option(help="Of a pre-period covariate with the metric (CUPED).")] = 0.0,
    one_sided: Annotated[bool, typer.Option("--one-sided", help="Only better counts.")] = False,
    json: Json = False,
) -> None:
    """How many units an experiment takes, how long that is, and what it can find."""
    from fairlead.operations.experiments import sample_size

    if metric not in ("proportion", "mean"):
        raise UsageError(f"--metric {metric}: it is proportion or mean")
    if (metric == "mean") != (sd is not None):
        raise UsageError("a mean needs its units' standard deviation: give --metric mean and --sd, or neither")
    found = sample_size(
        _value(baseline, metric, "--baseline"),
        None if detect is None else _value(detect, metric, "--detect"),
        sd=sd,
        alpha=share_option("--alpha", alpha),
        power=share_option("--power", power),
        sides=1 if one_sided else 2,
        arms=arms,
        ratio=ratio,
        margin=_value(margin, metric, "--margin"),
        correlation=correlation,
        traffic=None if traffic is None else _per_day(traffic),
        weeks=weeks,
    )
    if json:
        emit_json(found.to_dict())
    else:
        _show_plan(found)


def read(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="FILE|EXPERIMENT", help="Parquet, CSV or JSON lines; or what `start` began.")
    ],
    arm: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column of arms.")] = None,
    metric: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="A column, sum(x), max(x), or a ratio x / y.")
    ] = None,
    unit: Annotated[str | None, typer.Option(metavar="COLUMN", help="What was randomised, if rows repeat it.")] = None,
    control: Annotated[str | None, typer.Option(metavar="ARM", help="The arm to compare with.")] = None,
    planned: Annotated[int | None, typer.Option(metavar="N", help="Planned units an arm: read once, then.")] = None,
    always_valid: Annotated[bool, typer.Option("--always-valid", help="Read as often as you like.")] = False,
    guardrail: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help='As "refunds <= control + 1%"; repeatable.')
    ] = None,
    covariate: Annotated[str | None, typer.Option(metavar="COLUMN", help="Measured before it began (CUPED).")] = None,
    segment: Annotated[list[str] | None, typer.Option(metavar="COLUMN", help="By part; repeatable.")] = None,
    share_of: Annotated[
        list[str] | None, typer.Option("--share", metavar="ARM=SHARE", help="The planned split, if uneven; repeatable.")
    ] = None,
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
        stated = [context.get_parameter_source(name) for name in context.params if name not in _OF_BOTH]
        if any(one is not None and one.name == "COMMANDLINE" for one in stated):
            raise UsageError(
                f"{source} is an experiment, read by the terms it was started with: give --json and --html"
            )
        report = experiment_life.read_started(context, source, html, json=json)
        if not json:
            _show(report)
        raise leave(report.verdict.outcome)
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


def _value(text: str, metric: str, option: str) -> float:
    if metric == "proportion":
        return share_option(option, text)
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option} {text}: a mean is a number, as in 52.5") from None


def _per_day(text: str) -> float:
    match = _TRAFFIC.fullmatch(text)
    if not match:
        raise UsageError(f"--traffic {text}: write units and time, as in 2000/day or 9000/week")
    return float(match[1].replace(",", "")) / _DAYS[match[2] or "day"]


def _shares(texts: list[str]) -> dict[str, float] | None:
    found = {}
    for text in texts:
        name, equals, said = text.rpartition("=")
        if not equals or not name:
            raise UsageError(f"--share {text}: write the arm and its share, as in control=80%")
        found[name] = share_option("--share", said)
    return found or None


def _show_plan(found: ExperimentPlan) -> None:
    rate = found.metric == "proportion"
    loss = f"{100 * found.margin:.4g} points" if rate else f"{found.margin:.5g}"
    goal = f"that a treatment is not worse than {_figure(found.baseline, rate=rate)} by {loss} or more"
    if not found.margin:
        goal = f"{_figure(found.detect, rate=rate)} from {_figure(found.baseline, rate=rate)}"
    sides = "one-sided" if found.sides == 1 else "two-sided"
    say(f"To tell {goal}, at {100 * found.alpha:g} % {sides}, with {100 * found.power:g} % power:")
    each = f"{counted(found.control_units, 'unit')} an arm"
    if found.control_units != found.treatment_units:
        each = f"{counted(found.control_units, 'unit')} for the control, {found.treatment_units:,} for each treatment"
    say(f"  {each}, {found.total:,} in all")
    if found.arms > 2:
        level = 100 * found.alpha / (found.arms - 1)
        say(f"  each of {counted(found.arms - 1, 'treatment')} is tested at {level:.3g} % (Bonferroni)")
    if found.weeks is not None and found.traffic is not None:
        told = "" if found.detectable is None else f"; by then {_figure(found.detectable, rate=rate)} can be told"
        say(f"  {counted(found.weeks, 'whole week')} at {found.traffic:,.0f} units a day{told}")
    cost = found.looking
    say(
        f"  read at every look instead: {found.total * cost.expected:,.0f} units on average if the effect is there, "
        f"at most {found.total * cost.longest:,.0f} for the same power"
    )
    say("")
    right = ("true value", "power")
    table("", right, [(_figure(one.value, rate=rate), f"{one.power:.0%}") for one in found.powers], right)
    if found.by_week:
        say("")
        heads = ("weeks", "units of the control", "can be told")
        rows = [
            (
                str(one.weeks),
                f"{one.control_units:,}",
                "–" if one.detectable is None else _figure(one.detectable, rate=rate),
            )
            for one in found.by_week
        ]
        table("", heads, rows, heads)


def _figure(value: float, *, rate: bool) -> str:
    return f"{100 * value:.4g} %" if rate else f"{value:.5g}"


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
        _figure(found.control, rate=rate),
        _figure(found.treatment, rate=rate),
        f"{scale * found.difference:+.3g}",
        "not yet" if unknown else f"{scale * found.low:+.3g} to {scale * found.high:+.3g}",
        "–" if found.lift is None else f"{100 * found.lift:+.3g} %",
        probability(found.p_value),
    )
