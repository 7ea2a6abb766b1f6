"""An e-process for one rate: is p above a limit?

Each event is scored by a likelihood ratio, alternative p1 against the limit u. With p1 chosen so that its odds are
k times those of u, the ratio of n trials with s events is

    ln LR = s ln k - n ln(1 - u + k u).

Its expected factor per trial under a true rate p is (1 - p + k p) / (1 - u + k u): increasing in p for k > 1 and equal
to 1 at p = u. So it is at most 1 for *every* p <= u (a monotone likelihood ratio), also when p changes from trial to
trial: the product is a supermartingale under the whole composite null, and so is the average over several k
(Ramdas, Gruenwald, Vovk, Shafer, "Game-theoretic statistics and safe anytime-valid inference", 2023).

`rate_log_e` takes counts, `rate_path` the trials themselves, `RateWatch` batches of them in constant memory.

A trial must not know the outcome of an earlier one: of a user who fails and tries again only the first answer is one.
"""

from __future__ import annotations

from math import inf

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike

from fairlead.stats.sequential.evidence import Evidence, Floats, log_mean
from fairlead.stats.sequential.observations import zero_one

ODDS = np.array([1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0])
# A limit of exactly 0 would turn one event into infinite evidence, which no journal can store.
_LEAST_LIMIT = 1e-9


def rate_log_e(events: int, trials: int, limit: float) -> float:
    """ln E against "the rate is at most `limit`", from counts alone, so in whatever order they came.

    A limit of 1 or more cannot be broken: ln E stays 0. Raises `ValueError` unless 0 <= events <= trials.

    >>> round(rate_log_e(events=30, trials=1000, limit=0.01), 2)  # 3 % where 1 % is allowed
    11.19
    >>> round(rate_log_e(events=9, trials=1000, limit=0.01), 2)
    -2.18
    """
    if not 0 <= events <= trials:
        raise ValueError(f"{events} events in {trials} trials: count both over the same trials")
    if limit >= 1.0:
        return 0.0
    return float(rates_log_e(np.array(float(events)), np.array(float(trials)), np.array(max(limit, _LEAST_LIMIT))))


def rates_log_e(events: Floats, trials: Floats, limits: Floats) -> Floats:
    """`rate_log_e` on arrays that broadcast together; limits in (0, 1)."""
    growth = np.log1p(limits[..., None] * (ODDS - 1.0))
    log_ratios = events[..., None] * np.log(ODDS) - trials[..., None] * growth
    return log_mean_exp(log_ratios)


def log_mean_exp(values: Floats) -> Floats:
    """ln of the mean of exp(values) over the last axis, without overflow."""
    peak = np.max(values, axis=-1, initial=-inf)
    mean: Floats = np.log(np.mean(np.exp(values - peak[..., None]), axis=-1)) + peak
    return mean


class RateWatch(Struct, frozen=True):
    """The whole state: two counts. `limit` is u, in (0, 1]."""

    limit: float
    events: int = 0
    trials: int = 0
    evidence: Evidence = Evidence()

    def update(self, outcomes: ArrayLike) -> RateWatch:
        """The state after some more trials, in their order, with a look at each.

        >>> watch = RateWatch(limit=0.01).update([0] * 97 + [1] * 3).update([1, 1, 1])
        >>> watch.events, watch.trials, watch.evidence.reached(0.05)
        (6, 103, True)
        """
        hits = np.ravel(zero_one(outcomes))
        if not hits.size:
            return self
        path = self.path(hits)
        events = self.events + int(hits.sum())
        return RateWatch(self.limit, events, self.trials + hits.size, self.evidence.along(path))

    def path(self, outcomes: ArrayLike) -> Floats:
        """ln E after each of some more trials, shape (n,): what `update` would look at."""
        return _rate_path(np.ravel(zero_one(outcomes)), self.limit, self.events, self.trials)


def rate_path(outcomes: ArrayLike, limit: float) -> Floats:
    """ln E after each trial, shape (..., n); `outcomes` (..., n) are 1 for an event, else 0; time is the last axis.

    A limit of 1 or more cannot be broken: zeros. Raises `ValueError` for an outcome that is not 0 or 1.

    >>> np.round(rate_path([0, 1, 1], limit=0.01), 2)
    array([-0.12,  2.08,  5.42])
    """
    return _rate_path(zero_one(outcomes), limit, 0, 0)


def _rate_path(hits: Floats, limit: float, events: int, trials: int) -> Floats:
    if not limit >= 0.0:
        raise ValueError(f"a limit of {limit} is no rate: it must be 0 or more")
    if limit >= 1.0:
        return np.zeros_like(hits)
    counts = np.cumsum(hits, axis=-1)
    counts += events
    number = np.arange(trials + 1.0, trials + hits.shape[-1] + 1.0)
    odds = ODDS.reshape(-1, *(1,) * hits.ndim)
    logs: Floats = counts * np.log(odds)
    logs -= number * np.log1p(max(limit, _LEAST_LIMIT) * (odds - 1.0))
    return log_mean(logs)
