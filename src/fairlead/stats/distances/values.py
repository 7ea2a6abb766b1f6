"""What a distance says, and where it begins to matter."""

from __future__ import annotations

from msgspec import Struct

from fairlead.stats.exact import Floats

Z = 1.959963984540054  # two-sided 95 %


class Limits(Struct, frozen=True):
    """The effects above which a column is worth a warning, and critical."""

    warning: float
    critical: float


class Thresholds(Struct, frozen=True):
    """The limits of every distance. Defaults are the field's."""

    psi: Limits = Limits(0.10, 0.25)
    ks: Limits = Limits(0.05, 0.10)
    js: Limits = Limits(0.05, 0.10)
    wasserstein: Limits = Limits(0.10, 0.25)
    chi_squared: Limits = Limits(0.05, 0.10)
    null_rate: Limits = Limits(2.0, 5.0)
    unseen: Limits = Limits(0.0, 0.05)
    outside: Limits = Limits(0.01, 0.05)
    rare: Limits = Limits(1.5, 3.0)


DEFAULT = Thresholds()


class Distance(Struct, frozen=True, gc=False):
    """One distance. `p_value` is None where the distance is an effect only; limits are exceeded, not reached."""

    name: str
    value: float
    corrected: float
    p_value: float | None
    low: float
    high: float
    warning: float
    critical: float


class Readings(Struct, frozen=True, eq=False):
    """One distance of many pairs of profiles: arrays of shape (pairs,). A p-value is nan where there is none."""

    name: str
    value: Floats
    corrected: Floats
    p_value: Floats
    low: Floats
    high: Floats

    def distances(self, limits: Limits) -> list[Distance]:
        """The same, pair by pair."""
        columns = (self.value, self.corrected, self.p_value, self.low, self.high)
        return [
            Distance(self.name, value, corrected, p if p == p else None, low, high, limits.warning, limits.critical)  # noqa: PLR0124 - nan
            for value, corrected, p, low, high in zip(*(column.tolist() for column in columns), strict=True)
        ]
