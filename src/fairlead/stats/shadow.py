"""Shadow evidence is paired: the same request, both outputs. What every pair has in common cancels.

**Flips**: pairs in which the decisions differ, as a rate with an interval. **McNemar** (1947): of the pairs in which
exactly one version is right, each is the candidate's with probability 1/2 if both are right equally often; b pairs lost
and c won give the exact binomial p-value at one look, and at every look the e-process of a Beta(1/2, 1/2) mixture,

    E = B(1/2 + b, 1/2 + c) / B(1/2, 1/2) * 2^(b + c).

Before labels are there the same test asks whether decisions flip one way more often than the other.

**Differences** of scores: mean with the asymptotic sequence, quantiles, and the rows in which the two differ most.
**Segments**: McNemar in each, those that differ found by e-BH.

Count one request per unit where units repeat: pairs must not know each other's outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lgamma, log

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr

from fairlead.stats.intervals import rate_sequence
from fairlead.stats.sequential.combine import e_bh
from fairlead.stats.sequential.evidence import Evidence, Floats
from fairlead.stats.sequential.means import NormalWatch
from fairlead.stats.sequential.observations import finite, zero_one

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


class FlipRate(Struct, frozen=True):
    """How often the decisions differ; [`low`, `high`] is valid at every look together."""

    pairs: int
    flips: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """Flips per pair; nan without pairs."""
        return self.flips / self.pairs if self.pairs else float("nan")


class Differences(Struct, frozen=True):
    """Candidate minus champion: the mean with its sequence, the spread, and the quantiles at `QUANTILES`."""

    pairs: int
    mean: float
    low: float
    high: float
    deviation: float
    quantiles: tuple[float, ...]


class SegmentFlips(Struct, frozen=True):
    """McNemar in one segment: pairs that only the champion, and only the candidate got right (or decided as 1)."""

    segment: str
    pairs: int
    lost: int
    won: int
    p_value: float
    log_e: float
    differs: bool  # among those that e-BH rejects


class PairWatch(Struct, frozen=True):
    """McNemar's test over time in constant memory. `lost` and `won` as in `mcnemar_log_e`."""

    pairs: int = 0
    lost: int = 0
    won: int = 0
    evidence: Evidence = Evidence()

    def update(self, champion: ArrayLike, candidate: ArrayLike) -> PairWatch:
        """The state after some more pairs of 0 and 1 (right or wrong, or the decisions), with a look at each.

        >>> watch = PairWatch().update([1, 1, 0, 1] * 10, [1, 0, 0, 1] * 10)
        >>> watch.lost, watch.won, round(watch.evidence.p_value, 4)
        (10, 0, 0.0055)
        """
        one, two = _pairs(champion, candidate)
        if not one.size:
            return self
        steps = _steps(np.ravel(one), np.ravel(two), self.lost, self.won)
        path = self.evidence.log_e + np.cumsum(steps)
        lost, won = self.lost + int((one > two).sum()), self.won + int((two > one).sum())
        return PairWatch(self.pairs + one.size, lost, won, self.evidence.along(path))


def flip_rate(champion: ArrayLike, candidate: ArrayLike, alpha: float = 0.05) -> FlipRate:
    """How often two versions decide differently, (n,) decisions of any kind each.

    >>> found = flip_rate(["a", "b", "a", "a"] * 50, ["a", "b", "b", "a"] * 50)
    >>> found.rate, round(found.low, 3), round(found.high, 3)
    (0.25, 0.156, 0.363)
    """
    one, two = np.ravel(np.asarray(champion)), np.ravel(np.asarray(candidate))
    if one.size != two.size:
        raise ValueError(f"{one.size} decisions beside {two.size}: a pair is both answers to one request")
    flips = int((one != two).sum())
    return FlipRate(one.size, flips, *rate_sequence(flips, one.size, alpha))


def mcnemar(lost: int, won: int) -> float:
    """The exact two-sided p-value at one look, of `lost` pairs that only the champion got right and `won` only the
    candidate.

    >>> round(mcnemar(12, 3), 4)
    0.0352
    """
    total = _discordant(lost, won)
    return min(1.0, 2.0 * float(bdtr(min(lost, won), total, 0.5))) if total else 1.0


def mcnemar_log_e(lost: int, won: int) -> float:
    """ln E at any look, from the counts.

    >>> round(mcnemar_log_e(30, 4), 2), round(mcnemar_log_e(10, 10), 2)
    (9.25, -1.74)
    """
    total = _discordant(lost, won)
    mixture = lgamma(0.5 + lost) + lgamma(0.5 + won) - lgamma(1.0 + total)
    return mixture - 2.0 * lgamma(0.5) + total * log(2.0)


