"""experiment plan: by numbers, or by a model's own log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from msgspec import Struct

from fairlead.core.listing import counted
from fairlead.errors import UsageError
from fairlead.faces.cli.options import duration_option, share_option
from fairlead.faces.cli.output import emit_json, say, table
from fairlead.faces.cli.session import opened

if TYPE_CHECKING:
    from fairlead.operations.context import Context
    from fairlead.operations.experiment_sizing import ModelPlan
    from fairlead.operations.experiments import ExperimentPlan

Baseline = Annotated[str | None, typer.Option(metavar="VALUE", help="What the metric is now: 10% or 0.1, or a mean.")]
Detect = Annotated[
    str | None, typer.Option(metavar="VALUE", help="What is to be told from it: 11%, a mean, or +10% of it.")
]
Model = Annotated[str | None, typer.Option(metavar="NAME", help="Baseline and traffic from this model's own log.")]
Measured = Annotated[str, typer.Option(help="proportion or mean; of a model an event, as conversion or sum(revenue).")]
Traffic = Annotated[
    str | None, typer.Option(metavar="N/day", help="Units that come, on all arms: 2000/day, 9000/week.")
]
Covariate = Annotated[
    str | None, typer.Option(metavar="METRIC", help="Of a model: of the units' earlier events (CUPED).")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
_LIFT = re.compile(r"\s*([+-]\s*\d+(?:\.\d+)?)\s*%\s*")
_OF_NUMBERS = ("baseline", "sd", "traffic", "correlation")
_OF_A_MODEL = ("covariate", "window", "days")
_TRAFFIC = re.compile(r"\s*(\d+(?:[.,]\d+)*)\s*(?:/|per)?\s*(day|week|month|hour)?\s*")
_DAYS = {"day": 1.0, "week": 7.0, "month": 30.4375, "hour": 1 / 24}


def plan(
    context: typer.Context,
    baseline: Baseline = None,
    detect: Detect = None,
    model: Model = None,
    metric: Measured = "proportion",
    sd: Annotated[float | None, typer.Option(help="The standard deviation of a mean's units.")] = None,
    alpha: Annotated[str, typer.Option(help="The chance of a false finding.")] = "5%",
    power: Annotated[str, typer.Option(help="The chance of finding the effect.")] = "80%",
    traffic: Traffic = None,
    weeks: Annotated[int | None, typer.Option(min=1, help="How long it may take: what could be found then?")] = None,
    arms: Annotated[int, typer.Option(help="The control and the treatments.")] = 2,
    ratio: Annotated[float, typer.Option(help="Treatment units per control unit.")] = 1.0,
    margin: Annotated[str, typer.Option(help="Show that it is not worse by more than this: 1%.")] = "0",
    correlation: Annotated[float, typer.Option(help="Of a pre-period covariate with the metric (CUPED).")] = 0.0,
    covariate: Covariate = None,
    window: Annotated[str, typer.Option(help="Of a model: how long after its first answer a unit counts.")] = "1d",
    days: Annotated[int, typer.Option(min=1, help="Of a model: how much of its log is measured.")] = 28,
    one_sided: Annotated[bool, typer.Option("--one-sided", help="Only better counts.")] = False,
    json: Json = False,
) -> None:
    """How many units an experiment takes, how long that is, and what it can find."""
    _refuse(context, _OF_NUMBERS if model is not None else _OF_A_MODEL, model)
    shared = Shared(
        detect,
        share_option("--alpha", alpha),
        share_option("--power", power),
        1 if one_sided else 2,
        weeks,
    )
    if model is not None:
        period = duration_option("--window", window), float(days)
        seen = _of_model(opened(context), (model, metric, covariate), shared, (arms, ratio, margin), period)
        emit_json(seen.to_dict()) if json else _show_model(seen)
        return
    if baseline is None:
        raise UsageError("give --baseline, what the metric is now, or --model NAME, whose log tells it")
    if metric not in ("proportion", "mean"):
        raise UsageError(f"--metric {metric}: it is proportion or mean")
    if (metric == "mean") != (sd is not None):
        raise UsageError("a mean needs its units' standard deviation: give --metric mean and --sd, or neither")
    from fairlead.operations.experiments import sample_size

    now, proportion = _value(baseline, "--baseline", proportion=metric == "proportion"), metric == "proportion"
    value, lift = aim_of(detect, proportion=proportion)
    found = sample_size(
        now,
        value if lift is None else now * (1.0 + lift),
        sd=sd,
        alpha=shared.alpha,
        power=shared.power,
        sides=shared.sides,
        arms=arms,
        ratio=ratio,
        margin=_value(margin, "--margin", proportion=proportion),
        correlation=correlation,
        traffic=None if traffic is None else _per_day(traffic),
        weeks=weeks,
    )
    emit_json(found.to_dict()) if json else show_plan(found)


class Shared(Struct, frozen=True):
    """What a plan by numbers and one by a model's log are both asked for."""

    detect: str | None
    alpha: float
    power: float
    sides: int
    weeks: int | None


