"""How many units an experiment needs, and how long that takes: `sample_size(...) -> ExperimentPlan`."""

from __future__ import annotations

from math import ceil, floor, inf, isfinite, isnan
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from fairlead.errors import UsageError
from fairlead.operations.report_output import frame_of
from fairlead.stats.experiment import plan as sizing
from fairlead.stats.experiment.plan import Design, LookingCost

if TYPE_CHECKING:
    import pandas as pd

_STEPS = (0.5, 0.75, 1.0, 1.25, 1.5)
_WEEKS = (1, 2, 3, 4, 6, 8)


class WeekRow(Struct, frozen=True):
    """What so many whole weeks of the traffic give: units of the control, and the value that they can tell from the
    baseline with the planned power (None where none can be)."""

    weeks: int
    control_units: int
    detectable: float | None


class PowerRow(Struct, frozen=True):
    """If the treatment's true value is `value`, the planned units find it with probability `power`."""

    value: float
    power: float


class ExperimentPlan(Struct, frozen=True):
    """Units for each arm, the duration, and what they can find.

    `metric` is proportion or mean; `detect` the value to be told from `baseline`; `treatment_units` those of each
    treatment; `weeks` whole weeks at `traffic` units a day (both None without traffic). `detectable` is what the units
    of those weeks can tell from the baseline. `looking` is what always-valid reading costs, in multiples of `total`.
    """

    metric: str
    baseline: float
    detect: float
    sd: float | None
    alpha: float
    power: float
    sides: int
    arms: int
    ratio: float
    margin: float
    variance_factor: float
    control_units: int
    treatment_units: int
    total: int
    looking: LookingCost
    powers: tuple[PowerRow, ...]
    traffic: float | None = None
    weeks: int | None = None
    detectable: float | None = None
    by_week: tuple[WeekRow, ...] = ()

    @property
    def effect(self) -> float:
        """detect - baseline."""
        return self.detect - self.baseline

    @property
    def design(self) -> Design:
        """The test that was planned for."""
        return Design(self.alpha, self.power, self.sides, self.ratio, self.arms - 1, self.margin, self.variance_factor)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    def to_frame(self) -> pd.DataFrame:
        """The weeks as a pandas frame; without traffic, the powers. Raises `MissingExtra` without pandas."""
        return frame_of([msgspec.to_builtins(row) for row in self.by_week or self.powers], "ExperimentPlan.to_frame()")


def sample_size(  # noqa: PLR0913 - the options of a plan; all but two have a default
    baseline: float,
    detect: float | None = None,
    *,
    sd: float | None = None,
    alpha: float = 0.05,
    power: float = 0.8,
    sides: int = 2,
    arms: int = 2,
    ratio: float = 1.0,
    margin: float = 0.0,
    correlation: float = 0.0,
    cluster_size: float = 1.0,
    intra_cluster: float = 0.0,
    traffic: float | None = None,
    weeks: int | None = None,
) -> ExperimentPlan:
    """Plans an experiment on a proportion or, with `sd`, on a mean.

    `detect` is the value that is to be told from `baseline`. Without it: with a `margin`, that the treatment is not
    worse than the baseline by as much (a test of non-inferiority, one-sided); with `traffic` (units a day, all arms
    together) and `weeks`, whatever those can tell. `ratio` is treatment units per control unit. `correlation` is that
    of a pre-period covariate (CUPED); `cluster_size` and `intra_cluster` describe units that are randomised in groups.

    Raises `UsageError` for values that no experiment can have, and where nothing says what is to be found.

    >>> plan = sample_size(0.10, 0.11, traffic=2_000)
    >>> plan.control_units, plan.total, plan.weeks
    (14749, 29498, 3)
    """
    if arms < 2 or arms != int(arms):
        raise UsageError(f"{arms} arm{'s' * (arms != 1)}: an experiment has a control and at least one treatment")
    try:
        factor = sizing.variance_factor(correlation, cluster_size, intra_cluster)
        one_sided = 1 if margin else sides
        design = Design(alpha, power, one_sided, ratio, arms - 1, margin, factor)
        target = _target(baseline, detect, sd, design, (traffic, weeks))
        needed = _units(baseline, target, sd, design)
        return _plan((baseline, target, sd), design, needed, traffic, weeks)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _target(
    baseline: float, detect: float | None, sd: float | None, design: Design, time: tuple[float | None, int | None]
) -> float:
    if detect is not None:
        return detect
    if design.margin:
        return baseline
    traffic, weeks = time
    if traffic is None or weeks is None:
        raise UsageError("nothing says what is to be found: give detect, or a margin, or traffic and weeks")
    found = _detectable(baseline, sd, _control_units(traffic * 7 * weeks, design), design, fall=False)
    if found is None:
        raise UsageError(f"{traffic:g} units a day for {weeks} weeks can tell no value from {baseline:g}: take longer")
    return found


