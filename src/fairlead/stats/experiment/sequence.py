"""The difference of two arms, read as often as one likes: an asymptotic confidence sequence along a `Path`.

At t units, with estimated difference d and squared standard error v, the interval is d +- sqrt(v) c(t),

    c(t) = sqrt(2 (t r^2 + 1) / (t r^2) ln(sqrt(t r^2 + 1) / alpha)),   r^2 = (-2 ln alpha + ln(1 - 2 ln alpha)) / t*,

narrowest, among this family, at t* units (Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit
theory and asymptotic confidence sequences", 2024). It covers at all looks from t0 on together with a probability that
tends to 1 - alpha as t0 grows. No look counts before each arm has 100 units, and 25 times the squared skewness of the
values (Cochran's rule for one normal interval, 1977): for a rare event that is about 25 events in an arm.

The ratio of the arms is bounded as Fieller's interval is, with c(t) in place of the quantile. What one look excludes
stays excluded: the ends given are the tightest so far. The split must stay as it is: after a change, begin anew.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from fairlead.stats.experiment.moments import Path
from fairlead.stats.sequential.means import LEAST_UNITS, normal_margin, tuning

Floats = NDArray[np.float64]
TUNED_FOR = 10_000
SKEW_UNITS = 25


class Following(Struct, frozen=True, eq=False):
    """The sequence after each unit, each (looks,): ends of difference and ratio, and ln E against "equal"."""

    low: Floats
    high: Floats
    ratio_low: Floats
    ratio_high: Floats
    log_e: Floats

    @property
    def broken(self) -> bool:
        """Whether the looks contradict each other: the effect changed on the way, or a look missed (alpha)."""
        return bool(self.low.size) and bool(self.low[-1] > self.high[-1])


def follow(path: Path, alpha: float = 0.05, tuned_for: float = TUNED_FOR, margin: float = 0.0) -> Following:
    """The sequence along a path at level `alpha`; ln E is against "treatment - control = -margin".

    `tuned_for` is t*, units of both arms. Before the first look that counts the ends are infinite and ln E is 0. Raises
    `ValueError` for an alpha outside (0, 1) and a t* of 0.

    >>> from fairlead.stats.experiment.moments import path
    >>> rng = np.random.default_rng(0)
    >>> treated = rng.random(4_000) < 0.5
    >>> found = follow(path(rng.normal(size=4_000) + 0.2 * treated, treated))
    >>> round(float(found.low[-1]), 3), round(float(found.high[-1]), 3), bool(found.log_e[-1] > np.log(20))
    (0.096, 0.279, True)
    """
    counted = path.least >= np.maximum(LEAST_UNITS, SKEW_UNITS * path.skew)
    growth = path.units * tuning(alpha, tuned_for)
    width = normal_margin(path.units, alpha, tuned_for) * np.sqrt(path.units)  # in standard errors
    half = np.where(counted, np.sqrt(path.error) * width, np.inf)
    square = np.divide(
        (path.difference + margin) ** 2, path.error, out=np.zeros_like(half), where=counted & (path.error > 0)
    )
    log_e = np.where(counted, growth * square / (2.0 * (growth + 1.0)) - np.log1p(growth) / 2.0, 0.0)
    ratio_low, ratio_high = _ratio(path, np.where(counted, width, np.inf) ** 2)
    return Following(
        np.maximum.accumulate(path.difference - half),
        np.minimum.accumulate(path.difference + half),
        np.maximum.accumulate(ratio_low),
        np.minimum.accumulate(ratio_high),
        log_e,
    )


def _ratio(path: Path, square: Floats) -> tuple[Floats, Floats]:
    """Fieller's ends with the squared quantile of each look; unbounded where the control's mean may be 0."""
    bounded = np.isfinite(square) & np.isfinite(path.error)
    at = np.where(bounded, square, 0.0)
    errors = np.where(bounded, path.error - path.base_error, 0.0), np.where(bounded, path.base_error, 0.0)
    top = path.base + path.difference
    a, b, c = path.base**2 - at * errors[1], top * path.base, top**2 - at * errors[0]
    known = bounded & (a > 0.0)
    safe = np.where(known, a, 1.0)
    root = np.sqrt(np.maximum(b * b - safe * c, 0.0))
    return np.where(known, (b - root) / safe, -np.inf), np.where(known, (b + root) / safe, np.inf)