def aim_of(text: str | None, *, proportion: bool | None) -> tuple[float | None, float | None]:
    """What is to be detected: a value, or (with a sign and %) a relative difference. `proportion` is None where the log
    will tell whether it is one. Raises `UsageError`.

    >>> aim_of("11%", proportion=True), aim_of("+10%", proportion=True), aim_of("52", proportion=None)
    ((0.11, None), (None, 0.1), (52.0, None))
    """
    if text is None:
        return None, None
    lift = _LIFT.fullmatch(text)
    if lift:
        return None, float(f"{float(lift[1].replace(' ', '')) / 100:.12g}")
    is_share = text.strip().endswith("%") if proportion is None else proportion
    return _value(text, "--detect", proportion=is_share), None


def _of_model(
    home: Context,
    named: tuple[str, str, str | None],
    shared: Shared,
    sizes: tuple[int, float, str],
    period: tuple[float, float],
) -> ModelPlan:
    from fairlead.operations.experiment_sizing import Aim, Period, plan_for, ratio_shares

    (model, metric, covariate), (arms, ratio, margin), (window, days) = named, sizes, period
    if metric == "proportion":
        raise UsageError(f"name what is measured of {model}: --metric conversion, or any other event")
    detect, lift = aim_of(shared.detect, proportion=None)
    lost = _value(margin, "--margin", proportion=margin.strip().endswith("%"))
    aim = Aim(detect, lift, shared.weeks, shared.alpha, shared.power, shared.sides, lost)
    return plan_for(home, model, metric, aim, ratio_shares(arms, ratio), Period(days, window), covariate)


def _refuse(context: typer.Context, names: Sequence[str], model: str | None) -> None:
    """Refuses options that would be passed over."""
    for name in names:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            why = f"the log of {model} tells it: leave it out" if model is not None else "it goes with --model NAME"
            raise UsageError(f"--{name}: {why}")


def _show_model(found: ModelPlan) -> None:
    seen = found.traffic
    spread = "" if seen.sd is None else f", standard deviation {seen.sd:.5g}"
    said = f"{seen.metric} of {seen.model}: {figure_of(seen.mean, rate=seen.sd is None)}{spread}"
    said += f", over {counted(seen.units, 'unit')}; {seen.per_day:,.4g} units a day"
    say(said + (f"; correlation with what they did before {seen.correlation:.2f}" if seen.correlation else ""))
    for note in seen.notes:
        say(f"note: {note}")
    show_plan(found.plan)


def figure_of(value: float, *, rate: bool) -> str:
    """A value as it is read: a proportion in percent."""
    return f"{100 * value:.4g} %" if rate else f"{value:.5g}"


def show_plan(found: ExperimentPlan) -> None:
    """Tells a plan."""
    rate = found.metric == "proportion"
    loss = f"{100 * found.margin:.4g} points" if rate else f"{found.margin:.5g}"
    goal = f"that a treatment is not worse than {figure_of(found.baseline, rate=rate)} by {loss} or more"
    if not found.margin:
        goal = f"{figure_of(found.detect, rate=rate)} from {figure_of(found.baseline, rate=rate)}"
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
        told = "" if found.detectable is None else f"; by then {figure_of(found.detectable, rate=rate)} can be told"
        say(f"  {counted(found.weeks, 'whole week')} at {found.traffic:,.0f} units a day{told}")
    cost = found.looking
    say(
        f"  read at every look instead: {found.total * cost.expected:,.0f} units on average if the effect is there, "
        f"at most {found.total * cost.longest:,.0f} for the same power"
    )
    say("")
    right = ("true value", "power")
    table("", right, [(figure_of(one.value, rate=rate), f"{one.power:.0%}") for one in found.powers], right)
    if found.by_week:
        say("")
        heads = ("weeks", "units of the control", "can be told")
        rows = [
            (
                str(one.weeks),
                f"{one.control_units:,}",
                "–" if one.detectable is None else figure_of(one.detectable, rate=rate),
            )
            for one in found.by_week
        ]
        table("", heads, rows, heads)


def _value(text: str, option: str, *, proportion: bool) -> float:
    if proportion:
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
