"""Intervals for a rate: exact or short at one look (Clopper-Pearson, Wilson), or valid at every look (a sequence).

All take `events` of `trials` and return (lower, upper) within [0, 1] at confidence 1 - alpha, or raise `ValueError`
where the counts are impossible. No trials give (0, 1): nothing is known.
"""

from __future__ import annotations

from collections.abc import Callable
from math import lgamma, log, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betaincinv, ndtri

from fairlead.stats.sequential.evidence import Floats
from fairlead.stats.sequential.observations import zero_one

_STEPS = 7


def clopper_pearson(events: int, trials: int, alpha: float = 0.05) -> tuple[float, float]:
    """The exact interval (Clopper, Pearson, 1934): covers with probability at least 1 - alpha, at one look.

    >>> [round(x, 4) for x in clopper_pearson(3, 100)]
    [0.0062, 0.0852]
    """
    _check(events, trials, alpha)
    lower = 0.0 if events == 0 else float(betaincinv(events, trials - events + 1, alpha / 2))
    upper = 1.0 if events == trials else float(betaincinv(events + 1, trials - events, 1 - alpha / 2))
    return lower, upper


def wilson(events: int, trials: int, alpha: float = 0.05) -> tuple[float, float]:
    """The score interval (Wilson, 1927): about 1 - alpha on average, shorter than the exact one, at one look.

    >>> [round(x, 4) for x in wilson(3, 100)]
    [0.0103, 0.0845]
    """
    _check(events, trials, alpha)
    if trials == 0:
        return 0.0, 1.0
    z = float(ndtri(1 - alpha / 2))
    rate, weight = events / trials, z * z / trials
    centre = (rate + weight / 2) / (1 + weight)
    half = z * sqrt(rate * (1 - rate) / trials + weight / (4 * trials)) / (1 + weight)
    lower = 0.0 if events == 0 else max(0.0, centre - half)
    return lower, 1.0 if events == trials else min(1.0, centre + half)


def upper_bound(events: int, trials: int, alpha: float = 0.05) -> float:
    """The one-sided exact upper bound. Without events it is 1 - alpha^(1/n): the rule of three, about 3 / n.

    >>> round(upper_bound(0, 300), 4)
    0.0099
    """
    _check(events, trials, alpha)
    return 1.0 if events == trials else float(betaincinv(events + 1, trials - events, 1 - alpha))


def rate_sequence(events: int, trials: int, alpha: float = 0.05) -> tuple[float, float]:
    """The beta-binomial confidence sequence (Robbins, 1970): covers at *all* looks together with 1 - alpha.

    The rates p that a Beta(1/2, 1/2) mixture has not refuted: ln B(1/2 + s, 1/2 + n - s) - ln B(1/2, 1/2) - s ln p
    - (n - s) ln(1 - p) < ln(1 / alpha). The left side is convex in p, so each end is found by bisection.

    >>> [round(x, 4) for x in rate_sequence(3, 100)]
    [0.0019, 0.1229]
    """
    _check(events, trials, alpha)
    if trials == 0:
        return 0.0, 1.0
    mixture = _log_beta(0.5 + events, 0.5 + trials - events) - _log_beta(0.5, 0.5)

    def refuted(p: float) -> bool:
        likelihood = (events * log(p) if events else 0.0) + ((trials - events) * log(1 - p) if events < trials else 0.0)
        return mixture - likelihood >= log(1 / alpha)

    rate = events / trials
    lower = 0.0 if events == 0 else _edge(refuted, outside=0.0, inside=rate)
    return lower, 1.0 if events == trials else _edge(refuted, outside=1.0, inside=rate)


def _edge(refuted: Callable[[float], bool], outside: float, inside: float) -> float:
    """Where refutation begins between two rates; the outer side, so that rounding never narrows the interval."""
    for _ in range(60):
        middle = (outside + inside) / 2
        if middle in (outside, inside):
            break
        if refuted(middle):
            outside = middle
        else:
            inside = middle
    return outside


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _check(events: int, trials: int, alpha: float) -> None:
    if not 0 <= events <= trials:
        raise ValueError(f"{events} events in {trials} trials: count both over the same requests")
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}: it must lie between 0 and 1")


def rate_sequence_path(outcomes: ArrayLike, alpha: float = 0.05) -> tuple[Floats, Floats]:
    """(lower, upper) of `rate_sequence` after each trial, each (..., n), time last; what one look left out stays out.

    `outcomes` (..., n) are 0 and 1, or `ValueError`. Each end is found by Newton's steps from outside: the left side is
    convex in p, so that no step passes the root, and stopping early only widens.

    >>> low, high = rate_sequence_path([0, 1, 0, 0] * 25, alpha=0.05)
    >>> [round(float(end), 4) for end in (low[-1], high[-1])], [round(x, 4) for x in rate_sequence(25, 100)]
    ([0.13, 0.4079], [0.1271, 0.4085])
    """
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha is {alpha}: it must lie between 0 and 1")
    hits = zero_one(outcomes)
    number = np.arange(1.0, hits.shape[-1] + 1.0)
    events = np.cumsum(hits, axis=-1)
    misses = number - events
    # ln of the mixture, trial by trial: (1/2 + s) / (1 + n) before a hit, (1/2 + n - s) / (1 + n) before a miss.
    target = np.cumsum(np.log((np.where(hits == 1.0, events, misses) - 0.5) / number), axis=-1)
    np.subtract(log(1 / alpha), target, out=target)
    lower = np.maximum.accumulate(_newton(events, misses, target), axis=-1)
    upper = np.minimum.accumulate(1.0 - _newton(misses, events, target), axis=-1)
    return lower, upper


def _newton(events: Floats, misses: Floats, target: Floats) -> Floats:
    """The smaller root p of -s ln p - (n - s) ln(1 - p) = target, from below; 0 where s is 0."""
    s, misses = np.maximum(events, 1.0), np.where(events > 0.0, misses, 0.0)
    # -s ln p alone reaches the target here, so the sum exceeds it: this lies outside.
    p = np.exp(-target / s)
    for _ in range(_STEPS):
        over = -s * np.log(p) - misses * np.log1p(-p) - target
        slope = s / p - misses / (1.0 - p)
        p += np.maximum(over, 0.0) / np.maximum(slope, 1e-300)
    root: Floats = np.where(events > 0.0, p, 0.0)
    return root
