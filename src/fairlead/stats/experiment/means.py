"""Two means: Welch's t, the interval of the difference, and the interval of the ratio (Fieller).

Everything starts from an `Estimate` of each arm, so a plain mean, a ratio metric and an adjusted mean are read alike.
"""

from __future__ import annotations

from math import copysign, inf, isfinite, sqrt

from msgspec import Struct
from scipy.special import stdtr, stdtrit


class Estimate(Struct, frozen=True):
    """A mean over `units` with the `variance` of one unit (with units - 1); two units at least, or `ValueError`."""

    units: int
    mean: float
    variance: float

    def __post_init__(self) -> None:
        if self.units < 2:
            raise ValueError(f"{self.units} units: a mean with an interval needs two")
        if not isfinite(self.mean) or not self.variance >= 0.0:
            raise ValueError(f"mean {self.mean} with variance {self.variance}: both must be finite, the latter >= 0")

    @property
    def error(self) -> float:
        """Squared standard error."""
        return self.variance / self.units


def welch(treatment: Estimate, control: Estimate, margin: float = 0.0) -> tuple[float, float]:
    """(t, two-sided p) of "treatment - control = -margin" (Welch, 1947). Two constants: (0, 1), or (+-inf, 0).

    >>> t, p = welch(Estimate(100, 10.9, 9.0), Estimate(120, 10.0, 8.0))
    >>> round(t, 4), round(p, 4)
    (2.2738, 0.024)
    """
    gap = treatment.mean - control.mean + margin
    if gap == 0.0:
        return 0.0, 1.0
    error = treatment.error + control.error
    if error == 0.0:
        return copysign(inf, gap), 0.0
    t = gap / sqrt(error)
    return t, float(2.0 * stdtr(freedom(treatment, control), -abs(t)))


def difference_interval(treatment: Estimate, control: Estimate, alpha: float = 0.05) -> tuple[float, float]:
    """Welch's interval of treatment - control.

    >>> [round(x, 3) for x in difference_interval(Estimate(100, 10.9, 9.0), Estimate(120, 10.0, 8.0))]
    [0.12, 1.68]
    """
    middle = treatment.mean - control.mean
    half = _quantile(alpha, treatment, control) * sqrt(treatment.error + control.error)
    return middle - half, middle + half


def ratio_interval(treatment: Estimate, control: Estimate, alpha: float = 0.05) -> tuple[float, float]:
    """Fieller's interval (1954) of treatment / control: the values g that "treatment - g control = 0" does not reject.

    It excludes 1 exactly where `difference_interval` excludes 0. Where the control's mean may be 0 it is unbounded:
    (-inf, inf).

    >>> [round(x, 4) for x in ratio_interval(Estimate(100, 10.9, 9.0), Estimate(120, 10.0, 8.0))]
    [1.0116, 1.1741]
    """
    square = _quantile(alpha, treatment, control) ** 2
    a = control.mean**2 - square * control.error
    if a <= 0.0:
        return -inf, inf
    b = treatment.mean * control.mean
    c = treatment.mean**2 - square * treatment.error
    root = sqrt(max(b * b - a * c, 0.0))
    return (b - root) / a, (b + root) / a


def freedom(treatment: Estimate, control: Estimate) -> float:
    """Satterthwaite's degrees of freedom; infinite for two constants.

    >>> round(freedom(Estimate(100, 10.9, 9.0), Estimate(120, 10.0, 8.0)), 1)
    206.0
    """
    one, two = treatment.error, control.error
    below = one**2 / (treatment.units - 1) + two**2 / (control.units - 1)
    return (one + two) ** 2 / below if below > 0.0 else inf


def _quantile(alpha: float, treatment: Estimate, control: Estimate) -> float:
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}: it must lie between 0 and 1")
    return -float(stdtrit(min(freedom(treatment, control), 1e9), alpha / 2.0))
