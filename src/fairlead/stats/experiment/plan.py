"""How many units an experiment takes, what it can find, and with which probability.

For rates, with the variance under the alternative in both places (the unpooled formula),

    n_control = (z_{1-a} + z_{power})^2 (p0 (1 - p0) + p1 (1 - p1) / r) / (p1 - p0 + margin)^2,
    n_treatment = r n_control,

where a is alpha / sides / comparisons: Bonferroni over the treatments, which is Dunnett's bound without its gain from
the shared control (Dunnett, 1955), hence a little on the safe side. A margin makes it a test of non-inferiority: that
the treatment is worse by `margin` is the hypothesis to refute. For means the same with s^2 for both variances and with
Student's law in place of the normal one: power is 1 - F(t_crit; n0 + n1 - 2, delta) of the noncentral t, solved for n.

A covariate of correlation c leaves 1 - c^2 of the variance (Deng, Xu, Kohavi, Walker, 2013); clusters of m units with
intra-cluster correlation k multiply it by 1 + (m - 1) k (Kish, 1965). Both enter as `variance_factor`.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf, isnan, log, sqrt

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

_MOST_UNITS = 1e12
_STEP, _STEPS = 0.01, 800  # of the fixed horizon: the cost of looking is followed to eight times that


class Design(Struct, frozen=True):
    """What is asked of an experiment. `ratio` is treatment units per control unit.

    `alpha` in (0, 1) is the chance of a false finding over all `comparisons` (treatments against the one control);
    `power` in (0, 1) that of finding the effect in each; `sides` is 1 or 2; `margin` >= 0 is what a treatment may be
    worse by. Raises `ValueError` for anything else.
    """

    alpha: float = 0.05
    power: float = 0.8
    sides: int = 2
    ratio: float = 1.0
    comparisons: int = 1
    margin: float = 0.0
    variance_factor: float = 1.0

    def __post_init__(self) -> None:
        for name, value in (("alpha", self.alpha), ("power", self.power)):
            if not 0.0 < value < 1.0:
                raise ValueError(f"{name} is {value}: it lies between 0 and 1, as in 0.05 and 0.8")
        if self.sides not in (1, 2):
            raise ValueError(f"sides is {self.sides}: a test has 1 or 2")
        if not 0.0 < self.ratio < inf:
            raise ValueError(f"ratio is {self.ratio}: treatment units per control unit, above 0")
        if self.comparisons < 1:
            raise ValueError(f"{self.comparisons} comparisons: there is at least one treatment")
        if not 0.0 <= self.margin < inf or not 0.0 < self.variance_factor < inf:
            raise ValueError(f"margin {self.margin} is at least 0, variance_factor {self.variance_factor} above 0")
        if self.power <= self.tail:
            raise ValueError(f"power is {self.power}, below alpha: an experiment of no units has that much")

    @property
    def tail(self) -> float:
        """The level of one tail of one comparison: alpha / sides / comparisons."""
        return self.alpha / self.sides / self.comparisons


PLAIN = Design()


def variance_factor(correlation: float = 0.0, cluster_size: float = 1.0, intra_cluster: float = 0.0) -> float:
    """(1 - correlation^2) (1 + (cluster_size - 1) intra_cluster). Raises `ValueError` outside (-1, 1), [1, oo), [0, 1].

    >>> round(variance_factor(correlation=0.5), 2), round(variance_factor(cluster_size=20, intra_cluster=0.05), 2)
    (0.75, 1.95)
    """
    if not -1.0 < correlation < 1.0:
        raise ValueError(f"a correlation of {correlation} with the covariate: it lies between -1 and 1")
    if not 1.0 <= cluster_size < inf or not 0.0 <= intra_cluster <= 1.0:
        raise ValueError(
            f"clusters of {cluster_size} units with correlation {intra_cluster}: at least 1 unit, and 0 to 1"
        )
    return (1.0 - correlation**2) * (1.0 + (cluster_size - 1.0) * intra_cluster)


def units_for_rates(baseline: float, target: float, design: Design = PLAIN) -> float:
    """Control units needed to tell the rate `target` from `baseline`, both in (0, 1): not rounded.

    Raises `ValueError` where there is nothing to tell apart.

    >>> round(units_for_rates(0.10, 0.11), 1)
    14748.0
    >>> round(units_for_rates(0.10, 0.10, Design(margin=0.01, sides=1)), 1)  # no worse by more than a point
    11128.6
    """
    effect = _effect(target - baseline, design)
    variance = _rate_variance(baseline, target, design)
    return variance * (_z(design.tail) + float(ndtri(design.power))) ** 2 / effect**2


def power_for_rates(baseline: float, target: float, control_units: float, design: Design = PLAIN) -> float:
    """The probability of finding `target` against `baseline` with so many control units. `design.power` is not used.

    >>> round(power_for_rates(0.10, 0.11, 14748), 3)
    0.8
    """
    effect = _effect(target - baseline, design, least=0.0)
    error = sqrt(_rate_variance(baseline, target, design) / _positive(control_units))
    return float(ndtr(effect / error - _z(design.tail)))


def units_for_means(difference: float, sd: float, design: Design = PLAIN) -> float:
    """Control units needed to find a `difference` of means with standard deviation `sd`: Student's law, not rounded.

    >>> round(units_for_means(2.0, 10.0), 2)
    393.41
    """
    _effect(difference, design)
    _sd(sd)
    least = 3.0 / (1.0 + design.ratio)  # one degree of freedom

    def short(units: float) -> bool:
        return power_for_means(difference, sd, units, design) < design.power

    if not short(least):
        return least
    return _root(short, least, _MOST_UNITS)


def power_for_means(difference: float, sd: float, control_units: float, design: Design = PLAIN) -> float:
    """The power of the t-test with equal variances, both tails counted. `design.power` is not used.

    >>> round(power_for_means(2.0, 10.0, 393.41), 3)
    0.8
    """
    from scipy.special import nctdtr, stdtrit

    effect = _effect(difference, design, least=0.0)
    units = _positive(control_units)
    freedom = units * (1.0 + design.ratio) - 2.0
    if freedom < 1.0:
        return 0.0
    error = _sd(sd) * sqrt(design.variance_factor * (1.0 + 1.0 / design.ratio) / units)
    critical = -float(stdtrit(freedom, design.tail))
    shift = effect / error
    below = [float(nctdtr(freedom, shift, critical)), float(nctdtr(freedom, shift, -critical))]
    right, wrong = (0.0 if isnan(tail) else tail for tail in below)  # scipy loses tails below 1e-15
    return 1.0 - right + (wrong if design.sides == 2 and not design.margin else 0.0)


def detectable_rate(baseline: float, control_units: float, design: Design = PLAIN, *, fall: bool = False) -> float:
    """The nearest rate above (below, with `fall`) `baseline` that is found with `design.power`; nan where none is.

    >>> round(detectable_rate(0.10, 14748), 4)
    0.11
    """
    _rate(baseline)
    end = 0.0 if fall else 1.0

    def short(step: float) -> bool:
        target = baseline + (end - baseline) * step
        return power_for_rates(baseline, target, control_units, design) < design.power

    if short(1.0 - 1e-9):
        return float("nan")
    return baseline + (end - baseline) * _root(short, 0.0, 1.0 - 1e-9)


def detectable_difference(sd: float, control_units: float, design: Design = PLAIN) -> float:
    """The smallest difference of means that is found with `design.power`.

    >>> round(detectable_difference(10.0, 393.41), 2)
    2.0
    """
    if _positive(control_units) * (1.0 + design.ratio) < 3.0:
        return inf

    def short(difference: float) -> bool:
        return power_for_means(difference, sd, control_units, design) < design.power

    top = _sd(sd)
    while short(top):
        top *= 2.0
    return _root(short, 0.0, top)


class LookingCost(Struct, frozen=True):
    """What reading at every look costs, as multiples of the fixed horizon.

    `longest`: by then the planned effect has been found with the planned power. `expected`: the mean of where one
    stops, who stops when it is found, or else at `longest`. `without_effect`: the same where the arms are equal.
    """

    expected: float
    longest: float
    without_effect: float


def looking_cost(design: Design = PLAIN) -> LookingCost:
    """The cost of an asymptotic confidence sequence (Waudby-Smith et al., 2024), tuned for the fixed horizon.

    In standard errors its half-width is c(t) = sqrt(2 (t r^2 + 1) / (t r^2) ln(sqrt(t r^2 + 1) / alpha)), with r^2 =
    (-2 ln alpha + ln(1 - 2 ln alpha)) / t*; t* is the horizon, to which t is a multiple here. A Brownian motion with
    the drift that the fixed test finds there with `power` is followed on a grid until it leaves (-c, c); the bound is
    set closer by 0.5826 steps, as between two steps it would have been crossed too (Siegmund, 1985).

    >>> cost = looking_cost()
    >>> round(cost.expected, 2), round(cost.longest, 2)
    (0.95, 1.6)
    """
    drift = _z(design.tail) + float(ndtri(design.power))
    steps: Floats = np.arange(1, _STEPS + 1, dtype=np.float64) * _STEP
    found = _left(drift, steps, 2.0 * design.tail)
    last = int(np.searchsorted(found, design.power))
    longest = float(np.interp(design.power, found[last - 1 : last + 1], steps[last - 1 : last + 1]))
    inside, calm = (1.0 - np.concatenate(([0.0], one))[:last] for one in (found, _left(0.0, steps, 2.0 * design.tail)))
    return LookingCost(float(inside.sum()) * _STEP, longest, float(calm.sum()) * _STEP)


def _left(drift: float, steps: Floats, alpha: float) -> Floats:
    """The probability that a Brownian motion with drift has left the sequence's bounds by each step."""
    rate = -2.0 * log(alpha) + log(1.0 - 2.0 * log(alpha))
    growth = steps * rate
    bounds = np.sqrt(2.0 * (growth + 1.0) / rate * np.log(np.sqrt(growth + 1.0) / alpha)) - 0.5826 * sqrt(_STEP)
    width = sqrt(_STEP) / 3.0  # of a cell: a third of a step's deviation
    cells = np.arange(-round(bounds[-1] / width) - 1, round(bounds[-1] / width) + 2) * width
    reach = np.arange(-21, 22) * width
    kernel = np.exp(-((reach - drift * _STEP) ** 2) / (2.0 * _STEP))
    mass, left = (cells == 0.0).astype(np.float64), np.empty(steps.size)
    for place, bound in enumerate(bounds):
        mass = np.convolve(mass, kernel / kernel.sum(), "same") * (np.abs(cells) <= bound)
        left[place] = 1.0 - mass.sum()
    return left


