"""How far two arms' scores are apart: a bound on the Kolmogorov distance, by an e-process from counts alone.

Scores fall into cells. **Null**: at every edge between cells, the share of units above it differs between the arms by
at most d, given the past, whatever both have in common: a season, an outage, a new share. A unit is dealt to the canary
(x = 1) with a known probability rho. For an edge let Y be whether its score lies above, and c any constant; then

    h = s ((1 - rho) x - rho (1 - x)) (Y - c),    E h = s rho (1 - rho) (above on the canary - on the champion),

for s = 1 (up) and s = -1 (down), so under the null each factor (1 + l h) / (1 + l rho (1 - rho) d) expects at most 1.
c is the share that was expected above the edge, which makes h small; the evidence is the average of the products over
edges, both directions and a few l. Each unit is one factor however often it asks, and only sums enter.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from fairlead.stats.sequential.evidence import Floats, log_mean

_BETS = np.array([0.06, 0.13, 0.25, 0.5, 0.9])  # of the largest that no unit can ruin
_NEAREST = 0.02  # a centre keeps so far from 0 and 1


class DealtCells(Struct, frozen=True):
    """Units that were dealt with one `share` of the canary, in (0, 1), counted by the cell of their score."""

    share: float
    champion: tuple[int, ...]
    canary: tuple[int, ...]


class Shift(Struct, frozen=True):
    """The largest difference of the arms' shares above an edge: positive where the canary's scores are higher.

    `edge` is the edge's place, from 0.
    """

    difference: float
    edge: int


def shift_log_e(groups: Sequence[DealtCells], expected: Sequence[float], bound: float) -> float:
    """ln E against "at no edge do the arms' shares above it differ by more than `bound`".

    `expected` are the cells' shares on any scale: two or more, else `ValueError`.

    >>> def arms(canary: tuple[int, ...]) -> list[DealtCells]:
    ...     return [DealtCells(0.5, (250, 250, 250, 250), canary)]
    >>> round(shift_log_e(arms((110, 190, 280, 420)), [0.25] * 4, 0.1), 1)  # 20 % more above the middle
    6.4
    >>> round(shift_log_e(arms((210, 240, 260, 290)), [0.25] * 4, 0.1), 1)
    -8.7
    """
    shares = np.maximum(np.asarray(expected, dtype=np.float64), 0.0)
    if shares.size < 2 or not shares.sum() > 0.0:
        raise ValueError(f"{shares.size} expected shares: give two cells or more, not all of them zero")
    centres = np.clip(1.0 - np.cumsum(shares)[:-1] / shares.sum(), _NEAREST, 1.0 - _NEAREST)
    sums = np.zeros((2, _BETS.size, centres.size))
    for group in groups:
        if 0.0 < group.share < 1.0:
            sums += _grown(group, centres, bound)
    return float(log_mean(sums.reshape(-1, 1))[0])


def _grown(group: DealtCells, centres: Floats, bound: float) -> Floats:
    """What a group adds to ln of each product, shape (2, bets, edges)."""
    rho = group.share
    sign = np.array([1.0, -1.0]).reshape(2, 1, 1)
    bets = _BETS[:, None] / (max(rho, 1.0 - rho) * np.maximum(centres, 1.0 - centres))
    sums = np.zeros((2, *bets.shape))
    for weight, cells in ((1.0 - rho, group.canary), (-rho, group.champion)):
        above, units = _above(cells)
        sums += above * np.log1p(sign * weight * bets * (1.0 - centres))
        sums += (units - above) * np.log1p(-sign * weight * bets * centres)
        sums -= units * np.log1p(bets * rho * (1.0 - rho) * bound)
    return sums


def shift_of(groups: Sequence[DealtCells]) -> Shift:
    """How far the arms are apart; groups of all shares together, each weighed so that their arms compare alike.

    >>> shift_of([DealtCells(0.5, (50, 50, 0), (10, 40, 50))])
    Shift(difference=0.5, edge=1)
    """
    champion = _share_above([(group.share, group.champion) for group in groups])
    canary = _share_above([(1.0 - group.share, group.canary) for group in groups])
    if champion is None or canary is None:
        return Shift(0.0, 0)
    differences = canary - champion
    edge = int(np.argmax(np.abs(differences)))
    return Shift(float(differences[edge]), edge)


def _share_above(weighed: Sequence[tuple[float, tuple[int, ...]]]) -> Floats | None:
    """The share of an arm's units above each edge, from (weight, counts); None without a unit."""
    found = [(weight, *_above(cells)) for weight, cells in weighed if cells]
    total = sum(weight * units for weight, _, units in found)
    if not total > 0.0:
        return None
    share: Floats = np.sum([weight * above for weight, above, _ in found], axis=0) / total
    return share


def _above(cells: tuple[int, ...]) -> tuple[Floats, float]:
    """Units above each edge, and all. A count below 0 is a log that lost its end: it counts nothing."""
    counts = np.maximum(np.asarray(cells, dtype=np.float64), 0.0)
    from_top: Floats = np.cumsum(counts[::-1])[::-1]
    return from_top[1:], float(counts.sum())
