"""By what chance a unit was dealt to the canary, given how it was dealt before."""

from __future__ import annotations

from collections.abc import Iterable

_DIGITS = 12  # of a probability


def conditional(dealt: Iterable[tuple[float, bool]]) -> list[float]:
    """The chance of the canary in each deal of one unit, in their order, as (share of the canary, whether it was).

    A unit keeps its place at every share: of those that a 1 % canary left to the champion, a 5 % canary takes 4 in 99,
    and those that it had stay with it, which is no chance.

    >>> conditional([(0.01, False), (0.05, True), (0.5, True)])
    [0.01, 0.040404040404, 1.0]
    """
    low, high, odds = 0.0, 1.0, []
    for share, canary in dealt:
        odds.append(round((min(max(share, low), high) - low) / (high - low), _DIGITS) if high > low else 0.0)
        low, high = (low, min(high, share)) if canary else (max(low, share), high)
    return odds