def whole_weeks(units: float, per_day: float) -> int:
    """Weeks until `units` have come, at least one, and only whole ones: each weekday counts equally often.

    >>> whole_weeks(29_496, per_day=2_000), whole_weeks(10, per_day=2_000)
    (3, 1)
    """
    if not 0.0 < per_day < inf:
        raise ValueError(f"traffic of {per_day} units a day: it must be above 0")
    return max(1, ceil(units / per_day / 7.0 - 1e-9))


def _root(short: Callable[[float], bool], low: float, high: float) -> float:
    """Where `short` turns false, by bisection down to neighbouring floats."""
    while True:
        middle = (low + high) / 2.0
        if middle in (low, high):
            return high
        if short(middle):
            low = middle
        else:
            high = middle


def _effect(difference: float, design: Design, least: float | None = None) -> float:
    """The distance from the hypothesis that is to be refuted, positive where it is on the side looked at."""
    effect = difference + design.margin if design.margin else abs(difference)
    if not np.isfinite(effect):
        raise ValueError(f"a difference of {difference}: it must be finite")
    if least is None and effect <= 0.0:
        what = f" with a margin of {design.margin}" if design.margin else ""
        raise ValueError(f"a difference of {difference}{what} cannot be told apart from the hypothesis: name another")
    return effect


def _rate_variance(baseline: float, target: float, design: Design) -> float:
    one, two = _rate(baseline), _rate(target)
    return design.variance_factor * (one * (1.0 - one) + two * (1.0 - two) / design.ratio)


def _rate(value: float) -> float:
    if not 0.0 < value < 1.0:
        raise ValueError(f"a rate of {value}: it lies between 0 and 1, as in 0.10 for 10 %")
    return value


def _sd(value: float) -> float:
    if not 0.0 < value < inf:
        raise ValueError(f"a standard deviation of {value}: it must be above 0")
    return value


def _positive(units: float) -> float:
    if not 0.0 < units < inf:
        raise ValueError(f"{units} units: it must be above 0")
    return units


def _z(tail: float) -> float:
    return -float(ndtri(tail))
