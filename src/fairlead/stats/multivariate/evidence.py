"""What a multivariate test found, in the terms that a verdict needs."""

from __future__ import annotations

from math import sqrt

from msgspec import Struct

POWER_Z = 0.8416212335729143  # 80 % power


class Suspect(Struct, frozen=True):
    """A column, or a pair of them, and how much it contributes, in the units that the method states."""

    name: str
    value: float


class Evidence(Struct, frozen=True):
    """One test.

    `statistic` is what the method's paper calls it; `warning` and `critical` are its 95 % and 99 % points under no
    change, None where it has no law of its own. `effect` is held against `limit`, `low` and `high` are the ends of its
    95 % interval, None where the method has none. `detectable` is the smallest effect that this many rows would have
    shown with 80 % power at the level asked for, infinite where none could. `suspects` come worst first.
    """

    method: str
    statistic: float
    effect: float
    limit: float
    p_value: float
    detectable: float
    warning: float | None = None
    critical: float | None = None
    low: float | None = None
    high: float | None = None
    suspects: tuple[Suspect, ...] = ()


def detectable_square(critical: float, spread: float) -> float:
    """The squared distance that exceeds `critical` in 80 of 100 samples; all are in units of the unbiased estimate.

    `spread` s is the estimate's standard deviation under no change. At a distance D it is at most
    sqrt(s^2 + 2 sqrt(2) s D): the first-order term is 4 Var(witness) (1/n + 1/m), and the witness varies by at most
    D times the covariance operator's largest eigenvalue, itself at most s / (sqrt(2) (1/n + 1/m)).
    Solves D = critical + z sqrt(s^2 + 2 sqrt(2) s D), z = 0.84.

    >>> round(detectable_square(1.0, 0.0), 3), round(detectable_square(2.0, 1.0), 3)
    (1.0, 5.393)
    """
    slope = 2.0 * sqrt(2.0) * spread * POWER_Z**2
    half = critical + slope / 2.0  # D^2 - (2 critical + slope) D + critical^2 - z^2 s^2 = 0
    return half + sqrt(max(0.0, half * half - critical * critical + (POWER_Z * spread) ** 2))
