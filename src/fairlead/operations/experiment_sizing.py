"""A plan from a model's own logged traffic: how many units come, and what they show before anything is tried."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.core.arms import ArmShare
from fairlead.core.experiment_terms import DAY, Measure, measures, unknown_event
from fairlead.core.listing import counted
from fairlead.core.outlook import lasting
from fairlead.errors import NotFound, Refused, UsageError
from fairlead.flows.unit_values import Sought, UnitRow, UnitValues
from fairlead.operations.context import Context
from fairlead.operations.experiment_log import follow
from fairlead.operations.experiment_plan import ExperimentPlan, sample_size

DAYS = 28.0
_LEAST_UNITS, _LEAST_SECONDS, _WEEKS = 100, 60.0, 4


class Period(Struct, frozen=True):
    """Which of a model's traffic is measured: the last `days`, each unit by the `window` seconds after its first answer
    and what was told `delay` seconds later at the latest; the covariate over the `before` seconds before all that."""

    days: float = DAYS
    window: float = DAY
    delay: float = 3600.0
    before: float = 28 * DAY


class Traffic(Struct, frozen=True):
    """What the log shows of a metric: units that count, how many come a day, their mean, and the standard deviation of
    one unit (None for a proportion). `correlation` is that of the covariate with it, 0 without one."""

    model: str
    metric: str
    units: int
    per_day: float
    mean: float
    sd: float | None
    correlation: float = 0.0
    notes: tuple[str, ...] = ()


class Aim(Struct, frozen=True):
    """What an experiment is to find: `detect` a value, `lift` a relative difference, or whatever `weeks` can tell."""

    detect: float | None = None
    lift: float | None = None
    weeks: int | None = None
    alpha: float = 0.05
    power: float = 0.8
    sides: int = 2
    margin: float = 0.0


class ModelPlan(Struct, frozen=True):
    """A plan, and the traffic that it was made from."""

    traffic: Traffic
    plan: ExperimentPlan

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON: the plan's, and the traffic beside them."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return {**plain["plan"], "traffic_seen": plain["traffic"]}


def plan_for(
    context: Context,
    model: str,
    metric: str,
    aim: Aim,
    arms: Sequence[ArmShare],
    period: Period = Period(),  # noqa: B008 - a frozen value
    covariate: str | None = None,
) -> ModelPlan:
    """Plans an experiment of challengers with these shares. Raises `UsageError` for what no plan can be made of, and
    `Refused` where the log holds too little."""
    seen = traffic(context, model, metric, period, covariate)
    if aim.lift is not None and seen.mean == 0.0:
        raise Refused(f"{metric} is 0 on average: a relative difference from it is none; give a value to detect")
    if seen.sd is None and not 0.0 < seen.mean < 1.0:
        raise Refused(
            f"{metric} is {100 * seen.mean:g} % of {counted(seen.units, 'unit')} of {model}: nothing can be planned on "
            "what never differs"
        )
    least, control = min(arm.share for arm in arms), 1.0 - sum(arm.share for arm in arms)
    detect = seen.mean * (1.0 + aim.lift) if aim.lift is not None else aim.detect
    # The units that count are those of the control and, of each challenger, as many as the smallest has.
    counting = control + least * len(arms)
    plan = sample_size(
        seen.mean,
        detect,
        sd=seen.sd,
        alpha=aim.alpha,
        power=aim.power,
        sides=aim.sides,
        arms=len(arms) + 1,
        ratio=least / control,
        margin=aim.margin,
        correlation=seen.correlation,
        traffic=seen.per_day * counting,
        weeks=aim.weeks or (None if detect is not None or aim.margin else _WEEKS),
    )
    return ModelPlan(seen, plan)


def traffic(context: Context, model: str, metric: str, period: Period, covariate: str | None = None) -> Traffic:
    """Measures a metric over a model's last days. Raises `Refused` where too few units can be measured, and
    `UsageError` for an event that nobody logged."""
    if not any(True for _ in context.journal.read(model=model, kinds=["version_registered"])):
        raise NotFound(f"there is no model {model!r} in this home: `fairlead models` lists them")
    sought, before = measures(metric), () if covariate is None else measures(covariate)
    now = context.clock.now()
    since = now - period.days * DAY
    found = UnitValues(
        Sought(model, sought, period.window, period.delay, since, covariates=before, before=period.before)
    )
    follow(context, found)
    events = [one.name for one in (*sought, *before) if not one.of_answers]
    if missing := unknown_event(events, tuple(found.event_names)):
        raise UsageError(f"{missing}: a plan needs what the metric is now; log it first, or give --baseline")
    rows = found.rows(now)
    first = found.first_at
    if len(rows) < _LEAST_UNITS or first is None or now - first < _LEAST_SECONDS:
        raise Refused(
            f"the log holds {counted(len(rows), 'unit')} of {model} that count, and a plan needs {_LEAST_UNITS}: a "
            f"unit counts {lasting(period.window + period.delay)} after its first answer; wait, or give --baseline"
        )
    values = _values(rows, sought)
    known = values[np.isfinite(values)]
    if known.size < _LEAST_UNITS:
        raise Refused(f"{counted(int(known.size), 'unit')} of {model} have a value of {metric}: a plan needs 100")
    span = (now - first) / DAY
    binary = bool(((known == 0.0) | (known == 1.0)).all()) and covariate is None
    return Traffic(
        model,
        metric,
        int(known.size),
        found.units / span,
        float(known.mean()),
        None if binary else float(known.std(ddof=1)),
        _correlation(rows, values) if before else 0.0,
        _notes(found, span, period),
    )


def _values(rows: Sequence[UnitRow], sought: Sequence[Measure]) -> NDArray[np.float64]:
    """A value a unit, of a ratio the linearised one: its mean is the ratio, its variance that of the ratio's units."""
    sides = np.array([row.values for row in rows], np.float64).reshape(len(rows), -1)
    if len(sought) == 1:
        return np.asarray(sides[:, 0])
    above, below = sides[:, 0], sides[:, -1]
    known = np.isfinite(above) & np.isfinite(below)
    size = float(below[known].mean()) if known.any() else 0.0
    if size == 0.0:
        raise Refused(f"{sought[-1].text} is 0 on average: a ratio by it cannot be planned")
    ratio = float(above[known].mean()) / size
    return np.where(known, ratio + (above - ratio * below) / size, np.nan)


