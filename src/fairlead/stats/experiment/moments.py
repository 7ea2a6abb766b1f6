"""What is compared, one value a unit: plain values, ratios of sums (delta method), values freed of what a covariate
from before the experiment explains (CUPED); at the end, and at every look along the way.

A ratio metric sum(y) / sum(d) is no mean over units. To first order it is the mean of R + (y - R d) / mean(d) with R
the ratio itself (Deng, Knoblich, Lu, "Applying the delta method in metric analytics", KDD 2018), so an arm's ratio is
read as the mean of those values. CUPED replaces y by y - theta (x - mean x), theta from pooled least squares within
arms (Deng, Xu, Kohavi, Walker, WSDM 2013): x was measured before, so the expected difference stays what it was.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from fairlead.stats.experiment.means import Estimate

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]


class Adjusted(Struct, frozen=True, eq=False):
    """Values (units,) less what the covariate explains; `theta` is its slope, `reduction` the share of variance."""

    values: Floats
    theta: float
    reduction: float


def estimate(values: ArrayLike) -> Estimate:
    """Mean and variance of one arm's values (units,), finite, two at least, or `ValueError`.

    >>> estimate([1.0, 2.0, 3.0])
    Estimate(units=3, mean=2.0, variance=1.0)
    """
    held = np.asarray(values, np.float64)
    return Estimate(held.size, float(held.mean()), float(held.var(ddof=1))) if held.size > 1 else Estimate(1, 0.0, 0.0)


def linearised(numerators: ArrayLike, denominators: ArrayLike) -> Floats:
    """Values (units,) whose mean is sum(numerators) / sum(denominators), and whose variance / units is that ratio's.

    Raises `ValueError` where the denominators add up to 0.

    >>> values = linearised([1.0, 2.0, 0.0], [10.0, 20.0, 30.0])
    >>> round(float(values.mean()), 4), values.round(3).tolist()
    (0.05, [0.075, 0.1, -0.025])
    """
    above, below = np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)
    base = float(below.mean()) if below.size else 0.0
    if base == 0.0:
        raise ValueError("the denominators of a ratio metric add up to 0: there is nothing to divide by")
    ratio = float(above.mean()) / base
    return ratio + (above - ratio * below) / base


def adjusted(values: ArrayLike, covariate: ArrayLike, arms: Codes) -> Adjusted:
    """CUPED: `values` and `covariate` (units,), `arms` the arm of each unit as 0, 1, ….

    An unknown covariate (NaN) counts as average, so its unit is not adjusted. A constant covariate changes nothing.

    >>> rng = np.random.default_rng(0)
    >>> before = rng.normal(size=4_000)
    >>> found = adjusted(2.0 * before + rng.normal(size=4_000), before, np.arange(4_000) % 2)
    >>> round(found.theta, 1), round(found.reduction, 1)
    (2.0, 0.8)
    """
    y, x = np.asarray(values, np.float64), np.array(covariate, np.float64)
    known = np.isfinite(x)
    x = np.where(known, x - (x[known].mean() if known.any() else 0.0), 0.0)
    x_in, y_in = _within(x, arms), _within(y, arms)
    spread = float(x_in @ x_in)
    theta = float(x_in @ y_in) / spread if spread > 1e-12 * max(float(x @ x), 1e-300) else 0.0
    total = float(y_in @ y_in)
    left = y_in - theta * x_in
    return Adjusted(y - theta * x, theta, 1.0 - float(left @ left) / total if total > 0.0 else 0.0)


def _within(values: Floats, arms: Codes) -> Floats:
    counts = np.maximum(np.bincount(arms), 1)
    return np.asarray(values - (np.bincount(arms, weights=values) / counts)[arms])


class Path(Struct, frozen=True, eq=False):
    """An estimated difference after each unit, each of shape (looks,).

    `units` have entered, the smaller arm with `least`; `error` is the squared standard error of `difference`; `base` is
    the control's mean, with squared error `base_error`. `skew` is the squared skewness of all values so far, both arms
    together: how slowly their mean comes to a normal law. Infinite while they are all the same.
    """

    units: Floats
    least: Floats
    difference: Floats
    error: Floats
    base: Floats
    base_error: Floats
    skew: Floats


def path(
    values: ArrayLike,
    treated: NDArray[np.bool_],
    *,
    denominators: ArrayLike | None = None,
    covariate: ArrayLike | None = None,
) -> Path:
    """Treatment - control after each unit, in the order given: of means, or of ratios where there are `denominators`.

    With a `covariate` (NaN counts as average) the difference is adjusted by the slope that the units so far give. A
    look before both arms have two units has an infinite error. O(units).

    >>> found = path([1.0, 2.0, 3.0, 5.0], np.array([True, False, True, False]))
    >>> found.difference.tolist()[-1], found.error.tolist()[-1], found.base.tolist()[-1]
    (-1.5, 3.25, 3.5)
    """
    y = np.asarray(values, np.float64)
    other = np.ones_like(y) if denominators is None else np.asarray(denominators, np.float64)
    if covariate is not None:
        x = np.asarray(covariate, np.float64)
        known = np.isfinite(x)
        other = np.where(known, x - (x[known].mean() if known.any() else 0.0), 0.0)
    shift = (
        float(y.mean()) if denominators is None and y.size else 0.0
    )  # large means would cancel in the sums of squares
    sides = [_Running.of(y - shift, other, side) for side in (treated, ~treated)]
    if covariate is not None:
        means, errors = _adjusted(sides)
    else:
        one, two = (side.ratio() if denominators is not None else side.mean() for side in sides)
        means, errors = (one[0], two[0]), (one[1], two[1])
    least = np.minimum(sides[0].n, sides[1].n)
    error = np.where(least >= 2.0, errors[0] + errors[1], np.inf)
    units = sides[0].n + sides[1].n
    return Path(units, least, means[0] - means[1], error, means[1] + shift, errors[1], _squared_skew(y - shift, units))


def _squared_skew(y: Floats, units: Floats) -> Floats:
    """Third central moment squared over the second cubed, of the values so far."""
    one, two, three = (np.cumsum(y**power) / np.maximum(units, 1.0) for power in (1, 2, 3))
    second = np.maximum(two - one**2, 0.0)
    third = three - 3.0 * one * two + 2.0 * one**3
    varied = second > 1e-12 * np.maximum(two, 1e-300)
    return np.asarray(np.divide(third**2, second**3, out=np.full_like(third, np.inf), where=varied))


class _Running(Struct, frozen=True, eq=False):
    """Running sums of one arm: units, means of y and x, and their central second moments (with n - 1)."""

    n: Floats
    y: Floats
    x: Floats
    yy: Floats
    xx: Floats
    xy: Floats

    @classmethod
    def of(cls, y: Floats, x: Floats, inside: NDArray[np.bool_]) -> _Running:
        n = np.cumsum(inside).astype(np.float64)
        y, x = np.where(inside, y, 0.0), np.where(inside, x, 0.0)
        safe, less = np.maximum(n, 1.0), np.maximum(n - 1.0, 1.0)
        mean_y, mean_x = np.cumsum(y) / safe, np.cumsum(x) / safe
        yy = np.maximum(np.cumsum(y * y) - safe * mean_y**2, 0.0) / less
        xx = np.maximum(np.cumsum(x * x) - safe * mean_x**2, 0.0) / less
        return cls(n, mean_y, mean_x, yy, xx, (np.cumsum(x * y) - safe * mean_x * mean_y) / less)

    def mean(self) -> tuple[Floats, Floats]:
        return self.y, self.yy / np.maximum(self.n, 1.0)

    def ratio(self) -> tuple[Floats, Floats]:
        base = np.where(self.x == 0.0, np.inf, self.x)
        ratio = self.y / base
        variance = np.maximum(self.yy - 2.0 * ratio * self.xy + ratio**2 * self.xx, 0.0)
        return ratio, variance / (base**2 * np.maximum(self.n, 1.0))


def _adjusted(sides: list[_Running]) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Means and squared errors of both arms, each freed of the covariate by the slope that the units so far give."""
    one, two = sides
    within = [np.maximum(side.n - 1.0, 0.0) for side in sides]
    spread = within[0] * one.xx + within[1] * two.xx
    joint = within[0] * one.xy + within[1] * two.xy
    theta = np.divide(joint, spread, out=np.zeros_like(joint), where=spread > 1e-12)
    centre = (one.n * one.x + two.n * two.x) / np.maximum(one.n + two.n, 1.0)
    means = (one.y - theta * (one.x - centre), two.y - theta * (two.x - centre))
    left, right = (
        np.maximum(side.yy - 2.0 * theta * side.xy + theta**2 * side.xx, 0.0) / np.maximum(side.n, 1.0)
        for side in sides
    )
    return means, (left, right)
