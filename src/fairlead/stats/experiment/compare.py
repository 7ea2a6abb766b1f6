"""One metric, one treatment, one control: the difference and the lift, at a fixed horizon or at every look."""

from __future__ import annotations

from enum import StrEnum
from math import exp, inf

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.stats.experiment import means, rates
from fairlead.stats.experiment.means import Estimate
from fairlead.stats.experiment.moments import Path, adjusted, estimate, linearised, path
from fairlead.stats.experiment.rates import Counts
from fairlead.stats.experiment.sequence import TUNED_FOR, Following, follow

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Kind(StrEnum):
    """What is compared: shares of units, means over units, or ratios of two sums over units."""

    RATE = "proportion"
    MEAN = "mean"
    RATIO = "ratio"


class Metric(Struct, frozen=True, eq=False):
    """A metric by unit, each array (units,): values, and for a ratio `denominators`, for CUPED a `covariate`.

    NaN in `values` or `denominators` is a unit that was not measured; in `covariate` it counts as average.
    """

    values: Floats
    denominators: Floats | None = None
    covariate: Floats | None = None

    @property
    def known(self) -> Flags:
        """Which units were measured."""
        finite = np.isfinite(self.values)
        return finite if self.denominators is None else finite & np.isfinite(self.denominators)

    @property
    def kind(self) -> Kind:
        """A proportion where all values are 0 or 1 and nothing is adjusted."""
        if self.denominators is not None:
            return Kind.RATIO
        values = self.values[np.isfinite(self.values)]
        plain = self.covariate is None and bool(((values == 0.0) | (values == 1.0)).all())
        return Kind.RATE if plain else Kind.MEAN

    def of(self, inside: Flags) -> Metric:
        """The metric of some of the units."""
        rest = (None if one is None else one[inside] for one in (self.denominators, self.covariate))
        return Metric(self.values[inside], *rest)


class Difference(Struct, frozen=True):
    """Treatment against control. `low` and `high` bound `difference`, `lift_low` and `lift_high` the relative `lift`.

    `lift` is difference / control, None where the control is 0; its ends may be infinite. `p_value` is two-sided, of
    "no difference"; at every look it is 1 over the largest E, valid whenever one stops.
    `reduction` is the share of variance that a covariate took off.
    """

    kind: Kind
    treatment_units: int
    control_units: int
    treatment: float
    control: float
    difference: float
    low: float
    high: float
    lift: float | None
    lift_low: float
    lift_high: float
    p_value: float
    reduction: float | None = None


class Look(Struct, frozen=True):
    """The sequence after so many `units` of both arms."""

    units: int
    difference: float
    low: float
    high: float


def compare(metric: Metric, treated: Flags, alpha: float = 0.05) -> Difference:
    """Once, at the planned horizon. `treated` (units,) marks the treatment's units; the others are the control's.

    Proportions: pooled z, score intervals. Means and ratios: Welch's t, Fieller. Raises `ValueError` for an arm with
    fewer than two measured units.

    >>> found = compare(Metric(np.repeat([1.0, 0.0, 1.0, 0.0], [60, 440, 40, 460])), np.arange(1000) < 500)
    >>> found.kind.value, round(found.difference, 3), round(found.p_value, 3), round(found.lift or 0, 2)
    ('proportion', 0.04, 0.035, 0.5)
    """
    metric, treated = _measured(metric, treated)
    if metric.kind is Kind.RATE:
        sides = tuple(Counts(int(metric.values[side].sum()), int(side.sum())) for side in (treated, ~treated))
        return _rates(sides[0], sides[1], alpha)
    values, reduction = _values(metric, treated)
    one, two = estimate(values[treated]), estimate(values[~treated])
    return _means(metric.kind, (one, two), alpha, reduction)