def mcnemar_path(champion: ArrayLike, candidate: ArrayLike) -> Floats:
    """ln E after each pair, shape (..., n), time last; both (..., n) of 0 and 1. Pairs that agree leave it as it was.

    >>> np.round(mcnemar_path([1, 1, 1], [1, 0, 0]), 3)
    array([0.   , 0.   , 0.405])
    """
    one, two = _pairs(champion, candidate)
    path: Floats = np.cumsum(_steps(one, two, 0, 0), axis=-1)
    return path


def differences(champion: ArrayLike, candidate: ArrayLike, alpha: float = 0.05) -> Differences:
    """The distribution of candidate minus champion over (n,) pairs of finite scores; n may be 0 (then nan).

    >>> found = differences([0.2, 0.4] * 100, [0.3, 0.4] * 100)
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3), round(found.quantiles[3], 3)
    (0.05, 0.038, 0.062, 0.05)
    """
    gaps = _gaps(champion, candidate)
    if not gaps.size:
        nan = float("nan")
        return Differences(0, nan, -float("inf"), float("inf"), nan, (nan,) * len(QUANTILES))
    watch = NormalWatch(alpha).update(gaps)
    quantiles = tuple(float(q) for q in np.quantile(gaps, QUANTILES))
    return Differences(gaps.size, watch.mean, *watch.interval(), float(gaps.std()), quantiles)


def worst_rows(champion: ArrayLike, candidate: ArrayLike, count: int = 10) -> NDArray[np.int64]:
    """The places of the `count` pairs whose scores differ most, largest difference first.

    >>> worst_rows([0.1, 0.5, 0.9], [0.1, 0.9, 0.7], count=2)
    array([1, 2])
    """
    sizes = np.abs(_gaps(champion, candidate))
    kept = min(max(count, 0), sizes.size)
    if not kept:
        return np.empty(0, dtype=np.int64)
    top = np.argpartition(-sizes, kept - 1)[:kept]
    return top[np.lexsort((top, -sizes[top]))].astype(np.int64)


def by_segment(
    champion: ArrayLike, candidate: ArrayLike, segments: Sequence[str] | NDArray[np.generic], alpha: float = 0.05
) -> tuple[SegmentFlips, ...]:
    """McNemar in every segment, most evidence first. Of those that differ, at most `alpha` falsely, in expectation.

    `champion` and `candidate` (n,) are 0 and 1, `segments` (n,) the names.

    >>> found = by_segment([1] * 40 + [1, 0] * 20, [0] * 40 + [0, 1] * 20, ["new"] * 40 + ["old"] * 40)
    >>> [(one.segment, one.lost, one.won, one.differs) for one in found]
    [('new', 40, 0, True), ('old', 20, 20, False)]
    """
    one, two = (np.ravel(side) for side in _pairs(champion, candidate))
    names, place = np.unique(np.asarray(segments, dtype=str), return_inverse=True)
    if place.size != one.size:
        raise ValueError(f"{place.size} segments for {one.size} pairs: give each pair the name of its segment")
    size = names.size
    pairs = np.bincount(place, minlength=size).tolist()
    lost = np.bincount(place[one > two], minlength=size).tolist()
    won = np.bincount(place[two > one], minlength=size).tolist()
    logs = [mcnemar_log_e(b, c) for b, c in zip(lost, won, strict=True)]
    rejected = e_bh(logs, alpha)
    found = [
        SegmentFlips(str(names[i]), pairs[i], lost[i], won[i], mcnemar(lost[i], won[i]), logs[i], rejected[i])
        for i in range(size)
    ]
    return tuple(sorted(found, key=lambda segment: (-segment.log_e, segment.segment)))


def _pairs(champion: ArrayLike, candidate: ArrayLike) -> tuple[Floats, Floats]:
    one, two = zero_one(champion, "champion's outcome"), zero_one(candidate, "candidate's outcome")
    if one.shape != two.shape:
        raise ValueError(f"{one.shape} outcomes beside {two.shape}: a pair is both answers to one request")
    return one, two


def _gaps(champion: ArrayLike, candidate: ArrayLike) -> Floats:
    one, two = np.ravel(finite(champion, "champion's score")), np.ravel(finite(candidate, "candidate's score"))
    if one.size != two.size:
        raise ValueError(f"{one.size} scores beside {two.size}: a pair is both answers to one request")
    gaps: Floats = two - one
    return gaps


def _steps(one: Floats, two: Floats, lost: int, won: int) -> Floats:
    """What each pair adds to ln E: ln of 2 (1/2 + its own kind before) / (1 + all that disagreed before)."""
    losing, winning = one > two, two > one
    before_lost = lost + np.cumsum(losing, axis=-1) - losing
    before_won = won + np.cumsum(winning, axis=-1) - winning
    own = np.where(losing, before_lost, before_won)
    odds = (1.0 + 2.0 * own) / (1.0 + before_lost + before_won)
    steps: Floats = np.where(losing | winning, np.log(odds), 0.0)
    return steps


def _discordant(lost: int, won: int) -> int:
    if lost < 0 or won < 0:
        raise ValueError(f"{lost} pairs lost and {won} won: counts are 0 or more")
    return lost + won
