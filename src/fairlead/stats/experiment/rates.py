"""Two proportions: the pooled z-test, and score intervals of the difference and of the ratio that agree with it.

The score interval holds every value that the score test does not reject (Miettinen, Nurminen, "Comparative analysis of
two rates", 1985): the rates are fitted under the constraint, and the variance is theirs times N / (N - 1). It needs no
zero-cell repair, and at 0 (a ratio of 1) it is the pooled z-test, but for that factor. So difference, ratio and p-value
say the same of which arm is ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from math import acos, copysign, cos, inf, pi, sqrt

from msgspec import Struct
from scipy.special import ndtr, ndtri

from fairlead.stats.intervals import wilson


class Counts(Struct, frozen=True):
    """`events` of `units` in an arm. Raises `ValueError` for impossible counts."""

    events: int
    units: int

    def __post_init__(self) -> None:
        if not 0 <= self.events <= self.units or self.units == 0:
            raise ValueError(f"{self.events} events in {self.units} units: an arm has at least one unit")

    @property
    def rate(self) -> float:
        """Events per unit."""
        return self.events / self.units


def pooled_z(treatment: Counts, control: Counts, margin: float = 0.0) -> tuple[float, float]:
    """(z, two-sided p) of "the rates are equal", with the pooled variance. Both arms all or nothing: (0, 1).

    With a `margin` the score test of "treatment - control = -margin" stands in for it.

    >>> z, p = pooled_z(Counts(510, 5000), Counts(450, 5000))
    >>> round(z, 4), round(p, 4)
    (2.0367, 0.0417)
    """
    units = treatment.units + control.units
    z = _difference_score(treatment, control, -margin) * (sqrt(units / (units - 1)) if not margin else 1.0)
    return z, float(2.0 * ndtr(-abs(z)))


def difference_interval(treatment: Counts, control: Counts, alpha: float = 0.05) -> tuple[float, float]:
    """The score interval of treatment - control (Miettinen, Nurminen), within [-1, 1].

    >>> [round(x, 5) for x in difference_interval(Counts(510, 5000), Counts(450, 5000))]
    [0.00045, 0.02357]
    """
    z = _quantile(alpha)
    middle = treatment.rate - control.rate

    def rejected(value: float) -> bool:
        return abs(_difference_score(treatment, control, value)) > z

    return _edge(rejected, middle, -1.0), _edge(rejected, middle, 1.0)


def ratio_interval(treatment: Counts, control: Counts, alpha: float = 0.05) -> tuple[float, float]:
    """The score interval of treatment / control (Miettinen, Nurminen); infinite where the control may have no events.

    >>> [round(x, 4) for x in ratio_interval(Counts(510, 5000), Counts(450, 5000))]
    [1.0047, 1.2785]
    >>> ratio_interval(Counts(0, 10), Counts(0, 10))
    (0.0, inf)
    """
    z = _quantile(alpha)
    if treatment.events == control.events == 0:
        return 0.0, inf
    middle = treatment.rate / control.rate if control.events else inf

    def rejected(share: float) -> bool:  # share = ratio / (1 + ratio) maps every ratio into [0, 1]
        return abs(_ratio_score(treatment, control, share / (1.0 - share))) > z if share < 1.0 else False

    at = 1.0 if middle == inf else middle / (1.0 + middle)
    low = _edge(rejected, at, 0.0) if treatment.events else 0.0
    high = _edge(rejected, at, 1.0 - 1e-12) if control.events else 1.0
    return low / (1.0 - low) if low < 1.0 else inf, high / (1.0 - high) if high < 1.0 - 1e-9 else inf


def newcombe_interval(treatment: Counts, control: Counts, alpha: float = 0.05) -> tuple[float, float]:
    """The hybrid score interval of treatment - control from two Wilson intervals (Newcombe, 1998, method 10).

    >>> [round(x, 5) for x in newcombe_interval(Counts(510, 5000), Counts(450, 5000))]
    [0.00045, 0.02356]
    """
    one, two = treatment.rate, control.rate
    low_one, high_one = wilson(treatment.events, treatment.units, alpha)
    low_two, high_two = wilson(control.events, control.units, alpha)
    below = sqrt((one - low_one) ** 2 + (high_two - two) ** 2)
    above = sqrt((high_one - one) ** 2 + (two - low_two) ** 2)
    return one - two - below, one - two + above


def _difference_score(treatment: Counts, control: Counts, value: float) -> float:
    """(observed difference - value) / its standard error under that difference."""
    gap = treatment.rate - control.rate - value
    if gap == 0.0:
        return 0.0
    base = _constrained(treatment, control, value)
    other = min(max(base + value, 0.0), 1.0)
    units = treatment.units + control.units
    variance = other * (1.0 - other) / treatment.units + base * (1.0 - base) / control.units
    return copysign(inf, gap) if variance <= 0.0 else gap / sqrt(variance * units / (units - 1.0))


def _constrained(treatment: Counts, control: Counts, value: float) -> float:
    """The control's likeliest rate where treatment - control = value: a root of a cubic, in closed form."""
    units, events = treatment.units + control.units, treatment.events + control.events
    if value == 0.0:
        return events / units
    c2 = ((treatment.units + 2.0 * control.units) * value - units - events) / units
    c1 = ((control.units * value - units - 2.0 * control.events) * value + events) / units
    c0 = control.events * value * (1.0 - value) / units
    q = (c2 / 3.0) ** 3 - c1 * c2 / 6.0 + c0 / 2.0
    p = copysign(sqrt(max((c2 / 3.0) ** 2 - c1 / 3.0, 0.0)), q)
    angle = (pi + acos(min(max(q / p**3, -1.0), 1.0))) / 3.0 if p else pi / 2.0
    root = 2.0 * p * cos(angle) - c2 / 3.0
    for _ in range(2):  # Newton: the closed form loses digits where rates are small
        slope = (3.0 * root + 2.0 * c2) * root + c1
        root -= (((root + c2) * root + c1) * root + c0) / slope if slope else 0.0
    return min(max(root, 0.0, -value), 1.0, 1.0 - value)


def _ratio_score(treatment: Counts, control: Counts, value: float) -> float:
    """(treatment rate - value * control rate) / its standard error under that ratio."""
    gap = treatment.rate - value * control.rate
    if gap == 0.0:
        return 0.0
    units, events = treatment.units + control.units, treatment.events + control.events
    a, b = units * value, -(treatment.units * value + treatment.events + control.units + control.events * value)
    base = 2.0 * events / (-b + sqrt(max(b * b - 4.0 * a * events, 0.0)))
    other = min(base * value, 1.0)
    variance = other * (1.0 - other) / treatment.units + value**2 * base * (1.0 - base) / control.units
    return copysign(inf, gap) if variance <= 0.0 else gap / sqrt(variance * units / (units - 1.0))


def _edge(rejected: Callable[[float], bool], inside: float, outside: float) -> float:
    """Where rejection begins between two values, or the outer one if it does not."""
    if not rejected(outside):
        return outside
    for _ in range(100):
        middle = (inside + outside) / 2.0
        if middle in (inside, outside):
            break
        if rejected(middle):
            outside = middle
        else:
            inside = middle
    return outside


def _quantile(alpha: float) -> float:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}: it must lie between 0 and 1")
    return -float(ndtri(alpha / 2.0))