def _correlation(rows: Sequence[UnitRow], values: NDArray[np.float64]) -> float:
    before = np.array([row.covariates[0] for row in rows], np.float64)
    known = np.isfinite(before) & np.isfinite(values)
    if known.sum() < _LEAST_UNITS or before[known].std() == 0.0 or values[known].std() == 0.0:
        return 0.0
    found = float(np.corrcoef(before[known], values[known])[0, 1])
    return min(max(found, -0.99), 0.99) if isfinite(found) else 0.0


def _notes(found: UnitValues, span: float, period: Period) -> tuple[str, ...]:
    notes = []
    if span < min(7.0, period.days):
        notes.append(f"the log spans {lasting(span * DAY)}: a week has days that differ, so plan again with more of it")
    if found.without_unit:
        notes.append(f"{counted(found.without_unit, 'answer')} without a unit left out: nothing can be joined to them")
    return tuple(notes)


def ratio_shares(arms: int, ratio: float) -> tuple[ArmShare, ...]:
    """The shares of `arms` - 1 challengers with `ratio` units for each of the control's. Raises `UsageError`."""
    if arms < 2 or not 0.0 < ratio < float("inf"):
        raise UsageError(f"{arms} arms with {ratio:g} units for each of the control's: two arms, and more than 0 units")
    each = ratio / (1.0 + ratio * (arms - 1))
    return tuple(ArmShare(number, each) for number in range(1, arms))
