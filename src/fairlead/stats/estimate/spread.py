"""From a point and its replicates to an interval."""

from __future__ import annotations

from math import inf, isnan, nan

import numpy as np

from fairlead.stats.performance import UNDEFINED, Floats, Measure

REPLICATES = 200
UNIT = (0.0, 1.0)
POSITIVE = (0.0, inf)
ANY = (-inf, inf)


def ratio(part: Floats, whole: Floats) -> Floats:
    """Element by element; nan where the whole is 0."""
    found = np.full(np.shape(part), nan)
    return np.asarray(np.divide(part, whole, out=found, where=np.asarray(whole) > 0), np.float64)


def spread(value: float, drawn: Floats, level: float, within: tuple[float, float] = UNIT) -> Measure:
    """The point with its replicates' quantiles, moved so that their median lies on the point: a curve that is fitted
    to redrawn rows is a little off the fitted one, which is the redrawing's bias and not the metric's chance.

    Quantiles stand at (B + 1) q of B replicates, so the interval of a new draw is exact for any B (Weibull, 1939).
    """
    seen = drawn[~np.isnan(drawn)]
    if isnan(value) or seen.size < drawn.size // 2 or not seen.size:
        return UNDEFINED
    tail = 0.5 - level / 2
    low, middle, high = np.quantile(seen, [tail, 0.5, 1 - tail], method="weibull")
    return Measure(value, max(within[0], value + float(low - middle)), min(within[1], value + float(high - middle)))
