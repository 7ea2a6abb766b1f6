"""Values of units that were dealt to two arms, from counts alone: is one arm's mean beyond a bound on the other's?

A unit is dealt to the canary (x = 1) with a known probability rho, then shows a value Y, 0 until it has one. Under the
null "canary <= r * champion + o" (`rises`; `falls` is the mirror, s = -1) for every constant c

    h = s ((1 - rho) x - r rho (1 - x)) (Y - c),    E h <= rho (1 - rho) b,    b = s (o - c (1 - r)),

so each factor (1 + l h) / (1 + l rho (1 - rho) b) has expectation at most 1, whatever both arms have in common: an
outage, a sale. The evidence is the average of their products over a few l and c. Only sums enter, so units may come in
any order and a value may come late: what is late is late on both arms, and until it comes its unit has only cost.

**Values in [0, 1]**: exact. **Others** (money): the limit law of the same sums, a mixture of normals, from
`LEAST_UNITS` units an arm of which the canary should have shown `LEAST_SHOWN` values other than 0. The variance is that
of all units: the canary's own would be too small just when it lacks values.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, log, sqrt

import numpy as np
from msgspec import Struct
from scipy.special import log_ndtr

from fairlead.stats.sequential.evidence import Floats, log_mean

LEAST_UNITS = 100
LEAST_SHOWN = 10.0
_CENTRES = (0.0, 0.5, 0.9)
# What the bets are tuned for: the change of the mean as a part of it (over 1 - c), down and up.
_FALLS = (0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 0.95)
_RISES = (0.03, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 9.0)
_LARGEST_LOSS = 0.95
# And of the mixture of normals: the change in standard deviations of one unit's value.
_SHIFTS = (0.02, 0.06, 0.2)

Counts = tuple[tuple[float, int], ...]  # (value, units)


class DealtUnits(Struct, frozen=True):
    """Units that were dealt with one `share` of the canary, in (0, 1), by their value."""

    share: float
    champion: Counts
    canary: Counts


class Means(Struct, frozen=True):
    """Units and mean of each arm, and how many values were not 0."""

    champion_units: int
    canary_units: int
    champion: float | None
    canary: float | None
    shown: int


def means(groups: Sequence[DealtUnits]) -> Means:
    """What each arm's units came to.

    >>> means([DealtUnits(0.5, ((0.0, 6), (1.0, 2)), ((0.0, 3), (2.0, 1)))])
    Means(champion_units=8, canary_units=4, champion=0.25, canary=0.5, shown=3)
    """
    champion = [pair for group in groups for pair in group.champion]
    canary = [pair for group in groups for pair in group.canary]
    one, two = sum(count for _, count in champion), sum(count for _, count in canary)
    return Means(
        one,
        two,
        sum(value * count for value, count in champion) / one if one > 0 else None,
        sum(value * count for value, count in canary) / two if two > 0 else None,
        sum(count for value, count in (*champion, *canary) if value != 0.0),
    )


def deviation(groups: Sequence[DealtUnits]) -> float:
    """The standard deviation of one unit's value, over all units; 0 without any.

    >>> deviation([DealtUnits(0.5, ((0.0, 2),), ((2.0, 2),))])
    1.0
    """
    value, units = _columns(tuple(pair for group in groups for pair in (*group.champion, *group.canary)))
    total = float(units.sum())
    if not total > 0.0:
        return 0.0
    centre = float((value * units).sum() / total)
    return sqrt(float((units * (value - centre) ** 2).sum() / total))


def falls_log_e(groups: Sequence[DealtUnits], factor: float, offset: float) -> float:
    """ln E against "the canary's mean is at least `factor` * the champion's + `offset`".

    >>> even = [DealtUnits(0.5, ((0.0, 900), (1.0, 100)), ((0.0, 900), (1.0, 100)))]
    >>> half = [DealtUnits(0.5, ((0.0, 900), (1.0, 100)), ((0.0, 950), (1.0, 50)))]
    >>> round(falls_log_e(even, 1.0, -0.01), 1), round(falls_log_e(half, 1.0, -0.01), 1)
    (-1.7, 2.8)
    """
    return _log_e(groups, factor, offset, -1.0)


def rises_log_e(groups: Sequence[DealtUnits], factor: float, offset: float) -> float:
    """ln E against "the canary's mean is at most `factor` * the champion's + `offset`".

    >>> even = [DealtUnits(0.5, ((0.0, 9000), (1.0, 1000)), ((0.0, 9000), (1.0, 1000)))]
    >>> round(rises_log_e(even, 1.0, -0.02), 1)  # it is no 2 points below
    6.3
    """
    return _log_e(groups, factor, offset, 1.0)


def _log_e(groups: Sequence[DealtUnits], factor: float, offset: float, sign: float) -> float:
    kept = [group for group in groups if 0.0 < group.share < 1.0]
    values = [value for group in kept for value, _ in (*group.champion, *group.canary)]
    if not values:
        return 0.0
    if min(values) >= 0.0 and max(values) <= 1.0:
        return _exact(kept, factor, offset, sign)
    return _normal(kept, factor, offset, sign)


def _exact(groups: Sequence[DealtUnits], factor: float, offset: float, sign: float) -> float:
    changes = np.array(_FALLS if sign < 0.0 else _RISES)
    sums = np.zeros((len(_CENTRES), changes.size))
    for place, centre in enumerate(_CENTRES):
        slack = sign * (offset - centre * (1.0 - factor))
        for group in groups:
            rho = group.share
            sides = ((sign * (1.0 - rho), group.canary), (-sign * factor * rho, group.champion))
            bets = np.minimum(changes / (1.0 - centre), _LARGEST_LOSS / _largest_loss(sides, centre, rho, slack))
            for weight, counts in sides:
                value, units = _columns(counts)
                sums[place] += (units * np.log1p(bets[:, None] * weight * (value - centre))).sum(axis=-1)
                sums[place] -= units.sum() * np.log1p(bets * rho * (1.0 - rho) * slack)
    return float(log_mean(sums.reshape(-1, 1))[0])


def _largest_loss(sides: tuple[tuple[float, Counts], ...], centre: float, rho: float, slack: float) -> float:
    """The most that a bet of 1 can lose on one unit, whatever its value in [0, 1]; and on what it costs."""
    losses = [-weight * (end - centre) for weight, _ in sides for end in (0.0, 1.0)]
    return max(*losses, -rho * (1.0 - rho) * slack, 1e-9)


def _normal(groups: Sequence[DealtUnits], factor: float, offset: float, sign: float) -> float:
    found = means(groups)
    units = found.champion_units + found.canary_units
    if min(found.champion_units, found.canary_units) < LEAST_UNITS:
        return 0.0
    if found.canary_units * found.shown < LEAST_SHOWN * units:
        return 0.0
    value, counts = _columns(tuple(pair for group in groups for pair in (*group.champion, *group.canary)))
    centre = float((value * counts).sum() / units)
    pooled = deviation(groups) ** 2
    if not pooled > 0.0:
        return 0.0
    total = spread = 0.0
    slack = sign * (offset - centre * (1.0 - factor))
    for group in groups:
        rho = group.share
        of_canary, of_champion = _about(group.canary, centre), _about(group.champion, centre)
        information = rho * (1.0 - rho) * (of_canary[0] + of_champion[0])
        total += sign * ((1.0 - rho) * of_canary[1] - factor * rho * of_champion[1]) - information * slack
        spread += information * ((1.0 - rho) * max(pooled, _mean_of(of_canary)) + factor**2 * rho * pooled)
    return _mixed(total / sqrt(pooled), spread / pooled)


def _mixed(total: float, spread: float) -> float:
    """ln of the average over `_SHIFTS` of the one-sided normal mixtures 2 / sqrt(1 + V t^2) exp(z^2 / 2) Phi(z)."""
    logs = []
    for shift in _SHIFTS:
        grown = 1.0 + spread * shift * shift
        z = total * shift / sqrt(grown)
        logs.append(log(2.0) - log(grown) / 2.0 + z * z / 2.0 + float(log_ndtr(z)))
    return float(log_mean(np.array(logs).reshape(-1, 1))[0])


def _about(counts: Counts, centre: float) -> tuple[float, float, float]:
    """Units, and the sums of their values' first and second powers about the centre."""
    value, units = _columns(counts)
    gaps = value - centre
    return float(units.sum()), float((units * gaps).sum()), float((units * gaps * gaps).sum())


def _mean_of(about: tuple[float, float, float]) -> float:
    return about[2] / about[0] if about[0] >= LEAST_UNITS else -inf


def _columns(counts: Counts) -> tuple[Floats, Floats]:
    """A count below 0 is a log that lost its end and has not been read again yet: it counts nothing."""
    table = np.array(counts, dtype=np.float64).reshape(-1, 2)
    return table[:, 0], np.maximum(table[:, 1], 0.0)