def compare_always(
    metric: Metric, treated: Flags, alpha: float = 0.05, tuned_for: float = TUNED_FOR
) -> tuple[Difference, Following, Path]:
    """At every look, units in the order given. Raises `ValueError` for an arm with fewer than two measured units.

    >>> rng = np.random.default_rng(1)
    >>> treated = rng.random(3_000) < 0.5
    >>> found, sequence, _ = compare_always(Metric(rng.normal(10, 2, 3_000) + 0.5 * treated), treated)
    >>> found.low > 0, sequence.low.size
    (True, 3000)
    """
    metric, treated = _measured(metric, treated)
    along = path(metric.values, treated, denominators=metric.denominators, covariate=metric.covariate)
    if metric.kind is Kind.RATE:
        along = _smoothed(along, metric.values, treated)
    found = follow(along, alpha, tuned_for)
    once = compare(metric, treated, alpha)
    difference = float(along.difference[-1])
    ends = (found.low[-1], found.high[-1], found.ratio_low[-1] - 1.0, found.ratio_high[-1] - 1.0)
    if found.broken:  # the looks contradict each other: only the last one is told
        last = follow(_last(along), alpha, tuned_for)
        ends = (last.low[-1], last.high[-1], last.ratio_low[-1] - 1.0, last.ratio_high[-1] - 1.0)
    low, high, lift_low, lift_high = (float(end) for end in ends)
    told = Difference(
        once.kind,
        once.treatment_units,
        once.control_units,
        once.treatment,
        once.control,
        difference,
        low,
        high,
        once.lift,
        lift_low,
        lift_high,
        min(1.0, exp(-min(float(found.log_e.max(initial=0.0)), 700.0))),
        once.reduction,
    )
    return told, found, along


def looks(found: Following, along: Path, most: int = 120) -> tuple[Look, ...]:
    """Some of the looks for a picture, evenly spread, the last one among them; those with finite ends."""
    at = np.flatnonzero(np.isfinite(found.low) & np.isfinite(found.high))
    if not at.size:
        return ()
    chosen = at[np.unique(np.linspace(0, at.size - 1, min(most, at.size)).round().astype(int))]
    columns = (along.units[chosen], along.difference[chosen], found.low[chosen], found.high[chosen])
    return tuple(Look(int(n), d, low, high) for n, d, low, high in zip(*(c.tolist() for c in columns), strict=True))


def _measured(metric: Metric, treated: Flags) -> tuple[Metric, Flags]:
    known = metric.known
    kept, sides = metric.of(known), treated[known]
    for name, count in (("treatment", int(sides.sum())), ("control", int((~sides).sum()))):
        if count < 2:
            raise ValueError(
                f"the {name} has {count} measured unit{'s' * (count != 1)}: a comparison needs two in each arm"
            )
    return kept, sides


def _values(metric: Metric, treated: Flags) -> tuple[Floats, float | None]:
    """One value a unit whose mean, by arm, is what is compared; and what the covariate took off."""
    values = metric.values
    if metric.denominators is not None:
        values = np.empty_like(metric.values)
        for side in (treated, ~treated):
            values[side] = linearised(metric.values[side], metric.denominators[side])
    if metric.covariate is None:
        return values, None
    found = adjusted(values, metric.covariate, treated.astype(np.intp))
    return found.values, found.reduction


def _rates(one: Counts, two: Counts, alpha: float) -> Difference:
    low, high = rates.difference_interval(one, two, alpha)
    less, more = rates.ratio_interval(one, two, alpha)
    gap = one.rate - two.rate
    lift = gap / two.rate if two.events else None
    p = rates.pooled_z(one, two)[1]
    return Difference(
        Kind.RATE, one.units, two.units, one.rate, two.rate, gap, low, high, lift, less - 1.0, more - 1.0, p
    )


def _means(kind: Kind, sides: tuple[Estimate, Estimate], alpha: float, reduction: float | None) -> Difference:
    one, two = sides
    low, high = means.difference_interval(one, two, alpha)
    less, more = means.ratio_interval(one, two, alpha) if two.mean > 0.0 else (-inf, inf)
    gap = one.mean - two.mean
    lift = gap / two.mean if two.mean > 0.0 else None
    p = means.welch(one, two)[1]
    ends = (low, high, lift, less - 1.0, more - 1.0)
    return Difference(kind, one.units, two.units, one.mean, two.mean, gap, *ends, p, reduction)


def _smoothed(along: Path, values: Floats, treated: Flags) -> Path:
    """The path of two proportions with half an event added to each cell: none yet is no proof of a variance of 0."""
    errors = []
    for side in (treated, ~treated):
        units, events = np.cumsum(side), np.cumsum(values * side)
        rate = (events + 0.5) / (units + 1.0)
        errors.append(rate * (1.0 - rate) / np.maximum(units, 1))
    error = np.where(along.least >= 2.0, errors[0] + errors[1], np.inf)
    return Path(along.units, along.least, along.difference, error, along.base, errors[1], along.skew)


def _last(along: Path) -> Path:
    return Path(*(getattr(along, name)[-1:] for name in Path.__struct_fields__))