def _plan(
    values: tuple[float, float, float | None],
    design: Design,
    needed: float,
    traffic: float | None,
    weeks: int | None,
) -> ExperimentPlan:
    baseline, target, sd = values
    control, treatment = _whole(needed), _whole(needed * design.ratio)
    total = control + treatment * design.comparisons
    fall = target < baseline
    plan = ExperimentPlan(
        "proportion" if sd is None else "mean",
        baseline,
        target,
        sd,
        design.alpha,
        design.power,
        design.sides,
        design.comparisons + 1,
        design.ratio,
        design.margin,
        design.variance_factor,
        control,
        treatment,
        total,
        sizing.looking_cost(design),
        _powers(values, control, design),
    )
    if traffic is None:
        return plan
    duration = weeks or sizing.whole_weeks(total, traffic)
    if design.margin:  # the weeks' table tells effects, which are not what this plan looks for
        return msgspec.structs.replace(plan, traffic=traffic, weeks=duration)
    listed = sorted({*_WEEKS, duration})
    rows = [_week(values, one, traffic, design, fall=fall) for one in listed]
    own = next(row for row in rows if row.weeks == duration)
    return msgspec.structs.replace(
        plan, traffic=traffic, weeks=duration, detectable=own.detectable, by_week=tuple(rows)
    )


def _week(
    values: tuple[float, float, float | None], weeks: int, traffic: float, design: Design, *, fall: bool
) -> WeekRow:
    units = _control_units(traffic * 7 * weeks, design)
    return WeekRow(weeks, floor(units), _detectable(values[0], values[2], units, design, fall=fall))


def _control_units(total: float, design: Design) -> float:
    if not 0.0 < total < inf:
        raise ValueError(f"traffic of {total / 7:g} units a day: it must be above 0")
    return total / (1.0 + design.ratio * design.comparisons)


def _units(baseline: float, target: float, sd: float | None, design: Design) -> float:
    if sd is None:
        return sizing.units_for_rates(baseline, target, design)
    return sizing.units_for_means(target - baseline, sd, design)


def _detectable(baseline: float, sd: float | None, units: float, design: Design, *, fall: bool) -> float | None:
    if sd is None:
        found = sizing.detectable_rate(baseline, units, design, fall=fall)
        return None if isnan(found) else found
    step = sizing.detectable_difference(sd, units, design)
    return baseline + (-step if fall else step) if isfinite(step) else None


def _powers(values: tuple[float, float, float | None], units: float, design: Design) -> tuple[PowerRow, ...]:
    baseline, target, sd = values
    around = [baseline + (target - baseline) * step for step in _STEPS]
    if target == baseline:  # not inferior: what if the treatment is somewhat worse, or better, after all?
        around = [baseline + design.margin * step for step in (-0.5, -0.25, 0.0, 0.25, 0.5)]
    rows = []
    for value in around:
        if sd is not None:
            rows.append(PowerRow(value, sizing.power_for_means(value - baseline, sd, units, design)))
        elif 0.0 < value < 1.0:
            rows.append(PowerRow(value, sizing.power_for_rates(baseline, value, units, design)))
    return tuple(rows)


def _whole(units: float) -> int:
    return max(ceil(units - 1e-9), 2)
