"""Scales: from values to places on the picture."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, log10

Scale = Callable[[float], float]


def linear(domain: tuple[float, float], places: tuple[float, float]) -> Scale:
    """Maps `domain` onto `places`. A domain without width maps to the middle.

    >>> linear((0, 10), (0, 100))(2.5)
    25.0
    >>> linear((3, 3), (0, 100))(3)
    50.0
    """
    (low, high), (first, last) = domain, places
    if high == low:
        return lambda _value: (first + last) / 2
    return lambda value: first + (value - low) / (high - low) * (last - first)


def ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Round values inside [low, high], about so many.

    >>> ticks(0.61, 0.93)
    [0.7, 0.8, 0.9]
    >>> ticks(5, 5)
    [5]
    """
    if high <= low:
        return [low]
    raw = (high - low) / about
    scale = 10.0 ** floor(log10(raw))
    step = next(scale * nice for nice in (1, 2, 2.5, 5, 10) if scale * nice >= raw * 0.999)
    first = floor(low / step + 0.999999)
    return [round(place * step, 10) for place in range(first, floor(high / step + 1e-6) + 1)]
