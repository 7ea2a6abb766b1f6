"""From a point and its replicates to an interval."""

from __future__ import annotations

from collections.abc import Mapping
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


def spread(
    value: float, drawn: Floats, level: float, within: tuple[float, float] = UNIT, centre: float | None = None
) -> Measure:
    """The point with its replicates' quantiles, moved so that `centre`, or else their median, lies on the point.

    Quantiles stand at (B + 1) q of B replicates, so the interval of a new draw is exact for any B (Weibull, 1939).
    """
    seen = drawn[~np.isnan(drawn)]
    if isnan(value) or seen.size < drawn.size // 2 or not seen.size:
        return UNDEFINED
    return _moved(value, np.quantile(seen, _shares(level), method="weibull").tolist(), within, centre)


def spreads(
    values: Mapping[str, float],
    drawn: Mapping[str, Floats],
    level: float,
    within: Mapping[str, tuple[float, float]],
    centres: Mapping[str, float],
) -> dict[str, Measure]:
    """`spread` of several by name, which have equally many replicates; the quantiles of all of them are found at once.

    >>> each = np.arange(199.0)
    >>> spreads({"a": 0.5}, {"a": each}, 0.95, {"a": ANY}, {"a": nan})["a"] == spread(0.5, each, 0.95, ANY)
    True
    """
    whole = [name for name, value in values.items() if not isnan(value) and not np.isnan(drawn[name]).any()]
    each_drawn = [drawn[name] for name in whole]
    ends: list[Floats] = list(np.quantile(each_drawn, _shares(level), axis=1, method="weibull")) if whole else []
    found = {
        name: _moved(values[name], list(each), within[name], centres[name])
        for name, *each in zip(whole, *(end.tolist() for end in ends), strict=True)
    }
    return {
        name: found[name] if name in found else spread(value, drawn[name], level, within[name], centres[name])
        for name, value in values.items()
    }


def _shares(level: float) -> list[float]:
    tail = 0.5 - level / 2
    return [tail, 0.5, 1 - tail]


def _moved(value: float, ends: list[float], within: tuple[float, float], centre: float | None) -> Measure:
    low, middle, high = ends
    at = middle if centre is None or isnan(centre) else centre
    low, high = value + low - at, value + high - at
    return Measure(value, max(within[0], min(value, low)), min(within[1], max(value, high)))


def centre_of(base: float, expected: Floats) -> float:
    """Where the replicates of a metric lie when the truth lies on the point: twice the mean of their expectations, less
    the metric `base` of the curve itself.

    A curve that is fitted to redrawn rows is surer than the one it was redrawn from, by about as much as that one is
    surer than the truth (Efron, Tibshirani 1993, section 10.6). The point keeps that bias, which is small beside its
    error; the interval is moved by it. nan where no expectation is defined.
    """
    seen = expected[~np.isnan(expected)]
    return 2 * float(seen.mean()) - base if seen.size else nan
